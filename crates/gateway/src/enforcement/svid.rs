use std::collections::BTreeSet;

use chancery_api::ClientError;
use chancery_api::server::{IssueService, ServerClient};
use chancery_crypto::{KeyError, SVID_ALGORITHMS, SigningKey};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{
    SpiffeId, TrustDomain, X509Bundle, X509SvidError, digests_above, spki_der, verify_x509_svid,
};
use chancery_types::{Algorithm, Digest, Secret, Timestamp, base64url};

/// The gateway's own X.509-SVID with its key, verified.
#[derive(Debug, Clone)]
pub(crate) struct OwnSvid {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: Secret,
    pub(crate) not_after: Timestamp,
    /// Half of its life.
    pub(crate) renew_at: Timestamp,
}

/// Why there is no SVID.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SvidError {
    #[error("the server issued none")]
    Server(#[from] ClientError),
    #[error("no key could be made")]
    Key(#[from] KeyError),
    #[error("the server's answer is no X.509-SVID of this trust domain")]
    Refused(#[from] X509SvidError),
    #[error("the server's answer is not what was asked for: {0}")]
    Unacceptable(&'static str),
}

/// The trust domain's X.509 authorities as the trust document names them.
pub(crate) fn x509_bundle(
    trust: &VerifiedTrust,
    trust_domain: &TrustDomain,
) -> Result<X509Bundle, SvidError> {
    let authorities: Result<Vec<_>, _> = trust
        .x509_authorities
        .iter()
        .map(|der| base64url::decode(der))
        .collect();
    let authorities = authorities
        .map_err(|_| SvidError::Unacceptable("the trust document's authorities are malformed"))?;
    X509Bundle::new(trust_domain.clone(), authorities)
        .map_err(|_| SvidError::Unacceptable("the trust document's authorities are malformed"))
}

impl OwnSvid {
    /// Whether one of those certificates stands above it.
    pub(crate) fn is_below(&self, authorities: &BTreeSet<Digest>) -> bool {
        !digests_above(&self.chain).is_disjoint(authorities)
    }

    /// Asks the server for an SVID over a fresh key, and believes nothing of the answer.
    pub(crate) async fn obtain(
        server: &ServerClient,
        (own, service): (&SpiffeId, String),
        bundle: &X509Bundle,
        now: Timestamp,
    ) -> Result<Self, SvidError> {
        let key = SigningKey::generate(Algorithm::Es256)?;
        let spki = spki_der(key.public());
        let request = IssueService {
            service,
            spki: base64url::encode(&spki),
        };
        let issued = server.issue_service(&request).await?;
        let chain: Result<Vec<_>, _> = issued
            .chain
            .iter()
            .map(|der| base64url::decode(der))
            .collect();
        let chain = chain.map_err(|_| SvidError::Unacceptable("malformed certificates"))?;
        let svid = verify_x509_svid(&chain, bundle, now, SVID_ALGORITHMS)?;
        if svid.spiffe_id() != own {
            return Err(SvidError::Unacceptable("another SPIFFE ID"));
        }
        if svid.spki_der() != spki {
            return Err(SvidError::Unacceptable("another key"));
        }
        let half = svid.not_after().micros_since(now) / 2;
        Ok(Self {
            chain,
            key: key.pkcs8().clone(),
            not_after: svid.not_after(),
            renew_at: Timestamp::from_micros(now.as_micros().saturating_add(half)),
        })
    }
}
