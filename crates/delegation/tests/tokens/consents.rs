use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::webauthn::{AuthenticatorDataError, ClientDataError};
use chancery_delegation::{
    Assertion, AssertionError, ConsentError, Credential, SoftwareAuthenticator, VerifiedChain,
    verify_assertion, verify_consent,
};
use chancery_types::{Algorithm, Digest, base64url};
use serde_json::{Value, json};

use crate::support::*;

const RP_ID: &str = "acme.example";
const ORIGIN: &str = "https://consent.acme.example";

fn credential(key: &SigningKey) -> Credential<'_> {
    Credential {
        credential_id: "Y3JlZA",
        key: key.public(),
        rp_id: RP_ID,
        origin: ORIGIN,
        last_counter: None,
    }
}

fn authenticator(counter: u32) -> SoftwareAuthenticator {
    SoftwareAuthenticator::new("Y3JlZA", RP_ID, ORIGIN, counter)
}

fn answer(key: &SigningKey, challenge: &Digest) -> Assertion {
    let answered = authenticator(0).assert(challenge, |message| key.sign_der(message));
    answered.unwrap()
}

/// A chain whose person consented with `key`, and the artefact.
fn consented(key: &SigningKey) -> (VerifiedChain, Vec<u8>) {
    let draft = root_draft(vec![entry(read_src())]);
    let artefact = answer(key, &draft.challenge().unwrap()).to_bytes().unwrap();
    let authority = &PARTIES.authority;
    let root = draft.sign(
        Digest::of(&artefact),
        authority.public(),
        &AwsLc,
        &|message| authority.sign(message),
    );
    (verify(&[root.unwrap()]).unwrap(), artefact)
}

#[test]
fn a_person_consents_to_one_root() {
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let key = SigningKey::generate(algorithm).unwrap();
        let (chain, artefact) = consented(&key);
        let consent = verify_consent(&chain, &artefact, &credential(&key), &AwsLc).unwrap();
        assert_eq!(consent.artefact(), chain.principal().consent);
        assert_eq!(consent.chain_root(), chain.root().hash());
        assert_eq!(consent.assertion().credential_id(), "Y3JlZA");
    }
}

#[test]
fn a_consent_to_another_root_is_none() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let (chain, artefact) = consented(&key);
    let mut cut = artefact.clone();
    cut.push(b' ');
    let verdict = verify_consent(&chain, &cut, &credential(&key), &AwsLc);
    assert!(matches!(verdict, Err(ConsentError::Artefact)));

    // The same person's answer to the same root, given another time.
    let again = authenticator(7).assert(&chain.consent_challenge().unwrap(), |message| {
        key.sign_der(message)
    });
    let again = again.unwrap().to_bytes().unwrap();
    let verdict = verify_consent(&chain, &again, &credential(&key), &AwsLc);
    assert!(matches!(verdict, Err(ConsentError::Artefact)));

    // The authority names an artefact whose challenge is that of a narrower root.
    let mut draft = root_draft(vec![entry(read_src())]);
    draft.terms.entries.clear();
    let narrower = answer(&key, &draft.challenge().unwrap())
        .to_bytes()
        .unwrap();
    let draft = root_draft(vec![entry(read_src())]);
    let authority = &PARTIES.authority;
    let root = draft.sign(
        Digest::of(&narrower),
        authority.public(),
        &AwsLc,
        &|message| authority.sign(message),
    );
    let chain = verify(&[root.unwrap()]).unwrap();
    let verdict = verify_consent(&chain, &narrower, &credential(&key), &AwsLc);
    assert!(matches!(
        verdict,
        Err(ConsentError::Assertion(AssertionError::Challenge))
    ));
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let (chain, artefact) = consented(&key);
    let verdict = verify_consent(&chain, &artefact, &credential(&other), &AwsLc);
    assert!(matches!(
        verdict,
        Err(ConsentError::Assertion(AssertionError::Signature))
    ));
}

