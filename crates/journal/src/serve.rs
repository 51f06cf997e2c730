//! Logs over HTTP: the static paths of C2SP tlog-tiles and nothing else.

mod answer;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chancery_tlog::TilePath;
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::accept::serve_each;
use crate::{JournalError, Reader};
use answer::{Body, checkpoint, empty, immutable, not_allowed};

/// How long the head of a request may take, and a connection be idle.
const HEAD: Duration = Duration::from_secs(15);

/// Serves logs, each below a prefix of its own, by the rules of C2SP tlog-tiles: the checkpoint as
/// text that is stale after a second, tiles and bundles as bytes that never change, GET and HEAD
/// alone. Of a log exactly what its visible checkpoint covers is served; any other path is not
/// found, in whatever spelling. Nobody is asked who they are: who reaches the address reads all
/// entries.
#[derive(Debug)]
pub struct LogServer {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Prefix, without slashes, and log. The empty prefix is the root of the server.
    logs: Vec<(String, Reader)>,
    /// Whether only names that a browser cannot be talked into are answered to.
    is_local: bool,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("{address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Two logs below one prefix, or a prefix that is no path element.
    #[error("{0:?} is no prefix of its own for a log: use lower-case letters, digits and hyphens")]
    Prefix(String),
}

impl LogServer {
    /// Listens. A log is served below `/<prefix>/`, with an empty prefix at the root.
    pub async fn bind(
        address: SocketAddr,
        logs: Vec<(String, Reader)>,
    ) -> Result<Self, ServeError> {
        for (place, (prefix, _)) in logs.iter().enumerate() {
            let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            let repeated = logs.iter().take(place).any(|(other, _)| other == prefix);
            if repeated || !prefix.bytes().all(plain) || (prefix.is_empty() && logs.len() > 1) {
                return Err(ServeError::Prefix(prefix.clone()));
            }
        }
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr().map_err(listen)?;
        Ok(Self {
            listener,
            shared: Arc::new(Shared {
                logs,
                is_local: bound.ip().is_loopback(),
            }),
        })
    }

    /// The address that is listened on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is done; connections that are open then end with it. No peer takes all
    /// places: whoever finds none is dropped.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let shared = self.shared;
        let serve = |stream| connection(Arc::clone(&shared), stream);
        serve_each(&self.listener, stop, serve).await;
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        // Nothing that is answered depends on a body.
        let (head, _) = request.into_parts();
        async move { Ok::<_, Infallible>(shared.answer(&head).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

/// What a path names.
enum Named {
    Checkpoint,
    Tile(TilePath),
}

impl Shared {
    async fn answer(&self, head: &Parts) -> Response<Body> {
        if self.is_local && !is_local(head) {
            return empty(StatusCode::MISDIRECTED_REQUEST);
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return not_allowed();
        }
        let Some((reader, named)) = self.find(&head.uri) else {
            return empty(StatusCode::NOT_FOUND);
        };
        let reader = reader.clone();
        let read = tokio::task::spawn_blocking(move || -> Result<_, JournalError> {
            Ok(match named {
                Named::Checkpoint => reader.checkpoint()?.map(|(note, _)| checkpoint(note)),
                Named::Tile(path) => reader.published(&path)?.map(immutable),
            })
        });
        let answered = match read.await {
            Ok(answered) => answered,
            Err(error) => {
                tracing::error!(%error, "a file of the log was not read");
                return empty(StatusCode::INTERNAL_SERVER_ERROR);
            }
        };
        match answered {
            Ok(Some(response)) => response,
            Ok(None) => empty(StatusCode::NOT_FOUND),
            Err(error) => {
                tracing::error!(%error, "the log is not served");
                empty(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// The log and the file of an exact path; queries belong to none.
    fn find(&self, uri: &Uri) -> Option<(&Reader, Named)> {
        let path = uri
            .path()
            .strip_prefix('/')
            .filter(|_| uri.query().is_none())?;
        self.logs.iter().find_map(|(prefix, reader)| {
            let rest = match prefix.as_str() {
                "" => path,
                prefix => path.strip_prefix(prefix)?.strip_prefix('/')?,
            };
            let named = match rest {
                "checkpoint" => Named::Checkpoint,
                tile => Named::Tile(tile.parse().ok()?),
            };
            Some((reader, named))
        })
    }
}

/// Whether a request names this machine by its address or as `localhost`. A page in a browser that
/// had its own name lead here says that name.
fn is_local(head: &Parts) -> bool {
    let host = match head.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => head
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = host.host();
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    name == "localhost" || bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}
