use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chancery_api::tls::provider;
use chancery_crypto::read_private_file;
use chancery_identity::{TrustDomain, X509Authority};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest answer.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// A PKI over HTTP that certifies intermediates, as Vault's and OpenBao's engines do
/// (`POST /v1/MOUNT/root/sign-intermediate`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultConfig {
    /// Where it answers: `https://HOST:PORT`; `http` on this machine alone.
    pub address: String,
    /// Where the engine is mounted, for example `pki`.
    pub mount: String,
    /// The file of the token, of mode 0600.
    pub token: PathBuf,
    /// Certificates in PEM that the server is verified with, in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authorities: Option<PathBuf>,
}

/// Why it certifies nothing. Never holds the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The address or the mount is none.
    #[error("{0}: not https://HOST:PORT, nor http on this machine")]
    Address(String),
    /// The token's file cannot be read.
    #[error(transparent)]
    Token(#[from] chancery_crypto::KeyFileError),
    /// The token is not one line of visible text.
    #[error("{}: holds no token", .0.display())]
    NoToken(PathBuf),
    /// There is nothing to verify the server with.
    #[error("no authorities to verify the server with")]
    Roots,
    /// Nobody answers.
    #[error("it does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It takes too long.
    #[error("it does not answer in time")]
    Silent,
    /// It refuses.
    #[error("it answers {0}")]
    Refused(StatusCode),
    /// Its answer holds no certificates.
    #[error("its answer holds no certificates")]
    Answer,
}

/// Asks a PKI over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Vault {
    address: Uri,
    path: String,
    token: PathBuf,
    roots: Option<PathBuf>,
    trust_domain: TrustDomain,
}

impl Vault {
    pub(crate) fn new(
        config: &VaultConfig,
        folder: &Path,
        trust_domain: &TrustDomain,
    ) -> Result<Self, VaultError> {
        let bad = || VaultError::Address(config.address.clone());
        let address: Uri = config.address.parse().map_err(|_| bad())?;
        let host = address.host().ok_or_else(bad)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let local = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let encrypted = address.scheme_str() == Some("https");
        let plain = address.scheme_str() == Some("http") && local;
        let mounted = !config.mount.is_empty()
            && config.mount.split('/').all(|part| {
                let word = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
                !part.is_empty() && part.chars().all(word) && !part.starts_with('.')
            });
        if !(encrypted || plain) || !mounted || !matches!(address.path(), "" | "/") {
            return Err(bad());
        }
        Ok(Self {
            path: format!("/v1/{}/root/sign-intermediate", config.mount),
            token: folder.join(&config.token),
            roots: config.authorities.as_ref().map(|file| folder.join(file)),
            trust_domain: trust_domain.clone(),
            address,
        })
    }

    /// The certificate of a request's key, and those between it and the root.
    pub(crate) async fn certify(
        &self,
        csr_pem: &str,
        lifetime_seconds: u64,
    ) -> Result<Vec<Vec<u8>>, VaultError> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(csr_pem, lifetime_seconds));
        let body = asked.await.map_err(|_| VaultError::Silent)??;
        self.read(&body).ok_or(VaultError::Answer)
    }

    async fn ask(&self, csr_pem: &str, lifetime_seconds: u64) -> Result<Bytes, VaultError> {
        let body = json!({
            "common_name": self.trust_domain.as_str(),
            "csr": csr_pem,
            "format": "pem",
            "ttl": format!("{lifetime_seconds}s"),
            "uri_sans": self.trust_domain.to_spiffe_id().to_string(),
            "use_csr_values": true,
        });
        let token = read_private_file(&self.token)?;
        let token = std::str::from_utf8(token.expose()).map(str::trim).ok();
        let token = token.and_then(|token| header::HeaderValue::from_str(token).ok());
        let mut token = token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| VaultError::NoToken(self.token.clone()))?;
        token.set_sensitive(true);
        let host = self.address.authority().map_or("", |one| one.as_str());
        let request = Request::post(&self.path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-vault-token", token)
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(unreachable)?;
        let encrypted = self.address.scheme_str() == Some("https");
        let port = self.address.port_u16().unwrap_or(8_200);
        let name = self.address.host().unwrap_or_default();
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, port))
            .await
            .map_err(unreachable)?;
        if !encrypted {
            return send(stream, request).await;
        }
        let server = ServerName::try_from(name.to_owned()).map_err(unreachable)?;
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let stream = connector
            .connect(server, stream)
            .await
            .map_err(unreachable)?;
        send(stream, request).await
    }

    fn tls(&self) -> Result<ClientConfig, VaultError> {
        let mut roots = RootCertStore::empty();
        match &self.roots {
            Some(file) => {
                let pem = std::fs::read(file).map_err(unreachable)?;
                for der in CertificateDer::pem_slice_iter(&pem) {
                    roots.add(der.map_err(unreachable)?).map_err(unreachable)?;
                }
            }
            None => {
                let known = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(known.certs);
            }
        }
        if roots.is_empty() {
            return Err(VaultError::Roots);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(unreachable)?;
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The certificates of an answer; a root is not handed out. Whether they are what was asked for
    /// is for the authorities to judge.
    fn read(&self, body: &[u8]) -> Option<Vec<Vec<u8>>> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            certificate: String,
            #[serde(default)]
            issuing_ca: Option<String>,
            #[serde(default)]
            ca_chain: Vec<String>,
        }
        let data = serde_json::from_slice::<Answer>(body).ok()?.data;
        let above = match data.ca_chain.is_empty() {
            true => data.issuing_ca.into_iter().collect(),
            false => data.ca_chain,
        };
        let der = |pem: &String| {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
            X509Authority::new(&self.trust_domain, der.to_vec()).ok()
        };
        let own = der(&data.certificate)?;
        let above: Option<Vec<_>> = above.iter().map(der).collect();
        let above = above?
            .into_iter()
            .filter(|one| !one.is_self_issued() && one.der() != own.der());
        let above = above.map(|one| one.der().to_vec());
        Some(std::iter::once(own.der().to_vec()).chain(above).collect())
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Bytes, VaultError> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(unreachable)?;
    if answer.status() != StatusCode::OK {
        return Err(VaultError::Refused(answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await;
    Ok(body.map_err(VaultError::Unreachable)?.to_bytes())
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> VaultError {
    VaultError::Unreachable(Box::new(error))
}
