use chancery_identity::bundle::{IgnoredKeyReason as Reason, MAX_BUNDLE_BYTES, MAX_BUNDLE_KEYS};
use chancery_identity::{
    BundleDocument, BundleDocumentError, BundleKeys, Incubating, JwtBundles, JwtSvidError,
    X509SvidError, verify_x509_svid,
};
use chancery_types::{SvidKeyError, base64url};
use serde_json::{Value, json};

use crate::support::{Domain, es256, judge_jwt, now, read, svid_key, with};

fn element(domain: &Domain, named_use: &str) -> Value {
    let served = domain.served(1);
    let mut elements = served["keys"].as_array().unwrap().iter();
    elements
        .find(|one| one["use"] == named_use)
        .unwrap()
        .clone()
}

/// What is left of a document with this element beside a good one, and why it is left out.
#[track_caller]
fn left_out(domain: &Domain, element: Value, reason: Reason) {
    let good = es256();
    let good_key = svid_key(&good);
    let mut kept = good_key.to_members();
    kept.insert("kid".to_owned(), "kept".into());
    kept.insert("use".to_owned(), "jwt-svid".into());
    let document = read(domain, &json!({"keys": [element, kept]})).unwrap();
    let ignored = document.ignored();
    assert_eq!(ignored.len(), 1, "{element}: {ignored:?}");
    assert_eq!(
        (ignored[0].position, &ignored[0].reason),
        (0, &reason),
        "{element}"
    );
    let keys = document.keys();
    assert_eq!(keys.jwt.key("kept"), Some(&good_key));
    assert_eq!(keys.jwt.keys().len(), 1);
    assert!(keys.x509.authorities().is_empty() && keys.wit.keys().len() == 0);
}

#[test]
fn b_01_unknown_parameters_are_ignored_and_none_is_needed() {
    let domain = Domain::new("td");
    let served = domain.served(7);
    let more = with(&served, "x", Some(json!({"keys": [1.5, null]})));
    assert_eq!(
        read(&domain, &more).unwrap(),
        read(&domain, &served).unwrap()
    );
    let bare = json!({"keys": served["keys"]});
    let document = read(&domain, &bare).unwrap();
    assert_eq!((document.sequence(), document.refresh_hint()), (None, None));
    assert_eq!(document.keys(), &domain.keys());
}

