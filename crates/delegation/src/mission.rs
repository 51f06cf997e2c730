use chancery_types::Digest;

/// A mission document: the bytes that a person consented to, never changed and never re-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mission(Vec<u8>);

/// Largest mission document.
pub const MAX_MISSION_BYTES: usize = 65_536;

/// Why bytes are not a mission document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a mission document is 1 to {MAX_MISSION_BYTES} bytes of UTF-8")]
pub struct MissionError;

impl Mission {
    /// Takes the bytes as they are.
    pub fn new(bytes: Vec<u8>) -> Result<Self, MissionError> {
        let fits = (1..=MAX_MISSION_BYTES).contains(&bytes.len());
        if fits && std::str::from_utf8(&bytes).is_ok() {
            Ok(Self(bytes))
        } else {
            Err(MissionError)
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest of the exact bytes: `mission_s256` of a root, in base64url.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let digest = |text: &str| Mission::new(text.into()).unwrap().digest();
        assert_eq!(digest("a"), Digest::of("a"));
        assert_ne!(digest("a"), digest("a\n"));
    }

    #[test]
    fn refuses_what_no_person_reads() {
        for bad in [Vec::new(), vec![0xff], vec![b'a'; MAX_MISSION_BYTES + 1]] {
            assert_eq!(Mission::new(bad), Err(MissionError));
        }
    }
}
