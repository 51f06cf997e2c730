use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_identity::bundle::IgnoredKeyReason;
use chancery_identity::x509_profile::ProfileError as P;
use chancery_identity::{TrustDomain, X509Authority, X509Bundle, X509SvidError};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

use crate::support::{Authority, Domain, dns, read, uri, with};

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];

#[track_caller]
fn refused(change: impl FnOnce(&mut CertificateParams), error: P) {
    let domain = Domain::new("td");
    let leaf = domain.root.leaf("spiffe://td/agent/a", change);
    assert_eq!(domain.judge_x509(&[leaf]), Err(X509SvidError::Leaf(error)));
}

fn authority(change: impl FnOnce(&mut CertificateParams)) -> Result<X509Authority, P> {
    let td: TrustDomain = "td".parse().unwrap();
    X509Authority::new(&td, Authority::root(&td, change).der)
}

#[test]
fn x_01_other_names_may_stand_beside_the_id() {
    let domain = Domain::new("td");
    let leaf = domain.root.leaf("spiffe://td/agent/a", |params| {
        params.subject_alt_names.push(dns("agent.example"));
        params.subject_alt_names.insert(0, dns("a.example"));
    });
    let svid = domain.judge_x509(&[leaf]).unwrap();
    assert_eq!(svid.spiffe_id().as_str(), "spiffe://td/agent/a");
    refused(
        |params| params.subject_alt_names = vec![dns("td")],
        P::NoUriSan,
    );
}

#[test]
fn x_02_exactly_one_uri() {
    let named = |names: &'static [&'static str], error| {
        let names = names.iter().map(|name| uri(name)).collect();
        refused(|params| params.subject_alt_names = names, error);
    };
    named(&[], P::NoUriSan);
    named(&["spiffe://td/a", "spiffe://td/b"], P::SeveralUriSans);
    named(&["spiffe://td/a", "spiffe://td/a"], P::SeveralUriSans);
    named(&["spiffe://td/a", "https://td/b"], P::SeveralUriSans);
    named(&["https://td/a", "spiffe://td/a"], P::SeveralUriSans);
    named(&["urn:a", "urn:b"], P::SeveralUriSans);
}

#[test]
fn x_03_a_leaf_names_a_workload() {
    refused(
        |params| params.subject_alt_names = vec![uri("spiffe://td")],
        P::NoPath,
    );
    for bad in [
        "https://td/a",
        "SPIFFE://td/a",
        "spiffe://TD/a",
        "spiffe://td/a/",
        "urn:a",
    ] {
        let domain = Domain::new("td");
        let leaf = domain.root.leaf(bad, |_| {});
        let refusal = domain.judge_x509(&[leaf]);
        assert!(
            matches!(refusal, Err(X509SvidError::Leaf(P::BadSpiffeId(_)))),
            "{bad}: {refusal:?}"
        );
    }
}

#[test]
fn x_05_an_authority_may_sign_and_says_so() {
    assert!(authority(|_| {}).is_ok());
    assert!(authority(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]).is_ok());
    let constrained = IsCa::Ca(BasicConstraints::Constrained(0));
    assert!(authority(|params| params.is_ca = constrained).is_ok());
    assert_eq!(
        authority(|params| params.is_ca = IsCa::ExplicitNoCa),
        Err(P::NotCa)
    );
    assert_eq!(authority(|params| params.is_ca = IsCa::NoCa), Err(P::NotCa));
    let usages = vec![KeyUsagePurpose::CrlSign];
    assert_eq!(
        authority(|params| params.key_usages = usages),
        Err(P::NoKeyCertSign)
    );
    let usages = vec![KeyUsagePurpose::DigitalSignature];
    assert_eq!(
        authority(|params| params.key_usages = usages),
        Err(P::NoKeyCertSign)
    );
}

#[test]
fn x_06_an_authority_names_no_workload() {
    let named = |name: &str| {
        let names = vec![uri(name)];
        authority(move |params| params.subject_alt_names = names)
    };
    assert!(authority(|params| params.subject_alt_names.clear()).is_ok());
    assert_eq!(named("spiffe://td/ca"), Err(P::AuthorityWithPath));
    assert_eq!(named("spiffe://other"), Err(P::WrongTrustDomain));
    let domain = Domain::new("td");
    let between = domain.root.intermediate(&domain.name, |params| {
        params.subject_alt_names = vec![uri("spiffe://td/ca")];
    });
    let chain = [
        between.leaf("spiffe://td/agent/a", |_| {}),
        between.der.clone(),
    ];
    let error = X509SvidError::Intermediate(P::AuthorityWithPath);
    assert_eq!(domain.judge_x509(&chain), Err(error));
}

