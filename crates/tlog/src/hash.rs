use std::fmt;
use std::str::FromStr;

use chancery_types::Digest;

use crate::text;

/// The hash of one entry: SHA-256 over 0x00 and the entry's bytes (RFC 6962 section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafHash(Digest);

/// The hash of a tree or of a node in it. Displayed and parsed as padded standard base64, as
/// checkpoints and proofs carry it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeHash(Digest);

/// Why a text is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a hash: expected 32 bytes in canonical padded base64")]
pub struct HashError;

impl LeafHash {
    /// The hash of `entry` as a leaf.
    pub fn of(entry: impl AsRef<[u8]>) -> Self {
        Self(Digest::of_parts([&[0][..], entry.as_ref()]))
    }

    /// Takes 32 bytes that are a leaf hash already, such as those of a level-0 tile.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The hash as a digest.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl TreeHash {
    /// The root of the tree without entries: SHA-256 of nothing.
    pub fn empty() -> Self {
        Self(Digest::of([]))
    }

    /// The hash of an inner node: SHA-256 over 0x01, `left` and `right`.
    pub fn node(left: &Self, right: &Self) -> Self {
        Self(Digest::of_parts([
            &[1][..],
            left.as_bytes(),
            right.as_bytes(),
        ]))
    }

    /// Takes 32 bytes that are a hash already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The hash as a digest.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl From<LeafHash> for TreeHash {
    fn from(leaf: LeafHash) -> Self {
        Self(leaf.0)
    }
}

impl FromStr for TreeHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        text::decode_base64(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self::from_bytes)
            .ok_or(HashError)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encode_base64(self.as_bytes()))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&TreeHash::from(*self), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6962_prefixes() {
        assert_eq!(
            TreeHash::empty().to_string(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(
            TreeHash::from(LeafHash::of(b"")).to_string(),
            "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0="
        );
        let leaf = TreeHash::from(LeafHash::of(b"a"));
        let joined = [&[1][..], leaf.as_bytes(), leaf.as_bytes()].concat();
        assert_eq!(TreeHash::node(&leaf, &leaf).digest(), Digest::of(joined));
    }

    #[test]
    fn refuses_other_spellings() {
        let good = TreeHash::empty().to_string();
        assert_eq!(good.parse(), Ok(TreeHash::empty()));
        for bad in [
            "",
            "AAAA",
            good.trim_end_matches('='),
            &good.replace('+', "-"),
            &good.replace("U=", "V="),
            &format!("{good}\n"),
            &format!(" {good}"),
        ] {
            assert_eq!(bad.parse::<TreeHash>(), Err(HashError), "{bad:?}");
        }
    }
}
