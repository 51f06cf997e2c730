use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use chancery_audit::{Disclosure, Label};
use chancery_crypto::{read_private_file, replace_private_file};
use chancery_journal::{ContentError, Keyring, Subject};
use chancery_types::id::SessionId;
use chancery_types::{Digest, base64url, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// What the gateway knows of a session and its log does not say: by which objects its commitments
/// open, its manifests and tokens are found. Written before the entries that rest on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dossier {
    /// What opens the session's commitment to the person; none once they were erased.
    pub(crate) principal: Option<Disclosure>,
    /// The objects that open commitments.
    pub(crate) disclosures: BTreeSet<Digest>,
    /// By SPIFFE ID.
    pub(crate) members: BTreeMap<Label, MemberObjects>,
    /// By the digest of the bundle.
    pub(crate) policies: BTreeMap<String, PolicyObject>,
}

/// The objects of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberObjects {
    /// The envelope of its manifest.
    pub(crate) manifest: Digest,
    /// Its token.
    pub(crate) wit: Digest,
    /// The manifest's own id.
    pub(crate) manifest_id: String,
    /// The digest of the code that its manifest names.
    pub(crate) code: Digest,
}

/// The object of a policy bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyObject {
    /// The digest of the canonical JSON of path to text.
    pub(crate) object: Digest,
    /// The bundle's version.
    pub(crate) version: u64,
}

/// A dossier as it stands on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DossierFile {
    principal: KeptPrincipal,
    disclosures: BTreeSet<Digest>,
    members: BTreeMap<Label, MemberObjects>,
    policies: BTreeMap<String, PolicyObject>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KeptPrincipal {
    /// Sealed for the person, base64url.
    Sealed(String),
    /// As gateways kept it that sealed nothing.
    Clear(Disclosure),
}

impl Dossier {
    /// The person that the session is about, as keys know them.
    pub(crate) fn whose(&self) -> Option<Subject> {
        let text = &self.principal.as_ref()?.value;
        let read = parse_strict(text.as_bytes()).ok()?;
        Some(Subject::person(read.get("sub")?.as_str()?))
    }
}

/// The dossiers of all sessions, one file each.
#[derive(Debug, Clone)]
pub(crate) struct Dossiers {
    folder: PathBuf,
    keys: Arc<Keyring>,
}

impl Dossiers {
    pub(crate) fn open(folder: PathBuf, keys: Arc<Keyring>) -> io::Result<Self> {
        super::objects::private_folder(&folder)?;
        Ok(Self { folder, keys })
    }

    /// Keeps a dossier durably.
    pub(crate) async fn keep(&self, session: SessionId, dossier: &Dossier) -> io::Result<()> {
        let bytes = self.written(session, dossier)?;
        let path = self.path(session);
        let kept = tokio::task::spawn_blocking(move || replace_private_file(&path, &bytes)).await;
        kept.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// The same, on a thread that may wait.
    pub(crate) fn keep_now(&self, session: SessionId, dossier: &Dossier) -> io::Result<()> {
        let bytes = self.written(session, dossier)?;
        replace_private_file(&self.path(session), &bytes).map_err(io::Error::other)
    }

    /// The dossier of a session, and whether it stands in clear; none where there is no readable one.
    pub(crate) fn read(&self, session: SessionId) -> Option<(Dossier, bool)> {
        let bytes = read_private_file(&self.path(session)).ok()?;
        let file: DossierFile = serde_json::from_value(parse_strict(bytes.expose()).ok()?).ok()?;
        let (principal, is_clear) = match file.principal {
            KeptPrincipal::Clear(principal) => (Some(principal), true),
            KeptPrincipal::Sealed(text) => (self.opened(session, &text)?, false),
        };
        let dossier = Dossier {
            principal,
            disclosures: file.disclosures,
            members: file.members,
            policies: file.policies,
        };
        Some((dossier, is_clear))
    }

    /// What opens the commitment to the person; the inner none says that they were erased.
    fn opened(&self, session: SessionId, text: &str) -> Option<Option<Disclosure>> {
        let sealed = base64url::decode(text).ok()?;
        match self.keys.open_value(&place(session), &sealed) {
            Ok(value) => serde_json::from_slice(value.expose()).ok().map(Some),
            Err(ContentError::Erased { .. } | ContentError::Erasing) => Some(None),
            Err(error) => {
                tracing::error!(%session, %error, "a dossier cannot be opened");
                None
            }
        }
    }

    fn written(&self, session: SessionId, dossier: &Dossier) -> io::Result<Vec<u8>> {
        let erased = || io::Error::other("the person of the session was erased");
        let whose = dossier.whose().ok_or_else(erased)?;
        let principal = to_canonical(&dossier.principal).map_err(io::Error::other)?;
        let sealed = self.keys.seal(&whose, &place(session), &principal);
        let file = DossierFile {
            principal: KeptPrincipal::Sealed(base64url::encode(sealed.map_err(io::Error::other)?)),
            disclosures: dossier.disclosures.clone(),
            members: dossier.members.clone(),
            policies: dossier.policies.clone(),
        };
        to_canonical(&file).map_err(io::Error::other)
    }

    fn path(&self, session: SessionId) -> PathBuf {
        self.folder.join(format!("{session}.json"))
    }
}

/// The place for which a person's disclosure is sealed.
fn place(session: SessionId) -> Vec<u8> {
    format!("dossier {session}").into_bytes()
}
