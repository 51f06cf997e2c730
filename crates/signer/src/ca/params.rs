use chancery_identity::SpiffeId;
use chancery_types::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, SanType};
use time::OffsetDateTime;

use super::CaError;

/// How far `notBefore` lies before the time of issuance, for verifiers whose clock is late.
pub const BACKDATE_SECONDS: u64 = 10;

/// A serial number: 16 bytes that the caller drew at random, encoded as a positive integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialNumber([u8; 16]);

/// When a certificate is valid, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    not_before: Timestamp,
    not_after: Timestamp,
}

impl SerialNumber {
    /// Takes 16 random bytes.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Validity {
    /// From [`BACKDATE_SECONDS`] before `now` to `lifetime_seconds` after it.
    pub const fn from_now(now: Timestamp, lifetime_seconds: u64) -> Self {
        Self {
            not_before: now.minus_seconds(BACKDATE_SECONDS),
            not_after: now.plus_seconds(lifetime_seconds),
        }
    }

    /// The same, ending no later than `limit`.
    #[must_use]
    pub fn within(self, limit: Timestamp) -> Self {
        Self {
            not_after: self.not_after.min(limit),
            ..self
        }
    }

    /// The last second.
    pub const fn not_after(self) -> Timestamp {
        self.not_after
    }

    fn dates(self) -> Result<(OffsetDateTime, OffsetDateTime), CaError> {
        if self.not_after <= self.not_before {
            return Err(CaError::Validity);
        }
        Ok((date(self.not_before)?, date(self.not_after)?))
    }
}

fn date(time: Timestamp) -> Result<OffsetDateTime, CaError> {
    let seconds = i64::try_from(time.as_seconds()).map_err(|_| CaError::Validity)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CaError::Validity)
}

/// What all our certificates have in common: one URI SAN, an explicit validity and a random serial
/// number. The subject is empty, which makes the SAN critical, unless the caller names one.
pub(super) fn common(
    id: &SpiffeId,
    validity: Validity,
    serial: SerialNumber,
) -> Result<CertificateParams, CaError> {
    if !id.is_mintable() {
        return Err(CaError::SubjectTooLong);
    }
    let (not_before, not_after) = validity.dates()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![SanType::URI(
        id.as_str().try_into().map_err(CaError::Encode)?,
    )];
    params.not_before = not_before;
    params.not_after = not_after;
    params.serial_number = Some(rcgen::SerialNumber::from_slice(serial.as_bytes()));
    Ok(params)
}
