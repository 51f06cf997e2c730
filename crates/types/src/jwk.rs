//! Public keys as JSON Web Keys, in the one spelling that our formats allow (token.md, "Key").

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Algorithm, Digest, Json, base64url, members};

/// A public key: Ed25519 or P-256, public members only, `alg` always present. Never a point of
/// small order and never a non-canonical encoding. Whether a P-256 point is on the curve is
/// [`crate::SignatureVerifier::is_valid_key`]'s to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "Fields")]
pub struct Jwk(Inner);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Inner {
    Ed25519([u8; 32]),
    P256 { x: [u8; 32], y: [u8; 32] },
}

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// Not `{kty: OKP, crv: Ed25519, alg: Ed25519, x}` nor `{kty: EC, crv: P-256, alg: ES256, x, y}`.
    #[error("not an Ed25519 or P-256 public key with its alg")]
    Shape,
    /// A coordinate is not 32 bytes of canonical base64url.
    #[error("a coordinate is not 32 bytes of base64url")]
    Coordinate,
    /// The Ed25519 point is of small order or not canonically encoded: such keys verify forgeries.
    #[error("an Ed25519 point of small order or of non-canonical encoding")]
    WeakPoint,
}

impl Jwk {
    /// An Ed25519 key of its 32 bytes.
    pub fn ed25519(x: [u8; 32]) -> Result<Self, JwkError> {
        if is_weak(&x) {
            return Err(JwkError::WeakPoint);
        }
        Ok(Self(Inner::Ed25519(x)))
    }

    /// The key that a JSON Web Key in a token says: as its `Deserialize`, without a copy.
    pub fn from_json(json: &Json<'_>) -> Result<Self, JwkError> {
        let members = json.as_members().ok_or(JwkError::Shape)?;
        let text = |name: &str| {
            let found = members.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value.as_str().ok_or(JwkError::Shape))
                .transpose()
        };
        let required = |name| text(name)?.ok_or(JwkError::Shape);
        let y = text("y")?;
        if members.len() != if y.is_some() { 5 } else { 4 } {
            return Err(JwkError::Shape);
        }
        Self::from_parts(
            required("kty")?,
            required("crv")?,
            required("alg")?,
            required("x")?,
            y,
        )
    }

    fn from_parts(
        kty: &str,
        crv: &str,
        alg: &str,
        x: &str,
        y: Option<&str>,
    ) -> Result<Self, JwkError> {
        let coordinate =
            |text: &str| base64url::decode_array::<32>(text).map_err(|_| JwkError::Coordinate);
        match (kty, crv, alg, y) {
            ("OKP", "Ed25519", "Ed25519", None) => Self::ed25519(coordinate(x)?),
            ("EC", "P-256", "ES256", Some(y)) => Ok(Self::p256(coordinate(x)?, coordinate(y)?)),
            _ => Err(JwkError::Shape),
        }
    }

    /// A P-256 key of its two coordinates.
    pub const fn p256(x: [u8; 32], y: [u8; 32]) -> Self {
        Self(Inner::P256 { x, y })
    }

    /// A P-256 key of its 65-byte uncompressed point.
    pub fn p256_from_uncompressed(point: &[u8]) -> Result<Self, JwkError> {
        let rest = point.strip_prefix(&[4]).ok_or(JwkError::Shape)?;
        let (x, y) = rest.split_first_chunk::<32>().ok_or(JwkError::Coordinate)?;
        Ok(Self::p256(
            *x,
            y.try_into().map_err(|_| JwkError::Coordinate)?,
        ))
    }

    /// What this key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Inner::Ed25519(_) => Algorithm::Ed25519,
            Inner::P256 { .. } => Algorithm::Es256,
        }
    }

    /// The bytes that a signature library takes: 32 for Ed25519, the 65-byte uncompressed point
    /// for P-256.
    pub fn to_public_bytes(&self) -> Vec<u8> {
        match self.0 {
            Inner::Ed25519(x) => x.to_vec(),
            Inner::P256 { x, y } => [&[4][..], &x, &y].concat(),
        }
    }

    /// The RFC 7638 thumbprint: the digest over the required members in order.
    pub fn thumbprint(&self) -> Digest {
        let text = match self.0 {
            Inner::Ed25519(x) => {
                format!(
                    r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
                    base64url::encode(x)
                )
            }
            Inner::P256 { x, y } => format!(
                r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
                base64url::encode(x),
                base64url::encode(y)
            ),
        };
        Digest::of(text)
    }

    /// The `kid` of this key: its thumbprint in base64url.
    pub fn kid(&self) -> String {
        self.thumbprint().to_base64url()
    }
}

