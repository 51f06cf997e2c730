//! What a WIT-SVID says.

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::wit::WitBundle;
use chancery_identity::{SpiffeIdError, WitError, WitSvidError as E, verify_wit};
use chancery_types::id::CredentialId;
use chancery_types::{Algorithm, SvidAlgorithm, SvidKeyError};
use serde_json::{Value, json};

use crate::support::{NOW, es256, now, signed, svid_key, with};
use crate::wits::{Issued, judge, own};

#[track_caller]
fn claim(name: &str, value: Option<Value>, expected: Result<(), E>) {
    let issued = Issued::new();
    let claims = with(&issued.claims(), name, value);
    let judged = issued.judge(&issued.header(), &claims).map(|_| ());
    assert_eq!(judged, expected, "{claims}");
}

#[test]
fn w_05_the_subject_is_a_spiffe_id() {
    claim("sub", None, Err(E::NoSubject));
    claim("sub", Some(json!(["spiffe://td/a"])), Err(E::NoSubject));
    for (sub, error) in [
        ("wimse://td/a", SpiffeIdError::Scheme),
        ("spiffe://TD/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td/a/", SpiffeIdError::EmptySegment),
    ] {
        claim("sub", Some(json!(sub)), Err(E::Subject(error)));
    }
    claim(
        "sub",
        Some(json!("spiffe://other/a")),
        Err(E::WrongTrustDomain),
    );
}

#[test]
fn w_06_it_is_bound_to_a_public_key_that_says_its_algorithm() {
    claim("cnf", None, Err(E::NoConfirmation));
    for none in [
        json!({}),
        json!(null),
        json!({"jkt": "AA"}),
        json!({"jwk": null}),
        json!([]),
    ] {
        claim("cnf", Some(none), Err(E::NoConfirmation));
    }
    let jwk = serde_json::to_value(es256().public()).unwrap();
    let bound = |jwk: Value, error| claim("cnf", Some(json!({"jwk": jwk})), Err(error));
    bound(with(&jwk, "alg", None), E::NoConfirmationAlgorithm);
    for alg in ["none", "HS256", "EdDSA", "ES384", "RS256"] {
        let jwk = with(&jwk, "alg", Some(json!(alg)));
        bound(jwk, E::Confirmation(SvidKeyError::Algorithm));
    }
    let private = with(&jwk, "d", Some(json!("AA")));
    bound(private, E::Confirmation(SvidKeyError::Private));
    let symmetric = json!({"kty": "oct", "k": "AA", "alg": "HS256"});
    bound(symmetric, E::Confirmation(SvidKeyError::Private));
    // The agent key that we issue by default signs with what WIT-SVIDs do not know.
    let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let issued = Issued::new();
    let (_, token) = own(&issued.domain, &ed25519);
    let judged = judge(&token, &issued.domain.wit_bundle(), 0);
    assert_eq!(judged, Err(E::Confirmation(SvidKeyError::KeyType)));
    // With an ES256 agent key our token is a WIT-SVID (decision 3).
    let (_, token) = own(&issued.domain, &issued.holder);
    let judged = judge(&token, &issued.domain.wit_bundle(), 0).unwrap();
    assert!(judged.key().is_same_key(&svid_key(&issued.holder)));
    assert_eq!(judged.algorithm(), SvidAlgorithm::Es256);
}

#[test]
fn w_07_the_token_id_tells_tokens_apart_and_nothing_else() {
    let issued = Issued::new();
    let claims = with(&issued.claims(), "jti", Some(json!("t-1")));
    // The same one again is as good: no replay is told by it.
    for _ in 0..2 {
        assert!(issued.judge(&issued.header(), &claims).is_ok());
    }
    claim("jti", None, Ok(()));
    for bad in [json!(1), json!(null), json!(["t"])] {
        claim("jti", Some(bad), Err(E::TokenId));
    }
    let (one, two) = ([1; 16], [2; 16]);
    let (one, two) = (
        CredentialId::from_random(one),
        CredentialId::from_random(two),
    );
    assert_ne!(one.to_string(), two.to_string());
}

#[test]
fn w_08_it_says_when_it_expires() {
    claim("exp", None, Err(E::NoExpiry));
    for none in [
        json!(null),
        json!("1900000000"),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
    ] {
        claim("exp", Some(none), Err(E::NoExpiry));
    }
    claim("exp", Some(json!(NOW)), Err(E::Expired));
    let issued = Issued::new();
    let claims = with(&issued.claims(), "exp", Some(json!(NOW - 100)));
    let token = signed(&issued.domain.wit, &issued.header(), &claims);
    let bundle = issued.domain.wit_bundle();
    assert!(judge(&token, &bundle, 120).is_ok());
    assert_eq!(judge(&token, &bundle, 100), Err(E::Expired));
}

#[test]
fn w_09_not_before_its_time() {
    claim("nbf", Some(json!(NOW)), Ok(()));
    claim("nbf", Some(json!(NOW + 1)), Err(E::NotYetValid));
    for bad in [json!("0"), json!(null), json!(-1), json!(0.5)] {
        claim("nbf", Some(bad), Err(E::NotBefore));
    }
    let issued = Issued::new();
    let claims = with(&issued.claims(), "nbf", Some(json!(NOW + 60)));
    let token = signed(&issued.domain.wit, &issued.header(), &claims);
    let judged = judge(&token, &issued.domain.wit_bundle(), 120);
    assert_eq!(judged, Err(E::NotYetValid), "leeway is for the end alone");
}

#[test]
fn w_10_when_it_was_issued_limits_nothing() {
    for iat in [
        json!(NOW + 10_000),
        json!(0),
        json!("yesterday"),
        json!(null),
    ] {
        claim("iat", Some(iat), Ok(()));
    }
    claim("iat", None, Ok(()));
}

#[test]
fn w_11_tokens_of_ours_name_no_issuer() {
    let issued = Issued::new();
    let (claims, _) = own(&issued.domain, &issued.holder);
    let claims = serde_json::to_value(claims).unwrap();
    assert!(claims.get("iss").is_none());
    let named = with(&claims, "iss", Some(json!("https://td.example")));
    let token = signed(&issued.domain.wit, &issued.header(), &named);
    let bundle = WitBundle::new(issued.domain.name.clone(), [*issued.domain.wit.public()]);
    assert_eq!(
        verify_wit(&token, &bundle, now(), &AwsLc),
        Err(WitError::Claims)
    );
}

#[test]
fn w_12_it_has_no_audience() {
    for aud in [json!("a"), json!(["a"]), json!([]), json!(null)] {
        claim("aud", Some(aud), Err(E::Audience));
    }
}
