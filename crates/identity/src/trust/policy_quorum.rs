use std::collections::{BTreeMap, BTreeSet};

use chancery_types::id::PersonId;
use chancery_types::{Jwk, Timestamp};
use serde::{Deserialize, Serialize};

use super::TrustDocument;

/// How many people must have signed a policy bundle, and whose each policy signer's key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyQuorum {
    /// How many distinct people must have signed the same bundle: its digest, and with that its version.
    pub people: u32,
    /// From when on. What was decided before rests on a bundle that one policy signer signed; never later
    /// than the document itself.
    pub since: Timestamp,
    /// Whose the keys of the policy signers are, by key id. A key that is not here, or is of nobody whom the
    /// document names, counts for nobody.
    pub signers: BTreeMap<String, PersonId>,
}

/// Why nobody, or too few, signed a policy bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicySignersError {
    /// No policy signer.
    #[error("no policy signer of the trust document signed the policy bundle")]
    Nobody,
    /// Fewer people than the quorum.
    #[error(
        "{signed} of the {needed} people whom the trust document demands signed the policy bundle; have \
         others sign it with `chancery policy sign`"
    )]
    TooFew {
        /// How many people signed.
        signed: usize,
        /// How many must.
        needed: u32,
    },
}

impl PolicySignersError {
    /// The reason code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Nobody => "policy_signer",
            Self::TooFew { .. } => "policy_quorum",
        }
    }
}

impl TrustDocument {
    /// Checks that those who signed a policy bundle suffice: `signed` are keys whose signatures over the very
    /// bundle were verified. Without a quorum one policy signer does; with one, so many distinct people.
    pub fn check_policy_signers<'k>(
        &self,
        signed: impl IntoIterator<Item = &'k Jwk>,
    ) -> Result<(), PolicySignersError> {
        let known = signed.into_iter();
        let known: Vec<&Jwk> = known
            .filter(|key| self.policy_signers.contains(key))
            .collect();
        if known.is_empty() {
            return Err(PolicySignersError::Nobody);
        }
        let Some(quorum) = &self.policy_quorum else {
            return Ok(());
        };
        let signed = self.people_of(quorum, known).len();
        match is_met(signed, quorum.people) {
            true => Ok(()),
            false => Err(PolicySignersError::TooFew {
                signed,
                needed: quorum.people,
            }),
        }
    }

    /// How many people could sign a policy bundle.
    pub(super) fn able_to_sign_policy(&self, quorum: &PolicyQuorum) -> usize {
        self.people_of(quorum, &self.policy_signers).len()
    }

    fn people_of<'k>(
        &self,
        quorum: &PolicyQuorum,
        keys: impl IntoIterator<Item = &'k Jwk>,
    ) -> BTreeSet<PersonId> {
        let of = keys
            .into_iter()
            .filter_map(|key| quorum.signers.get(&key.kid()));
        of.copied()
            .filter(|person| self.person(*person).is_some())
            .collect()
    }
}

/// Whether so many people are enough; nobody never is.
pub(super) fn is_met(people: usize, needed: u32) -> bool {
    needed > 0 && usize::try_from(needed).is_ok_and(|needed| people >= needed)
}
