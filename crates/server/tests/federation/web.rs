//! A certificate of the Web's, with an authority of its own.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) struct Web {
    root: String,
    leaf: rcgen::Certificate,
    key: KeyPair,
}

impl Web {
    /// For those names, valid in that range of seconds around now: `0..60` begins now.
    pub(crate) fn new(names: &[&str], valid: Range<u64>) -> Self {
        let now = SystemTime::now();
        Self::between(
            names,
            now + Duration::from_secs(valid.start),
            now + Duration::from_secs(valid.end),
        )
    }

    /// Valid until a minute ago.
    pub(crate) fn expired(names: &[&str]) -> Self {
        let now = SystemTime::now();
        Self::between(
            names,
            now - Duration::from_secs(3_600),
            now - Duration::from_secs(60),
        )
    }

    fn between(names: &[&str], from: SystemTime, to: SystemTime) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Authorities are told apart by name.
        let name = KeyPair::generate().unwrap().public_key_pem();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, name.get(40..80).unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = from.into();
        params.not_after = to.into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &root).unwrap();
        Self {
            root: root.pem(),
            leaf,
            key,
        }
    }

    pub(crate) fn root_pem(&self) -> String {
        self.root.clone()
    }

    pub(crate) fn certificate_pem(&self) -> String {
        self.leaf.pem()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// As a server presents it.
    pub(crate) fn presented(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        (vec![self.leaf.der().clone()], key)
    }
}
