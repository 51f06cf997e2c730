//! A client over a Unix socket, and what every client of the server shares.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::{Problem, TlsClient};

/// Most bytes of an answer that are read: more than the list of as much as may be revoked, each by the longest
/// name and for the longest reason.
const MAX_ANSWER_BYTES: usize = 40 << 20;

/// Speaks HTTP/1.1 and JSON over a Unix socket; one connection for each request.
#[derive(Debug, Clone)]
pub struct UnixClient {
    socket: PathBuf,
    patience: Option<Duration>,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or the socket is not ours to use.
    #[error("{}: {source}; is `chancery up` running with this data folder, or, on a joined host, `chancery node join`?", socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The other side broke off.
    #[error("{}: the connection broke", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The other side took the request, or the connection, and does not answer; it may do what it was asked for.
    #[error("{}: no answer within {} s", socket.display(), patience.as_secs())]
    Silent {
        /// The socket.
        socket: PathBuf,
        /// How long was waited.
        patience: Duration,
    },
    /// A server on another host is out of reach, or is not the one that the trust document vouches for.
    #[error("{server}: {source}")]
    Remote {
        /// Its address.
        server: String,
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The other side refused.
    #[error(transparent)]
    Refused(#[from] Problem),
}

impl UnixClient {
    /// A client of that socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            patience: None,
        }
    }

    /// The same, which waits for no answer longer than that.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks with GET.
    pub async fn get<R: DeserializeOwned>(&self, path: &str) -> Result<R, ClientError> {
        self.request(Method::GET, path, Bytes::new()).await
    }

    /// Asks with POST.
    pub async fn post<T: Serialize + Sync, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &T,
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(|source| self.broken(source))?;
        self.request(Method::POST, path, body.into()).await
    }

    /// Asks with DELETE.
    pub async fn delete<R: DeserializeOwned>(&self, path: &str) -> Result<R, ClientError> {
        self.request(Method::DELETE, path, Bytes::new()).await
    }

    async fn request<R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<R, ClientError> {
        let asking = self.ask(method, path, body);
        let Some(patience) = self.patience else {
            return asking.await;
        };
        let answer = tokio::time::timeout(patience, asking).await;
        answer.unwrap_or_else(|_| {
            Err(ClientError::Silent {
                socket: self.socket.clone(),
                patience,
            })
        })
    }

    async fn ask<R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<R, ClientError> {
        let stream =
            UnixStream::connect(&self.socket)
                .await
                .map_err(|source| ClientError::Connect {
                    socket: self.socket.clone(),
                    source,
                })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.broken(source))?;
        // Whoever gives up closes it.
        let mut connected = JoinSet::new();
        connected.spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|source| self.broken(source))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|source| self.broken(source))?;
        read(answer, |source| self.broken(source)).await
    }

    fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            source: source.into(),
        }
    }
}

/// How the server is spoken to.
#[derive(Debug, Clone)]
pub(crate) enum Transport {
    /// Over its owner's socket.
    Unix(UnixClient),
    /// As a node on another host.
    Tls(TlsClient),
}

impl Transport {
    pub(crate) async fn get<R: DeserializeOwned>(&self, path: &str) -> Result<R, ClientError> {
        match self {
            Self::Unix(client) => client.get(path).await,
            Self::Tls(client) => client.get(path).await,
        }
    }

    pub(crate) async fn post<T: Serialize + Sync, R: DeserializeOwned>(
        &self,
        path: &str,
        body: &T,
    ) -> Result<R, ClientError> {
        match self {
            Self::Unix(client) => client.post(path, body).await,
            Self::Tls(client) => client.post(path, body).await,
        }
    }
}

/// Reads an answer: what was asked for, or a refusal.
pub(crate) async fn read<R: DeserializeOwned>(
    answer: Response<Incoming>,
    broken: impl Fn(Box<dyn std::error::Error + Send + Sync>) -> ClientError,
) -> Result<R, ClientError> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await
        .map_err(&broken)?
        .to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|source| broken(source.into()));
    }
    let refusal = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Problem::new(status, "unreadable", "the answer is not one of ours"));
    Err(ClientError::Refused(refusal))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn who_is_patient_for_a_while_hears_that_nobody_answers_and_closes_the_connection() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("silent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let client = UnixClient::new(&socket).with_patience(Duration::from_millis(50));
        let silent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            stream.read_to_end(&mut asked).await.unwrap();
            asked
        };
        let (answer, asked) = tokio::join!(client.get::<Value>("/v1/ready"), silent);
        assert!(matches!(answer, Err(ClientError::Silent { .. })));
        assert!(asked.starts_with(b"GET /v1/ready "));
        // Neither does it where nobody takes the connection.
        let answer = client.get::<Value>("/v1/ready").await;
        assert!(matches!(answer, Err(ClientError::Silent { .. })));
    }
}
