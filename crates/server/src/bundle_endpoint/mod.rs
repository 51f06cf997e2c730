//! Where others fetch this trust domain's bundle: HTTPS by either profile, and OpenID Connect
//! discovery for readers of JWT-SVIDs that know that alone.
//!
//! Public by design: keys that verify, and nothing else, are served to whoever asks, and nobody is
//! asked who they are (Federation sections 5.2.1.3 and 5.2.2.3).

mod answer;
mod connection;
pub(crate) mod presented;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::Problem;
use chancery_api::tls::provider;
use chancery_identity::jwt_svid::JwtIssuer;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::Server;
use crate::connections::{Places, accept};
pub use answer::BUNDLE_ROUTES;
use connection::serve_for_a_while;
pub use presented::CertificateError;
use presented::Presented;

/// How often it is looked whether a certificate is to be replaced.
const LOOK: Duration = Duration::from_secs(30);

/// Where the bundle of the trust domain is served; nowhere by default.
#[derive(Debug, Clone, Default)]
pub struct BundleEndpointConfig {
    /// By the X.509-SVID `spiffe://<trust domain>/service/server`.
    pub https_spiffe: Option<SocketAddr>,
    /// By a certificate of the Web's.
    pub https_web: Option<WebEndpoint>,
}

/// An endpoint that is authenticated by a certificate of the Web's authorities.
#[derive(Debug, Clone)]
pub struct WebEndpoint {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate chain in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its key in PEM, a file that nobody else may read.
    pub key: PathBuf,
    /// Under which issuer the keys of JWT-SVIDs are found; no discovery document without one.
    pub issuer: Option<JwtIssuer>,
}

/// The endpoints of a server, each on an address of its own.
#[derive(Debug)]
pub struct BundleEndpoints {
    server: Arc<Server>,
    listeners: Vec<Listening>,
}

#[derive(Debug)]
struct Listening {
    listener: TcpListener,
    presented: Arc<Presented>,
    /// What is served beside the bundle.
    issuer: Option<JwtIssuer>,
}

/// Why an endpoint is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleEndpointError {
    /// The address cannot be listened on.
    #[error("bundle endpoint {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The signer made no X.509-SVID for the endpoint.
    #[error("no x509-svid for the bundle endpoint")]
    Svid(#[source] Problem),
    /// The TLS library refused the configuration.
    #[error("TLS cannot be configured")]
    Tls(#[from] rustls::Error),
}

impl BundleEndpoints {
    /// Listens on what the configuration names, with certificates that can be used.
    pub async fn bind(
        server: Arc<Server>,
        config: BundleEndpointConfig,
    ) -> Result<Self, BundleEndpointError> {
        let mut listeners = Vec::new();
        if let Some(address) = config.https_spiffe {
            let presented = Presented::svid(&server).await?;
            listeners.push(Listening::bind(address, presented, None).await?);
        }
        if let Some(web) = config.https_web {
            let presented = Presented::files(web.certificate, web.key)?;
            listeners.push(Listening::bind(web.listen, presented, web.issuer).await?);
        }
        Ok(Self { server, listeners })
    }

    /// The addresses that are listened on, `https_spiffe` first.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses = self.listeners.iter().map(|one| one.listener.local_addr());
        addresses.collect()
    }

    /// Serves until the future is dropped; connections end with it.
    pub async fn serve(self) -> Result<(), BundleEndpointError> {
        let mut serving = JoinSet::new();
        let places = Places::default();
        for listening in self.listeners {
            let server = Arc::clone(&self.server);
            let presented = Arc::clone(&listening.presented);
            let tls = TlsAcceptor::from(Arc::new(tls_config(&presented)?));
            let served = Arc::new(answer::Served {
                server: Arc::clone(&server),
                issuer: listening.issuer,
            });
            let serve = move |stream, peer, taken| {
                serve_for_a_while(stream, peer, tls.clone(), Arc::clone(&served), taken)
            };
            serving.spawn(accept(listening.listener, places.clone(), serve));
            serving.spawn(async move {
                loop {
                    tokio::time::sleep(LOOK).await;
                    presented.renew(&server).await;
                }
            });
        }
        // Neither of them ends by itself; without any there is nothing to wait for.
        while serving.join_next().await.is_some() {}
        std::future::pending().await
    }
}

impl Listening {
    async fn bind(
        address: SocketAddr,
        presented: Presented,
        issuer: Option<JwtIssuer>,
    ) -> Result<Self, BundleEndpointError> {
        let listen = |source| BundleEndpointError::Listen { address, source };
        Ok(Self {
            listener: TcpListener::bind(address).await.map_err(listen)?,
            presented: Arc::new(presented),
            issuer,
        })
    }
}

/// TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers alone: within what Mozilla calls
/// intermediate (Federation section 5). No client is asked for a certificate.
pub(crate) fn tls_config(presented: &Arc<Presented>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(presented) as _);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite as C;

    /// Mozilla's "intermediate", version 5.7, without the two that no library here has.
    const INTERMEDIATE: [C; 9] = [
        C::TLS13_AES_128_GCM_SHA256,
        C::TLS13_AES_256_GCM_SHA384,
        C::TLS13_CHACHA20_POLY1305_SHA256,
        C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        C::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        C::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        C::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];

    #[test]
    fn f_06_the_ciphers_are_those_of_mozillas_intermediate() {
        let suites = super::provider().cipher_suites;
        let suites: Vec<C> = suites.iter().map(|suite| suite.suite()).collect();
        assert!(
            suites.iter().all(|suite| INTERMEDIATE.contains(suite)),
            "{suites:?}"
        );
        assert!(
            INTERMEDIATE.iter().all(|suite| suites.contains(suite)),
            "{suites:?}"
        );
    }
}
