use chancery_crypto::{SVID_ALGORITHMS, SigningKey};
use chancery_identity::{TrustDomain, X509Bundle, X509SvidError, verify_x509_svid};
use chancery_types::{Algorithm, Timestamp};
use rcgen::PublicKeyData as _;

use super::signer_key::SignerKey;
use super::*;

const YEAR: u64 = 365 * 86_400;

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

fn serial(byte: u8) -> SerialNumber {
    SerialNumber::from_random([byte; 16])
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

fn spki(key: &SigningKey) -> Vec<u8> {
    SignerKey::new(key).unwrap().subject_public_key_info()
}

struct Deployment {
    trust_domain: TrustDomain,
    root_key: SigningKey,
    root: Vec<u8>,
    key: SigningKey,
    certificate: Vec<u8>,
}

impl Deployment {
    fn new() -> Self {
        let trust_domain: TrustDomain = "td".parse().unwrap();
        let (root_key, key) = (key(), key());
        let validity = Validity::from_now(now(), YEAR);
        let root = root_certificate(&root_key, &trust_domain, validity, serial(1)).unwrap();
        let authority = IssuingAuthority::new(&trust_domain, root.clone(), &root_key).unwrap();
        let certificate =
            intermediate_certificate(&authority, &key, now(), 2 * YEAR, serial(0xff)).unwrap();
        Self {
            trust_domain,
            root_key,
            root,
            key,
            certificate,
        }
    }

    fn authority(&self) -> IssuingAuthority<'_> {
        IssuingAuthority::new(&self.trust_domain, self.certificate.clone(), &self.key).unwrap()
    }

    fn bundle(&self) -> X509Bundle {
        X509Bundle::new(self.trust_domain.clone(), [self.root.clone()]).unwrap()
    }

    fn issue(&self, id: &str, spki_der: &[u8], now: Timestamp) -> Result<Vec<u8>, CaError> {
        let request = LeafRequest {
            spiffe_id: &id.parse().unwrap(),
            dns_names: &[],
            spki_der,
            now,
            lifetime_seconds: 3_600,
            serial: serial(7),
        };
        leaf_certificate(&self.authority(), request)
    }
}

/// A DNS name beside the ID is no identity: neither one that looks like an ID of somebody else nor one
/// that somebody else listens at.
#[test]
fn dns_names_stand_beside_the_id_and_are_no_identity() {
    let deployment = Deployment::new();
    let names: Vec<_> = ["agent.b.td", "gateway.td", "xn--bcher-kva.example"]
        .map(|name| name.parse().unwrap())
        .into();
    let id: chancery_identity::SpiffeId = "spiffe://td/agent/a".parse().unwrap();
    let subject = key();
    let request = LeafRequest {
        spiffe_id: &id,
        dns_names: &names,
        spki_der: &spki(&subject),
        now: now(),
        lifetime_seconds: 3_600,
        serial: serial(7),
    };
    let leaf = leaf_certificate(&deployment.authority(), request).unwrap();
    for name in &names {
        let found = leaf
            .windows(name.as_str().len())
            .any(|part| part == name.as_str().as_bytes());
        assert!(found, "{name}");
    }
    let chain = [leaf, deployment.certificate.clone()];
    let svid = verify_x509_svid(&chain, &deployment.bundle(), now(), SVID_ALGORITHMS).unwrap();
    assert_eq!(svid.spiffe_id(), &id);
}

#[test]
fn issues_what_verifies() {
    let deployment = Deployment::new();
    let subject = key();
    let leaf = deployment
        .issue("spiffe://td/agent/a", &spki(&subject), now())
        .unwrap();
    let chain = [leaf, deployment.certificate.clone()];
    let svid = verify_x509_svid(&chain, &deployment.bundle(), now(), SVID_ALGORITHMS).unwrap();
    assert_eq!(svid.spiffe_id().as_str(), "spiffe://td/agent/a");
    assert_eq!(svid.spki_der(), spki(&subject));
    assert_eq!(svid.not_before(), now().minus_seconds(10));
    assert_eq!(svid.not_after(), now().plus_seconds(3_600));
    assert_eq!(svid.serial(), [7; 16]);
}

