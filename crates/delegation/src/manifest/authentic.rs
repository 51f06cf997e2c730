use std::fmt;

use chancery_types::{Digest, Jwk, SignatureVerifier, Timestamp, parse_instant, parse_strict};
use serde_json::Value;

use super::ManifestError;
use super::envelope::{Envelope, key_id};
use super::schema::{Completeness, check, problem_at};
use super::tables::MANIFEST;

/// The version of the reference verifier whose rules these are; manifests that ask for a later one
/// are refused.
const VERIFIER_VERSION: [u64; 3] = [0, 15, 0];

/// The artifacts that a manifest of full binding binds.
const CORE_ARTIFACTS: [&str; 3] = ["system_prompt", "policy_bundle", "model_identity"];

/// A key and the issuer that it may sign for. Without the pair no manifest is believed: a trusted
/// key alone signs for nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerKey {
    /// The `issuer` of the manifests: a SPIFFE ID.
    pub issuer: String,
    /// The key; Ed25519.
    pub key: Jwk,
}

/// What a verifier knows and a manifest cannot say.
#[derive(Clone, Copy)]
pub struct ManifestContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// Who may sign, and for whom.
    pub issuers: &'a [IssuerKey],
    /// Whether the manifest with that `manifest_id`, or the agent with that `agent_id`, was
    /// revoked.
    pub revoked: &'a dyn Fn(&str) -> bool,
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

impl fmt::Debug for ManifestContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestContext")
            .field("now", &self.now)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}

/// A manifest that its issuer signed, that is in force and whose members are known and of their
/// types. Artifact bindings may lack members that the schema requires, as the reference
/// implementation tolerates: nothing of ours rests on it before [`super::verify_manifest`].
#[derive(Debug, Clone)]
pub struct AuthenticManifest {
    pub(super) document: Value,
    pub(super) payload_digest: Digest,
    pub(super) key_id: Digest,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl AuthenticManifest {
    /// The signed document.
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// The digest of the signed bytes: how everything else names this manifest.
    pub const fn payload_digest(&self) -> Digest {
        self.payload_digest
    }

    /// The digest of the signing key's public bytes.
    pub const fn key_id(&self) -> Digest {
        self.key_id
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.document.pointer(pointer).and_then(Value::as_str)
    }
}

/// Verifies the envelope, the issuer's authority to sign, revocation, the period of validity and
/// the members, in the tolerance of the reference implementation.
pub fn authenticate_manifest(
    envelope: &[u8],
    context: &ManifestContext<'_>,
) -> Result<AuthenticManifest, ManifestError> {
    let envelope = Envelope::parse(envelope)?;
    let mut holders = context.issuers.iter();
    let known = holders.find(|known| key_id(&known.key) == envelope.key_id);
    let key = known.ok_or(ManifestError::UnknownKey)?.key;
    if !envelope.verify(&key, context.verifier) {
        return Err(ManifestError::Signature);
    }
    let document = parse_strict(&envelope.payload).map_err(ManifestError::Json)?;
    let (issued_at, expires_at) = check_document(&document, Completeness::Tolerant)?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let authorised = |known: &IssuerKey| known.key == key && text("issuer") == Some(&known.issuer);
    if !context.issuers.iter().any(authorised) {
        return Err(ManifestError::IssuerNotAuthorised);
    }
    let mut names = ["manifest_id", "agent_id"].into_iter().filter_map(text);
    if names.any(context.revoked) {
        return Err(ManifestError::Revoked);
    }
    if context.now < issued_at {
        return Err(ManifestError::NotYetValid);
    }
    if context.now >= expires_at {
        return Err(ManifestError::Expired);
    }
    Ok(AuthenticManifest {
        payload_digest: Digest::of(&envelope.payload),
        key_id: envelope.key_id,
        document,
        issued_at,
        expires_at,
    })
}

/// Checks a document by itself; returns its period of validity.
pub(super) fn check_document(
    document: &Value,
    completeness: Completeness,
) -> Result<(Timestamp, Timestamp), ManifestError> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let needed = text("min_verifier_version").map_or(Some([0; 3]), version);
    if text("version") != Some("0.2") || needed.is_none_or(|needed| needed > VERIFIER_VERSION) {
        return Err(ManifestError::IncompatibleVersion);
    }
    check(document, &MANIFEST, completeness)?;
    if text("crypto_profile") == Some("post-quantum") {
        return Err(ManifestError::Downgrade);
    }
    if text("profile").is_none() {
        let bound = |name: &&str| document.pointer(&format!("/artifacts/{name}")).is_some();
        if let Some(missing) = CORE_ARTIFACTS.iter().find(|name| !bound(name)) {
            return Err(ManifestError::Unbound(missing));
        }
    }
    let instant = |name: &str| text(name).and_then(parse_instant);
    instant("issued_at")
        .zip(instant("expires_at"))
        .ok_or_else(|| problem_at("/expires_at", "missing"))
}

fn version(text: &str) -> Option<[u64; 3]> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let mut version = [0; 3];
    for number in &mut version {
        match parts.next() {
            Some(part) => *number = part?,
            None => break,
        }
    }
    parts.next().is_none().then_some(version)
}
