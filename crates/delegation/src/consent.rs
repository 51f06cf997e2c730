use chancery_types::{CanonicalError, Digest, SignatureVerifier, to_jcs};
use serde_json::{Map, Value};

use crate::chain::VerifiedChain;
use crate::standing::{ConsentArtefact, StandingError, StandingReason};
use crate::token::StandingUse;
use crate::webauthn::{AssertionError, Credential, VerifiedAssertion, verify_assertion};

const CONSENT_TAG: &[u8] = b"chancery/consent/v1\0";

/// The challenge of a person's consent to a root: SHA-256 over a tag, a zero byte and the RFC 8785
/// form of the root's claims without `prn.apr`.
pub fn consent_challenge(root_claims: &Map<String, Value>) -> Result<Digest, CanonicalError> {
    let mut claims = root_claims.clone();
    if let Some(Value::Object(principal)) = claims.get_mut("prn") {
        principal.remove("apr");
    }
    let canonical = to_jcs(&Value::Object(claims))?;
    Ok(Digest::of_parts([CONSENT_TAG, &canonical]))
}

/// The person's own agreement to the root of a chain. Only [`verify_consent`] makes one; a chain
/// without one is `asserted` by its authority alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    assertion: VerifiedAssertion,
    artefact: Digest,
    chain_root: Digest,
    standing: Option<StandingUse>,
}

/// Why a consent is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// Not the artefact that the root names.
    #[error("not the consent that the root names")]
    Artefact,
    /// The root's claims have no canonical form.
    #[error("the root's claims have no canonical form")]
    Canonical(#[source] CanonicalError),
    /// The assertion does not stand.
    #[error("the consent's assertion does not stand")]
    Assertion(#[source] AssertionError),
    /// Of the other kind than the root says.
    #[error(
        "the root names a use of a standing consent and comes with none, or the other way round"
    )]
    Kind,
    /// The standing consent is none.
    #[error("the standing consent is none")]
    Statement(#[source] StandingError),
    /// The standing consent does not cover the root.
    #[error("the standing consent does not cover the root")]
    Uncovered(#[source] StandingReason),
}

impl Consent {
    /// The person's assertion.
    pub const fn assertion(&self) -> &VerifiedAssertion {
        &self.assertion
    }

    /// The digest of the artefact's exact bytes: `prn.apr`.
    pub const fn artefact(&self) -> Digest {
        self.artefact
    }

    /// Which use of a standing consent it is; none where it is for this root alone.
    pub const fn standing(&self) -> Option<StandingUse> {
        self.standing
    }

    /// The digest of the root's signing input.
    pub const fn chain_root(&self) -> Digest {
        self.chain_root
    }
}

/// Verifies that `artefact` is the consent that the chain's root names: the bytes of an
/// [`crate::Assertion`] that `credential` made over this very root, or of a
/// [`crate::SignedStanding`] that covers it. That the credential is one of the chain's principal is
/// the caller's to look up in the trust document; how often a standing consent was used, the log's
/// to show.
pub fn verify_consent(
    chain: &VerifiedChain,
    artefact: &[u8],
    credential: &Credential<'_>,
    verifier: &dyn SignatureVerifier,
) -> Result<Consent, ConsentError> {
    let digest = Digest::of(artefact);
    if !digest.ct_eq(&chain.principal().consent) {
        return Err(ConsentError::Artefact);
    }
    let read = ConsentArtefact::parse(artefact).map_err(ConsentError::Assertion)?;
    let standing = chain.principal().standing;
    let assertion = match (&read, standing) {
        (ConsentArtefact::Root(assertion), None) => {
            let challenge = chain.consent_challenge().map_err(ConsentError::Canonical)?;
            verify_assertion(assertion, &challenge, credential, verifier)
                .map_err(ConsentError::Assertion)?
        }
        (ConsentArtefact::Standing(signed), Some(_)) => {
            signed.verify_for(&chain.root_terms(), credential, verifier)?
        }
        (ConsentArtefact::Root(_), Some(_)) | (ConsentArtefact::Standing(_), None) => {
            return Err(ConsentError::Kind);
        }
    };
    Ok(Consent {
        assertion,
        artefact: digest,
        chain_root: chain.root().hash(),
        standing,
    })
}
