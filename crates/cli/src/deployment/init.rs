use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::Context as _;
use chancery_crypto::{
    AwsLc, SigningKey, create_private_file, random_bytes, read_private_file, replace_private_file,
};
use chancery_identity::TrustDomain;
use chancery_identity::trust::{
    AccessTokenAuthority, DelegationAuthority, LogOrigin, ManifestIssuer, SignedTrust,
    TrustDocument, TrustFormat, TrustSignature,
};
use chancery_journal::LocalSigner;
use chancery_server::Clock;
use chancery_signer::ca::{
    IssuingAuthority, SerialNumber, Validity, intermediate_certificate, root_certificate,
};
use chancery_signer::keys::{create_key, open_key};
use chancery_signer::{KeysError, SignerKeys};
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
pub(crate) fn create(layout: &Layout, trust_domain: &TrustDomain) -> anyhow::Result<()> {
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
    let x509_root = create_key(&root, X509_ROOT)?;
    let policy = create_key(&root, POLICY)?;
    let manifest = create_key(&root, MANIFEST)?;
    let record = create_key(&layout.gateway(), RECORD)?;
    let certificate = root_certificate(
        &x509_root,
        trust_domain,
        Validity::from_now(now, 3_650 * DAY_SECONDS),
        SerialNumber::from_random(random_bytes()?),
    )?;
    let signer = SignerKeys::create(&layout.signer(), |key| -> anyhow::Result<Vec<u8>> {
        let authority = IssuingAuthority::new(trust_domain, certificate.clone(), &x509_root)?;
        let serial = SerialNumber::from_random(random_bytes()?);
        Ok(intermediate_certificate(
            &authority,
            key,
            now,
            365 * DAY_SECONDS,
            serial,
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
    let input = SignedTrust::signing_input(&trust)?;
    let signature = TrustSignature {
        kid: root.public().kid(),
        signature: base64url::encode(root.sign(&input)?),
    };
    let verified = SignedTrust {
        signatures: vec![signature],
        trust,
    }
    .verify(&AwsLc)?;
    Ok(verified.signed().to_bytes()?)
}

impl Layout {
    /// The next version of the trust document, changed by `change` and signed by the root key.
    pub(crate) fn next_trust(
        &self,
        change: impl FnOnce(&mut TrustDocument),
    ) -> anyhow::Result<Vec<u8>> {
        let current = self.trust()?;
        let mut next = current.signed().trust.clone();
        change(&mut next);
        next.version = current.version + 1;
        next.previous = Some(current.digest());
        next.issued_at = Clock::machine().max(next.issued_at);
        sign_trust(&open_key(&self.root(), TRUST_ROOT)?, next)
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
        let code = enrol_code()?;
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
fn enrol_code() -> anyhow::Result<String> {
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
