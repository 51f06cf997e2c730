use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use chancery_types::{
    CanonicalError, Digest, Jwk, SignatureVerifier, base64url, parse_strict, to_canonical,
};
use serde::{Deserialize, Serialize};

use super::policy_quorum::is_met;
use super::{TrustDocument, TrustFormat};

const TAG: &[u8] = b"chancery/trust/v1\0";

/// A trust document with its signatures, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTrust {
    /// The signatures of root keys, in the order of their key ids.
    pub signatures: Vec<TrustSignature>,
    /// The document.
    pub trust: TrustDocument,
}

/// One root key's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustSignature {
    /// The thumbprint of the root key.
    pub kid: String,
    /// The signature, base64url, over the tag `chancery/trust/v1`, a zero byte and the canonical
    /// document.
    pub signature: String,
}

/// A trust document that was signed by a threshold of its own roots, and, when it followed
/// another, by a threshold of that one's. Only verification makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTrust {
    /// Shared: it is handed around with every request.
    signed: Arc<SignedTrust>,
    digest: Digest,
}

/// Why a trust document is refused.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not canonical JSON of a known format.
    #[error("not a trust document in canonical form")]
    Malformed,
    /// A threshold of zero, or of more keys than there are.
    #[error("threshold {threshold} cannot be met by {roots} root keys")]
    Threshold {
        /// The threshold.
        threshold: u32,
        /// How many root keys there are.
        roots: usize,
    },
    /// A quorum of policy signers that nobody, or not enough people, could meet.
    #[error(
        "{people} people must sign a policy bundle, and the policy signers are of {able}: say with \
         policy_quorum.signers whose their keys are, or name further signers"
    )]
    PolicyQuorum {
        /// How many people must.
        people: u32,
        /// How many could.
        able: usize,
    },
    /// A quorum of policy signers that begins after the document.
    #[error("policy_quorum begins later than the document: its since is at most issued_at")]
    PolicyQuorumSince,
    /// Fewer valid signatures than the threshold.
    #[error("{valid} of {needed} signatures of {whose} verify")]
    Signatures {
        /// Whose roots were asked.
        whose: &'static str,
        /// How many verify.
        valid: usize,
        /// How many are needed.
        needed: u32,
    },
    /// Not newer than what was seen.
    #[error("version {offered} is not newer than version {seen}, which was seen already")]
    NotNewer {
        /// The version that was seen.
        seen: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// Of another trust domain.
    #[error("a document of trust domain {offered} cannot follow one of {seen}")]
    TrustDomain {
        /// The trust domain that was seen.
        seen: String,
        /// The one that was offered.
        offered: String,
    },
    /// Directly follows another version than the one it names.
    #[error("the document does not name its predecessor's digest")]
    Predecessor,
    /// The document cannot be written in canonical form.
    #[error("the document has no canonical form")]
    Canonical(#[source] CanonicalError),
}

impl SignedTrust {
    /// Reads a document; its bytes must be the canonical form, so that each version has one
    /// spelling and every byte of the file counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let value = parse_strict(bytes).map_err(|_| TrustError::Malformed)?;
        let signed: Self = serde_json::from_value(value).map_err(|_| TrustError::Malformed)?;
        if signed.to_bytes()? != bytes {
            return Err(TrustError::Malformed);
        }
        Ok(signed)
    }

    /// The canonical bytes of the document with its signatures.
    pub fn to_bytes(&self) -> Result<Vec<u8>, TrustError> {
        to_canonical(self).map_err(TrustError::Canonical)
    }

    /// What root keys sign.
    pub fn signing_input(trust: &TrustDocument) -> Result<Vec<u8>, TrustError> {
        let canonical = to_canonical(trust).map_err(TrustError::Canonical)?;
        Ok([TAG, &canonical].concat())
    }

    /// Verifies the document against its own roots: for a document that the caller trusts by
    /// where it came from, such as the file given as `--trust`.
    pub fn verify(self, verifier: &dyn SignatureVerifier) -> Result<VerifiedTrust, TrustError> {
        let TrustFormat::V1 = self.trust.format;
        let (threshold, roots) = (self.trust.threshold, self.trust.roots.len());
        let distinct = self.trust.roots.iter().collect::<BTreeSet<_>>().len();
        if threshold == 0
            || distinct != roots
            || usize::try_from(threshold).is_ok_and(|n| n > roots)
        {
            return Err(TrustError::Threshold {
                threshold,
                roots: distinct,
            });
        }
        self.check_policy_quorum()?;
        self.check(&self.trust.roots, threshold, "its own roots", verifier)?;
        let digest = Digest::of(self.to_bytes()?);
        Ok(VerifiedTrust {
            signed: Arc::new(self),
            digest,
        })
    }

    /// Refuses a quorum that would leave a deployment without policy, and one that is put off.
    fn check_policy_quorum(&self) -> Result<(), TrustError> {
        let Some(quorum) = &self.trust.policy_quorum else {
            return Ok(());
        };
        let able = self.trust.able_to_sign_policy(quorum);
        let people = quorum.people;
        if !is_met(able, people) {
            return Err(TrustError::PolicyQuorum { people, able });
        }
        match quorum.since <= self.trust.issued_at {
            true => Ok(()),
            false => Err(TrustError::PolicyQuorumSince),
        }
    }

    fn check(
        &self,
        roots: &[Jwk],
        needed: u32,
        whose: &'static str,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), TrustError> {
        let input = Self::signing_input(&self.trust)?;
        check_threshold(&input, &self.signatures, roots, needed, whose, verifier)
    }
}

