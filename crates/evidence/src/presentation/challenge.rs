use chancery_types::{Timestamp, base64url, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// How long a challenge may be answered, in seconds.
const LIFETIME_SECONDS: u64 = 300;

/// Most bytes of a name of a relying party.
const MAX_AUDIENCE_BYTES: usize = 2_048;

/// What a relying party asks a holder to sign: who asks, and a number that nobody could know before.
/// Good for one presentation: verification takes it, and whoever keeps challenges elsewhere forgets
/// it before the answer is looked at.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The format.
    pub format: ChallengeFormat,
    /// Who asks: a URI, or any other name that the relying party alone goes by.
    pub audience: String,
    /// 32 random bytes, base64url.
    pub nonce: String,
    /// From this moment on no answer is taken.
    pub expires: Timestamp,
}

/// The one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChallengeFormat {
    /// Version 1.
    #[serde(rename = "chancery/challenge/v1")]
    V1,
}

/// Why something is not a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Not the canonical JSON of a challenge.
    #[error("not a challenge: expected the canonical JSON of one")]
    Malformed,
    /// The audience is empty, too long or has characters that are not printed.
    #[error("the audience is not 1 to 2048 printed characters without spaces")]
    Audience,
    /// The nonce is not 32 bytes.
    #[error("the nonce is not 32 bytes in base64url")]
    Nonce,
}

impl Challenge {
    /// A challenge of that relying party, good for five minutes; `random` was drawn for it.
    pub fn new(audience: &str, random: [u8; 32], now: Timestamp) -> Result<Self, ChallengeError> {
        let challenge = Self {
            format: ChallengeFormat::V1,
            audience: audience.to_owned(),
            nonce: base64url::encode(random),
            expires: now.plus_seconds(LIFETIME_SECONDS),
        };
        challenge.check()?;
        Ok(challenge)
    }

    /// Reads a challenge; every other spelling of one is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChallengeError> {
        let value = parse_strict(bytes).map_err(|_| ChallengeError::Malformed)?;
        let challenge: Self =
            serde_json::from_value(value).map_err(|_| ChallengeError::Malformed)?;
        if to_canonical(&challenge).ok().as_deref() != Some(bytes) {
            return Err(ChallengeError::Malformed);
        }
        challenge.check()?;
        Ok(challenge)
    }

    fn check(&self) -> Result<(), ChallengeError> {
        let printed = |text: &str| text.chars().all(|it| it.is_ascii_graphic());
        let sized = (1..=MAX_AUDIENCE_BYTES).contains(&self.audience.len());
        if !sized || !printed(&self.audience) {
            return Err(ChallengeError::Audience);
        }
        let nonce: Result<[u8; 32], _> = base64url::decode_array(&self.nonce);
        nonce.map(drop).map_err(|_| ChallengeError::Nonce)
    }
}
