//! Identifiers: 128 random bits behind a prefix that says what they name.
//!
//! The registry at the end of this file is append-only: a prefix is never reused for another kind.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// A kind of identifier.
pub trait Kind: Copy + Ord + std::hash::Hash + Send + Sync + 'static {
    /// What stands before the underscore.
    const PREFIX: &'static str;
}

/// An identifier of one kind: `<prefix>_` and 26 lower-case Crockford base32 digits. Display and
/// parsing round-trip; no other spelling is accepted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<K: Kind> {
    bits: u128,
    kind: PhantomData<K>,
}

/// Why a text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected {prefix}_ and 26 base32 digits")]
pub struct IdError {
    prefix: &'static str,
}

impl<K: Kind> Id<K> {
    /// Makes an identifier of 128 bits that the caller drew at random.
    pub const fn from_random(bits: [u8; 16]) -> Self {
        Self {
            bits: u128::from_be_bytes(bits),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        for place in (0..DIGITS).rev() {
            let digit = (self.bits >> (place * 5)) as usize & 31;
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            fmt::Write::write_char(f, letter.into())?;
        }
        Ok(())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { prefix: K::PREFIX };
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|digits| digits.len() == DIGITS)
            .ok_or(error.clone())?;
        let mut bits = 0_u128;
        for (place, letter) in digits.bytes().enumerate() {
            let digit = ALPHABET
                .iter()
                .position(|known| *known == letter)
                .ok_or(error.clone())?;
            // 26 digits hold 130 bits: the first one carries three.
            if place == 0 && digit > 7 {
                return Err(error);
            }
            bits = bits << 5 | digit as u128;
        }
        Ok(Self {
            bits,
            kind: PhantomData,
        })
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

macro_rules! registry {
    ($($(#[$doc:meta])* $kind:ident, $alias:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {}

        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
        }

        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*

        #[cfg(test)]
        const PREFIXES: &[&str] = &[$($prefix),*];
    };
}

registry! {
    /// Names one session: one mission under one home gateway.
    SessionKind, SessionId, "ses";
    /// Names one instance of an agent; the last segment of its SPIFFE ID.
    InstanceKind, InstanceId, "ins";
    /// Names one launch by `chancery run`.
    LaunchKind, LaunchId, "lau";
    /// Names one delegation (`jti`).
    DelegationKind, DelegationId, "del";
    /// Names one proof of possession (`jti`).
    ProofKind, ProofId, "pop";
    /// Names one execution of one call; decision and outcome carry the same.
    ExecutionKind, ExecutionId, "exe";
    /// Names one request for a person's approval.
    ApprovalKind, ApprovalId, "apv";
    /// Names one credential of a person.
    PersonKind, PersonId, "per";
    /// Names one issued SVID or workload identity token.
    CredentialKind, CredentialId, "crd";
    /// Names one request for a delegation.
    RequestKind, RequestId, "req";
    /// Names one standing consent.
    ConsentKind, ConsentId, "cns";
    /// Names one node that joined from another host; the last segment of its SPIFFE ID.
    NodeKind, NodeId, "nod";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_keeps_its_kind() {
        let id = SessionId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
        assert!(id.to_string().parse::<InstanceId>().is_err());
    }

    #[test]
    fn refuses_other_spellings() {
        for bad in [
            "ses_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "ses_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "ses_7zzzzzzzzzzzzzzzzzzzzzzzz",
            "ses_7zzzzzzzzzzzzzzzzzzzzzzzzl",
            "ses7zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "",
        ] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_prefix_twice() {
        let mut seen = PREFIXES.to_vec();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), PREFIXES.len());
    }
}