impl<'de> Deserialize<'de> for Jwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields: Fields = members::object(deserializer, "a JSON Web Key")?;
        fields.try_into().map_err(D::Error::custom)
    }
}

/// The members as they stand in JSON. Unknown members, private ones among them, are refused.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kty: String,
    crv: String,
    alg: String,
    x: String,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "members::present",
        default
    )]
    y: Option<String>,
}

impl TryFrom<Fields> for Jwk {
    type Error = JwkError;

    fn try_from(fields: Fields) -> Result<Self, JwkError> {
        Self::from_parts(
            &fields.kty,
            &fields.crv,
            &fields.alg,
            &fields.x,
            fields.y.as_deref(),
        )
    }
}

impl From<Jwk> for Fields {
    fn from(key: Jwk) -> Self {
        let (kty, crv, x, y) = match key.0 {
            Inner::Ed25519(x) => ("OKP", "Ed25519", x, None),
            Inner::P256 { x, y } => ("EC", "P-256", x, Some(base64url::encode(y))),
        };
        Self {
            kty: kty.to_owned(),
            crv: crv.to_owned(),
            alg: key.algorithm().name().to_owned(),
            x: base64url::encode(x),
            y,
        }
    }
}

/// The y coordinates of the points of small order on edwards25519, sign bit cleared: order 4 (0),
/// 1 (1), 2 (p-1) and 8 (two values).
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

fn is_weak(x: &[u8; 32]) -> bool {
    let mut y = *x;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    // Little-endian y >= p = 2^255 - 19 is a second spelling of y - p.
    let [first, middle @ .., last] = &y;
    let not_reduced = *last == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xed;
    not_reduced || SMALL_ORDER_Y.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8037_thumbprint() {
        let key: Jwk = serde_json::from_str(
            r#"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        )
        .unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let again: Jwk = serde_json::from_str(&serde_json::to_string(&key).unwrap()).unwrap();
        assert_eq!(again, key);
        let text = serde_json::to_string(&key).unwrap();
        let json = crate::parse_strict_borrowed(text.as_bytes()).unwrap();
        assert_eq!(Jwk::from_json(&json), Ok(key));
    }

    #[test]
    fn refuses_weak_and_misspelt_points() {
        for y in SMALL_ORDER_Y {
            for sign in [0, 0x80] {
                let mut point = y;
                point[31] |= sign;
                assert_eq!(Jwk::ed25519(point), Err(JwkError::WeakPoint));
            }
        }
        let mut p = [0xff; 32];
        p[31] = 0x7f;
        for low in 0xed..=0xff {
            p[0] = low;
            assert_eq!(
                Jwk::ed25519(p),
                Err(JwkError::WeakPoint),
                "y = p + {}",
                low - 0xed
            );
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for bad in [
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR"}"#,
            r#"{"kty":"EC","crv":"P-256","alg":"ES256","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            r#"{"kty":"oct","k":"AA"}"#,
            r#"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","y":null}"#,
            r#"["OKP","Ed25519","Ed25519","11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]"#,
            r#"{"kty":"OKP","kty":"OKP","crv":"Ed25519","alg":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        ] {
            assert!(serde_json::from_str::<Jwk>(bad).is_err(), "{bad}");
            let json = crate::parse_strict_borrowed(bad.as_bytes());
            assert!(
                json.is_err() || Jwk::from_json(&json.unwrap()).is_err(),
                "{bad}"
            );
        }
    }
}
