//! Evidence in a folder, and somebody who signs a log in it again.

use std::path::Path;

use chancery_crypto::{MlDsa44Key, SigningKey, read_private_file};
use chancery_evidence::Files;
use chancery_tlog::{
    Checkpoint, LogEdge, Note, NoteSignature, Origin, Subtree, TimestampedSignature, VerifierKey,
    cosigned_message, decode_bundle, tiles_for,
};
use chancery_types::{Algorithm, Timestamp};

/// Somebody who signs checkpoints.
pub(crate) struct Forger {
    pub(crate) origin: Origin,
    pub(crate) ed25519: SigningKey,
    pub(crate) ml_dsa_44: MlDsa44Key,
}

impl Forger {
    /// Whoever operates a gateway, has the keys in its data folder and ignores its ratchet.
    pub(crate) fn insider(origin: Origin, data: &Path) -> Self {
        let folder = data.join("gateway/log-key");
        let read = |name: &str| read_private_file(&folder.join(Path::new(name))).unwrap();
        let ed25519 = SigningKey::from_pkcs8(Algorithm::Ed25519, read("ed25519.pk8"));
        Self {
            origin,
            ed25519: ed25519.unwrap(),
            ml_dsa_44: MlDsa44Key::from_seed(read("ml-dsa-44.seed")).unwrap(),
        }
    }

    pub(crate) fn keys(&self) -> (VerifierKey, VerifierKey) {
        let name = self.origin.key_name();
        let ed25519 = self.ed25519.public().to_public_bytes();
        (
            VerifierKey::ed25519(name.clone(), &ed25519).unwrap(),
            VerifierKey::ml_dsa_44(name.clone(), &self.ml_dsa_44.public()).unwrap(),
        )
    }

    /// The evidence with this log in place of the right one, signed under these names at that time.
    pub(crate) fn write(
        &self,
        files: &Files,
        log: &str,
        entries: &[Vec<u8>],
        ids: &(VerifierKey, VerifierKey),
        at: Timestamp,
    ) -> Files {
        let folder = format!("log/{log}/");
        let others = files.iter().filter(|(path, _)| !path.starts_with(&folder));
        let mut files: Files = others
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect();
        let (mut edge, mut resources) = (LogEdge::new(), Vec::new());
        for entry in entries {
            edge.push(entry, &mut resources).unwrap();
        }
        resources.extend(edge.partials());
        for resource in resources {
            files.insert(format!("{folder}{}", resource.path), resource.bytes);
        }
        let note = self.checkpoint(&edge, ids, at);
        files.insert(format!("{folder}checkpoint"), note.into_bytes());
        files
    }

    fn checkpoint(
        &self,
        edge: &LogEdge,
        (ed25519, ml_dsa_44): &(VerifierKey, VerifierKey),
        at: Timestamp,
    ) -> String {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: edge.size(),
            root: edge.root(),
        };
        let (name, seconds) = (self.origin.key_name(), at.as_seconds());
        let text = checkpoint.to_string();
        let whole = Subtree::new(0, edge.size()).unwrap();
        let message = cosigned_message(name, seconds, &self.origin, whole, &edge.root()).unwrap();
        let signed = self.ml_dsa_44.sign(&message).unwrap();
        let signed = TimestampedSignature::new(seconds, signed).unwrap();
        let plain = self.ed25519.sign(text.as_bytes()).unwrap();
        let lines = vec![
            NoteSignature::new(name.clone(), ed25519.key_id(), plain),
            NoteSignature::new(name.clone(), ml_dsa_44.key_id(), signed.to_bytes()),
        ];
        Note::new(&text, lines).unwrap().to_string()
    }
}

/// Everything below a folder, by its path in it.
pub(crate) fn read(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
    files
}

/// The entries of a log as they stand in evidence.
pub(crate) fn entries(files: &Files, log: &str) -> Vec<Vec<u8>> {
    let file = |path: &str| files.get(&format!("log/{log}/{path}")).unwrap();
    let note = Note::parse(file("checkpoint")).unwrap();
    let checkpoint: Checkpoint = note.text().parse().unwrap();
    let bundles =
        tiles_for(checkpoint.size).filter(|path| path.to_string().contains("tile/entries"));
    let mut entries = Vec::new();
    for path in bundles {
        let decoded = decode_bundle(file(&path.to_string()), path.width()).unwrap();
        entries.extend(decoded.into_iter().map(<[u8]>::to_vec));
    }
    assert_eq!(entries.len() as u64, checkpoint.size);
    entries
}
