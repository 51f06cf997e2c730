use std::fmt;
use std::str::FromStr;

use chancery_types::RevocationKind;
use chancery_types::jws::JwsError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a chain, a proof or a call is refused: one code each, the same in log, answer and vector.
/// Exhaustive on purpose: whoever decides on a reason decides on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not the JSON, base64url or members that the profile has.
    Malformed,
    /// More links or bytes than a chain may have.
    TooLong,
    /// A token of another type.
    WrongTyp,
    /// An algorithm that the profile does not know, or not the one of the key.
    AlgNotAllowed,
    /// A holder key that is weak, off its curve or not public.
    BadKey,
    /// The root is not signed by an authority that the verifier knows.
    UntrustedRoot,
    /// A signature that the parent's holder key did not make.
    BadSignature,
    /// The link does not continue its parent.
    BrokenLink,
    /// A subject or a key stands in the chain twice.
    Cycle,
    /// The depth is not its parent's and one.
    BadDepth,
    /// Deeper than was permitted.
    DepthExceeded,
    /// The child permits more depth than its parent.
    DepthEscalation,
    /// The child is valid earlier or later than its parent.
    TtlEscalation,
    /// Before `nbf`.
    NotYetValid,
    /// At or after `exp`.
    Expired,
    /// The child adds an audience.
    AudienceEscalation,
    /// Not meant for this verifier.
    WrongAudience,
    /// The child restates what only the root says.
    InheritedClaimRestated,
    /// An entry that no single parent entry subsumes.
    ScopeEscalation,
    /// An entry, constraint or limit whose meaning is not known.
    ConstraintUnknown,
    /// What a link names was revoked.
    Revoked,
    /// The authority's epoch is another one.
    StaleEpoch,
    /// No proof of possession came with the call.
    PopMissing,
    /// The proof is not signed by the leaf's key.
    PopBadSignature,
    /// The proof is for another gateway, chain, tool or for other arguments.
    PopMismatch,
    /// The proof was made too long ago, in the future or before the verifier started.
    PopStale,
    /// The proof was seen before, or it cannot be shown that it was not.
    Replay,
    /// The transport's identity is not the leaf's subject.
    HolderMismatch,
    /// No entry of the leaf covers the call.
    NotInScope,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 29] = [
        Self::Malformed,
        Self::TooLong,
        Self::WrongTyp,
        Self::AlgNotAllowed,
        Self::BadKey,
        Self::UntrustedRoot,
        Self::BadSignature,
        Self::BrokenLink,
        Self::Cycle,
        Self::BadDepth,
        Self::DepthExceeded,
        Self::DepthEscalation,
        Self::TtlEscalation,
        Self::NotYetValid,
        Self::Expired,
        Self::AudienceEscalation,
        Self::WrongAudience,
        Self::InheritedClaimRestated,
        Self::ScopeEscalation,
        Self::ConstraintUnknown,
        Self::Revoked,
        Self::StaleEpoch,
        Self::PopMissing,
        Self::PopBadSignature,
        Self::PopMismatch,
        Self::PopStale,
        Self::Replay,
        Self::HolderMismatch,
        Self::NotInScope,
    ];

    /// The code on the wire and in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::WrongTyp => "wrong_typ",
            Self::AlgNotAllowed => "alg_not_allowed",
            Self::BadKey => "bad_key",
            Self::UntrustedRoot => "untrusted_root",
            Self::BadSignature => "bad_signature",
            Self::BrokenLink => "broken_link",
            Self::Cycle => "cycle",
            Self::BadDepth => "bad_depth",
            Self::DepthExceeded => "depth_exceeded",
            Self::DepthEscalation => "depth_escalation",
            Self::TtlEscalation => "ttl_escalation",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::AudienceEscalation => "audience_escalation",
            Self::WrongAudience => "wrong_audience",
            Self::InheritedClaimRestated => "inherited_claim_restated",
            Self::ScopeEscalation => "scope_escalation",
            Self::ConstraintUnknown => "constraint_unknown",
            Self::Revoked => "revoked",
            Self::StaleEpoch => "stale_epoch",
            Self::PopMissing => "pop_missing",
            Self::PopBadSignature => "pop_bad_signature",
            Self::PopMismatch => "pop_mismatch",
            Self::PopStale => "pop_stale",
            Self::Replay => "replay",
            Self::HolderMismatch => "holder_mismatch",
            Self::NotInScope => "not_in_scope",
        }
    }

    /// What to say to people, with what helps where something does.
    pub const fn said(self) -> &'static str {
        match self {
            Self::Malformed => "a link, proof or call is not as its profile has it",
            Self::TooLong => "the chain has more links or bytes than a chain may have",
            Self::WrongTyp => "a token is of another type",
            Self::AlgNotAllowed => "the algorithm is not known, or not the one of the key",
            Self::BadKey => "a holder's key is weak, off its curve or not public",
            Self::UntrustedRoot => "the trust document names no such delegation authority",
            Self::BadSignature => "a link is not signed by the holder of the one above it",
            Self::BrokenLink => "a link does not continue the one above it",
            Self::Cycle => "a holder or a key stands in the chain twice",
            Self::BadDepth => "a link's depth is not that of the one above it and one",
            Self::DepthExceeded => {
                "the delegation may not be passed on any further; grant it with a larger --depth"
            }
            Self::DepthEscalation => "a link permits more depth than the one above it",
            Self::TtlEscalation => "a link is valid earlier or later than the one above it",
            Self::NotYetValid => "the delegation is not valid yet; compare the clocks",
            Self::Expired => "the delegation has expired; delegate again",
            Self::AudienceEscalation => "a link adds an audience",
            Self::WrongAudience => "the delegation is meant for another gateway",
            Self::InheritedClaimRestated => "a link restates what only the root says",
            Self::ScopeEscalation => {
                "a link grants what no single entry of the one above it covers"
            }
            Self::ConstraintUnknown => {
                "a grant has a member, constraint or limit that is not known"
            }
            Self::Revoked => "a link was revoked; delegate again",
            Self::StaleEpoch => "the authority has begun another epoch; delegate again",
            Self::PopMissing => {
                "the call carries no proof of possession; it comes from `chancery connect`"
            }
            Self::PopBadSignature => "the proof is not signed by the key that holds the delegation",
            Self::PopMismatch => {
                "the proof is for another gateway, delegation, tool or for other arguments"
            }
            Self::PopStale => {
                "the proof is too old, from the future, or from before the gateway started; repeat the call"
            }
            Self::Replay => "the proof was used before; each call makes its own",
            Self::HolderMismatch => {
                "the delegation is held by another instance than the one that calls"
            }
            Self::NotInScope => "no entry of the delegation covers this call",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a text is no reason code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a reason code")]
pub struct ReasonError;

impl From<JwsError> for Reason {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::TooLong => Self::TooLong,
            JwsError::Malformed => Self::Malformed,
            JwsError::AlgorithmNotAllowed => Self::AlgNotAllowed,
        }
    }
}

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let mut reasons = Self::ALL.into_iter();
        reasons
            .find(|reason| reason.code() == text)
            .ok_or(ReasonError)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A refusal: the reason, which link of the chain it is about where it is about one, and what of it
