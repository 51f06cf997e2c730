use chancery_types::SignatureVerifier;

use crate::{
    Checkpoint, KeyMaterial, KeyName, NoteSignature, Origin, Subtree, TreeHash, VerifierKey,
};

/// Bytes of an Ed25519 signature (RFC 8032).
const ED25519_SIGNATURE_BYTES: usize = 64;

/// Bytes of an ML-DSA-44 signature (FIPS 204).
const ML_DSA_44_SIGNATURE_BYTES: usize = 2_420;

/// Latest timestamp of a cosignature.
const MAX_TIMESTAMP: u64 = i64::MAX as u64;

/// The body of a 0x04 or 0x06 signature line: when the signer held this tree for the largest that
/// it had seen, and the Ed25519 or ML-DSA-44 signature (C2SP tlog-cosignature).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampedSignature {
    timestamp: u64,
    signature: Vec<u8>,
}

/// Why a cosignature or its message cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignatureError {
    /// Not eight bytes of timestamp and the 64 or 2,420 of the signature.
    #[error("cosignature of the wrong length")]
    Length,
    /// A timestamp above 2^63-1.
    #[error("cosignature timestamp is out of range")]
    Timestamp,
    /// A timestamp on a subtree that does not start at zero.
    #[error("a subtree that does not start at 0 carries no timestamp")]
    TimestampOnSubtree,
}

/// Why a line is not a cosignature of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CosignerError {
    /// The key signs texts (0x01): it cosigns nothing.
    #[error("the key is not a cosigner's")]
    Kind,
    /// The line's body.
    #[error("malformed cosignature")]
    Malformed(#[source] CosignatureError),
    /// The signature is not the key's over this checkpoint.
    #[error("the cosignature is wrong")]
    Wrong,
}

impl TimestampedSignature {
    /// An ML-DSA-44 signature made over [`cosigned_message`] with the same timestamp, in seconds
    /// since the epoch; zero claims nothing about the time.
    pub fn new(timestamp: u64, signature: Vec<u8>) -> Result<Self, CosignatureError> {
        Self::of_length(timestamp, signature, ML_DSA_44_SIGNATURE_BYTES)
    }

    /// An Ed25519 signature made over [`cosigned_text`] with the same timestamp, in seconds since
    /// the epoch.
    pub fn ed25519(timestamp: u64, signature: Vec<u8>) -> Result<Self, CosignatureError> {
        Self::of_length(timestamp, signature, ED25519_SIGNATURE_BYTES)
    }

    /// Reads the bytes of a 0x06 signature line after the key id.
    pub fn parse(bytes: &[u8]) -> Result<Self, CosignatureError> {
        let (timestamp, signature) = split(bytes)?;
        Self::new(timestamp, signature)
    }

    /// Reads the bytes of a 0x04 signature line after the key id.
    pub fn parse_ed25519(bytes: &[u8]) -> Result<Self, CosignatureError> {
        let (timestamp, signature) = split(bytes)?;
        Self::ed25519(timestamp, signature)
    }

    fn of_length(
        timestamp: u64,
        signature: Vec<u8>,
        length: usize,
    ) -> Result<Self, CosignatureError> {
        if timestamp > MAX_TIMESTAMP {
            return Err(CosignatureError::Timestamp);
        }
        if signature.len() != length {
            return Err(CosignatureError::Length);
        }
        Ok(Self {
            timestamp,
            signature,
        })
    }

    /// The bytes of a signature line after the key id.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.timestamp.to_be_bytes()[..], &self.signature].concat()
    }

    /// Seconds since the epoch, or zero.
    pub const fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// The Ed25519 or ML-DSA-44 signature.
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

/// The message that a 0x04 signature is made over: a header, the time and the whole text of the
/// note, final newline included.
pub fn cosigned_text(timestamp: u64, text: &str) -> Result<Vec<u8>, CosignatureError> {
    if timestamp > MAX_TIMESTAMP {
        return Err(CosignatureError::Timestamp);
    }
    Ok(format!("cosignature/v1\ntime {timestamp}\n{text}").into_bytes())
}

/// Verifies that `line` is `key`'s cosignature of a whole checkpoint, and returns when it was made,
/// in seconds since the epoch; zero says nothing of the time. Whether the line names the key is for
/// the caller to look at.
pub fn verify_cosignature(
    key: &VerifierKey,
    checkpoint: &Checkpoint,
    line: &NoteSignature,
    verifier: &dyn SignatureVerifier,
) -> Result<u64, CosignerError> {
    let (body, good) = match key.key() {
        KeyMaterial::Ed25519(_) => return Err(CosignerError::Kind),
        KeyMaterial::Cosignature(public) => {
            let body = TimestampedSignature::parse_ed25519(line.signature())
                .map_err(CosignerError::Malformed)?;
            let message = cosigned_text(body.timestamp, &checkpoint.to_string())
                .map_err(CosignerError::Malformed)?;
            let good = verifier.verify(public, &message, &body.signature);
            (body, good)
        }
        KeyMaterial::MlDsa44(public) => {
            let body =
                TimestampedSignature::parse(line.signature()).map_err(CosignerError::Malformed)?;
            let message = cosigned_message(
                key.name(),
                body.timestamp,
                &checkpoint.origin,
                Subtree::of_tree(checkpoint.size),
                &checkpoint.root,
            )
            .map_err(CosignerError::Malformed)?;
            let good = verifier.verify_ml_dsa_44(public, &message, &body.signature);
            (body, good)
        }
    };
    good.then_some(body.timestamp).ok_or(CosignerError::Wrong)
}

fn split(bytes: &[u8]) -> Result<(u64, Vec<u8>), CosignatureError> {
    let (timestamp, signature) = bytes
        .split_first_chunk::<8>()
        .ok_or(CosignatureError::Length)?;
    Ok((u64::from_be_bytes(*timestamp), signature.to_vec()))
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
        let good = TimestampedSignature::ed25519(7, vec![1; 64]).unwrap();
        assert_eq!(
            TimestampedSignature::parse_ed25519(&good.to_bytes()),
            Ok(good)
        );
        for length in [0, 7, 8, 64, 71, 73, 2_428] {
            assert_eq!(
                TimestampedSignature::parse_ed25519(&vec![0; length]),
                Err(CosignatureError::Length)
            );
        }
        assert_eq!(
            TimestampedSignature::parse_ed25519(&[0xff; 72]),
            Err(CosignatureError::Timestamp)
        );
    }

    #[test]
    fn the_text_has_the_layout_of_the_specification() {
        let text = cosigned_text(1_679_315_147, "log\n0\nroot\n").unwrap();
        let expected = b"cosignature/v1\ntime 1679315147\nlog\n0\nroot\n";
        assert_eq!(text, expected);
        assert!(cosigned_text(i64::MAX as u64, "").is_ok());
        assert_eq!(cosigned_text(1 << 63, ""), Err(CosignatureError::Timestamp));
    }
}
