use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use chancery_api::Problem;
use chancery_api::tls::TlsIdentity;
use chancery_crypto::{SVID_ALGORITHMS, SigningKey};
use chancery_identity::{TrustDomain, X509Bundle, spki_der, verify_x509_svid};
use chancery_types::{Algorithm, Digest, Secret, Timestamp, base64url};

use crate::Server;

/// The service whose X.509-SVID the listener presents.
const SERVICE: &str = "server";

/// The server's own SVID and the authorities in force, for the node listener; replaced while it serves.
#[derive(Debug)]
pub(super) struct OwnSvid {
    pub(super) identity: TlsIdentity,
    renew_at: AtomicU64,
    trust_version: AtomicU64,
    /// The digests of the certificates above the leaf.
    above: RwLock<BTreeSet<Digest>>,
}

struct Issued {
    chain: Vec<Vec<u8>>,
    key: Secret,
    bundle: X509Bundle,
    renew_at: Timestamp,
    trust_version: u64,
}

impl OwnSvid {
    pub(super) async fn issue(server: &Server) -> Result<Self, Problem> {
        let issued = issue(server).await?;
        let above = above(&issued.chain);
        let identity = TlsIdentity::new(issued.chain, &issued.key, issued.bundle)
            .map_err(|error| Problem::internal("svid", &error))?;
        Ok(Self {
            identity,
            renew_at: AtomicU64::new(issued.renew_at.as_micros()),
            trust_version: AtomicU64::new(issued.trust_version),
            above: RwLock::new(above),
        })
    }

    /// Takes another one where it is time, where other authorities are in force, or where it stands
    /// below one that is not believed any more. One that cannot be
    /// had is told, and the last one stays.
    pub(super) async fn renew(&self, server: &Server) {
        let renew_at = Timestamp::from_micros(self.renew_at.load(Ordering::Relaxed));
        let changed = server.trust().version != self.trust_version.load(Ordering::Relaxed);
        let due = changed || server.now().is_ok_and(|now| now >= renew_at);
        if !due && !self.is_tainted(&server.tainted().await) {
            return;
        }
        let replaced = match issue(server).await {
            Ok(next) => {
                let above = above(&next.chain);
                let replaced = self.identity.replace(next.chain, &next.key, next.bundle);
                self.renew_at
                    .store(next.renew_at.as_micros(), Ordering::Relaxed);
                self.trust_version
                    .store(next.trust_version, Ordering::Relaxed);
                if replaced.is_ok() {
                    *self.above.write().unwrap_or_else(PoisonError::into_inner) = above;
                }
                replaced.map_err(|error| error.to_string())
            }
            Err(problem) => Err(problem.to_string()),
        };
        if let Err(error) = replaced {
            tracing::warn!(error, "the node listener keeps its certificate");
        }
    }

    fn is_tainted(&self, tainted: &BTreeSet<Digest>) -> bool {
        let above = self.above.read().unwrap_or_else(PoisonError::into_inner);
        !above.is_disjoint(tainted)
    }
}

fn above(chain: &[Vec<u8>]) -> BTreeSet<Digest> {
    chain.iter().skip(1).map(Digest::of).collect()
}

/// The authorities in force.
pub(super) fn authorities(server: &Server) -> Result<X509Bundle, Problem> {
    let trust = server.trust();
    let domain: TrustDomain =
        (trust.trust_domain.parse()).map_err(|error| Problem::internal("trust_domain", &error))?;
    let all = trust.x509_authorities.iter();
    let all: Result<Vec<_>, _> = all.map(|der| base64url::decode(der)).collect();
    let all = all.map_err(|error| Problem::internal("x509_authorities", &error))?;
    X509Bundle::new(domain, all).map_err(|error| Problem::internal("x509_authorities", &error))
}

async fn issue(server: &Server) -> Result<Issued, Problem> {
    let trust_version = server.trust().version;
    let bundle = authorities(server)?;
    let key =
        SigningKey::generate(Algorithm::Es256).map_err(|error| Problem::internal("key", &error))?;
    let now = server.now()?;
    let spki = base64url::encode(spki_der(key.public()));
    let issued = server.issue_service(SERVICE, &spki).await?;
    let chain = issued.chain.iter().map(|der| base64url::decode(der));
    let chain: Result<Vec<_>, _> = chain.collect();
    let chain = chain.map_err(|error| Problem::internal("svid", &error))?;
    // It may end before what was asked for: with the certificate above it.
    let svid = verify_x509_svid(&chain, &bundle, now, SVID_ALGORITHMS);
    let svid = svid.map_err(|error| Problem::internal("svid", &error))?;
    let half = svid.not_after().micros_since(now) / 2;
    Ok(Issued {
        chain,
        key: key.pkcs8().clone(),
        bundle,
        renew_at: Timestamp::from_micros(now.as_micros().saturating_add(half)),
        trust_version,
    })
}
