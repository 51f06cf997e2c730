use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use chancery_audit::{Disclosure, Label};
use chancery_crypto::{read_private_file, replace_private_file};
use chancery_types::id::SessionId;
use chancery_types::{Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// What the gateway knows of a session and its log does not say: by which objects its commitments
/// open, its manifests and tokens are found. Written before the entries that rest on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dossier {
    /// What opens the session's commitment to the person.
    pub(crate) principal: Disclosure,
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

/// The dossiers of all sessions, one file each.
#[derive(Debug, Clone)]
pub(crate) struct Dossiers(PathBuf);

impl Dossiers {
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        super::objects::private_folder(&folder)?;
        Ok(Self(folder))
    }

    /// Keeps a dossier durably.
    pub(crate) async fn keep(&self, session: SessionId, dossier: &Dossier) -> io::Result<()> {
        let bytes = to_canonical(dossier).map_err(io::Error::other)?;
        let path = self.path(session);
        let kept = tokio::task::spawn_blocking(move || replace_private_file(&path, &bytes)).await;
        kept.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// The dossier of a session; none where there is no readable one.
    pub(crate) fn read(&self, session: SessionId) -> Option<Dossier> {
        let bytes = read_private_file(&self.path(session)).ok()?;
        serde_json::from_value(parse_strict(bytes.expose()).ok()?).ok()
    }

    fn path(&self, session: SessionId) -> PathBuf {
        self.0.join(format!("{session}.json"))
    }
}
