use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};

use super::*;

const MESSAGE: &[u8] = b"header.payload";

fn ec(curve: SvidCurve, algorithm: &'static EcdsaSigningAlgorithm) -> (SvidKey, Vec<u8>) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let signature = pair.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
    (SvidKey::ec(curve, x, y).unwrap(), signature)
}

fn every_algorithm() -> Vec<(SvidAlgorithm, SvidKey, Vec<u8>)> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let components = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
    let key = SvidKey::rsa(&components.n, &components.e).unwrap();
    let rsa = |padding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), MESSAGE, &mut signature)
            .unwrap();
        (key.clone(), signature)
    };
    let made = [
        (SvidAlgorithm::Rs256, rsa(&RSA_PKCS1_SHA256)),
        (SvidAlgorithm::Rs384, rsa(&RSA_PKCS1_SHA384)),
        (SvidAlgorithm::Rs512, rsa(&RSA_PKCS1_SHA512)),
        (
            SvidAlgorithm::Es256,
            ec(SvidCurve::P256, &ECDSA_P256_SHA256_FIXED_SIGNING),
        ),
        (
            SvidAlgorithm::Es384,
            ec(SvidCurve::P384, &ECDSA_P384_SHA384_FIXED_SIGNING),
        ),
        (
            SvidAlgorithm::Es512,
            ec(SvidCurve::P521, &ECDSA_P521_SHA512_FIXED_SIGNING),
        ),
        (SvidAlgorithm::Ps256, rsa(&RSA_PSS_SHA256)),
        (SvidAlgorithm::Ps384, rsa(&RSA_PSS_SHA384)),
        (SvidAlgorithm::Ps512, rsa(&RSA_PSS_SHA512)),
    ];
    made.into_iter()
        .map(|(algorithm, (key, signature))| (algorithm, key, signature))
        .collect()
}

#[test]
fn each_algorithm_of_svids_verifies_its_own_signatures_alone() {
    let made = every_algorithm();
    assert_eq!(made.len(), SvidAlgorithm::ALL.len());
    for (algorithm, key, signature) in &made {
        assert!(AwsLc.verify_svid(*algorithm, key, MESSAGE, signature));
        assert!(!AwsLc.verify_svid(*algorithm, key, b"another", signature));
        assert!(!AwsLc.verify_svid(*algorithm, key, MESSAGE, b""));
        let mut flipped = signature.clone();
        flipped[7] ^= 1;
        assert!(!AwsLc.verify_svid(*algorithm, key, MESSAGE, &flipped));
        for (other, other_key, other_signature) in &made {
            if other != algorithm {
                assert!(!AwsLc.verify_svid(*other, key, MESSAGE, signature));
                assert!(!AwsLc.verify_svid(*algorithm, key, MESSAGE, other_signature));
                let with_other_key = AwsLc.verify_svid(*algorithm, other_key, MESSAGE, signature);
                assert_eq!(with_other_key, other_key == key);
            }
        }
    }
}

#[test]
fn a_key_that_is_bound_to_one_algorithm_verifies_no_other() {
    let (_, key, signature) = every_algorithm().swap_remove(0);
    for (alg, expected) in [("RS256", true), ("RS384", false), ("PS256", false)] {
        let mut members = key.to_members();
        members.insert("alg".to_owned(), alg.into());
        let bound = SvidKey::from_jwk(&members).unwrap();
        let verified = AwsLc.verify_svid(SvidAlgorithm::Rs256, &bound, MESSAGE, &signature);
        assert_eq!(verified, expected, "{alg}");
    }
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    for (curve, algorithm) in [
        (SvidCurve::P256, SvidAlgorithm::Es256),
        (SvidCurve::P384, SvidAlgorithm::Es384),
        (SvidCurve::P521, SvidAlgorithm::Es512),
    ] {
        let coordinate = vec![1; curve.coordinate_bytes()];
        let key = SvidKey::ec(curve, &coordinate, &coordinate).unwrap();
        let signature = vec![1; 2 * curve.coordinate_bytes()];
        assert!(!AwsLc.verify_svid(algorithm, &key, MESSAGE, &signature));
    }
}
