use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chancery_identity::SpiffeId;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};

use crate::tls::{TlsIdentity, client_config};

/// Sent as the name of the log's host; who it is, its SVID says.
const NAME: &str = "chancery";
const CONNECT: Duration = Duration::from_secs(10);
const ALIVE: Duration = Duration::from_secs(10);
const WINDOW_BYTES: u32 = 1 << 20;

/// Where a log takes entries, and who appends.
#[derive(Debug, Clone)]
pub enum AppendTarget {
    /// Over the Unix socket of a log of the same user.
    Owner {
        /// The socket.
        socket: PathBuf,
        /// What the producer is called: 1 to 64 letters, digits, `.`, `-` and `_`.
        producer: String,
    },
    /// Over mutual TLS.
    Tls {
        /// Host and port.
        server: String,
        /// The own SVID and the authorities; its SPIFFE ID is the producer.
        identity: TlsIdentity,
        /// Who the log must be.
        expected: SpiffeId,
    },
}

impl AppendTarget {
    /// The name that the producer gives itself.
    pub(super) fn producer(&self) -> &str {
        match self {
            Self::Owner { producer, .. } => producer,
            Self::Tls { .. } => "",
        }
    }

    /// A connection, with the SVID of now.
    pub(super) async fn dial(&self) -> Result<Channel, tonic::transport::Error> {
        Endpoint::from_static("http://log.invalid")
            .connect_timeout(CONNECT)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .keep_alive_while_idle(true)
            .connect_with_connector(Dial(self.clone()))
            .await
    }
}

impl fmt::Display for AppendTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { socket, .. } => write!(f, "{}", socket.display()),
            Self::Tls { server, .. } => f.write_str(server),
        }
    }
}

/// Opens connections of either kind.
struct Dial(AppendTarget);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let target = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(connect(target).await?)) })
    }
}

async fn connect(target: AppendTarget) -> io::Result<Box<dyn Stream>> {
    match target {
        AppendTarget::Owner { socket, .. } => Ok(Box::new(UnixStream::connect(socket).await?)),
        AppendTarget::Tls {
            server,
            identity,
            expected,
        } => {
            let mut config = client_config(&identity, expected).map_err(io::Error::other)?;
            config.alpn_protocols = vec![b"h2".to_vec()];
            // The log asks for the certificate on every connection.
            config.resumption = Resumption::disabled();
            let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let tls = TlsConnector::from(Arc::new(config));
            Ok(Box::new(tls.connect(name, stream).await?))
        }
    }
}