#[test]
fn each_part_of_an_assertion_counts() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let challenge = Digest::of("statement");
    let good = answer(&key, &challenge);
    let judged = |assertion: &Assertion, credential: &Credential<'_>| {
        verify_assertion(assertion, &challenge, credential, &AwsLc).map(drop)
    };
    let known = credential(&key);
    assert_eq!(judged(&good, &known), Ok(()));
    let other = Credential {
        credential_id: "b3RoZXI",
        ..known
    };
    assert_eq!(judged(&good, &other), Err(AssertionError::Credential));
    let other = Credential {
        rp_id: "evil.example",
        ..known
    };
    assert_eq!(judged(&good, &other), Err(AssertionError::RelyingParty));
    let other = Credential {
        origin: "https://consent.acme.example:8443",
        ..known
    };
    assert_eq!(judged(&good, &other), Err(AssertionError::Origin));
    let other_statement = verify_assertion(&good, &Digest::of("other"), &known, &AwsLc);
    assert_eq!(other_statement, Err(AssertionError::Challenge));

    let signed = |client: &[u8], data: &[u8]| Assertion {
        client_data_json: base64url::encode(client),
        authenticator_data: base64url::encode(data),
        signature: base64url::encode(
            key.sign_der(&[data, Digest::of(client).as_bytes()].concat())
                .unwrap(),
        ),
        ..good.clone()
    };
    let client = base64url::decode(&good.client_data_json).unwrap();
    let data = base64url::decode(&good.authenticator_data).unwrap();
    assert_eq!(judged(&signed(&client, &data), &known), Ok(()));
    let flags = |flags: u8| {
        let mut data = data.clone();
        data[32] = flags;
        data
    };
    for (flag, error) in [
        (0x04, AuthenticatorDataError::UserNotPresent),
        (0x01, AuthenticatorDataError::UserNotVerified),
        (0x45, AuthenticatorDataError::Malformed),
    ] {
        let found = judged(&signed(&client, &flags(flag)), &known);
        assert_eq!(found, Err(error.into()));
    }
    let replaced = |from: &str, to: &str| {
        String::from_utf8(client.clone())
            .unwrap()
            .replace(from, to)
            .into_bytes()
    };
    for (from, to, error) in [
        ("webauthn.get", "webauthn.create", ClientDataError::Type),
        ("false", "true", ClientDataError::CrossOrigin),
    ] {
        let found = judged(&signed(&replaced(from, to), &data), &known);
        assert_eq!(found, Err(error.into()));
    }
    // Not signed again: every change shows.
    for bad in [
        Assertion {
            client_data_json: base64url::encode(replaced(",\"cross", ", \"cross")),
            ..good.clone()
        },
        Assertion {
            authenticator_data: base64url::encode(flags(0x1d)),
            ..good.clone()
        },
        Assertion {
            signature: base64url::encode(key.sign(b"other").unwrap()),
            ..good.clone()
        },
        Assertion {
            signature: String::new(),
            ..good.clone()
        },
    ] {
        assert_eq!(judged(&bad, &known), Err(AssertionError::Signature));
    }
    for bad in [
        Assertion {
            signature: format!("{}=", good.signature),
            ..good.clone()
        },
        Assertion {
            signature: "A".repeat(200),
            ..good.clone()
        },
        Assertion {
            client_data_json: "%".to_owned(),
            ..good.clone()
        },
    ] {
        assert_eq!(judged(&bad, &known), Err(AssertionError::Malformed));
    }
}

#[test]
fn a_counter_is_judged_where_there_is_one() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let challenge = Digest::of("statement");
    for (counter, last, accepted) in [
        (0, None, true),
        (0, Some(0), true),
        (0, Some(5), false),
        (4, Some(5), false),
        (5, Some(5), true),
        (5, Some(0), true),
        (5, None, true),
    ] {
        // The authenticator raises a counter before it uses it.
        let mut authenticator = authenticator(counter);
        let assertion = authenticator.assert(&challenge, |message| key.sign_der(message));
        let known = Credential {
            last_counter: last,
            ..credential(&key)
        };
        let verdict = verify_assertion(&assertion.unwrap(), &challenge, &known, &AwsLc);
        assert_eq!(verdict.is_ok(), accepted, "{counter} {last:?}");
    }
}

#[test]
fn an_assertion_document_is_strict() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let good = answer(&key, &Digest::of("statement"));
    let bytes = good.to_bytes().unwrap();
    assert_eq!(Assertion::parse(&bytes), Ok(good));
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    for name in [
        "credential_id",
        "client_data_json",
        "authenticator_data",
        "signature",
    ] {
        let mut bad = document.clone();
        bad.as_object_mut().unwrap().remove(name);
        assert!(Assertion::parse(bad.to_string().as_bytes()).is_err());
        bad[name] = json!(1);
        assert!(Assertion::parse(bad.to_string().as_bytes()).is_err());
    }
    let mut bad = document;
    bad["user_handle"] = json!("AA");
    assert!(Assertion::parse(bad.to_string().as_bytes()).is_err());
    assert!(Assertion::parse(&vec![b' '; 16_385]).is_err());
}
