use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::Context as _;
use chancery_crypto::{
    AwsLc, SigningKey, create_private_file, random_bytes, read_private_file, replace_private_file,
};
use chancery_identity::TrustDomain;
use chancery_identity::trust::{
    AccessTokenAuthority, DelegationAuthority, LogOrigin, ManifestIssuer, SignedTrust,
    TrustDocument, TrustFormat, TrustSignature, VerifiedTrust,
};
use chancery_journal::LocalSigner;
use chancery_server::Clock;
use chancery_signer::ca::{
    IssuingAuthority, SerialNumber, Validity, intermediate_certificate, root_certificate,
};
use chancery_signer::keys::{create_key, open_key};
use chancery_signer::{KeysError, RootConfig, SignerKeys};
use chancery_tlog::LogKeys;
use chancery_types::{Algorithm, Digest, base64url};

use super::{Layout, VERSION};

/// The offline key that signs the trust document.
const TRUST_ROOT: (&str, Algorithm) = ("trust-root.key", Algorithm::Ed25519);

/// The offline key of the X.509 root.
const X509_ROOT: (&str, Algorithm) = ("x509-root.key", Algorithm::Es256);

/// The key that signs policy bundles.
const POLICY: (&str, Algorithm) = ("policy.key", Algorithm::Ed25519);

/// The key that signs agent manifests.
const MANIFEST: (&str, Algorithm) = ("manifest.key", Algorithm::Ed25519);

/// The gateway's key for Trust Records.
const RECORD: (&str, Algorithm) = ("record.key", Algorithm::Ed25519);

const ENROL_CODE: &str = "enrol-code";

const DAY_SECONDS: u64 = 86_400;

/// Makes a data folder with fresh keys and the first trust document.
///
/// The key of the X.509 root is among the offline ones, or with the signer, which then certifies its
/// intermediates by itself.
pub(crate) fn create(
    layout: &Layout,
    trust_domain: &TrustDomain,
    online_root: bool,
) -> anyhow::Result<()> {
    for folder in layout.folders() {
        let made = DirBuilder::new().mode(0o700).create(&folder);
        match made {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error).context(folder.display().to_string());
            }
            _ => {}
        }
    }
    let now = Clock::machine();
    let root = layout.root();
    let trust_root = create_key(&root, TRUST_ROOT)?;
    let holder = match online_root {
        true => layout.signer(),
        false => root.clone(),
    };
    let x509_root = create_key(&holder, X509_ROOT)?;
    let policy = create_key(&root, POLICY)?;
    let manifest = create_key(&root, MANIFEST)?;
    let record = create_key(&layout.gateway(), RECORD)?;
    let certificate = root_certificate(
        &x509_root,
        trust_domain,
        Validity::from_now(now, 3_650 * DAY_SECONDS),
        SerialNumber::from_random(random_bytes()?),
    )?;
    let mut config = RootConfig::default();
    let mut lifetime = 365 * DAY_SECONDS;
    if online_root {
        let name = X509_ROOT.0.replace(".key", ".pem");
        create_private_file(
            &holder.join(&name),
            certificate_pem(&certificate).as_bytes(),
        )?;
        config.certificate = Some(name.into());
        config.key = Some(X509_ROOT.0.into());
        lifetime = 30 * DAY_SECONDS;
    }
    config.write(&layout.signer())?;
    let signer = SignerKeys::create(&layout.signer(), |key| -> anyhow::Result<Vec<u8>> {
        let authority = IssuingAuthority::new(trust_domain, certificate.clone(), &x509_root)?;
        let serial = SerialNumber::from_random(random_bytes()?);
        Ok(intermediate_certificate(
            &authority, key, now, lifetime, serial,
        )?)
    })?;
    let server_log = log_keys(
        &layout.signer_log_key(),
        &format!("{trust_domain}/log/server"),
    )?;
    let gateway_log = log_keys(
        &layout.gateway_log_key(),
        &format!("{trust_domain}/log/gateway"),
    )?;
    let trust = TrustDocument {
        format: TrustFormat::V1,
        version: 1,
        trust_domain: trust_domain.to_string(),
        issued_at: now,
        previous: None,
        threshold: 1,
        roots: vec![*trust_root.public()],
        x509_authorities: vec![base64url::encode(&certificate)],
        token_authorities: vec![*signer.token.public()],
        jwt_authorities: signer.jwt.iter().map(|key| *key.public()).collect(),
        delegation_authorities: vec![DelegationAuthority {
            issuer: format!("https://{trust_domain}/authority"),
            key: *signer.delegation.public(),
        }],
        access_token_authorities: (signer.access.iter())
            .map(|key| AccessTokenAuthority {
                issuer: format!("https://{trust_domain}/oauth"),
                key: *key.public(),
            })
            .collect(),
        manifest_issuers: vec![ManifestIssuer {
            issuer: format!("spiffe://{trust_domain}/issuer/manifests"),
            key: *manifest.public(),
        }],
        people: Vec::new(),
        policy_signers: vec![*policy.public()],
        policy_quorum: None,
        snapshot_signers: vec![*signer.snapshot.public()],
        record_signers: vec![*record.public()],
        witnesses: None,
        log_origins: vec![
            origin(
                &server_log,
                format!("spiffe://{trust_domain}/service/server"),
            ),
            origin(
                &gateway_log,
                format!("spiffe://{trust_domain}/service/gateway"),
            ),
        ],
    };
    create_private_file(&layout.trust_file(), &sign_trust(&trust_root, trust)?)?;
    // INVARIANT: the version file is written last; a folder without it is not a deployment.
    create_private_file(&layout.data().join("version"), VERSION.as_bytes())?;
    Ok(())
}

