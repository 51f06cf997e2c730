//! The keys and algorithms of JWT-SVIDs and WIT-SVIDs. Whoever is federated with signs with keys of
//! its own choice: more kinds of them than our own formats know.

use serde_json::{Map, Value};

use crate::{Algorithm, Digest, Jwk, base64url};

/// A signature algorithm of JWT-SVIDs and WIT-SVIDs (JWT-SVID section 2.1, WIT-SVID section 2.3):
/// those of RFC 7518 sections 3.3 to 3.5, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SvidAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// ECDSA over P-521 with SHA-512.
    Es512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
}

impl SvidAlgorithm {
    /// All nine.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// The `alg` of a JOSE header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The algorithm of that name, case-sensitively.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The curve that the algorithm's keys lie on; none for RSA.
    pub const fn curve(self) -> Option<SvidCurve> {
        match self {
            Self::Es256 => Some(SvidCurve::P256),
            Self::Es384 => Some(SvidCurve::P384),
            Self::Es512 => Some(SvidCurve::P521),
            _ => None,
        }
    }
}

/// A curve of RFC 7518 section 6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SvidCurve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

impl SvidCurve {
    /// The `crv` of a JSON Web Key.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The bytes of one coordinate.
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// The fewest and the most bits of an RSA modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// The most bytes of an RSA exponent.
const MAX_EXPONENT_BYTES: usize = 4;
/// What stands in private and symmetric keys alone (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that verifies JWT-SVIDs or WIT-SVIDs: a point of the right length on one of three
/// curves, or an RSA modulus of 2,048 to 8,192 bits with its exponent; optionally bound to one
/// algorithm. Whether a point is on its curve shows when it verifies: it never does otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SvidKey {
    material: SvidKeyMaterial,
    algorithm: Option<SvidAlgorithm>,
}

/// What a signature library takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SvidKeyMaterial {
    /// An uncompressed point, `4`, x and y.
    Ec {
        /// Its curve.
        curve: SvidCurve,
        /// The point.
        point: Vec<u8>,
    },
    /// Two unsigned integers, big-endian, without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The public exponent.
        e: Vec<u8>,
    },
}

/// Why a JSON Web Key is none that verifies SVIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SvidKeyError {
    /// `kty` is missing, or neither `EC` nor `RSA`.
    #[error("kty is neither EC nor RSA")]
    KeyType,
    /// A private or symmetric key where public ones stand.
    #[error("a private key where public keys belong")]
    Private,
    /// `crv` is missing, or none of P-256, P-384 and P-521.
    #[error("crv is none of P-256, P-384 and P-521")]
    Curve,
    /// A coordinate, modulus or exponent is missing, not canonical base64url, or of another length.
    #[error("a coordinate, modulus or exponent is missing or malformed")]
    Number,
    /// `alg` is none of the nine, or one of another kind of key.
    #[error("alg is not one that this key signs with")]
    Algorithm,
}

impl SvidKey {
    /// A key on a curve, of its two coordinates.
    pub fn ec(curve: SvidCurve, x: &[u8], y: &[u8]) -> Result<Self, SvidKeyError> {
        let length = curve.coordinate_bytes();
        if x.len() != length || y.len() != length {
            return Err(SvidKeyError::Number);
        }
        let point = [&[4][..], x, y].concat();
        Ok(Self {
            material: SvidKeyMaterial::Ec { curve, point },
            algorithm: None,
        })
    }

    /// An RSA key of modulus and exponent, big-endian without leading zeros.
    pub fn rsa(n: &[u8], e: &[u8]) -> Result<Self, SvidKeyError> {
        let bits = |first: u8| n.len() * 8 - first.leading_zeros() as usize;
        let modulus = n.first().filter(|first| **first != 0);
        let exponent = e.first().is_some_and(|first| *first != 0)
            && e.len() <= MAX_EXPONENT_BYTES
            && e.last().is_some_and(|last| last % 2 == 1)
            && e != [1];
        if !exponent || !modulus.is_some_and(|first| RSA_BITS.contains(&bits(*first))) {
            return Err(SvidKeyError::Number);
        }
        Ok(Self {
            material: SvidKeyMaterial::Rsa {
                n: n.to_vec(),
                e: e.to_vec(),
            },
            algorithm: None,
        })
    }

