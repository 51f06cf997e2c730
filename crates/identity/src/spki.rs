//! Public keys as X.509 carries them.

use chancery_types::{Algorithm, Jwk};

/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING ... }` up to the point.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// `SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING ... }` up to the point (RFC 8410).
const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The SubjectPublicKeyInfo of a key, in DER (RFC 5480, RFC 8410).
pub fn spki_der(key: &Jwk) -> Vec<u8> {
    let prefix: &[u8] = match key.algorithm() {
        Algorithm::Es256 => &P256_PREFIX,
        Algorithm::Ed25519 => &ED25519_PREFIX,
    };
    [prefix, &key.to_public_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SigningKey;
    use x509_parser::prelude::FromDer as _;
    use x509_parser::x509::SubjectPublicKeyInfo;

    use super::*;

    #[test]
    fn is_what_x509_readers_read() {
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
            let key = SigningKey::generate(algorithm).unwrap();
            let der = spki_der(key.public());
            let (rest, read) = SubjectPublicKeyInfo::from_der(&der).unwrap();
            assert!(rest.is_empty());
            assert_eq!(
                read.subject_public_key.as_ref(),
                key.public().to_public_bytes()
            );
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let jwk = Jwk::p256_from_uncompressed(key.public_key_raw()).unwrap();
        assert_eq!(
            spki_der(&jwk),
            rcgen::PublicKeyData::subject_public_key_info(&key)
        );
    }
}