/// Signs a trust document with the root key and checks the result.
fn sign_trust(root: &SigningKey, trust: TrustDocument) -> anyhow::Result<Vec<u8>> {
    let mut signed = SignedTrust {
        signatures: Vec::new(),
        trust,
    };
    add_signature(&mut signed, root)?;
    Ok(signed.verify(&AwsLc)?.signed().to_bytes()?)
}

/// Adds the signature of a root key, in the order of key ids, in the place of a former one.
pub(crate) fn add_signature(signed: &mut SignedTrust, root: &SigningKey) -> anyhow::Result<()> {
    let input = SignedTrust::signing_input(&signed.trust)?;
    let kid = root.public().kid();
    signed.signatures.retain(|one| one.kid != kid);
    signed.signatures.push(TrustSignature {
        kid,
        signature: base64url::encode(root.sign(&input)?),
    });
    signed
        .signatures
        .sort_by(|one, other| one.kid.cmp(&other.kid));
    Ok(())
}

/// A certificate in PEM.
pub(crate) fn certificate_pem(der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", der), config)
}

impl Layout {
    /// The next version of the trust document, changed by `change` and signed by the root key.
    pub(crate) fn next_trust(
        &self,
        change: impl FnOnce(&mut TrustDocument),
    ) -> anyhow::Result<Vec<u8>> {
        let current = self.trust()?;
        let signed = self.proposed_trust(&current, change)?;
        let needed = current.threshold;
        let accepted = current.accept(signed, &AwsLc).with_context(|| {
            format!(
                "{needed} root keys must sign, and {} of them are in {}; write the change with \
                 `chancery trust change --out FILE` and have the others sign it",
                self.trust_roots().map_or(0, |keys| keys.len()),
                self.root().display()
            )
        })?;
        Ok(accepted.signed().to_bytes()?)
    }

    /// The next version of the trust document, changed by `change` and signed by the root keys that
    /// are at hand, which may be too few.
    pub(crate) fn proposed_trust(
        &self,
        current: &VerifiedTrust,
        change: impl FnOnce(&mut TrustDocument),
    ) -> anyhow::Result<SignedTrust> {
        let mut trust = current.signed().trust.clone();
        change(&mut trust);
        trust.version = current.version + 1;
        trust.previous = Some(current.digest());
        trust.issued_at = Clock::machine().max(trust.issued_at);
        let mut signed = SignedTrust {
            signatures: Vec::new(),
            trust,
        };
        for key in self.trust_roots()? {
            let roots = [&current.roots, &signed.trust.roots];
            if roots.iter().any(|roots| roots.contains(key.public())) {
                add_signature(&mut signed, &key)?;
            }
        }
        Ok(signed)
    }

    /// The root keys of the trust document that are in the data folder.
    pub(crate) fn trust_roots(&self) -> anyhow::Result<Vec<SigningKey>> {
        let mut keys = Vec::new();
        for name in names(&self.root(), "trust-root")? {
            keys.push(open_key(&self.root(), (&name, TRUST_ROOT.1))?);
        }
        Ok(keys)
    }

    /// The keys of X.509 roots in a folder of offline keys, the newest first.
    pub(crate) fn x509_roots(folder: &std::path::Path) -> anyhow::Result<Vec<SigningKey>> {
        let mut keys = Vec::new();
        for name in names(folder, "x509-root")? {
            keys.push(open_key(folder, (&name, X509_ROOT.1))?);
        }
        keys.reverse();
        Ok(keys)
    }