/// Checks that at least `needed` of the keys signed.
fn check_threshold(
    input: &[u8],
    signatures: &[TrustSignature],
    roots: &[Jwk],
    needed: u32,
    whose: &'static str,
    verifier: &dyn SignatureVerifier,
) -> Result<(), TrustError> {
    let valid = roots
        .iter()
        .filter(|root| verifier.is_valid_key(root))
        .filter(|root| {
            let kid = root.kid();
            signatures.iter().any(|one| {
                one.kid == kid
                    && base64url::decode(&one.signature)
                        .is_ok_and(|bytes| verifier.verify(root, input, &bytes))
            })
        })
        .count();
    if usize::try_from(needed).is_ok_and(|needed| valid >= needed) {
        Ok(())
    } else {
        Err(TrustError::Signatures {
            whose,
            valid,
            needed,
        })
    }
}

impl VerifiedTrust {
    /// Accepts a later version: newer, of the same trust domain, signed by a threshold of this
    /// version's roots and of its own.
    pub fn accept(
        &self,
        next: SignedTrust,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, TrustError> {
        if next.trust.trust_domain != self.trust_domain {
            return Err(TrustError::TrustDomain {
                seen: self.trust_domain.clone(),
                offered: next.trust.trust_domain,
            });
        }
        if next.trust.version <= self.version {
            return Err(TrustError::NotNewer {
                seen: self.version,
                offered: next.trust.version,
            });
        }
        if next.trust.version == self.version + 1 && next.trust.previous != Some(self.digest) {
            return Err(TrustError::Predecessor);
        }
        next.check(&self.roots, self.threshold, "the roots before", verifier)?;
        next.verify(verifier)
    }

    /// Verifies that a threshold of the root keys signed something else than a trust document.
    pub fn verify_threshold(
        &self,
        input: &[u8],
        signatures: &[TrustSignature],
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), TrustError> {
        let (roots, needed) = (&self.roots, self.threshold);
        check_threshold(input, signatures, roots, needed, "the roots", verifier)
    }

    /// The digest of the signed document: what the log enrols and a successor names.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The document with its signatures.
    pub fn signed(&self) -> &SignedTrust {
        &self.signed
    }
}

impl Deref for VerifiedTrust {
    type Target = TrustDocument;

    fn deref(&self) -> &TrustDocument {
        &self.signed.trust
    }
}
