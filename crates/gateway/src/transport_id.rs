use std::fmt;

use chancery_crypto::{RandomError, random_bytes};

/// The id of a transport session of the legacy era (`Mcp-Session-Id`): 128 random bits in hex,
/// always the gateway's own. It is no authority: it works for one peer and one server only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransportId(u128);

impl TransportId {
    pub(crate) fn random() -> Result<Self, RandomError> {
        random_bytes().map(u128::from_be_bytes).map(Self)
    }

    /// Reads the header's value; `None` for what this gateway never issued.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id = u128::from_str_radix(text, 16).ok().map(Self)?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportId")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_in_one_spelling() {
        let id = TransportId::random().unwrap();
        assert_eq!(TransportId::parse(&id.to_string()), Some(id));
        for bad in ["", "1", "+0000000000000000000000000000001", &"F".repeat(32)] {
            assert_eq!(TransportId::parse(bad), None, "{bad}");
        }
    }
}