    /// Makes another X.509 root among the offline keys: the file of its certificate, and the
    /// certificate.
    pub(crate) fn new_x509_root(&self, days: u64) -> anyhow::Result<(std::path::PathBuf, Vec<u8>)> {
        let trust_domain: TrustDomain = self.trust()?.trust_domain.parse()?;
        let known = names(&self.root(), "x509-root")?.len();
        let name = format!("x509-root-{:03}", known + 1);
        let key = create_key(&self.root(), (&format!("{name}.key"), X509_ROOT.1))?;
        let certificate = root_certificate(
            &key,
            &trust_domain,
            Validity::from_now(Clock::machine(), days * DAY_SECONDS),
            SerialNumber::from_random(random_bytes()?),
        )?;
        let file = self.root().join(format!("{name}.pem"));
        create_private_file(&file, certificate_pem(&certificate).as_bytes())?;
        Ok((file, certificate))
    }

    /// A signature of the root key over something else than a trust document.
    pub(crate) fn sign_as_root(&self, input: &[u8]) -> anyhow::Result<TrustSignature> {
        let root = open_key(&self.root(), TRUST_ROOT)?;
        Ok(TrustSignature {
            kid: root.public().kid(),
            signature: base64url::encode(root.sign(input)?),
        })
    }

    /// The key that signs policy bundles.
    pub(crate) fn policy_key(&self) -> Result<SigningKey, KeysError> {
        open_key(&self.root(), POLICY)
    }

    /// Whether the data folder has that key; others may have theirs elsewhere.
    pub(crate) fn has_policy_key(&self) -> bool {
        self.root().join(POLICY.0).exists()
    }

    /// The key that signs agent manifests.
    pub(crate) fn manifest_key(&self) -> Result<SigningKey, KeysError> {
        open_key(&self.root(), MANIFEST)
    }

    /// The file of the gateway's key for Trust Records.
    pub(crate) fn record_key_file(&self) -> std::path::PathBuf {
        self.gateway().join(RECORD.0)
    }

    /// A fresh one-time code, which takes the place of the former; none where somebody is enrolled.
    pub(crate) fn open_enrol_code(&self) -> anyhow::Result<Option<String>> {
        if !self.trust()?.people.is_empty() {
            self.close_enrol_code()?;
            return Ok(None);
        }
        let code = one_time_code()?;
        let digest = Digest::of(&code).to_string();
        replace_private_file(&self.root().join(ENROL_CODE), digest.as_bytes())?;
        Ok(Some(code))
    }

    /// Fails when the code is not the open one, which stays open.
    pub(crate) fn check_enrol_code(&self, code: &str) -> anyhow::Result<()> {
        let expected = read_private_file(&self.root().join(ENROL_CODE)).ok();
        let expected = expected
            .filter(|_| self.trust().is_ok_and(|trust| trust.people.is_empty()))
            .context("no one-time code is open: it was used, or `up` never printed one")?;
        let given = Digest::of(code.trim().to_ascii_lowercase()).to_string();
        anyhow::ensure!(
            expected.ct_eq(given.as_bytes()),
            "the one-time code is not this one; take the one that `up` printed last, which is open \
             still"
        );
        Ok(())
    }

    /// Uses the one-time code up.
    pub(crate) fn close_enrol_code(&self) -> anyhow::Result<()> {
        let path = self.root().join(ENROL_CODE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(path.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

/// The key files in a folder whose names begin so, in the order in which they were made. A folder that
/// was moved away has none.
fn names(folder: &std::path::Path, begin: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(names);
    };
    for entry in entries {
        let name = entry
            .with_context(|| folder.display().to_string())?
            .file_name();
        let name = name.to_string_lossy().into_owned();
        if name.starts_with(begin) && name.ends_with(".key") {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names)
}

fn log_keys(folder: &std::path::Path, origin: &str) -> anyhow::Result<LogKeys> {
    Ok(LocalSigner::open_or_create(folder, &origin.parse()?)?
        .keys()
        .clone())
}

fn origin(keys: &LogKeys, writer: String) -> LogOrigin {
    LogOrigin {
        origin: keys.origin().to_string(),
        writer,
        ed25519: keys.ed25519().to_string(),
        ml_dsa_44: keys.ml_dsa_44().to_string(),
    }
}

/// Sixteen letters and digits that are not mistaken for each other, in groups of four.
pub(crate) fn one_time_code() -> anyhow::Result<String> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random = random_bytes::<16>()?;
    let mut code = String::new();
    for (place, byte) in random.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        let letter = ALPHABET
            .get(usize::from(byte % 32))
            .copied()
            .unwrap_or(b'0');
        code.push(letter.into());
    }
    Ok(code)
}
