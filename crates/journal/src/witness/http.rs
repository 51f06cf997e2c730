use std::io;

use ::http::header::{CONTENT_TYPE, HOST};
use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::WitnessAddress;

/// A connection to one witness that is kept open from one request to the next.
#[derive(Debug)]
pub(super) struct Connection {
    address: WitnessAddress,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What a witness answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nobody listens.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The connection broke, or what came over it is not HTTP.
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    /// The request cannot be made.
    #[error("the request cannot be made")]
    Request(#[source] ::http::Error),
    /// The answer is longer than any that is due.
    #[error("the answer is too long or broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Connection {
    pub(super) const fn new(address: WitnessAddress) -> Self {
        Self {
            address,
            sender: None,
        }
    }

    pub(super) const fn address(&self) -> &WitnessAddress {
        &self.address
    }

    /// Asks, over the open connection where there is one. One that the other side closed meanwhile
    /// is opened again, once. Must be asked again over a fresh connection after it was dropped
    /// half-way, which [`Connection::close`] sees to.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        endpoint: &str,
        body: &str,
        most_bytes: usize,
    ) -> Result<Answer, HttpError> {
        if let Some(sender) = self.sender.take()
            && let Ok(answer) = self.over(sender, &method, endpoint, body, most_bytes).await
        {
            return Ok(answer);
        }
        let stream = TcpStream::connect(self.address.authority())
            .await
            .map_err(HttpError::Connect)?;
        // Without it a small request waits for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(HttpError::Connect)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(HttpError::Broken)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to a witness ended");
            }
        });
        self.over(sender, &method, endpoint, body, most_bytes).await
    }

    /// Forgets the connection: the answer to a request that was given up is nobody's.
    pub(super) fn close(&mut self) {
        self.sender = None;
    }

    async fn over(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        method: &Method,
        endpoint: &str,
        body: &str,
        most_bytes: usize,
    ) -> Result<Answer, HttpError> {
        sender.ready().await.map_err(HttpError::Broken)?;
        let request = Request::builder()
            .method(method)
            .uri(self.address.path(endpoint))
            .header(HOST, self.address.authority())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(Full::new(Bytes::from(body.to_owned())))
            .map_err(HttpError::Request)?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(HttpError::Broken)?;
        let status = answer.status();
        let content_type = answer.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.map(ToOwned::to_owned);
        let body = Limited::new(answer.into_body(), most_bytes)
            .collect()
            .await
            .map_err(HttpError::Body)?
            .to_bytes();
        self.sender = Some(sender);
        Ok(Answer {
            status,
            content_type,
            body,
        })
    }
}
