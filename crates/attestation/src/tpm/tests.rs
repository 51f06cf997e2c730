//! On what a software TPM (swtpm 0.7.1) made with tpm2-tools 5.4, and on what an attacker makes of it.

use std::collections::{BTreeMap, BTreeSet};

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::AttestationLevel;
use chancery_types::{
    Algorithm, CredentialCrypto, Digest, EcdhShare, Secret, SvidCurve, SvidKeyMaterial,
};

use super::*;

const RSA: &[u8] = include_bytes!("testdata/ek-rsa.pub");
const ECC: &[u8] = include_bytes!("testdata/ek-ecc.pub");
const AK: &[u8] = include_bytes!("testdata/ak.pub");
const QUOTE: &[u8] = include_bytes!("testdata/quote.msg");
const SIGNATURE: &[u8] = include_bytes!("testdata/quote.sig");

/// The attributes in a `TPM2B_PUBLIC`: behind its size, its type and its name's algorithm.
const ATTRIBUTES: usize = 6;

fn ak() -> AttestationKey {
    AttestationKey::parse(AK, &AwsLc).unwrap()
}

fn with(bytes: &[u8], place: usize, value: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[place..place + value.len()].copy_from_slice(value);
    assert_ne!(changed, bytes, "nothing is changed at {place}");
    changed
}

fn pcrs(registers: impl IntoIterator<Item = u8>) -> PcrValues {
    let zeros = Digest::from_bytes([0; 32]);
    let values: BTreeMap<_, _> = registers.into_iter().map(|one| (one, zeros)).collect();
    values.try_into().unwrap()
}

fn selection(registers: impl IntoIterator<Item = u8>) -> PcrSelection {
    let registers: BTreeSet<u8> = registers.into_iter().collect();
    registers.try_into().unwrap()
}

fn quote() -> SignedQuote {
    SignedQuote {
        attested: QUOTE.to_vec(),
        signature: SIGNATURE.to_vec(),
        pcrs: pcrs(0..8),
    }
}

fn verify(quote: &SignedQuote) -> Result<VerifiedQuote, QuoteError> {
    let bound = Digest::of("qualifying");
    verify_quote(quote, &ak(), &selection(0..8), bound, &AwsLc)
}

#[test]
fn reads_the_keys_of_a_tpm_and_names_them_as_it_does() {
    let rsa = EndorsementKey::parse(RSA).unwrap();
    assert!(matches!(rsa.key().material(), SvidKeyMaterial::Rsa { n, .. } if n.len() == 256));
    let ecc = EndorsementKey::parse(ECC).unwrap();
    assert!(matches!(
        ecc.key().material(),
        SvidKeyMaterial::Ec {
            curve: SvidCurve::P256,
            ..
        }
    ));
    assert_ne!(rsa.digest(), ecc.digest());
    let name = "000b0465eaa7df8d9a286fc37a9d817dd421b5f23780b8480936dc1ac223a036d657";
    let shown: String = ak()
        .name()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(shown, name);
    assert_eq!(name.strip_prefix("000b"), Some(&*ak().digest().to_hex()));
}

