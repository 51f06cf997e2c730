use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

/// An authority of `td.example`, and the files that a helper of the Workload API writes.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![uri("spiffe://td.example")];
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Writes an X.509-SVID, its key and the bundle of `believed` into a new folder, and returns the
    /// arguments that name them.
    pub(crate) fn svid(&self, folder: &Path, id: &str, believed: &Self) -> Vec<String> {
        std::fs::create_dir(folder).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(id)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let write = |name: &str, content: String| -> PathBuf {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        [
            ("--svid", write("svid.pem", certificate.pem())),
            ("--key", write("key.pem", key.serialize_pem())),
            ("--bundle", write("bundle.pem", believed.0.pem())),
        ]
        .into_iter()
        .flat_map(|(name, path)| [name.to_owned(), path.display().to_string()])
        .collect()
    }
}

fn uri(id: &str) -> SanType {
    SanType::URI(id.try_into().unwrap())
}
