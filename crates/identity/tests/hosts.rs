//! Certificates that hosts have of authorities that the operator admitted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::{NodeAuthority, NodeCertificateError, verify_node_certificate};
use chancery_types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SigningKey as _,
};

const DAY: u64 = 86_400;
const NOW: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn validity(params: &mut CertificateParams, from: u64, to: u64) {
    let date =
        |seconds: u64| rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(seconds);
    params.not_before = date(from);
    params.not_after = date(to);
}

struct Ca {
    params: CertificateParams,
    key: KeyPair,
    authority: NodeAuthority,
}

struct Host {
    chain: Vec<Vec<u8>>,
    key: KeyPair,
}

fn ca(change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "hosts");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    validity(&mut params, NOW - DAY, NOW + DAY);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    (params, key, der)
}

impl Ca {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key, der) = ca(change);
        let authority = NodeAuthority::new(der).unwrap();
        Self {
            params,
            key,
            authority,
        }
    }

    fn host(&self, change: impl FnOnce(&mut CertificateParams)) -> Host {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "host-1");
        params.subject_alt_names = vec![dns("host-1.example.org")];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        validity(&mut params, NOW - 60, NOW + 60);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let leaf = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        Host {
            chain: vec![leaf],
            key,
        }
    }

    fn judge(&self, host: &Host) -> Result<(), NodeCertificateError> {
        let signature = host.key.sign(b"message").unwrap();
        let signed = (b"message".as_slice(), signature.as_slice());
        let authorities = [self.authority.clone()];
        let proven =
            verify_node_certificate(&host.chain, &authorities, now(), SVID_ALGORITHMS, signed)?;
        assert_eq!(proven.subject(), "CN=host-1");
        assert_eq!(proven.names(), ["dns:host-1.example.org"]);
        assert_eq!(proven.authority(), self.authority.fingerprint());
        Ok(())
    }
}

#[test]
fn a_host_is_known_by_its_certificate_and_key() {
    use NodeCertificateError as E;
    let known = Ca::new(|_| {});
    known.judge(&known.host(|_| {})).unwrap();
    // Without usages there is nothing that forbids it.
    known
        .judge(&known.host(|params| {
            params.key_usages.clear();
            params.extended_key_usages.clear();
        }))
        .unwrap();
    let refused =
        |change: fn(&mut CertificateParams)| known.judge(&known.host(change)).unwrap_err();
    assert_eq!(
        refused(|params| validity(params, NOW - 60, NOW - 1)),
        E::Expired
    );
    assert_eq!(
        refused(|params| validity(params, NOW + 1, NOW + 60)),
        E::NotYetValid
    );
    assert_eq!(
        refused(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        E::ExtendedKeyUsage
    );
    assert_eq!(
        refused(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        E::KeyUsage
    );
    assert_eq!(
        refused(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        E::CaAsLeaf
    );
    let other = Ca::new(|_| {});
    assert_eq!(known.judge(&other.host(|_| {})), Err(E::Untrusted));
}

#[test]
fn neither_another_key_nor_another_message_passes() {
    use NodeCertificateError as E;
    let known = Ca::new(|_| {});
    let host = known.host(|_| {});
    let signature = host.key.sign(b"message").unwrap();
    let other = KeyPair::generate().unwrap().sign(b"message").unwrap();
    let authorities = [known.authority.clone()];
    let judge = |chain: &[Vec<u8>], message: &[u8], signature: &[u8]| {
        let signed = (message, signature);
        verify_node_certificate(chain, &authorities, now(), SVID_ALGORITHMS, signed).map(drop)
    };
    judge(&host.chain, b"message", &signature).unwrap();
    assert_eq!(
        judge(&host.chain, b"massage", &signature),
        Err(E::BadSignature)
    );
    assert_eq!(judge(&host.chain, b"message", &other), Err(E::BadSignature));
    assert_eq!(judge(&host.chain, b"message", &[]), Err(E::BadSignature));
    assert_eq!(judge(&[], b"message", &signature), Err(E::ChainLength));
    let many = vec![host.chain[0].clone(); 9];
    assert_eq!(judge(&many, b"message", &signature), Err(E::ChainLength));
    let mut more = host.chain[0].clone();
    more.push(0);
    assert_eq!(judge(&[more], b"message", &signature), Err(E::Malformed));
    assert_eq!(
        judge(&[vec![0x30]], b"message", &signature),
        Err(E::Malformed)
    );
}

#[test]
fn a_host_is_the_same_by_each_certificate_over_its_key() {
    let known = Ca::new(|_| {});
    let authorities = [known.authority.clone()];
    let issuer = Issuer::from_params(&known.params, &known.key);
    let proven = |key: &KeyPair, from| {
        let mut params = CertificateParams::default();
        validity(&mut params, from, NOW + 60);
        let der = params.signed_by(key, &issuer).unwrap().der().to_vec();
        let signature = key.sign(b"message").unwrap();
        let signed = (b"message".as_slice(), signature.as_slice());
        verify_node_certificate(&[der], &authorities, now(), SVID_ALGORITHMS, signed).unwrap()
    };
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (first, again) = (proven(&key, NOW - 60), proven(&key, NOW - 30));
    assert_ne!(first.fingerprint(), again.fingerprint());
    assert_eq!(first.key(), again.key());
    assert_ne!(first.key(), proven(&other, NOW - 60).key());
}

#[test]
fn an_authority_is_one_and_valid() {
    use NodeCertificateError as E;
    let (.., der) = ca(|params| params.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(NodeAuthority::new(der), Err(E::NotCa));
    let (.., der) = ca(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(NodeAuthority::new(der), Err(E::NotCa));
    assert!(E::NotCa.to_string().contains("keyCertSign"));
    assert_eq!(
        NodeAuthority::new(b"no certificate".to_vec()),
        Err(E::Malformed)
    );
    let over = Ca::new(|params| validity(params, NOW - DAY, NOW - 1));
    assert_eq!(over.judge(&over.host(|_| {})), Err(E::Untrusted));
}

#[test]
fn an_intermediate_is_held_to_the_authoritys_path_length() {
    let chained = |limit: Option<u8>| {
        let constraints = limit.map_or(
            BasicConstraints::Unconstrained,
            BasicConstraints::Constrained,
        );
        let top = Ca::new(|params| params.is_ca = IsCa::Ca(constraints));
        let mut params = top.params.clone();
        params
            .distinguished_name
            .push(DnType::CommonName, "between");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&top.params, &top.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        let authority = NodeAuthority::new(der.clone()).unwrap();
        let between = Ca {
            params,
            key,
            authority,
        };
        let mut host = between.host(|_| {});
        host.chain.push(der);
        top.judge(&host)
    };
    chained(None).unwrap();
    chained(Some(1)).unwrap();
    assert_eq!(chained(Some(0)), Err(NodeCertificateError::Untrusted));
}
