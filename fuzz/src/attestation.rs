//! What a TPM shows of itself.

use std::collections::{BTreeMap, BTreeSet};

use chancery_attestation::tpm::{
    AttestationKey, EndorsementKey, PcrSelection, PcrValues, SignedQuote, make_credential,
    verify_quote,
};
use chancery_crypto::{AwsLc, TPM_MAKER_ALGORITHMS};
use chancery_identity::verify_endorsement_certificate;
use chancery_types::Digest;

use crate::sections::sections;
use crate::world::{Credulous, NOW};

/// The attestation key of the corpus, of which no byte is chosen by the input.
const KEY: &[u8] = include_bytes!("../corpus/attestation_tpm/ak");
const ENDORSEMENT: &[u8] = include_bytes!("../corpus/attestation_tpm/ek-rsa");

/// An endorsement key, an attestation key or a maker's certificate; or, as sections, a quote and its
/// signature. Every key has one spelling, a credential can be made for every pair that has a point, and
/// a quote says just what was asked for.
pub(crate) fn tpm(input: &[u8]) -> bool {
    keys(input) || quote(input) || certificate(input)
}

fn keys(input: &[u8]) -> bool {
    let endorsement = EndorsementKey::parse(input);
    let attestation = AttestationKey::parse(input, &Credulous);
    assert!(endorsement.is_err() || attestation.is_err());
    let known = AttestationKey::parse(KEY, &Credulous);
    let (Ok(endorsement), Ok(known)) = (endorsement, known) else {
        return attestation.is_ok();
    };
    let area = input.get(2..).unwrap_or_default();
    assert_eq!(endorsement.digest(), Digest::of(area));
    let made = make_credential(&endorsement, &known, &[7; 32], &[8; 32], &AwsLc);
    if let Ok(made) = made {
        assert_eq!(made.blob.len(), 70);
    }
    true
}

fn quote(input: &[u8]) -> bool {
    let mut files = sections(input).into_iter().map(|(_, bytes)| bytes);
    let (Some(attested), Some(signature)) = (files.next(), files.next()) else {
        return false;
    };
    let zeros = (0..8).map(|register| (register, Digest::from_bytes([0; 32])));
    let pcrs = PcrValues::try_from(zeros.collect::<BTreeMap<u8, Digest>>());
    let asked = PcrSelection::try_from((0..8).collect::<BTreeSet<u8>>());
    let key = AttestationKey::parse(KEY, &Credulous);
    let (Ok(pcrs), Ok(asked), Ok(key)) = (pcrs, asked, key) else {
        return false;
    };
    let quote = SignedQuote {
        attested,
        signature,
        pcrs,
    };
    let bound = Digest::of("qualifying");
    let verified = verify_quote(&quote, &key, &asked, bound, &Credulous);
    let Ok(verified) = verified else {
        return false;
    };
    assert_eq!(verified.pcrs(), &quote.pcrs);
    let holds = |part: &[u8]| quote.attested.windows(part.len()).any(|one| one == part);
    assert!(holds(bound.as_bytes()), "bound to nothing");
    let elsewhere = verify_quote(&quote, &key, &asked, Digest::of("other"), &Credulous);
    assert!(elsewhere.is_err());
    true
}

/// Nobody vouches where there is no maker.
fn certificate(input: &[u8]) -> bool {
    if let Ok(endorsement) = EndorsementKey::parse(ENDORSEMENT) {
        let key = endorsement.key();
        let proven = verify_endorsement_certificate(input, key, &[], NOW, TPM_MAKER_ALGORITHMS);
        assert!(proven.is_err());
    }
    false
}