    /// Reads a JSON Web Key. Members that say nothing about the key itself (`kid`, `use`, `x5c` and
    /// unknown ones) are left to the caller.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, SvidKeyError> {
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
            return Err(SvidKeyError::Private);
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            let decoded = text(name).and_then(|text| base64url::decode(text).ok());
            decoded.ok_or(SvidKeyError::Number)
        };
        let mut key = match text("kty") {
            Some("EC") => {
                let curve = text("crv").and_then(SvidCurve::from_name);
                let curve = curve.ok_or(SvidKeyError::Curve)?;
                Self::ec(curve, &number("x")?, &number("y")?)?
            }
            Some("RSA") => Self::rsa(&number("n")?, &number("e")?)?,
            _ => return Err(SvidKeyError::KeyType),
        };
        if let Some(alg) = jwk.get("alg") {
            let algorithm = alg.as_str().and_then(SvidAlgorithm::from_name);
            let algorithm = algorithm.filter(|algorithm| key.fits(*algorithm));
            key.algorithm = Some(algorithm.ok_or(SvidKeyError::Algorithm)?);
        }
        Ok(key)
    }

    /// What a signature library takes.
    pub const fn material(&self) -> &SvidKeyMaterial {
        &self.material
    }

    /// The one algorithm that the key is bound to, where its `alg` says so.
    pub const fn algorithm(&self) -> Option<SvidAlgorithm> {
        self.algorithm
    }

    /// Whether the key may be used with `algorithm`.
    pub fn fits(&self, algorithm: SvidAlgorithm) -> bool {
        let kind = match &self.material {
            SvidKeyMaterial::Ec { curve, .. } => algorithm.curve() == Some(*curve),
            SvidKeyMaterial::Rsa { .. } => algorithm.curve().is_none(),
        };
        kind && self.algorithm.is_none_or(|bound| bound == algorithm)
    }

    /// Whether both are the same key, whatever they are bound to.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.material == other.material
    }

    /// The members of the JSON Web Key that say what the key is (RFC 7518 section 6): `kty`, and
    /// `crv`, `x` and `y` or `e` and `n`.
    pub fn to_members(&self) -> Map<String, Value> {
        let member = |name: &str, value: &[u8]| {
            let encoded = base64url::encode(value);
            (name.to_owned(), Value::from(encoded))
        };
        let named = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        match &self.material {
            SvidKeyMaterial::Ec { curve, point } => {
                let coordinates = point.get(1..).unwrap_or_default();
                let (x, y) = coordinates
                    .split_at_checked(curve.coordinate_bytes())
                    .unwrap_or_default();
                let members = [
                    named("crv", curve.name()),
                    named("kty", "EC"),
                    member("x", x),
                    member("y", y),
                ];
                members.into_iter().collect()
            }
            SvidKeyMaterial::Rsa { n, e } => [member("e", e), named("kty", "RSA"), member("n", n)]
                .into_iter()
                .collect(),
        }
    }

    /// The RFC 7638 thumbprint in base64url: the `kid` of keys of ours.
    pub fn kid(&self) -> String {
        // The required members in order and nothing else; none of them needs an escape.
        let members = self.to_members();
        let mut members: Vec<_> = members.iter().collect();
        members.sort_unstable_by_key(|(name, _)| *name);
        let members = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        Digest::of(text).to_base64url()
    }
}

impl TryFrom<&Jwk> for SvidKey {
    type Error = SvidKeyError;

