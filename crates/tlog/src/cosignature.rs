use crate::{KeyName, Origin, Subtree, TreeHash};

/// Bytes of an ML-DSA-44 signature (FIPS 204).
const ML_DSA_44_SIGNATURE_BYTES: usize = 2_420;

/// Latest timestamp of a cosignature.
const MAX_TIMESTAMP: u64 = i64::MAX as u64;

/// The body of a 0x06 signature line: when the signer held this tree for the largest that it had
/// seen, and the ML-DSA-44 signature (C2SP tlog-cosignature).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampedSignature {
    timestamp: u64,
    signature: Vec<u8>,
}

/// Why a cosignature or its message cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignatureError {
    /// Not eight bytes of timestamp and 2,420 of signature.
    #[error("cosignature of the wrong length")]
    Length,
    /// A timestamp above 2^63-1.
    #[error("cosignature timestamp is out of range")]
    Timestamp,
    /// A timestamp on a subtree that does not start at zero.
    #[error("a subtree that does not start at 0 carries no timestamp")]
    TimestampOnSubtree,
}

impl TimestampedSignature {
    /// A signature made over [`cosigned_message`] with the same timestamp, in seconds since the
    /// epoch; zero claims nothing about the time.
    pub fn new(timestamp: u64, signature: Vec<u8>) -> Result<Self, CosignatureError> {
        if timestamp > MAX_TIMESTAMP {
            return Err(CosignatureError::Timestamp);
        }
        if signature.len() != ML_DSA_44_SIGNATURE_BYTES {
            return Err(CosignatureError::Length);
        }
        Ok(Self {
            timestamp,
            signature,
        })
    }

    /// Reads the bytes of a signature line after the key id.
    pub fn parse(bytes: &[u8]) -> Result<Self, CosignatureError> {
        let (timestamp, signature) = bytes
            .split_first_chunk::<8>()
            .ok_or(CosignatureError::Length)?;
        Self::new(u64::from_be_bytes(*timestamp), signature.to_vec())
    }

    /// The bytes of a signature line after the key id.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.timestamp.to_be_bytes()[..], &self.signature].concat()
    }

    /// Seconds since the epoch, or zero.
    pub const fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// The ML-DSA-44 signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// The message that a 0x06 signature is made over (`cosigned_message`). A checkpoint's subtree is
/// `[0, size)`; only such a one may carry a timestamp other than zero.
pub fn cosigned_message(
    cosigner: &KeyName,
    timestamp: u64,
    origin: &Origin,
    subtree: Subtree,
    hash: &TreeHash,
) -> Result<Vec<u8>, CosignatureError> {
    if timestamp > MAX_TIMESTAMP {
        return Err(CosignatureError::Timestamp);
    }
    if subtree.start() != 0 && timestamp != 0 {
        return Err(CosignatureError::TimestampOnSubtree);
    }
    // Names are at most 255 bytes long by their type.
    let length = |name: &str| [u8::try_from(name.len()).unwrap_or(u8::MAX)];
    Ok([
        b"subtree/v1\n\0",
        &length(cosigner.as_str())[..],
        cosigner.as_str().as_bytes(),
        &timestamp.to_be_bytes(),
        &length(origin.as_str()),
        origin.as_str().as_bytes(),
        &subtree.start().to_be_bytes(),
        &subtree.end().to_be_bytes(),
        hash.as_bytes(),
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_has_the_layout_of_the_specification() {
        let message = cosigned_message(
            &"w".parse().unwrap(),
            1,
            &"log".parse().unwrap(),
            Subtree::new(0, 5).unwrap(),
            &TreeHash::from_bytes([9; 32]),
        )
        .unwrap();
        let mut expected = b"subtree/v1\n\0\x01w\0\0\0\0\0\0\0\x01\x03log".to_vec();
        expected.extend([0; 15]);
        expected.push(5);
        expected.extend([9; 32]);
        assert_eq!(message, expected);
    }

    #[test]
    fn refuses_timestamps_that_say_too_much() {
        let sign = |timestamp, start, end| {
            let name: Origin = "log".parse().unwrap();
            let subtree = Subtree::new(start, end).unwrap();
            cosigned_message(
                name.key_name(),
                timestamp,
                &name,
                subtree,
                &TreeHash::empty(),
            )
        };
        assert!(sign(0, 4, 8).is_ok());
        assert_eq!(sign(1, 4, 8), Err(CosignatureError::TimestampOnSubtree));
        assert_eq!(sign(1 << 63, 0, 8), Err(CosignatureError::Timestamp));
    }

    #[test]
    fn refuses_other_lengths() {
        let good = TimestampedSignature::new(7, vec![1; 2_420]).unwrap();
        assert_eq!(TimestampedSignature::parse(&good.to_bytes()), Ok(good));
        for length in [0, 7, 8, 2_427, 2_429] {
            assert_eq!(
                TimestampedSignature::parse(&vec![0; length]),
                Err(CosignatureError::Length)
            );
        }
        assert_eq!(
            TimestampedSignature::parse(&[0xff; 2_428]),
            Err(CosignatureError::Timestamp)
        );
    }
}