#[test]
fn the_extensions_are_the_profiles() {
    let deployment = Deployment::new();
    let leaf = deployment
        .issue("spiffe://td/agent/a", &spki(&key()), now())
        .unwrap();
    // KeyUsage, critical, digitalSignature alone.
    let usage = [0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 3, 2, 7, 0x80];
    // BasicConstraints, critical, CA:FALSE.
    let constraints = [0x55, 0x1d, 0x13, 1, 1, 0xff, 4, 2, 0x30, 0];
    // SubjectAltName, critical.
    let name = [0x55, 0x1d, 0x11, 1, 1, 0xff];
    let (subject_id, authority_id) = ([0x55, 0x1d, 0x0e], [0x55, 0x1d, 0x23]);
    let parts: [&[u8]; 5] = [&usage, &constraints, &name, &subject_id, &authority_id];
    for part in parts {
        assert!(
            leaf.windows(part.len()).any(|window| window == part),
            "{part:x?}"
        );
    }
}

#[test]
fn authorities_are_named_by_the_trust_domain_and_constrain_no_names() {
    let deployment = Deployment::new();
    let name = [&[0x86, 11][..], b"spiffe://td"].concat();
    // KeyUsage, critical, keyCertSign and cRLSign.
    let usage = [0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 3, 2, 1, 6];
    let constraints = [0x55, 0x1d, 0x1e];
    for der in [&deployment.root, &deployment.certificate] {
        let holds = |part: &[u8]| der.windows(part.len()).any(|window| window == part);
        assert!(holds(&name) && holds(&usage));
        assert!(!holds(&constraints));
    }
}

#[test]
fn refuses_subjects_that_are_no_workloads_of_the_trust_domain() {
    let deployment = Deployment::new();
    let subject = spki(&key());
    for (id, error) in [
        ("spiffe://other/agent/a", X509SvidError::WrongTrustDomain),
        ("spiffe://td", X509SvidError::Leaf(ProfileError::NoPath)),
    ] {
        match deployment.issue(id, &subject, now()) {
            Err(CaError::Refused(refusal)) => assert_eq!(refusal, error),
            other => panic!("{id}: {other:?}"),
        }
    }
    let long = format!("spiffe://td/{}", "a".repeat(2_037));
    assert!(matches!(
        deployment.issue(&long, &subject, now()),
        Err(CaError::SubjectTooLong)
    ));
}

#[test]
fn refuses_keys_that_are_not_p256() {
    let deployment = Deployment::new();
    let mut off_curve = spki(&key());
    *off_curve.last_mut().unwrap() ^= 1;
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let trailing = [spki(&key()), vec![0]].concat();
    for bad in [
        off_curve,
        ed25519.subject_public_key_info(),
        p384.subject_public_key_info(),
        trailing,
        Vec::new(),
    ] {
        let outcome = deployment.issue("spiffe://td/agent/a", &bad, now());
        assert!(matches!(outcome, Err(CaError::SubjectKey)), "{outcome:?}");
    }
    let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let validity = Validity::from_now(now(), YEAR);
    let outcome = root_certificate(&ed25519, &deployment.trust_domain, validity, serial(1));
    assert!(matches!(outcome, Err(CaError::AuthorityKey)));
}

#[test]
fn refuses_an_authority_with_another_key() {
    let deployment = Deployment::new();
    let stranger = key();
    let certificate = deployment.certificate.clone();
    let authority =
        IssuingAuthority::new(&deployment.trust_domain, certificate, &stranger).unwrap();
    let request = LeafRequest {
        spiffe_id: &"spiffe://td/agent/a".parse().unwrap(),
        dns_names: &[],
        spki_der: &spki(&key()),
        now: now(),
        lifetime_seconds: 3_600,
        serial: serial(7),
    };
    let outcome = leaf_certificate(&authority, request);
    assert!(matches!(
        outcome,
        Err(CaError::Refused(X509SvidError::Untrusted))
    ));
    // None of several: what is refused proves nothing of the next.
    let issuer = LeafIssuer::new(&authority, now()).unwrap();
    for _ in 0..3 {
        let outcome = issuer.leaf(&request);
        assert!(matches!(
            outcome,
            Err(CaError::Refused(X509SvidError::Untrusted))
        ));
    }
}

