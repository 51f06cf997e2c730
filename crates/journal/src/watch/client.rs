use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::SourceError;

/// How long a connection may take, an answer's head, and each part of its body.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long one file may take, from the question to its last byte.
const WHOLE: Duration = Duration::from_secs(120);

/// Reads files below a URL over one connection that is kept while it is good. What it reads is
/// believed by nobody; who listens on the way learns what is read.
#[derive(Debug)]
pub(super) struct LogClient {
    base: String,
    host: String,
    port: u16,
    authority: String,
    path: String,
    whole: Duration,
    kept: Mutex<Option<SendRequest<Empty<Bytes>>>>,
}

impl LogClient {
    pub(super) fn new(url: &str) -> Result<Self, SourceError> {
        let refused = |problem| SourceError::Url {
            url: url.to_owned(),
            problem,
        };
        let uri: Uri = url.parse().map_err(|_| refused("not a URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(refused(
                    "TLS is not spoken here, and the log's signatures do not need it: read the log over \
                     http://, through a tunnel where it is private, or from a mirror's folder",
                ));
            }
            _ => return Err(refused("a log is read over http:// or from a folder")),
        }
        if uri.query().is_some() {
            return Err(refused("the URL of a log has no query"));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| refused("the URL names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("the URL of a log has no user name"));
        }
        let host = authority.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            host: bare.unwrap_or(host).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
            path: uri.path().trim_end_matches('/').to_owned(),
            whole: WHOLE,
            kept: Mutex::new(None),
        })
    }

    /// The bytes of a file, at most one more than `most`; none where the server has none. However
    /// the server spreads its answer, it does not hold whoever asks for longer than two minutes.
    pub(super) async fn get(
        &self,
        name: &str,
        most: usize,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        let read = timeout(self.whole, self.read(name, most)).await;
        read.unwrap_or_else(|_| {
            Err(SourceError::Slow {
                url: self.shown(name),
                seconds: self.whole.as_secs(),
            })
        })
    }

    async fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
        let mut kept = self.kept.lock().await;
        // A kept connection may have ended in the meantime; a new one is asked once.
        if let Some(mut sender) = kept.take()
            && sender.ready().await.is_ok()
            && let Ok(answer) = self.ask(name, most, &mut sender).await
        {
            *kept = answer.1.then_some(sender);
            return Ok(answer.0);
        }
        let mut sender = self.connect(name).await?;
        let (bytes, is_good) = self.ask(name, most, &mut sender).await?;
        *kept = is_good.then_some(sender);
        Ok(bytes)
    }

    async fn connect(&self, name: &str) -> Result<SendRequest<Empty<Bytes>>, SourceError> {
        let stream = self
            .within(name, TcpStream::connect((self.host.as_str(), self.port)))
            .await?
            .map_err(|source| self.broken(name, source))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|source| self.broken(name, source))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a log ended");
            }
        });
        Ok(sender)
    }

    /// The bytes, if any, and whether the connection can be used again.
    async fn ask(
        &self,
        name: &str,
        most: usize,
        sender: &mut SendRequest<Empty<Bytes>>,
    ) -> Result<(Option<Vec<u8>>, bool), SourceError> {
        let request = Request::get(format!("{}/{name}", self.path))
            .header(header::HOST, &self.authority)
            .body(Empty::new())
            .map_err(|source| self.broken(name, source))?;
        let answer = self
            .within(name, sender.send_request(request))
            .await?
            .map_err(|source| self.broken(name, source))?;
        match answer.status() {
            StatusCode::OK => {
                let bytes = self.body(name, most, answer).await?;
                let is_good = bytes.len() <= most;
                Ok((Some(bytes), is_good))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok((None, false)),
            status => Err(SourceError::Status {
                url: self.shown(name),
                status,
            }),
        }
    }

    async fn body(
        &self,
        name: &str,
        most: usize,
        answer: Response<Incoming>,
    ) -> Result<Vec<u8>, SourceError> {
        let mut body = answer.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) = self.within(name, body.frame()).await? {
            let frame = frame.map_err(|source| self.broken(name, source))?;
            if let Some(data) = frame.data_ref() {
                let room = (most + 1).saturating_sub(bytes.len());
                bytes.extend(data.iter().take(room));
                if bytes.len() > most {
                    break;
                }
            }
        }
        Ok(bytes)
    }

    async fn within<T>(&self, name: &str, work: impl Future<Output = T>) -> Result<T, SourceError> {
        timeout(PATIENCE, work)
            .await
            .map_err(|_| SourceError::Silent {
                url: self.shown(name),
            })
    }

    fn broken(
        &self,
        name: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SourceError {
        SourceError::Unreachable {
            url: self.shown(name),
            source: source.into(),
        }
    }

    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each request with a byte at a time, each well within the patience, without end.
    async fn dripping(head: &'static str) -> LogClient {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 1_024]).await;
                    let _ = stream.write_all(head.as_bytes()).await;
                    while stream.write_all(b"x").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                });
            }
        });
        let mut client = LogClient::new(&url).unwrap();
        client.whole = Duration::from_millis(200);
        client
    }

    #[tokio::test]
    async fn a_server_that_drips_does_not_hold_who_asks() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-Long: ",
            "HTTP/1.1 200 ",
        ] {
            let client = dripping(head).await;
            for _ in 0..2 {
                let refused = client.get("checkpoint", 20_000_000).await.unwrap_err();
                assert!(matches!(refused, SourceError::Slow { .. }), "{refused}");
                assert!(refused.to_string().contains("/checkpoint"), "{refused}");
            }
        }
    }
}
