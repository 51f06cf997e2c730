//! A log in memory and its keys.

use chancery_audit::{Entry, Event, Label, LeafRef, leaf_hash};
use chancery_crypto::{MlDsa44Key, SigningKey};
use chancery_evidence::Files;
use chancery_identity::trust::LogOrigin;
use chancery_tlog::{
    Checkpoint, LogEdge, Note, NoteSignature, Origin, Subtree, TimestampedSignature, VerifierKey,
    cosigned_message,
};
use chancery_types::{Algorithm, Timestamp};

pub(crate) struct LogSigner {
    pub(crate) origin: Origin,
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
}

impl LogSigner {
    pub(crate) fn new(origin: &str) -> Self {
        Self {
            origin: origin.parse().unwrap(),
            ed25519: SigningKey::generate(Algorithm::Ed25519).unwrap(),
            ml_dsa_44: MlDsa44Key::generate().unwrap(),
        }
    }

    pub(crate) fn to_origin(&self, writer: &str) -> LogOrigin {
        let (ed25519, ml_dsa_44) = self.keys();
        LogOrigin {
            origin: self.origin.to_string(),
            writer: writer.to_owned(),
            ed25519: ed25519.to_string(),
            ml_dsa_44: ml_dsa_44.to_string(),
        }
    }

    fn keys(&self) -> (VerifierKey, VerifierKey) {
        let name = self.origin.key_name().clone();
        (
            VerifierKey::ed25519(name.clone(), &self.ed25519.public().to_public_bytes()).unwrap(),
            VerifierKey::ml_dsa_44(name, &self.ml_dsa_44.public()).unwrap(),
        )
    }

    pub(crate) fn checkpoint(&self, edge: &LogEdge, size: u64) -> String {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size,
            root: edge.root(),
        };
        let text = checkpoint.to_string();
        let (ed25519, ml_dsa_44) = self.keys();
        let name = self.origin.key_name();
        let subtree = Subtree::new(0, size).unwrap();
        let message =
            cosigned_message(name, 1_800_000_000, &self.origin, subtree, &edge.root()).unwrap();
        let signed = self.ml_dsa_44.sign(&message).unwrap();
        let signed = TimestampedSignature::new(1_800_000_000, signed)
            .unwrap()
            .to_bytes();
        let plain = self.ed25519.sign(text.as_bytes()).unwrap();
        let lines = vec![
            NoteSignature::new(name.clone(), ed25519.key_id(), plain),
            NoteSignature::new(name.clone(), ml_dsa_44.key_id(), signed),
        ];
        Note::new(&text, lines).unwrap().to_string()
    }
}

#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) origin: Label,
    pub(crate) entries: Vec<Vec<u8>>,
    /// The note that stands in the folder, where it is not made from the entries.
    pub(crate) note: Option<String>,
}

impl Log {
    pub(crate) fn new(origin: &str) -> Self {
        Self {
            origin: origin.parse().unwrap(),
            entries: Vec::new(),
            note: None,
        }
    }

    pub(crate) fn append(&mut self, at: Timestamp, event: Event) -> LeafRef {
        let entry = Entry {
            origin: self.origin.clone(),
            at,
            event,
        };
        self.push(&entry)
    }

    pub(crate) fn push(&mut self, entry: &Entry) -> LeafRef {
        let bytes = entry.to_bytes().unwrap();
        let leaf = LeafRef {
            index: self.entries.len() as u64,
            hash: leaf_hash(&bytes),
        };
        self.entries.push(bytes);
        leaf
    }

    pub(crate) fn parsed(&self) -> Vec<Entry> {
        self.entries
            .iter()
            .map(|bytes| Entry::parse(bytes).unwrap())
            .collect()
    }

    pub(crate) fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn edge(&self) -> (LogEdge, Vec<chancery_tlog::Resource>) {
        let (mut edge, mut files) = (LogEdge::new(), Vec::new());
        for entry in &self.entries {
            edge.push(entry, &mut files).unwrap();
        }
        files.extend(edge.partials());
        (edge, files)
    }

    pub(crate) fn root(&self) -> chancery_types::Digest {
        self.edge().0.root().digest()
    }

    pub(crate) fn checkpoint(&self, signer: &LogSigner) -> String {
        signer.checkpoint(&self.edge().0, self.size())
    }

    pub(crate) fn write(&self, folder: &str, signer: &LogSigner, files: &mut Files) {
        let note = self.note.clone().unwrap_or_else(|| self.checkpoint(signer));
        files.insert(format!("{folder}/checkpoint"), note.into_bytes());
        for resource in self.edge().1 {
            files.insert(format!("{folder}/{}", resource.path), resource.bytes);
        }
    }
}
