//! Base64url without padding, one spelling per value (RFC 4648 section 5, RFC 7515 section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why a text is not canonical base64url.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not canonical unpadded base64url")]
pub struct Base64UrlError;

/// Encodes without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes; refuses padding, other alphabets and non-zero trailing bits, so that every value has
/// exactly one accepted spelling.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64UrlError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64UrlError)
}

/// Decodes to exactly `N` bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], Base64UrlError> {
    decode(text)?.try_into().map_err(|_| Base64UrlError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_value() {
        assert_eq!(decode("AA"), Ok(vec![0]));
        for other in ["AB", "AA==", "A", "A+", "A/", "AA\n", " AA"] {
            assert_eq!(decode(other), Err(Base64UrlError), "{other:?}");
        }
    }
}
