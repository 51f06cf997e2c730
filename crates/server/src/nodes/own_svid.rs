use std::sync::atomic::{AtomicU64, Ordering};

use chancery_api::Problem;
use chancery_api::tls::TlsIdentity;
use chancery_crypto::SigningKey;
use chancery_identity::{TrustDomain, X509Bundle, spki_der};
use chancery_types::{Algorithm, Secret, Timestamp, base64url};

use crate::Server;

/// The service whose X.509-SVID the listener presents.
const SERVICE: &str = "server";

/// The server's own SVID and the authorities in force, for the node listener; replaced while it serves.
#[derive(Debug)]
pub(super) struct OwnSvid {
    pub(super) identity: TlsIdentity,
    renew_at: AtomicU64,
    trust_version: AtomicU64,
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
        let identity = TlsIdentity::new(issued.chain, &issued.key, issued.bundle)
            .map_err(|error| Problem::internal("svid", &error))?;
        Ok(Self {
            identity,
            renew_at: AtomicU64::new(issued.renew_at.as_micros()),
            trust_version: AtomicU64::new(issued.trust_version),
        })
    }

    /// Takes another one where it is time, or where other authorities are in force. One that cannot be
    /// had is told, and the last one stays.
    pub(super) async fn renew(&self, server: &Server) {
        let renew_at = Timestamp::from_micros(self.renew_at.load(Ordering::Relaxed));
        let changed = server.trust().version != self.trust_version.load(Ordering::Relaxed);
        if !changed && !server.now().is_ok_and(|now| now >= renew_at) {
            return;
        }
        let replaced = match issue(server).await {
            Ok(next) => {
                let replaced = self.identity.replace(next.chain, &next.key, next.bundle);
                self.renew_at
                    .store(next.renew_at.as_micros(), Ordering::Relaxed);
                self.trust_version
                    .store(next.trust_version, Ordering::Relaxed);
                replaced.map_err(|error| error.to_string())
            }
            Err(problem) => Err(problem.to_string()),
        };
        if let Err(error) = replaced {
            tracing::warn!(error, "the node listener keeps its certificate");
        }
    }
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
    let half = issued.not_after.micros_since(now) / 2;
    Ok(Issued {
        chain: chain.map_err(|error| Problem::internal("svid", &error))?,
        key: key.pkcs8().clone(),
        bundle,
        renew_at: Timestamp::from_micros(now.as_micros().saturating_add(half)),
        trust_version,
    })
}