/// was revoked where that is why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Which link, the root being 0.
    pub link: Option<usize>,
    /// What of the link was revoked; there where the reason is [`Reason::Revoked`].
    pub revoked: Option<RevocationKind>,
}

impl Refusal {
    pub(crate) const fn at(link: usize, reason: Reason) -> Self {
        Self {
            reason,
            link: Some(link),
            revoked: None,
        }
    }

    pub(crate) const fn revoked(link: usize, kind: RevocationKind) -> Self {
        Self {
            reason: Reason::Revoked,
            link: Some(link),
            revoked: Some(kind),
        }
    }

    /// One word for what is gone: the kind of the revocation, `epoch`, or the code of the reason.
    /// The end of a session names its cause by it, and verifiers ask for the same word.
    pub fn cause(&self) -> &'static str {
        match (self.revoked, self.reason) {
            (Some(kind), _) => kind.name(),
            (None, Reason::StaleEpoch) => "epoch",
            (None, other) => other.code(),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            link: None,
            revoked: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.link, self.revoked) {
            (Some(link), Some(kind)) => {
                write!(f, "refused at link {link}: {} ({kind})", self.reason)
            }
            (Some(link), None) => write!(f, "refused at link {link}: {}", self.reason),
            (None, _) => write!(f, "refused: {}", self.reason),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for reason in Reason::ALL {
            assert_eq!(reason.code().parse(), Ok(reason));
        }
        assert_eq!("MALFORMED".parse::<Reason>(), Err(ReasonError));
        assert_eq!("".parse::<Reason>(), Err(ReasonError));
    }
}
