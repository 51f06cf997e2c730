use chancery_crypto::SVID_ALGORITHMS;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use super::*;
use crate::x509_profile::ProfileError as P;

pub(super) const NOW: u64 = 1_800_000_000;
const KEY_USAGE: &[u64] = &[2, 5, 29, 15];

pub(super) fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

pub(super) struct Authority {
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
    pub(super) der: Vec<u8>,
}

pub(super) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![uri("spiffe://td")];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, NOW - 1_000, NOW + 1_000);
    params
}

pub(super) fn validity(params: &mut CertificateParams, from: u64, to: u64) {
    let date =
        |seconds: u64| rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds);
    params.not_before = date(from);
    params.not_after = date(to);
}

pub(super) fn root_with(change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let mut params = ca_params("root");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Authority { params, key, der }
}

pub(super) fn root() -> Authority {
    root_with(|_| {})
}

impl Authority {
    pub(super) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }

    pub(super) fn intermediate(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params("intermediate");
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = self.sign(&params, &key);
        Self { params, key, der }
    }

    pub(super) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![uri("spiffe://td/agent/a")];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, NOW - 10, NOW + 100);
        change(&mut params);
        self.sign(&params, &KeyPair::generate().unwrap())
    }

    pub(super) fn bundle(&self) -> X509Bundle {
        X509Bundle::new("td".parse().unwrap(), [self.der.clone()]).unwrap()
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Result<VerifiedX509Svid, X509SvidError> {
        verify_x509_svid(chain, &self.bundle(), now(), SVID_ALGORITHMS)
    }
}

