//! An endpoint that answers what a test says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use chancery_crypto::SigningKey;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Presented = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(crate) struct Trap {
    pub(crate) at: SocketAddr,
    answers: Arc<Mutex<VecDeque<String>>>,
    heard: Arc<Mutex<Vec<String>>>,
    held: Arc<tokio::sync::Mutex<()>>,
}

/// What a chain of ours is presented as.
pub(crate) fn svid((chain, key): (Vec<Vec<u8>>, SigningKey)) -> Presented {
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivatePkcs8KeyDer::from(key.pkcs8().expose().to_vec());
    (chain, PrivateKeyDer::Pkcs8(key))
}

impl Trap {
    /// Speaks TLS with that certificate, or none at all without one.
    pub(crate) async fn start(presented: Option<Presented>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let trap = Self {
            at: listener.local_addr().unwrap(),
            answers: Arc::default(),
            heard: Arc::default(),
            held: Arc::default(),
        };
        let tls = presented.map(|(chain, key)| {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let config = ServerConfig::builder_with_provider(Arc::new(provider))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key);
            TlsAcceptor::from(Arc::new(config.unwrap()))
        });
        let (answers, heard) = (Arc::clone(&trap.answers), Arc::clone(&trap.heard));
        let held = Arc::clone(&trap.held);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &tls {
                    None => plain(stream, &heard).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &answers, &heard, &held).await;
                        }
                    }
                }
            }
        });
        trap
    }

    /// What is asked meanwhile is answered when this is dropped.
    pub(crate) async fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.held).lock_owned().await
    }

    /// What is answered next; without any, 503.
    pub(crate) fn then(&self, answer: String) {
        self.answers.lock().unwrap().push_back(answer);
    }

    pub(crate) fn then_bundle(&self, document: &str) {
        let length = document.len();
        self.then(format!(
            "200 OK\r\ncontent-length: {length}\r\n\r\n{document}"
        ));
    }

    pub(crate) fn then_redirect(&self, status: u16, location: &str) {
        self.then(format!(
            "{status} R\r\ncontent-length: 0\r\nlocation: {location}\r\n\r\n"
        ));
    }

    /// The heads of the requests, since the last time.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

/// Answers whatever it hears first as plain HTTP does.
async fn plain(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Mutex<Vec<String>>) {
    let mut bytes = [0; 1_024];
    let count = stream.read(&mut bytes).await.unwrap_or_default();
    if bytes.starts_with(b"GET ") {
        let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
        heard.lock().unwrap().push(head);
    }
    let _ = stream
        .write_all(b"HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n")
        .await;
    let _ = stream.shutdown().await;
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &Mutex<VecDeque<String>>,
    heard: &Mutex<Vec<String>>,
    held: &tokio::sync::Mutex<()>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    heard.lock().unwrap().push(String::from_utf8(head).unwrap());
    let answer = answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or_else(|| "503 Away\r\ncontent-length: 0\r\n\r\n".to_owned());
    drop(held.lock().await);
    // A client that has heard enough goes away.
    let _ = stream
        .write_all(format!("HTTP/1.1 {answer}").as_bytes())
        .await;
    let _ = stream.shutdown().await;
}