#[test]
fn takes_no_endorsement_key_of_another_shape() {
    let refused = |bytes: &[u8]| EndorsementKey::parse(bytes).unwrap_err();
    for bad in [&[][..], &RSA[..RSA.len() - 1], &RSA[2..], &[0xff; 2_000]] {
        assert_eq!(refused(bad), TpmKeyError::Malformed);
    }
    assert_eq!(refused(&[RSA, &[0]].concat()), TpmKeyError::Malformed);
    let sha384 = with(RSA, 4, &[0x00, 0x0c]);
    assert_eq!(refused(&sha384), TpmKeyError::NameAlgorithm);
    // Not fixed to the TPM, not made in it, not restricted, signing, duplicable, of reserved bits.
    for attributes in [
        0x0003_00b0_u32,
        0x0003_0092,
        0x0002_00b2,
        0x0007_00b2,
        0x0003_08b2,
        0x0003_00f2,
        0x8003_00b2,
    ] {
        let bad = with(RSA, ATTRIBUTES, &attributes.to_be_bytes());
        assert_eq!(refused(&bad), TpmKeyError::Attributes(attributes));
    }
    assert_eq!(refused(&with(RSA, 12, &[0])), TpmKeyError::Policy);
    // AES-256, 1024 bits of RSA, another exponent, another curve.
    let aes = 10 + 2 + 32 + 2;
    assert_eq!(
        refused(&with(RSA, aes, &[0x01, 0x00])),
        TpmKeyError::Algorithm
    );
    assert_eq!(
        refused(&with(RSA, aes + 6, &[0x04, 0x00])),
        TpmKeyError::Algorithm
    );
    assert_eq!(
        refused(&with(RSA, aes + 8, &[0, 0, 0, 3])),
        TpmKeyError::Algorithm
    );
    assert_eq!(
        refused(&with(ECC, aes + 6, &[0x00, 0x04])),
        TpmKeyError::Algorithm
    );
    let larger = include_bytes!("testdata/ek-rsa-3072.pub");
    assert!(EndorsementKey::parse(larger).is_err());
    assert_eq!(refused(AK), TpmKeyError::Attributes(0x0005_0072));
}

#[test]
fn takes_no_attestation_key_that_may_be_outside_or_may_sign_anything() {
    let refused = |bytes: &[u8]| AttestationKey::parse(bytes, &AwsLc).unwrap_err();
    for (attributes, why) in [
        (0x0005_0070_u32, "not fixed to the tpm"),
        (0x0005_0062, "not fixed to its parent"),
        (0x0005_0052, "imported"),
        (0x0004_0072, "not restricted"),
        (0x0001_0072, "no signing key"),
        (0x0007_0072, "decrypts too"),
        (0x0005_0872, "duplicable"),
        (0x0005_0076, "of one start only"),
        (0x000d_0072, "signs certificates"),
        (0x8005_0072, "reserved"),
    ] {
        let bad = with(AK, ATTRIBUTES, &attributes.to_be_bytes());
        assert_eq!(refused(&bad), TpmKeyError::Attributes(attributes), "{why}");
    }
    let rsa = include_bytes!("testdata/ak-rsa.pub");
    assert_eq!(refused(rsa), TpmKeyError::Algorithm);
    assert_eq!(refused(RSA), TpmKeyError::Attributes(0x0003_00b2));
    // SHA-1, another curve, a point that is on no curve.
    assert_eq!(
        refused(&with(AK, 16, &[0x00, 0x04])),
        TpmKeyError::Algorithm
    );
    assert_eq!(
        refused(&with(AK, 18, &[0x00, 0x04])),
        TpmKeyError::Algorithm
    );
    assert_eq!(refused(&with(AK, 30, &[0, 1, 2, 3])), TpmKeyError::Key);
    assert_eq!(refused(&[AK, &[0]].concat()), TpmKeyError::Malformed);
    assert_eq!(refused(&AK[..40]), TpmKeyError::Malformed);
}

#[test]
fn a_quote_is_taken_for_what_it_says_and_no_more() {
    let verified = verify(&quote()).unwrap();
    assert_eq!(verified.pcrs(), &pcrs(0..8));
    let evidence = verified.evidence(&EndorsementKey::parse(RSA).unwrap());
    assert_eq!(evidence.level(), AttestationLevel::Tpm);
    assert_eq!(evidence.attestation_key, ak().digest());
    assert_eq!(evidence.resets, 2);
    let text = serde_json::to_string(&evidence).unwrap();
    assert_eq!(
        serde_json::from_str::<TpmEvidence>(&text).unwrap(),
        evidence
    );
}

