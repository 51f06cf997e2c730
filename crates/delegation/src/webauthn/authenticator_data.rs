use chancery_types::Digest;

use super::AttestedCredential;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED_CREDENTIAL: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// Largest extension data that is read.
const MAX_EXTENSION_BYTES: usize = 1_024;

/// What an authenticator says about an assertion or a registration (WebAuthn Level 3, section 6.1). A person was
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
    /// Not the bytes that an authenticator makes at this ceremony.
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
    /// Reads the bytes of an assertion.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthenticatorDataError> {
        let (data, has_credential, rest) = Self::split(bytes)?;
        if has_credential {
            return Err(AuthenticatorDataError::Malformed);
        }
        rest.end()?;
        Ok(data)
    }

    /// Reads the bytes of a registration, and with them the credential that was made.
    pub fn parse_registration(
        bytes: &[u8],
    ) -> Result<(Self, AttestedCredential), AuthenticatorDataError> {
        let (data, has_credential, mut rest) = Self::split(bytes)?;
        if !has_credential {
            return Err(AuthenticatorDataError::Malformed);
        }
        let credential = AttestedCredential::take(&mut rest.bytes)?;
        rest.end()?;
        Ok((data, credential))
    }

    /// What every authenticator data begins with, whether a credential follows, and what is left.
    fn split(bytes: &[u8]) -> Result<(Self, bool, Rest<'_>), AuthenticatorDataError> {
        let malformed = AuthenticatorDataError::Malformed;
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(malformed)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(malformed)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        let has = |flag: u8| flags & flag != 0;
        let reserved = has(0x02) || has(0x20);
        let inconsistent = has(BACKED_UP) && !has(BACKUP_ELIGIBLE);
        if reserved || inconsistent {
            return Err(malformed);
        }
        if !has(USER_PRESENT) {
            return Err(AuthenticatorDataError::UserNotPresent);
        }
        if !has(USER_VERIFIED) {
            return Err(AuthenticatorDataError::UserNotVerified);
        }
        let data = Self {
            rp_id_hash: Digest::from_bytes(*rp_id_hash),
            counter: u32::from_be_bytes(*counter),
            backed_up: has(BACKED_UP),
        };
        let rest = Rest {
            bytes: rest,
            has_extensions: has(EXTENSIONS),
        };
        Ok((data, has(ATTESTED_CREDENTIAL), rest))
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

/// What follows the head, and the credential where there is one.
struct Rest<'a> {
    bytes: &'a [u8],
    has_extensions: bool,
}

impl Rest<'_> {
    /// One CBOR map where the flag says extensions, and nothing otherwise.
    fn end(self) -> Result<(), AuthenticatorDataError> {
        let mut rest = self.bytes;
        let is_right = match self.has_extensions {
            false => rest.is_empty(),
            true => {
                rest.len() <= MAX_EXTENSION_BYTES
                    && ciborium::from_reader::<ciborium::Value, _>(&mut rest)
                        .is_ok_and(|value| value.is_map())
                    && rest.is_empty()
            }
        };
        is_right
            .then_some(())
            .ok_or(AuthenticatorDataError::Malformed)
    }
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
            (0x45, &[0x00; 64], Malformed),
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