    /// A key of ours that signs with ES256.
    fn try_from(key: &Jwk) -> Result<Self, SvidKeyError> {
        match key.algorithm() {
            Algorithm::Es256 => Ok(Self {
                material: SvidKeyMaterial::Ec {
                    curve: SvidCurve::P256,
                    point: key.to_public_bytes(),
                },
                algorithm: None,
            }),
            Algorithm::Ed25519 => Err(SvidKeyError::KeyType),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(jwk: Value) -> Result<SvidKey, SvidKeyError> {
        SvidKey::from_jwk(jwk.as_object().unwrap())
    }

    fn rsa(bytes: usize) -> Value {
        let modulus = [vec![0x80], vec![1; bytes - 1]].concat();
        json!({"kty": "RSA", "n": base64url::encode(modulus), "e": "AQAB"})
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[test]
    fn rfc_7638_thumbprint() {
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJ",
            "ECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q",
            "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6W",
            "eZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        );
        let key = read(json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256"})).unwrap();
        assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(key.algorithm(), Some(SvidAlgorithm::Rs256));
        assert!(key.fits(SvidAlgorithm::Rs256) && !key.fits(SvidAlgorithm::Ps256));
        assert_eq!(key.to_members()["n"], n);
    }

    #[test]
    fn a_key_of_ours_has_the_same_name() {
        let ours = Jwk::p256([1; 32], [2; 32]);
        let key = SvidKey::try_from(&ours).unwrap();
        assert_eq!(key.kid(), ours.kid());
        assert_eq!(
            key,
            SvidKey::ec(SvidCurve::P256, &[1; 32], &[2; 32]).unwrap()
        );
        assert_eq!(SvidKey::from_jwk(&key.to_members()).unwrap(), key);
        let refused = SvidKey::try_from(&Jwk::ed25519([7; 32]).unwrap());
        assert_eq!(refused, Err(SvidKeyError::KeyType));
    }

    #[test]
    fn a_key_fits_its_own_kind_alone() {
        let of = |curve: SvidCurve| {
            let coordinate = vec![1; curve.coordinate_bytes()];
            SvidKey::ec(curve, &coordinate, &coordinate).unwrap()
        };
        for algorithm in SvidAlgorithm::ALL {
            for curve in [SvidCurve::P256, SvidCurve::P384, SvidCurve::P521] {
                assert_eq!(of(curve).fits(algorithm), algorithm.curve() == Some(curve));
            }
            let fits = read(rsa(256)).unwrap().fits(algorithm);
            assert_eq!(fits, algorithm.curve().is_none());
            assert_eq!(SvidAlgorithm::from_name(algorithm.name()), Some(algorithm));
        }
        for name in ["none", "HS256", "EdDSA", "Ed25519", "es256", "ES256K", ""] {
            assert_eq!(SvidAlgorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn refuses_what_is_no_public_key_of_the_nine() {
        let point = base64url::encode([1; 32]);
        let ec = json!({"kty": "EC", "crv": "P-256", "x": point, "y": point});
        assert!(read(ec.clone()).is_ok() && read(rsa(256)).is_ok() && read(rsa(1_024)).is_ok());
        let without = |mut jwk: Value, name: &str| {
            jwk.as_object_mut().unwrap().remove(name);
            jwk
        };
        for (jwk, error) in [
            (without(ec.clone(), "kty"), SvidKeyError::KeyType),
            (with(ec.clone(), "kty", json!("OKP")), SvidKeyError::KeyType),
            (with(ec.clone(), "kty", json!("ec")), SvidKeyError::KeyType),
            (json!({"kty": "oct", "k": "AA"}), SvidKeyError::Private),
            (with(ec.clone(), "d", json!("AA")), SvidKeyError::Private),
            (with(rsa(256), "p", Value::Null), SvidKeyError::Private),
            (without(ec.clone(), "crv"), SvidKeyError::Curve),
            (
                with(ec.clone(), "crv", json!("secp256k1")),
                SvidKeyError::Curve,
            ),
            (
                with(ec.clone(), "crv", json!("P-384")),
                SvidKeyError::Number,
            ),
            (without(ec.clone(), "y"), SvidKeyError::Number),
            (with(ec.clone(), "x", json!("AA==")), SvidKeyError::Number),
            (with(ec.clone(), "x", json!(1)), SvidKeyError::Number),
            (rsa(255), SvidKeyError::Number),
            (rsa(1_025), SvidKeyError::Number),
            (with(rsa(256), "e", json!("AQ")), SvidKeyError::Number),
            (with(rsa(256), "e", json!("AQAA")), SvidKeyError::Number),
            (with(rsa(256), "e", json!("AAEAAQ")), SvidKeyError::Number),
            (with(rsa(256), "e", json!("AQAAAAE")), SvidKeyError::Number),
            (without(rsa(256), "n"), SvidKeyError::Number),
            (
                with(ec.clone(), "alg", json!("RS256")),
                SvidKeyError::Algorithm,
            ),
            (
                with(ec.clone(), "alg", json!("ES384")),
                SvidKeyError::Algorithm,
            ),
            (
                with(ec.clone(), "alg", json!("EdDSA")),
                SvidKeyError::Algorithm,
            ),
            (
                with(ec.clone(), "alg", Value::Null),
                SvidKeyError::Algorithm,
            ),
            (
                with(rsa(256), "alg", json!("ES256")),
                SvidKeyError::Algorithm,
            ),
            (
                with(rsa(256), "alg", json!("HS256")),
                SvidKeyError::Algorithm,
            ),
        ] {
            assert_eq!(read(jwk.clone()), Err(error), "{jwk}");
        }
    }
}