#[test]
fn a_quote_of_another_key_challenge_or_state_is_refused() {
    let other = AttestationKey::parse(&forged_ak(), &AwsLc).unwrap();
    let bound = Digest::of("qualifying");
    let all = selection(0..8);
    let by_other = verify_quote(&quote(), &other, &all, bound, &AwsLc);
    assert_eq!(by_other.unwrap_err(), QuoteError::BadSignature);
    let replayed = verify_quote(&quote(), &ak(), &all, Digest::of("another"), &AwsLc);
    assert_eq!(replayed.unwrap_err(), QuoteError::WrongBinding);
    for registers in [selection(0..7), selection(0..9), selection([7])] {
        let less = verify_quote(&quote(), &ak(), &registers, bound, &AwsLc);
        assert_eq!(less.unwrap_err(), QuoteError::WrongSelection);
    }
    let mut shown = quote();
    shown.pcrs = pcrs(0..7);
    assert_eq!(verify(&shown).unwrap_err(), QuoteError::WrongSelection);
    let mut values: BTreeMap<u8, Digest> = pcrs(0..8).into();
    values.insert(7, Digest::of("secure boot"));
    shown.pcrs = values.try_into().unwrap();
    assert_eq!(verify(&shown).unwrap_err(), QuoteError::WrongValues);
    // A restricted key signs other things that the TPM says as well.
    let certified = SignedQuote {
        attested: include_bytes!("testdata/certify.msg").to_vec(),
        signature: include_bytes!("testdata/certify.sig").to_vec(),
        pcrs: pcrs(0..8),
    };
    assert_eq!(verify(&certified).unwrap_err(), QuoteError::NotAQuote);
}

#[test]
fn no_byte_of_a_quote_can_be_changed() {
    for place in 0..QUOTE.len() {
        let mut changed = quote();
        changed.attested[place] ^= 1;
        let error = verify(&changed).unwrap_err();
        let magic = place < 4;
        assert!(
            matches!(error, QuoteError::BadSignature | QuoteError::Malformed),
            "{place}: {error}"
        );
        assert!(!magic || error == QuoteError::Malformed);
    }
    for place in 0..SIGNATURE.len() {
        let mut changed = quote();
        changed.signature[place] ^= 1;
        verify(&changed).unwrap_err();
    }
    let longer = [QUOTE, &[0]].concat();
    for (attested, signature) in [
        (&QUOTE[..QUOTE.len() - 1], SIGNATURE),
        (&longer[..], SIGNATURE),
        (QUOTE, &SIGNATURE[..40]),
        (QUOTE, &[][..]),
        (&[][..], SIGNATURE),
    ] {
        let cut = SignedQuote {
            attested: attested.to_vec(),
            signature: signature.to_vec(),
            pcrs: pcrs(0..8),
        };
        assert_eq!(verify(&cut).unwrap_err(), QuoteError::Malformed);
    }
    // RSASSA and SHA-1.
    for (place, value) in [(0, [0x00, 0x14]), (2, [0x00, 0x04])] {
        let mut changed = quote();
        changed.signature = with(SIGNATURE, place, &value);
        let error = verify(&changed).unwrap_err();
        assert!(
            matches!(error, QuoteError::Algorithm | QuoteError::Malformed),
            "{error}"
        );
    }
}

/// A quote that a program signed, with a key that says to be an attestation key.
#[test]
fn a_program_can_sign_what_a_tpm_would_and_needs_a_credential_for_that() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let signature = key.sign(QUOTE).unwrap();
    let signature = [
        &SIGNATURE[..6],
        &signature[..32],
        &SIGNATURE[38..40],
        &signature[32..],
    ];
    let forged = SignedQuote {
        signature: signature.concat(),
        ..quote()
    };
    let ak = AttestationKey::parse(&over(&key), &AwsLc).unwrap();
    let bound = Digest::of("qualifying");
    let all = selection(0..8);
    assert!(verify_quote(&forged, &ak, &all, bound, &AwsLc).is_ok());
    // Its name is its own, so no TPM opens a credential that was made for it.
    assert_ne!(ak.name(), super::tests::ak().name());
}