fn refused_leaf(change: impl FnOnce(&mut CertificateParams)) -> P {
    let root = root();
    match root.judge(&[root.leaf(change)]) {
        Err(X509SvidError::Leaf(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn accepts_a_leaf_with_and_without_intermediate() {
    let root = root();
    let svid = root.judge(&[root.leaf(|_| {})]).unwrap();
    assert_eq!(svid.spiffe_id().as_str(), "spiffe://td/agent/a");
    assert_eq!(svid.not_after(), now().plus_seconds(100));
    assert!(svid.is_valid_at(now()) && !svid.is_valid_at(now().plus_seconds(101)));
    let between = root.intermediate(|_| {});
    assert!(
        root.judge(&[between.leaf(|_| {}), between.der.clone()])
            .is_ok()
    );
    let dns = SanType::DnsName("agent.example".try_into().unwrap());
    let leaf = root.leaf(|params| params.subject_alt_names.push(dns));
    assert!(root.judge(&[leaf]).is_ok());
    let leaf = root.leaf(|params| params.extended_key_usages.clear());
    assert!(root.judge(&[leaf]).is_ok());
    let leaf = root.leaf(|params| params.is_ca = IsCa::NoCa);
    assert!(root.judge(&[leaf]).is_ok());
}

#[test]
fn refuses_names_that_are_no_workloads() {
    let named = |names: &[&str]| {
        let names = names.iter().map(|name| uri(name)).collect();
        refused_leaf(|params| params.subject_alt_names = names)
    };
    assert_eq!(named(&[]), P::NoUriSan);
    assert_eq!(
        named(&["spiffe://td/a", "spiffe://td/b"]),
        P::SeveralUriSans
    );
    assert_eq!(named(&["spiffe://td/a", "https://td/b"]), P::SeveralUriSans);
    assert_eq!(
        named(&["spiffe://td/a", "spiffe://td/a"]),
        P::SeveralUriSans
    );
    assert_eq!(named(&["spiffe://td"]), P::NoPath);
    assert_eq!(
        named(&["https://td/a"]),
        P::BadSpiffeId(crate::SpiffeIdError::Scheme)
    );
    for bad in [
        "spiffe://TD/a",
        "SPIFFE://td/a",
        "spiffe://td/a/",
        "spiffe://td/%61",
        "urn:a",
    ] {
        assert!(matches!(named(&[bad]), P::BadSpiffeId(_)), "{bad}");
    }
    let dns = SanType::DnsName("td".try_into().unwrap());
    assert_eq!(
        refused_leaf(|params| params.subject_alt_names = vec![dns]),
        P::NoUriSan
    );
}

#[test]
fn refuses_a_leaf_that_may_sign() {
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(refused_leaf(|params| params.is_ca = ca), P::CaAsLeaf);
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(
            refused_leaf(|params| params.key_usages.push(usage)),
            P::SigningLeaf
        );
    }
    let root = root();
    let error = X509SvidError::Leaf(P::CaAsLeaf);
    assert_eq!(
        root.judge(std::slice::from_ref(&root.der)),
        Err(error.clone())
    );
    let between = root.intermediate(|_| {});
    assert_eq!(root.judge(&[between.der]), Err(error));
}

#[test]
fn refuses_other_usages() {
    assert_eq!(
        refused_leaf(|params| params.key_usages.clear()),
        P::KeyUsageMissing
    );
    let usage = vec![KeyUsagePurpose::KeyEncipherment];
    assert_eq!(
        refused_leaf(|params| params.key_usages = usage),
        P::NoDigitalSignature
    );
    let lax = CustomExtension::from_oid_content(KEY_USAGE, vec![3, 2, 7, 0x80]);
    let error = refused_leaf(|params| {
        params.key_usages.clear();
        params.custom_extensions.push(lax);
    });
    assert_eq!(error, P::KeyUsageNotCritical);
    for only in [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ] {
        let only = vec![only];
        assert_eq!(
            refused_leaf(|params| params.extended_key_usages = only),
            P::ExtendedKeyUsage
        );
    }
}

#[test]
fn refuses_what_it_cannot_read() {
    let garbled = CustomExtension::from_oid_content(KEY_USAGE, vec![0xff]);
    let error = refused_leaf(|params| {
        params.key_usages.clear();
        params.custom_extensions.push(garbled);
    });
    assert_eq!(error, P::Malformed);
    let twice = CustomExtension::from_oid_content(KEY_USAGE, vec![3, 2, 7, 0x80]);
    assert_eq!(
        refused_leaf(|params| params.custom_extensions.push(twice)),
        P::Malformed
    );
    let root = root();
    let leaf = root.leaf(|_| {});
    let malformed = Err(X509SvidError::Leaf(P::Malformed));
    assert_eq!(root.judge(&[[leaf.as_slice(), b"x"].concat()]), malformed);
    assert_eq!(root.judge(&[leaf[..leaf.len() - 1].to_vec()]), malformed);
    assert_eq!(root.judge(&[Vec::new()]), malformed);
    assert_eq!(root.judge(&[]), Err(X509SvidError::EmptyChain));
    assert_eq!(root.judge(&vec![leaf; 9]), Err(X509SvidError::ChainTooLong));
}

#[test]
fn refuses_an_unknown_critical_extension() {
    let root = root();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    let leaf = root.leaf(|params| params.custom_extensions.push(unknown));
    assert_eq!(root.judge(&[leaf]), Err(X509SvidError::Untrusted));
}

#[test]
fn refuses_other_times() {
    let root = root();
    let leaf = root.leaf(|params| validity(params, NOW - 100, NOW - 1));
    assert_eq!(root.judge(&[leaf]), Err(X509SvidError::Expired));
    let leaf = root.leaf(|params| validity(params, NOW + 1, NOW + 100));
    assert_eq!(root.judge(&[leaf]), Err(X509SvidError::NotYetValid));
    let between = root.intermediate(|params| validity(params, NOW - 100, NOW - 1));
    let chain = [between.leaf(|_| {}), between.der.clone()];
    assert_eq!(root.judge(&chain), Err(X509SvidError::Expired));
    let expired = root_with(|params| validity(params, NOW - 100, NOW - 1));
    assert_eq!(
        expired.judge(&[expired.leaf(|_| {})]),
        Err(X509SvidError::Untrusted)
    );
}

#[test]
fn trusts_only_the_bundle_of_the_leafs_trust_domain() {
    let (root, other) = (root(), root_with(|_| {}));
    assert_eq!(
        root.judge(&[other.leaf(|_| {})]),
        Err(X509SvidError::Untrusted)
    );
    let foreign = root.leaf(|params| params.subject_alt_names = vec![uri("spiffe://other/a")]);
    assert_eq!(root.judge(&[foreign]), Err(X509SvidError::WrongTrustDomain));
    let leaf = root.leaf(|_| {});
    let nothing = X509Bundle::new("td".parse().unwrap(), Vec::<Vec<u8>>::new()).unwrap();
    let outcome = verify_x509_svid(&[leaf], &nothing, now(), SVID_ALGORITHMS);
    assert_eq!(outcome, Err(X509SvidError::Untrusted));
    let between = root.intermediate(|_| {});
    assert_eq!(
        root.judge(&[between.leaf(|_| {})]),
        Err(X509SvidError::Untrusted)
    );
}

#[test]
fn refuses_a_tampered_signature() {
    let root = root();
    let mut leaf = root.leaf(|_| {});
    *leaf.last_mut().unwrap() ^= 1;
    assert_eq!(root.judge(&[leaf]), Err(X509SvidError::Untrusted));
}

#[test]
fn refuses_intermediates_that_may_not_sign() {
    type Change = fn(&mut CertificateParams);
    let cases: [(Change, P); 4] = [
        (
            |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
            P::NoKeyCertSign,
        ),
        (|params| params.key_usages.clear(), P::KeyUsageMissing),
        (
            |params| params.subject_alt_names = vec![uri("spiffe://td/ca")],
            P::AuthorityWithPath,
        ),
        (
            |params| params.subject_alt_names = vec![uri("spiffe://other")],
            P::WrongTrustDomain,
        ),
    ];
    for (change, error) in cases {
        let root = root();
        let between = root.intermediate(change);
        let chain = [between.leaf(|_| {}), between.der.clone()];
        assert_eq!(root.judge(&chain), Err(X509SvidError::Intermediate(error)));
        let alone = root_with(change);
        let refusal = X509Bundle::new("td".parse().unwrap(), [alone.der]);
        assert!(refusal.is_err());
    }
    let root = root();
    let between = root.intermediate(|params| params.is_ca = IsCa::ExplicitNoCa);
    let chain = [between.leaf(|_| {}), between.der.clone()];
    assert_eq!(root.judge(&chain), Err(X509SvidError::Untrusted));
    let short = root_with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let between = short.intermediate(|_| {});
    let chain = [between.leaf(|_| {}), between.der.clone()];
    assert_eq!(short.judge(&chain), Err(X509SvidError::Untrusted));
}

#[test]
fn bundles_are_kept_by_trust_domain() {
    let bundles: crate::X509Bundles = [root().bundle()].into_iter().collect();
    assert!(bundles.of(&"spiffe://td/a".parse().unwrap()).is_some());
    assert!(bundles.of(&"spiffe://other/a".parse().unwrap()).is_none());
}
