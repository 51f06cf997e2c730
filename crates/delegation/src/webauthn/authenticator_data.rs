use chancery_types::Digest;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED_CREDENTIAL: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// Largest extension data that is read.
const MAX_EXTENSION_BYTES: usize = 1_024;

/// What an authenticator says about an assertion (WebAuthn Level 3, section 6.1). A person was
/// present and verified: data that does not say so is refused when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// The digest of the relying party id.
    pub rp_id_hash: Digest,
    /// The signature counter; zero where the authenticator has none.
    pub counter: u32,
    /// Whether the key is copied to other devices.
    pub backed_up: bool,
}

/// Why authenticator data is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorDataError {
    /// Not the bytes of an assertion's authenticator data.
    #[error("authenticator data is malformed")]
    Malformed,
    /// Nobody touched the authenticator.
    #[error("the authenticator saw nobody")]
    UserNotPresent,
    /// The authenticator did not verify who touched it.
    #[error("the authenticator did not verify the person")]
    UserNotVerified,
}

impl AuthenticatorData {
    /// Reads the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthenticatorDataError> {
        let malformed = AuthenticatorDataError::Malformed;
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(malformed)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(malformed)?;
        let (counter, extensions) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let has = |flag: u8| flags & flag != 0;
        let reserved = has(0x02) || has(0x20);
        let inconsistent = has(BACKED_UP) && !has(BACKUP_ELIGIBLE);
        if reserved || inconsistent || has(ATTESTED_CREDENTIAL) {
            return Err(malformed);
        }
        if has(EXTENSIONS) != is_one_map(extensions) || !has(EXTENSIONS) && !extensions.is_empty() {
            return Err(malformed);
        }
        if !has(USER_PRESENT) {
            return Err(AuthenticatorDataError::UserNotPresent);
        }
        if !has(USER_VERIFIED) {
            return Err(AuthenticatorDataError::UserNotVerified);
        }
        Ok(Self {
            rp_id_hash: Digest::from_bytes(*rp_id_hash),
            counter: u32::from_be_bytes(*counter),
            backed_up: has(BACKED_UP),
        })
    }

    /// The bytes that an authenticator would sign for this.
    pub fn to_bytes(&self) -> Vec<u8> {
        let backup = if self.backed_up {
            BACKUP_ELIGIBLE | BACKED_UP
        } else {
            0
        };
        let mut bytes = self.rp_id_hash.as_bytes().to_vec();
        bytes.push(USER_PRESENT | USER_VERIFIED | backup);
        bytes.extend(self.counter.to_be_bytes());
        bytes
    }
}

/// Whether the bytes are one CBOR map and nothing else.
fn is_one_map(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    bytes.len() <= MAX_EXTENSION_BYTES
        && ciborium::from_reader::<ciborium::Value, _>(&mut rest).is_ok_and(|value| value.is_map())
        && rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> AuthenticatorData {
        AuthenticatorData {
            rp_id_hash: Digest::of("a.example"),
            counter: 7,
            backed_up: false,
        }
    }

    fn with_flags(
        flags: u8,
        extensions: &[u8],
    ) -> Result<AuthenticatorData, AuthenticatorDataError> {
        let mut bytes = data().to_bytes();
        bytes[32] = flags;
        bytes.extend(extensions);
        AuthenticatorData::parse(&bytes)
    }

    #[test]
    fn reads_its_own_writing() {
        for backed_up in [false, true] {
            let data = AuthenticatorData {
                backed_up,
                ..data()
            };
            assert_eq!(AuthenticatorData::parse(&data.to_bytes()), Ok(data));
        }
        assert_eq!(with_flags(0x85, &[0xa0]), Ok(data()));
    }

    #[test]
    fn refuses_absence_and_other_shapes() {
        use AuthenticatorDataError::{Malformed, UserNotPresent, UserNotVerified};
        for (flags, extensions, error) in [
            (0x04, &[][..], UserNotPresent),
            (0x00, &[], UserNotPresent),
            (0x01, &[], UserNotVerified),
            (0x07, &[], Malformed),
            (0x25, &[], Malformed),
            (0x15, &[], Malformed),
            (0x45, &[], Malformed),
            (0x85, &[], Malformed),
            (0x85, &[0xa0, 0x00], Malformed),
            (0x85, &[0x80], Malformed),
            (0x05, &[0xa0], Malformed),
            (0x05, &[0x00], Malformed),
        ] {
            assert_eq!(
                with_flags(flags, extensions),
                Err(error),
                "{flags:02x} {extensions:?}"
            );
        }
        let bytes = data().to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(AuthenticatorData::parse(&bytes[..length]), Err(Malformed));
        }
    }
}