fn over(key: &SigningKey) -> Vec<u8> {
    let point = key.public().to_public_bytes();
    let x = with(AK, 24, &point[1..33]);
    with(&x, 58, &point[33..])
}

fn forged_ak() -> Vec<u8> {
    over(&SigningKey::generate(Algorithm::Es256).unwrap())
}

/// Random numbers that are known, all else as it is.
#[derive(Debug)]
struct Known;

impl CredentialCrypto for Known {
    fn rsa_oaep_sha256(&self, _: &[u8], _: &[u8], label: &[u8], seed: &[u8]) -> Option<Vec<u8>> {
        Some([label, seed].concat())
    }

    fn ecdh_p256(&self, _: &[u8]) -> Option<EcdhShare> {
        Some(EcdhShare {
            x: [1; 32],
            y: [2; 32],
            z: Secret::new(vec![3; 32]),
        })
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        AwsLc.hmac_sha256(key, parts)
    }

    fn aes_128_cfb(&self, key: &[u8; 16], plain: &[u8]) -> Option<Vec<u8>> {
        AwsLc.aes_128_cfb(key, plain)
    }
}

#[test]
fn a_credential_is_for_one_key_in_one_tpm() {
    let rsa = EndorsementKey::parse(RSA).unwrap();
    let ecc = EndorsementKey::parse(ECC).unwrap();
    let other = AttestationKey::parse(&forged_ak(), &AwsLc).unwrap();
    let own = ak();
    let make = |ek, ak, seed| make_credential(ek, ak, &[9; 32], &[seed; 32], &Known).unwrap();
    let made = make(&rsa, &own, 7);
    // Sizes, HMAC, then the sealed secret behind its size.
    assert_eq!(made.blob.len(), 2 + 2 + 32 + 2 + 32);
    assert_eq!(
        made.encrypted_secret[2..],
        [&b"IDENTITY\0"[..], &[7; 32]].concat()
    );
    assert_eq!(make(&rsa, &own, 7), made);
    assert_ne!(make(&rsa, &own, 8).blob, made.blob);
    assert_ne!(make(&rsa, &other, 7).blob, made.blob);
    let point = make(&ecc, &own, 7);
    assert_eq!(point.encrypted_secret[..4], [0, 68, 0, 32]);
    // The seed of an ECC key is not the one that was handed in.
    assert_eq!(make(&ecc, &own, 8), point);
    assert!(!made.blob.windows(32).any(|window| window == [9; 32]));
}

#[test]
fn registers_are_those_that_there_are() {
    let zeros = Digest::from_bytes([0; 32]);
    assert!(PcrValues::try_from(BTreeMap::from([(24, zeros)])).is_err());
    assert!(PcrSelection::try_from(BTreeSet::from([24])).is_err());
    assert!(PcrSelection::try_from(BTreeSet::new()).is_err());
    assert_eq!(pcrs([]).quoted(), selection(0..8));
    assert_eq!(pcrs([7, 23]).quoted(), selection((0..8).chain([23])));
    let text = serde_json::to_string(&pcrs([7])).unwrap();
    assert_eq!(text, format!(r#"{{"7":"{zeros}"}}"#));
    assert_eq!(serde_json::from_str::<PcrValues>(&text).unwrap(), pcrs([7]));
    for bad in [
        r#"{"24":"sha256:00"}"#,
        r#"{"-1":0}"#,
        &text.replace("7", "256"),
        &text.replace("sha256", "sha1"),
    ] {
        assert!(serde_json::from_str::<PcrValues>(bad).is_err(), "{bad}");
    }
    assert_eq!(pcrs([7]).differs_in(&pcrs(0..8)), None);
    assert_eq!(pcrs([7, 9]).differs_in(&pcrs(0..8)), Some(9));
    let wanted = PcrValues::try_from(BTreeMap::from([(0, Digest::of("x"))])).unwrap();
    assert_eq!(wanted.differs_in(&pcrs(0..8)), Some(0));
}