#[test]
fn what_is_issued_together_verifies_leaf_by_leaf() {
    let deployment = Deployment::new();
    let authority = deployment.authority();
    let issuer = LeafIssuer::new(&authority, now()).unwrap();
    for number in 0..3 {
        let spiffe_id = format!("spiffe://td/agent/a{number}").parse().unwrap();
        let leaf = issuer.leaf(&LeafRequest {
            spiffe_id: &spiffe_id,
            dns_names: &[],
            spki_der: &spki(&key()),
            now: now(),
            lifetime_seconds: 3_600,
            serial: serial(number),
        });
        let chain = [leaf.unwrap(), deployment.certificate.clone()];
        let svid = verify_x509_svid(&chain, &deployment.bundle(), now(), SVID_ALGORITHMS);
        assert_eq!(svid.unwrap().spiffe_id(), &spiffe_id);
    }
}

/// An authority from elsewhere that may be constrained in its names, which the first leaf shows nothing of.
#[test]
fn a_dns_name_that_the_authority_may_not_give_is_refused_among_several() {
    let deployment = Deployment::new();
    let trust_domain = &deployment.trust_domain;
    let validity = Validity::from_now(now(), YEAR);
    let mut params =
        super::params::common(&trust_domain.to_spiffe_id(), validity, serial(9)).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("inside.example".to_owned())],
        excluded_subtrees: Vec::new(),
    });
    let root = SignerKey::new(&deployment.root_key).unwrap();
    let root = rcgen::Issuer::from_ca_cert_der(&deployment.root.clone().into(), root).unwrap();
    let certificate = params.signed_by(&SignerKey::new(&deployment.key).unwrap(), &root);
    let certificate = certificate.unwrap().der().to_vec();
    let authority = IssuingAuthority::new(trust_domain, certificate, &deployment.key).unwrap();
    let issuer = LeafIssuer::new(&authority, now()).unwrap();
    let names = [
        None,
        Some("agent.inside.example"),
        Some("agent.outside.example"),
        None,
    ];
    let issued = names.map(|name| {
        let dns_names: Vec<_> = name.into_iter().map(|name| name.parse().unwrap()).collect();
        let leaf = issuer.leaf(&LeafRequest {
            spiffe_id: &"spiffe://td/agent/a".parse().unwrap(),
            dns_names: &dns_names,
            spki_der: &spki(&key()),
            now: now(),
            lifetime_seconds: 3_600,
            serial: serial(7),
        });
        leaf.is_ok()
    });
    assert_eq!(issued, [true, true, false, true]);
}

#[test]
fn a_leaf_is_no_authority() {
    let deployment = Deployment::new();
    let subject = key();
    let leaf = deployment
        .issue("spiffe://td/agent/a", &spki(&subject), now())
        .unwrap();
    let refusal = IssuingAuthority::new(&deployment.trust_domain, leaf, &subject);
    assert!(matches!(
        refusal,
        Err(CaError::Authority(ProfileError::NotCa))
    ));
    let other: TrustDomain = "other".parse().unwrap();
    let root = deployment.root.clone();
    let refusal = IssuingAuthority::new(&other, root, &deployment.root_key);
    assert!(matches!(
        refusal,
        Err(CaError::Authority(ProfileError::WrongTrustDomain))
    ));
}

#[test]
fn nothing_outlives_its_authority() {
    let deployment = Deployment::new();
    let subject = spki(&key());
    let end = deployment.authority().certificate().not_after();
    assert_eq!(end, now().plus_seconds(YEAR));
    let late = end.minus_seconds(60);
    let leaf = deployment
        .issue("spiffe://td/agent/a", &subject, late)
        .unwrap();
    let chain = [leaf, deployment.certificate.clone()];
    let svid = verify_x509_svid(&chain, &deployment.bundle(), late, SVID_ALGORITHMS).unwrap();
    assert_eq!(svid.not_after(), end);
    let outcome = deployment.issue("spiffe://td/agent/a", &subject, end.plus_seconds(1));
    assert!(matches!(outcome, Err(CaError::Validity)));
    let early = deployment.issue("spiffe://td/agent/a", &subject, now().minus_seconds(60));
    assert!(matches!(early, Err(CaError::AuthorityNotValid)));
}