#[test]
fn x_07_an_authority_does_not_authenticate() {
    let domain = Domain::new("td");
    let error = X509SvidError::Leaf(P::CaAsLeaf);
    let root = domain.root.der.clone();
    assert_eq!(domain.judge_x509(&[root]), Err(error.clone()));
    let between = domain.root.intermediate(&domain.name, |params| {
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    });
    let chain = [between.der.clone(), domain.root.der.clone()];
    assert_eq!(domain.judge_x509(&chain), Err(error));
}

#[test]
fn x_08_a_leaf_is_no_authority() {
    refused(
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        P::CaAsLeaf,
    );
    let domain = Domain::new("td");
    let leaf = domain
        .root
        .leaf("spiffe://td/agent/a", |params| params.is_ca = IsCa::NoCa);
    assert!(
        domain.judge_x509(&[leaf]).is_ok(),
        "absent is false (RFC 5280 section 4.2.1.9)"
    );
}

#[test]
fn x_09_key_usage_is_there_and_critical() {
    refused(|params| params.key_usages.clear(), P::KeyUsageMissing);
    let lax = |unused: u8, usage: u8| {
        CustomExtension::from_oid_content(KEY_USAGE, vec![3, 2, unused, usage])
    };
    let instead = |extension: CustomExtension| {
        move |params: &mut CertificateParams| {
            params.key_usages.clear();
            params.custom_extensions.push(extension);
        }
    };
    refused(instead(lax(7, 0x80)), P::KeyUsageNotCritical);
    assert_eq!(
        authority(instead(lax(2, 0x04))),
        Err(P::KeyUsageNotCritical)
    );
    assert_eq!(
        authority(|params| params.key_usages.clear()),
        Err(P::KeyUsageMissing)
    );
    let garbled = CustomExtension::from_oid_content(KEY_USAGE, vec![0xff]);
    refused(instead(garbled), P::Malformed);
}

#[test]
fn x_10_a_leaf_signs_handshakes_and_nothing_else() {
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        refused(move |params| params.key_usages.push(usage), P::SigningLeaf);
        refused(
            move |params| params.key_usages = vec![usage],
            P::SigningLeaf,
        );
    }
    let usages = vec![
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
    ];
    refused(|params| params.key_usages = usages, P::NoDigitalSignature);
}

#[test]
fn x_11_extended_key_usage_holds_for_both_ends() {
    for only in [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ] {
        refused(
            |params| params.extended_key_usages = vec![only],
            P::ExtendedKeyUsage,
        );
    }
    let mail = vec![ExtendedKeyUsagePurpose::EmailProtection];
    refused(
        |params| params.extended_key_usages = mail,
        P::ExtendedKeyUsage,
    );
    let domain = Domain::new("td");
    let leaf = domain.root.leaf("spiffe://td/agent/a", |params| {
        params.extended_key_usages.clear();
    });
    assert!(domain.judge_x509(&[leaf]).is_ok());
}

#[test]
fn x_12_paths_end_in_the_bundle_of_the_leafs_trust_domain() {
    let (domain, other) = (Domain::new("td"), Domain::new("other"));
    let between = domain.root.intermediate(&domain.name, |_| {});
    let leaf = between.leaf("spiffe://td/agent/a", |_| {});
    assert!(
        domain
            .judge_x509(&[leaf.clone(), between.der.clone()])
            .is_ok()
    );
    assert_eq!(
        domain.judge_x509(std::slice::from_ref(&leaf)),
        Err(X509SvidError::Untrusted)
    );
    let refusal = other.judge_x509(&[leaf, between.der.clone()]);
    assert_eq!(refusal, Err(X509SvidError::WrongTrustDomain));
    let foreign = other.root.leaf("spiffe://td/agent/a", |_| {});
    assert_eq!(domain.judge_x509(&[foreign]), Err(X509SvidError::Untrusted));
    let short = Authority::root(&domain.name, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below = short.intermediate(&domain.name, |_| {});
    let chain = [below.leaf("spiffe://td/agent/a", |_| {}), below.der.clone()];
    let bundle = X509Bundle::new(domain.name.clone(), [short.der.clone()]).unwrap();
    let algorithms = chancery_crypto::SVID_ALGORITHMS;
    let now = crate::support::now();
    let refusal = chancery_identity::verify_x509_svid(&chain, &bundle, now, algorithms);
    assert_eq!(refusal, Err(X509SvidError::Untrusted));
    let nothing = X509Bundle::new(domain.name.clone(), Vec::<Vec<u8>>::new()).unwrap();
    let leaf = domain.root.leaf("spiffe://td/agent/a", |_| {});
    let refusal = chancery_identity::verify_x509_svid(&[leaf], &nothing, now, algorithms);
    assert_eq!(refusal, Err(X509SvidError::Untrusted));
}

fn x509_element(domain: &Domain) -> Value {
    let served = domain.served(1);
    let elements = served["keys"].as_array().unwrap();
    let mut x509 = elements.iter().filter(|one| one["use"] == "x509-svid");
    x509.next().unwrap().clone()
}

#[test]
fn x_13_an_authority_is_published_without_kid_and_with_one_certificate() {
    let domain = Domain::new("td");
    let element = x509_element(&domain);
    let members: Vec<_> = element.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["crv", "kty", "use", "x", "x5c", "y"]);
    assert_eq!(element["x5c"], json!([STANDARD.encode(&domain.root.der)]));
    let key = domain.root_point();
    let coordinate = |name: &str| {
        let text = element[name].as_str().unwrap();
        chancery_types::base64url::decode(text).unwrap()
    };
    assert_eq!([coordinate("x"), coordinate("y")].concat(), key);
}

