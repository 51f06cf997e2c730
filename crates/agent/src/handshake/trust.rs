use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chancery_crypto::AwsLc;
use chancery_delegation::{
    ChainContext, ConsentArtefact, RevocationSet, TrustAnchor, VerifiedChain, verify_consent,
};
use chancery_identity::trust::VerifiedTrust;
use chancery_identity::{TrustDomain, WitBundle};
use chancery_types::Timestamp;

/// What an agent judges peers and chains by: the trust document, the authorities' epoch and what was
/// revoked. Can be replaced while it is in use.
#[derive(Clone)]
pub struct PeerTrust(Arc<RwLock<Arc<Believed>>>);

pub(super) struct Believed {
    trust: Arc<VerifiedTrust>,
    pub(super) wits: Vec<WitBundle>,
    pub(super) anchors: Vec<TrustAnchor>,
    epoch: u64,
    revoked: RevocationSet,
}

impl PeerTrust {
    /// Believes what the trust document names, in that epoch, but for what was revoked.
    pub fn new(trust: Arc<VerifiedTrust>, epoch: u64, revoked: RevocationSet) -> Self {
        Self(Arc::new(RwLock::new(Believed::new(trust, epoch, revoked))))
    }

    /// Believes this from now on.
    pub fn replace(&self, trust: Arc<VerifiedTrust>, epoch: u64, revoked: RevocationSet) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) =
            Believed::new(trust, epoch, revoked);
    }

    pub(super) fn believed(&self) -> Arc<Believed> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for PeerTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let believed = self.believed();
        f.debug_struct("PeerTrust")
            .field("trust", &believed.trust.digest())
            .field("epoch", &believed.epoch)
            .finish_non_exhaustive()
    }
}

impl Believed {
    fn new(trust: Arc<VerifiedTrust>, epoch: u64, revoked: RevocationSet) -> Arc<Self> {
        let keys = trust.token_authorities.iter().copied();
        let domain: Option<TrustDomain> = trust.trust_domain.parse().ok();
        let anchors = trust.delegation_authorities.iter();
        Arc::new(Self {
            // A trust document whose domain is none has nobody's credentials.
            wits: domain
                .into_iter()
                .map(|domain| WitBundle::new(domain, keys.clone()))
                .collect(),
            anchors: anchors.map(TrustAnchor::from).collect(),
            trust,
            epoch,
            revoked,
        })
    }

    /// Calls `with` with what a chain is verified against.
    pub(super) fn chains<T>(
        &self,
        audience: &str,
        now: Timestamp,
        with: impl FnOnce(&ChainContext<'_>) -> T,
    ) -> T {
        with(&ChainContext {
            now,
            audience,
            anchors: &self.anchors,
            epoch: self.epoch,
            revoked: &self.revoked,
            verifier: &AwsLc,
        })
    }

    /// Whether the chain's own principal consented to its root, with a credential that the trust
    /// document gives to that person.
    pub(super) fn is_consented(&self, chain: &VerifiedChain, consent: &ConsentArtefact) -> bool {
        let credential_id = &consent.assertion().credential_id;
        let subject = &chain.principal().subject;
        let Some((_, credential)) = self.trust.principal_credential(credential_id, subject) else {
            return false;
        };
        let Ok(artefact) = consent.to_bytes() else {
            return false;
        };
        verify_consent(chain, &artefact, &credential.into(), &AwsLc).is_ok()
    }
}
