//! The instance's own X.509-SVID, kept fresh.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chancery_api::tls::{TlsError, TlsIdentity};
use chancery_identity::{TrustDomain, X509Bundle, X509BundleError};
use chancery_types::Secret;
use spiffe::x509_source::X509SourceError;
use spiffe::{X509Source, X509SourceBuilder};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const FIRST: Duration = Duration::from_secs(30);

/// The X.509-SVID that connections are made with. Each renewal is a new generation: connections of
/// an older one present a certificate that ends sooner and are not used again.
#[derive(Debug, Clone)]
pub struct OwnSvid {
    identity: TlsIdentity,
    generation: Arc<AtomicU64>,
    following: Option<Arc<Following>>,
}

/// Ends with the last copy of the SVID that it keeps fresh.
#[derive(Debug)]
struct Following(JoinHandle<()>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no SVID to connect with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SvidError {
    /// The Workload API gave none in time.
    #[error("{endpoint}: no X.509-SVID; does this process belong to a registered launch?")]
    Source {
        /// The Workload API's endpoint.
        endpoint: String,
        /// What was seen.
        source: Box<X509SourceError>,
    },
    /// The Workload API did not answer.
    #[error("{endpoint}: no X.509-SVID within {} seconds; is the node running?", FIRST.as_secs())]
    Silent {
        /// The Workload API's endpoint.
        endpoint: String,
    },
    /// The SVID names no trust domain of ours, or its bundle is missing.
    #[error("the SVID's trust domain has no bundle")]
    NoBundle,
    /// The authorities are not usable.
    #[error("the SVID's bundle is not usable")]
    Bundle(#[from] X509BundleError),
    /// The SVID is not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl OwnSvid {
    /// An identity that somebody else keeps fresh: call [`OwnSvid::renewed`] after replacing it.
    pub fn new(identity: TlsIdentity) -> Self {
        Self {
            identity,
            generation: Arc::default(),
            following: None,
        }
    }

    /// The SVID of the Workload API on that socket. Renewals replace it until the last copy of this
    /// is dropped.
    pub async fn follow(workload_socket: &Path) -> Result<Self, SvidError> {
        let endpoint = format!("unix:{}", workload_socket.display());
        let building = X509SourceBuilder::new().endpoint(&endpoint).build();
        let source = match timeout(FIRST, building).await {
            Ok(Ok(source)) => source,
            Ok(Err(source)) => {
                return Err(SvidError::Source {
                    endpoint,
                    source: Box::new(source),
                });
            }
            Err(_) => return Err(SvidError::Silent { endpoint }),
        };
        let (chain, key, bundle) = read(&source, &endpoint)?;
        let mut own = Self::new(TlsIdentity::new(chain, &key, bundle)?);
        let renewing = own.clone();
        let task = tokio::spawn(async move { renewing.renew(&source, &endpoint).await });
        own.following = Some(Arc::new(Following(task)));
        Ok(own)
    }

    /// The identity for TLS.
    pub const fn identity(&self) -> &TlsIdentity {
        &self.identity
    }

    /// Says that the identity was replaced.
    pub fn renewed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    async fn renew(&self, source: &X509Source, endpoint: &str) {
        let mut updates = source.updated();
        while updates.changed().await.is_ok() {
            let replaced = read(source, endpoint).and_then(|(chain, key, bundle)| {
                self.identity
                    .replace(chain, &key, bundle)
                    .map_err(SvidError::Tls)
            });
            match replaced {
                Ok(()) => self.renewed(),
                // The launch has ended, and with it what this process is.
                Err(error @ SvidError::Source { .. }) => {
                    tracing::info!(%error, "the SVID was withdrawn");
                }
                // The old one is used until it expires; the gateway then refuses it.
                Err(error) => tracing::error!(%error, "a renewed SVID is not usable"),
            }
        }
    }
}

type Parts = (Vec<Vec<u8>>, Secret, X509Bundle);

fn read(source: &X509Source, endpoint: &str) -> Result<Parts, SvidError> {
    let failed = |source| SvidError::Source {
        endpoint: endpoint.to_owned(),
        source: Box::new(source),
    };
    let svid = source.svid().map_err(failed)?;
    let name = svid.spiffe_id().trust_domain();
    let trusted = source
        .try_bundle_for_trust_domain(name)
        .ok_or(SvidError::NoBundle)?;
    let trust_domain: TrustDomain = name.as_str().parse().map_err(|_| SvidError::NoBundle)?;
    let authorities = trusted
        .authorities()
        .iter()
        .map(|one| one.as_bytes().to_vec());
    let bundle = X509Bundle::new(trust_domain, authorities)?;
    let chain = svid
        .cert_chain()
        .iter()
        .map(|one| one.as_bytes().to_vec())
        .collect();
    let key = Secret::new(svid.private_key().as_bytes().to_vec());
    Ok((chain, key, bundle))
}
