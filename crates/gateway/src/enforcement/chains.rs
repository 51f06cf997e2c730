use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_crypto::AwsLc;
use chancery_delegation::{
    Consent, ConsentArtefact, ConsentError, Refusal, RuleBreach, VerifiedChain, verify_chain,
    verify_consent,
};
use chancery_identity::SpiffeId;
use chancery_identity::trust::VerifiedTrust;
use chancery_journal::Subject;
use chancery_types::{Digest, RevocationKind, Timestamp};

use super::in_force::InForce;
use super::objects::Objects;
use super::reasons::said_with_code;

/// Most chains that are remembered as verified.
const MOST: usize = 4_096;

/// A verified chain with the person's verified consent to its root.
#[derive(Debug)]
pub(crate) struct KnownChain {
    pub(crate) chain: VerifiedChain,
    pub(crate) consent: Consent,
}

/// Chains that were verified, by the digests of the trust document and of the chain. Forgotten as a whole when
/// anything changes that verification asks.
#[derive(Debug, Default)]
pub(crate) struct Chains(Mutex<HashMap<(Digest, Digest), Arc<KnownChain>>>);

/// Why a chain is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainFault {
    pub(crate) code: &'static str,
    pub(crate) link: Option<u64>,
    /// What of the link was revoked, where that is why.
    pub(crate) revoked: Option<RevocationKind>,
}

impl From<Refusal> for ChainFault {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.reason.code(),
            link: refusal.link.map(|link| link as u64),
            revoked: refusal.revoked,
        }
    }
}

impl ChainFault {
    /// What to say to MCP clients: those that know nothing of us show the message alone, so that
    /// the code is part of it.
    pub(crate) fn said(&self) -> String {
        match (self.revoked, self.link) {
            (Some(kind), Some(link)) => format!(
                "the {kind} of link {link} of the chain is revoked; ask for new authority ({})",
                self.code
            ),
            _ => said_with_code(self.code),
        }
    }
}

impl From<RuleBreach> for ChainFault {
    fn from(breach: RuleBreach) -> Self {
        Self {
            code: breach.reason.code(),
            link: Some(breach.link as u64),
            revoked: None,
        }
    }
}

impl From<&'static str> for ChainFault {
    fn from(code: &'static str) -> Self {
        Self {
            code,
            link: None,
            revoked: None,
        }
    }
}

impl Chains {
    /// A chain as verified now, of this holder, its consent found among the objects by the digest
    /// that the root names.
    pub(crate) fn verify(
        &self,
        links: &[&str],
        audience: &str,
        in_force: &InForce,
        holder: &SpiffeId,
        objects: &Objects,
        now: Timestamp,
    ) -> Result<Arc<KnownChain>, ChainFault> {
        let key = (in_force.trust.digest(), Digest::of(links.join(",")));
        if let Some(known) = self.lock().get(&key) {
            in_force.standing(now, |standing| known.chain.recheck(&standing))?;
            check_holder(&known.chain, holder)?;
            return Ok(Arc::clone(known));
        }
        let chain = in_force.chains(audience, now, |context| verify_chain(links, context))?;
        check_holder(&chain, holder)?;
        let whose = Subject::person(&chain.principal().subject);
        let artefact = objects
            .get(Some(&whose), chain.principal().consent)
            .ok_or("consent_missing")?;
        let consent = consent_to(&chain, &artefact, &in_force.trust)?;
        let known = Arc::new(KnownChain { chain, consent });
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(key, Arc::clone(&known));
        Ok(known)
    }

    /// Forgets all.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Digest, Digest), Arc<KnownChain>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_holder(chain: &VerifiedChain, holder: &SpiffeId) -> Result<(), &'static str> {
    if chain.leaf_subject() == holder {
        Ok(())
    } else {
        Err("holder_mismatch")
    }
}

/// Verifies that `artefact` is the consent of the chain's own principal, with a credential that the
/// trust document gives to that person.
pub(crate) fn consent_to(
    chain: &VerifiedChain,
    artefact: &[u8],
    trust: &VerifiedTrust,
) -> Result<Consent, &'static str> {
    const INVALID: &str = "consent_invalid";
    let read = ConsentArtefact::parse(artefact).map_err(|_| INVALID)?;
    let credential_id = &read.assertion().credential_id;
    let subject = &chain.principal().subject;
    let known = trust.principal_credential(credential_id, subject);
    let (_, credential) = known.ok_or(INVALID)?;
    verify_consent(chain, artefact, &credential.into(), &AwsLc).map_err(|error| {
        tracing::info!(%error, "a consent was refused");
        match error {
            ConsentError::Uncovered(reason) => reason.code(),
            _ => INVALID,
        }
    })
}
