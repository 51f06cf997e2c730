//! The console: what people see and sign in a browser. Pages are made here and need no other server, no
//! script but one of our own, and no network.
//!
//! The console is authority for nothing. It shows what the server has, and relays what a passkey signed;
//! the gateway and every later verifier judge that themselves.

mod answering;
mod authority;
mod challenges;
mod enrolling;
mod guard;
mod headers;
mod origin;
mod pages;
mod reasons;
mod shown;
mod signing_in;
mod visits;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use axum::{Extension, Router};
use chancery_api::{Problem, measured};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::Server;
use crate::attempts::Attempts;
use crate::bundle_endpoint::presented::Presented;
use crate::bundle_endpoint::{CertificateError, tls_config};
use crate::connections::{Places, Taken, accept};
use crate::endpoints::random;
use challenges::Challenges;
pub use origin::{ConsoleOrigin, ConsoleOriginError};
pub use reasons::CONSOLE_REASONS;
use visits::Visits;

/// Every endpoint of the console: method, path, and who is answered.
pub const CONSOLE_ROUTES: &[(&str, &str, Audience)] = &[
    ("GET", "/", Audience::SignedIn),
    ("GET", "/console.css", Audience::Anybody),
    ("GET", "/console.js", Audience::Anybody),
    ("GET", "/sign-in", Audience::Anybody),
    ("POST", "/sign-in", Audience::Anybody),
    ("POST", "/sign-out", Audience::SignedIn),
    ("GET", "/enrol", Audience::Anybody),
    ("POST", "/enrol", Audience::Anybody),
    ("POST", "/enrol/code", Audience::Anybody),
    ("GET", "/approvals", Audience::Approver),
    ("GET", "/approvals/{id}", Audience::Approver),
    ("POST", "/approvals/{id}", Audience::Approver),
    ("GET", "/authority", Audience::SignedIn),
    ("POST", "/authority/revoke", Audience::SignedIn),
    ("GET", "/policy", Audience::SignedIn),
];

/// Who is answered on an endpoint of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever reaches the address.
    Anybody,
    /// Whom the trust document names and who signed in; each sees their own.
    SignedIn,
    /// Of those, whom it names as an approver.
    Approver,
}

/// How long a handshake may take, and the head of a request; and how long a connection is kept.
const HEAD: Duration = Duration::from_secs(10);
const CONNECTION: Duration = Duration::from_secs(300);

/// How often it is looked whether a certificate is to be replaced.
const LOOK: Duration = Duration::from_secs(30);

const STREAMS: u32 = 16;
const HEADER_BYTES: u32 = 16 << 10;

/// Where the console is served, and how people reach it.
#[derive(Debug, Clone)]
pub struct ConsoleConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The origin that browsers reach it at.
    pub origin: ConsoleOrigin,
    /// What it is served by; plain HTTP, and on a loopback address alone, without one.
    pub certificate: Option<ConsoleCertificate>,
}

/// The certificate of a console.
#[derive(Debug, Clone)]
pub struct ConsoleCertificate {
    /// The certificate chain in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its key in PEM, a file that nobody else may read.
    pub key: PathBuf,
}

/// The console of a server.
#[derive(Debug)]
pub struct Console {
    desk: Arc<Desk>,
    listeners: Vec<TcpListener>,
    presented: Option<Arc<Presented>>,
}

/// Why the console is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// The address cannot be listened on.
    #[error("console {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Others would reach it without TLS.
    #[error(
        "console {0}: plain HTTP is served on a loopback address alone; name a certificate and its key"
    )]
    Plain(SocketAddr),
    /// It is served by TLS, and browsers are told of plain HTTP.
    #[error("console: {0} is served by TLS and begins with https")]
    Origin(ConsoleOrigin),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The TLS library refused the configuration.
    #[error("TLS cannot be configured")]
    Tls(#[from] rustls::Error),
    /// The system's random source failed.
    #[error(transparent)]
    Random(#[from] chancery_crypto::RandomError),
}

/// What the endpoints share.
#[derive(Debug)]
struct Desk {
    server: Arc<Server>,
    origin: ConsoleOrigin,
    challenges: Challenges,
    visits: Visits,
    attempts: Attempts,
}

impl ConsoleConfig {
    /// Listens where it says, and for an origin of `localhost` on both loopback addresses: a browser takes
    /// that name for either, and whoever listened on the other one would be the console. One that this
    /// machine does not have is left out.
    pub fn listen(&self) -> Result<Vec<StdListener>, ConsoleError> {
        let open = |address| {
            let opened = StdListener::bind(address);
            opened.map_err(|source| ConsoleError::Listen { address, source })
        };
        let told = open(self.listen)?;
        let local = |source| ConsoleError::Listen {
            address: self.listen,
            source,
        };
        let port = told.local_addr().map_err(local)?.port();
        let mut listeners = vec![told];
        if self.origin.rp_id() != "localhost" {
            return Ok(listeners);
        }
        for other in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            if is_heard(self.listen.ip(), other) {
                continue;
            }
            match open((other, port).into()) {
                Err(ConsoleError::Listen { source, .. }) if is_missing(&source) => {}
                opened => listeners.push(opened?),
            }
        }
        Ok(listeners)
    }
}