#[test]
fn b_02_the_sequence_has_64_bits() {
    let domain = Domain::new("td");
    for sequence in [0, 1, (1 << 53) + 1, u64::MAX] {
        let text = domain.document(sequence).to_json().unwrap();
        let again = BundleDocument::parse(domain.name.clone(), text.as_bytes(), Incubating::NONE);
        assert_eq!(again.unwrap().sequence(), Some(sequence));
    }
    let keys = r#""keys":[]"#;
    for bad in [
        "-1",
        "1.0",
        "1e3",
        "18446744073709551616",
        "\"1\"",
        "null",
        "[]",
        "true",
    ] {
        let text = format!(r#"{{{keys},"spiffe_sequence":{bad}}}"#);
        let refused = BundleDocument::parse(domain.name.clone(), text.as_bytes(), Incubating::NONE);
        assert!(
            matches!(refused, Err(BundleDocumentError::Sequence)),
            "{bad}"
        );
    }
}

#[test]
fn b_03_the_refresh_hint_is_whole_seconds() {
    let domain = Domain::new("td");
    assert_eq!(domain.served(1)["spiffe_refresh_hint"], 300);
    let keys = r#""keys":[]"#;
    for bad in ["-1", "0.5", "300.0", "\"300\"", "null", "{}"] {
        let text = format!(r#"{{{keys},"spiffe_refresh_hint":{bad}}}"#);
        let refused = BundleDocument::parse(domain.name.clone(), text.as_bytes(), Incubating::NONE);
        assert!(
            matches!(refused, Err(BundleDocumentError::RefreshHint)),
            "{bad}"
        );
    }
}

#[test]
fn b_04_keys_must_be_there_and_unknown_ones_are_skipped() {
    let domain = Domain::new("td");
    for bad in [
        json!({}),
        json!({"keys": {}}),
        json!({"keys": null}),
        json!({"keys": "[]"}),
    ] {
        let refused = read(&domain, &bad);
        assert!(matches!(refused, Err(BundleDocumentError::NoKeys)), "{bad}");
    }
    for bad in [json!([]), json!(null), json!("keys"), json!([{"keys": []}])] {
        let refused = read(&domain, &bad);
        assert!(
            matches!(refused, Err(BundleDocumentError::NoObject)),
            "{bad}"
        );
    }
    let jwt = element(&domain, "jwt-svid");
    let changed = |name: &str, value: Value| with(&jwt, name, Some(value));
    for (element, reason) in [
        (json!(1), Reason::NoObject),
        (json!([jwt]), Reason::NoObject),
        (json!(null), Reason::NoObject),
        (changed("kty", json!("OKP")), Reason::UnknownKeyType),
        (changed("kty", json!("AKP")), Reason::UnknownKeyType),
        (changed("kty", json!("ec")), Reason::UnknownKeyType),
        (changed("use", json!("sig")), Reason::UnknownUse),
        (
            json!({"kty": "oct", "k": "AA", "kid": "a", "use": "jwt-svid"}),
            Reason::PrivateKey,
        ),
        (changed("d", json!("AA")), Reason::PrivateKey),
        (
            changed("crv", json!("secp256k1")),
            Reason::Key(SvidKeyError::Curve),
        ),
        (changed("x", json!("AA")), Reason::Key(SvidKeyError::Number)),
        (
            changed("alg", json!("EdDSA")),
            Reason::Key(SvidKeyError::Algorithm),
        ),
        (
            changed("alg", json!("RS256")),
            Reason::Key(SvidKeyError::Algorithm),
        ),
    ] {
        left_out(&domain, element, reason);
    }
    let x509 = element(&domain, "x509-svid");
    left_out(
        &domain,
        with(&x509, "d", Some(json!("AA"))),
        Reason::PrivateKey,
    );
    left_out(
        &domain,
        with(&x509, "kty", Some(json!("AKP"))),
        Reason::UnknownKeyType,
    );
}

#[test]
fn b_05_without_keys_every_svid_is_untrusted() {
    let domain = Domain::new("td");
    let unusable = with(
        &element(&domain, "jwt-svid"),
        "use",
        Some(json!("new-svid")),
    );
    for document in [json!({"keys": []}), json!({"keys": [unusable]})] {
        let document = read(&domain, &document).unwrap();
        assert!(document.keys().is_empty());
        assert_eq!(document.keys(), &BundleKeys::none(&domain.name));
        let leaf = domain.root.leaf("spiffe://td/agent/a", |_| {});
        let algorithms = chancery_crypto::SVID_ALGORITHMS;
        let refused = verify_x509_svid(&[leaf], &document.keys().x509, now(), algorithms);
        assert_eq!(refused, Err(X509SvidError::Untrusted));
        let token = domain.jwt_svid(&domain.jwt_header(), &domain.jwt_claims());
        let bundles: JwtBundles = [document.keys().jwt.clone()].into_iter().collect();
        assert_eq!(
            judge_jwt(&token, &bundles, 0),
            Err(JwtSvidError::UnknownKey)
        );
    }
}

#[test]
fn b_06_type_and_use_are_there_and_compared_case_sensitively() {
    let domain = Domain::new("td");
    let jwt = element(&domain, "jwt-svid");
    left_out(&domain, with(&jwt, "kty", None), Reason::UnknownKeyType);
    left_out(&domain, with(&jwt, "use", None), Reason::UnknownUse);
    for other in [
        json!("JWT-SVID"),
        json!("jwt-svid "),
        json!(""),
        json!(1),
        json!(["jwt-svid"]),
    ] {
        left_out(&domain, with(&jwt, "use", Some(other)), Reason::UnknownUse);
    }
    let x509 = element(&domain, "x509-svid");
    left_out(&domain, with(&x509, "kty", None), Reason::UnknownKeyType);
    left_out(
        &domain,
        with(&x509, "use", Some(json!("X509-SVID"))),
        Reason::UnknownUse,
    );
    // A key of one use is none of another.
    let swapped = with(&x509, "use", Some(json!("jwt-svid")));
    left_out(&domain, swapped, Reason::NoKeyId);
    let swapped = with(&jwt, "use", Some(json!("x509-svid")));
    left_out(&domain, swapped, Reason::NoCertificate);
}

#[test]
fn b_07_no_member_beyond_the_specifications_is_written() {
    let domain = Domain::new("td");
    let served = domain.served(3);
    let members: Vec<_> = served.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["keys", "spiffe_refresh_hint", "spiffe_sequence"]);
    let elements = served["keys"].as_array().unwrap();
    assert_eq!(elements.len(), 3);
    for element in elements {
        let members: Vec<_> = element
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        match element["use"].as_str().unwrap() {
            "x509-svid" => assert_eq!(members, ["crv", "kty", "use", "x", "x5c", "y"]),
            _ => assert_eq!(members, ["crv", "kid", "kty", "use", "x", "y"]),
        }
    }
    assert_eq!(read(&domain, &served).unwrap(), domain.document(3));
}

#[test]
fn b_04_a_repeated_key_counts_once_and_a_shared_name_for_nobody() {
    let domain = Domain::new("td");
    let served = domain.served(1);
    let mut elements = served["keys"].as_array().unwrap().clone();
    elements.extend(elements.clone());
    let document = read(&domain, &json!({"keys": elements})).unwrap();
    assert_eq!(document.keys(), &domain.keys());
    let reasons = document
        .ignored()
        .iter()
        .map(|one| (one.position, one.reason.clone()));
    let expected: Vec<_> = (3..6)
        .map(|position| (position, Reason::Repeated))
        .collect();
    assert_eq!(reasons.collect::<Vec<_>>(), expected);

    let jwt = element(&domain, "jwt-svid");
    let mut other = svid_key(&es256()).to_members();
    other.insert("kid".to_owned(), jwt["kid"].clone());
    other.insert("use".to_owned(), "jwt-svid".into());
    let other = Value::Object(other);
    for elements in [
        json!([jwt, other]),
        json!([other, jwt]),
        json!([jwt, jwt, other, jwt]),
    ] {
        let document = read(&domain, &json!({"keys": elements})).unwrap();
        assert!(document.keys().is_empty(), "{elements}");
        let count = elements.as_array().unwrap().len();
        assert_eq!(document.ignored().len(), count, "{elements}");
    }
}

#[test]
fn b_04_a_document_has_one_reading_and_bounds() {
    let domain = Domain::new("td");
    let refused = |text: &str| {
        let refused = BundleDocument::parse(domain.name.clone(), text.as_bytes(), Incubating::NONE);
        refused.unwrap_err()
    };
    for text in [
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"use":"x","use":"y"}]}"#,
        r#"{"keys":[]}{}"#,
        r#"{"keys":[]"#,
        "",
        "\u{feff}{\"keys\":[]}",
    ] {
        assert!(
            matches!(refused(text), BundleDocumentError::Json(_)),
            "{text}"
        );
    }
    let many = |count: usize| json!({"keys": vec![json!({}); count]}).to_string();
    assert!(matches!(
        refused(&many(MAX_BUNDLE_KEYS + 1)),
        BundleDocumentError::TooManyKeys
    ));
    let most = many(MAX_BUNDLE_KEYS);
    let most = BundleDocument::parse(domain.name.clone(), most.as_bytes(), Incubating::NONE);
    assert_eq!(most.unwrap().ignored().len(), MAX_BUNDLE_KEYS);
    let padding = " ".repeat(MAX_BUNDLE_BYTES);
    assert!(matches!(
        refused(&format!("{{}}{padding}")),
        BundleDocumentError::TooLong
    ));
}

#[test]
fn b_09_a_key_of_our_own_is_seen_in_whatever_role() {
    let (domain, other) = (Domain::new("td"), Domain::new("other"));
    assert!(!domain.keys().shares_a_key_with(&other.keys()));
    assert!(domain.keys().shares_a_key_with(&domain.keys()));
    let mut foreign = BundleKeys::none(&other.name);
    let own = [svid_key(&domain.jwt)];
    foreign.wit = chancery_identity::WitSvidBundle::new(other.name.clone(), own);
    assert!(domain.keys().shares_a_key_with(&foreign));
    // The key of the authority's certificate, as one that signs tokens.
    let point = domain.root_point();
    let members = json!({
        "kty": "EC", "crv": "P-256", "use": "jwt-svid", "kid": "k",
        "x": base64url::encode(&point[..32]), "y": base64url::encode(&point[32..]),
    });
    let foreign = read(&other, &json!({"keys": [members]})).unwrap();
    assert!(foreign.keys().shares_a_key_with(&domain.keys()));
}
