use aws_lc_rs::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use chancery_types::{CredentialCrypto, EcdhShare, Secret};

use crate::AwsLc;

impl CredentialCrypto for AwsLc {
    fn rsa_oaep_sha256(&self, n: &[u8], e: &[u8], label: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        let key: PublicEncryptingKey = PublicKeyComponents { n, e }.try_into().ok()?;
        let key = OaepPublicEncryptingKey::new(key).ok()?;
        let mut sealed = vec![0; key.ciphertext_size()];
        let sealed = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, message, &mut sealed, Some(label))
            .ok()?;
        Some(sealed.to_vec())
    }

    fn ecdh_p256(&self, point: &[u8]) -> Option<EcdhShare> {
        let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
        let own = key.compute_public_key().ok()?;
        let (x, y) = own.as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
        let (x, y) = (x.try_into().ok()?, y.try_into().ok()?);
        let other = UnparsedPublicKey::new(&ECDH_P256, point);
        let shared = |z: &[u8]| Ok(Secret::new(z.to_vec()));
        let z = agree_ephemeral(key, other, aws_lc_rs::error::Unspecified, shared).ok()?;
        Some(EcdhShare { x, y, z })
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, key));
        parts.iter().for_each(|part| context.update(part));
        let mut tag = [0; 32];
        (tag.iter_mut().zip(context.sign().as_ref())).for_each(|(byte, made)| *byte = *made);
        tag
    }

    fn aes_128_cfb(&self, key: &[u8; 16], plain: &[u8]) -> Option<Vec<u8>> {
        let key = UnboundCipherKey::new(&AES_128, key).ok()?;
        let key = EncryptingKey::cfb128(key).ok()?;
        let mut bytes = plain.to_vec();
        let zeros = EncryptionContext::Iv128(FixedLength::from([0; 16]));
        key.less_safe_encrypt(&mut bytes, zeros).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2);
        let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes = pairs.map(|pair| u8::from_str_radix(pair, 16));
        bytes.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn authenticates_as_rfc_4231_says() {
        let tag = AwsLc.hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(tag.as_slice(), hex(expected));
    }

    #[test]
    fn enciphers_whatever_length_from_zeros() {
        // The first block is the block cipher's own answer for zeros: RFC 4493, section 4.
        let key = hex("2b7e151628aed2a6abf7158809cf4f3c").try_into().unwrap();
        let zeros = AwsLc.aes_128_cfb(&key, &[0; 16]).unwrap();
        assert_eq!(zeros, hex("7df76b0c1ab899b33e42f047b91b546f"));
        let longer = AwsLc.aes_128_cfb(&key, &[0; 34]).unwrap();
        assert_eq!(longer.len(), 34);
        assert_eq!(longer[..16], zeros);
    }

    #[test]
    fn refuses_keys_that_are_none() {
        assert!(AwsLc.ecdh_p256(&[4; 65]).is_none());
        assert!(AwsLc.ecdh_p256(&[]).is_none());
        assert!(AwsLc.rsa_oaep_sha256(&[], &[1, 0, 1], b"l", b"m").is_none());
        let short = [0xff; 64];
        assert!(
            AwsLc
                .rsa_oaep_sha256(&short, &[1, 0, 1], b"l", b"m")
                .is_none()
        );
        let modulus = [0xff; 256];
        let long = [7; 256];
        assert!(
            AwsLc
                .rsa_oaep_sha256(&modulus, &[1, 0, 1], b"l", &long)
                .is_none()
        );
        let sealed = AwsLc.rsa_oaep_sha256(&modulus, &[1, 0, 1], b"l", &[7; 32]);
        assert_eq!(sealed.map(|sealed| sealed.len()), Some(256));
    }
}