#[test]
fn x_14_only_the_first_certificate_counts_and_none_is_no_authority() {
    let (domain, other) = (Domain::new("td"), Domain::new("td"));
    let element = x509_element(&domain);
    let one = STANDARD.encode(&domain.root.der);
    let two = STANDARD.encode(&other.root.der);
    let judged = |x5c: Option<Value>| {
        let element = with(&element, "x5c", x5c);
        let document = read(&domain, &json!({"keys": [element]})).unwrap();
        let ignored = document.ignored().first().map(|one| one.reason.clone());
        (document.keys().x509.clone(), ignored)
    };
    for taken in [
        json!([one]),
        json!([one, two]),
        json!([one, 1]),
        json!([one, "?"]),
    ] {
        assert_eq!(judged(Some(taken)), (domain.x509(), None));
    }
    let url_safe = one.replace('+', "-").replace('/', "_") + "-_";
    let leaf = domain.root.leaf("spiffe://td/agent/a", |_| {});
    let leaf = STANDARD.encode(leaf);
    let other_domain = STANDARD.encode(&Domain::new("other").root.der);
    for (x5c, reason) in [
        (None, IgnoredKeyReason::NoCertificate),
        (Some(json!([])), IgnoredKeyReason::NoCertificate),
        (Some(json!(one)), IgnoredKeyReason::NoCertificate),
        (Some(Value::Null), IgnoredKeyReason::NoCertificate),
        (Some(json!([1, one])), IgnoredKeyReason::Base64),
        (Some(json!([url_safe])), IgnoredKeyReason::Base64),
        (Some(json!([format!("{one}\n")])), IgnoredKeyReason::Base64),
        (
            Some(json!([""])),
            IgnoredKeyReason::Certificate(P::Malformed),
        ),
        (
            Some(json!(["AAAA"])),
            IgnoredKeyReason::Certificate(P::Malformed),
        ),
        (Some(json!([two])), IgnoredKeyReason::OtherKey),
        (Some(json!([leaf])), IgnoredKeyReason::OtherKey),
        (Some(json!([other_domain])), IgnoredKeyReason::OtherKey),
    ] {
        let (bundle, ignored) = judged(x5c.clone());
        assert!(bundle.authorities().is_empty(), "{x5c:?}");
        assert_eq!(ignored, Some(reason), "{x5c:?}");
    }
    // Members of the key are not asked for where they are left out; the certificate's profile is.
    let bare = |x5c: &str| json!({"kty": "EC", "use": "x509-svid", "x5c": [x5c]});
    for (x5c, reason) in [(&leaf, P::NotCa), (&other_domain, P::WrongTrustDomain)] {
        let document = read(&domain, &json!({"keys": [bare(x5c)]})).unwrap();
        let reason = IgnoredKeyReason::Certificate(reason);
        assert_eq!(document.ignored()[0].reason, reason);
    }
    let document = read(&domain, &json!({"keys": [bare(&one)]})).unwrap();
    assert_eq!(document.keys().x509, domain.x509());
    let wrong_type = with(&element, "kty", Some(json!("RSA")));
    let document = read(&domain, &json!({"keys": [wrong_type]})).unwrap();
    assert_eq!(document.ignored()[0].reason, IgnoredKeyReason::OtherKey);
}

#[test]
fn x_14_certificates_with_other_kinds_of_keys_are_read_and_written() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let td: TrustDomain = "td".parse().unwrap();
        let domain = Domain::new("td");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "td");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let mut keys = domain.keys();
        keys.x509 = X509Bundle::new(td.clone(), [der]).unwrap();
        let document = chancery_identity::BundleDocument::new(td, keys.clone(), 1, 300);
        let text = document.to_json().unwrap();
        let again = read(&domain, &serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(again.keys(), &keys, "{text}");
        assert!(again.ignored().is_empty());
    }
}