/// Whether whoever listens on one address hears those who come to the other.
fn is_heard(listens: IpAddr, other: IpAddr) -> bool {
    listens == other
        || listens == IpAddr::from(Ipv6Addr::UNSPECIFIED)
        || listens == IpAddr::from(Ipv4Addr::UNSPECIFIED) && other.is_ipv4()
}

/// Whether the machine does not have an address, or none of its kind.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

impl Console {
    /// Listens where the configuration says.
    pub async fn bind(server: Arc<Server>, config: ConsoleConfig) -> Result<Self, ConsoleError> {
        let address = config.listen;
        let presented = match config.certificate.clone() {
            None if !address.ip().is_loopback() => return Err(ConsoleError::Plain(address)),
            None => None,
            Some(_) if !config.origin.is_secure() => {
                return Err(ConsoleError::Origin(config.origin));
            }
            Some(files) => Some(Arc::new(Presented::files(files.certificate, files.key)?)),
        };
        let listen = |source| ConsoleError::Listen { address, source };
        let listeners = config.listen()?.into_iter().map(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let listeners = listeners.collect::<io::Result<_>>().map_err(listen)?;
        Ok(Self {
            desk: Arc::new(Desk {
                server,
                origin: config.origin,
                challenges: Challenges::new()?,
                visits: Visits::default(),
                attempts: Attempts::default(),
            }),
            listeners,
            presented,
        })
    }

    /// The addresses that are listened on, the one that was asked for first.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    /// Serves until the future is dropped; connections end with it.
    pub async fn serve(self) -> Result<(), ConsoleError> {
        let router = router(Arc::clone(&self.desk));
        let tls = match &self.presented {
            Some(presented) => Some(TlsAcceptor::from(Arc::new(tls_config(presented)?))),
            None => None,
        };
        let serve =
            move |stream, peer, taken| serve(stream, peer, tls.clone(), router.clone(), taken);
        let renewing = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Some(presented) = &self.presented {
                    presented.renew(&self.desk.server).await;
                }
            }
        };
        let places = Places::default();
        let mut listening = JoinSet::new();
        for listener in self.listeners {
            listening.spawn(accept(listener, places.clone(), serve.clone()));
        }
        tokio::select! {
            _ = listening.join_next() => Ok(()),
            () = renewing => Ok(()),
        }
    }
}

fn router(desk: Arc<Desk>) -> Router {
    let is_secure = desk.origin.is_secure();
    let router = Router::new()
        .route("/", get(pages::home))
        .route("/console.css", get(pages::style))
        .route("/console.js", get(pages::script))
        .route("/sign-in", get(signing_in::page).post(signing_in::sign_in))
        .route("/sign-out", post(signing_in::sign_out))
        .route("/enrol", get(enrolling::page).post(enrolling::enrol))
        .route("/enrol/code", post(enrolling::code))
        .route("/approvals", get(answering::list))
        .route(
            "/approvals/{id}",
            get(answering::page).post(answering::answer),
        )
        .route("/authority", get(authority::page))
        .route("/authority/revoke", post(authority::revoke))
        .route("/policy", get(pages::policy))
        .with_state(desk);
    let router = measured(router).fallback(pages::nothing);
    router.layer(from_fn(move |request, next| {
        headers::guard(is_secure, request, next)
    }))
}

/// One connection, for a while.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    _taken: Taken,
) {
    let router = router.layer(Extension(ConnectInfo(peer)));
    let served = async {
        match tls {
            None => speak(stream, router).await,
            Some(tls) => match timeout(HEAD, tls.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, router).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake refused"),
                Err(_) => {}
            },
        }
    };
    if timeout(CONNECTION, served).await.is_err() {
        tracing::debug!(%peer, "a connection was kept long enough");
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES);
    let service = TowerToHyperService::new(router);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "connection ended");
    }
}

impl Desk {
    /// Counts a try to sign in or to enrol that failed: what is said of it, and of one too many no more
    /// than that. What succeeds is not counted, so that nobody keeps those out who share an address.
    fn count_failure(&self, peer: SocketAddr, failure: Problem) -> Problem {
        match self.attempts.take(peer.ip(), std::time::Instant::now()) {
            true => failure,
            false => Problem::new(
                http::StatusCode::TOO_MANY_REQUESTS,
                "too_many_attempts",
                "too many attempts from this address; wait a minute",
            ),
        }
    }

    fn challenge(&self, purpose: challenges::Purpose) -> Result<chancery_types::Digest, Problem> {
        self.challenges
            .make(purpose, self.server.now()?)
            .map_err(random)
    }
}

impl From<challenges::ChallengeFault> for Problem {
    fn from(fault: challenges::ChallengeFault) -> Self {
        let (reason, said) = match fault {
            challenges::ChallengeFault::Unknown => {
                ("challenge_unknown", "the page is not one of this server's")
            }
            challenges::ChallengeFault::Expired => ("challenge_expired", "the page is too old"),
            challenges::ChallengeFault::Reused => {
                ("challenge_reused", "the page was answered before")
            }
        };
        Self::forbidden(reason, said).with_remedy("load the page again")
    }
}
