//! A log, witnesses and trees.

use chancery_crypto::{MlDsa44Key, SigningKey};
use chancery_tlog::{
    Checkpoint, KeyName, LeafHash, LogKeys, MemoryTree, Note, NoteSignature, Subtree,
    TimestampedSignature, VerifierKey, cosigned_message, cosigned_text,
};
use chancery_types::Algorithm;

pub(crate) const ORIGIN: &str = "td.example/log/gateway";
pub(crate) const TIME: u64 = 1_700_000_000;

pub(crate) struct Log {
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
    pub(crate) keys: LogKeys,
}

/// A witness with both kinds of keys.
pub(crate) struct Cosigner {
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
    pub(crate) classical: VerifierKey,
    pub(crate) post_quantum: VerifierKey,
}

pub(crate) fn line(key: &VerifierKey, body: Vec<u8>) -> NoteSignature {
    NoteSignature::new(key.name().clone(), key.key_id(), body)
}

pub(crate) fn tree(size: u8) -> MemoryTree {
    (0..size).map(|byte| LeafHash::of([byte])).collect()
}

/// A tree that has nothing in common with [`tree`].
pub(crate) fn other_tree(size: u8) -> MemoryTree {
    (0..size).map(|byte| LeafHash::of([1, byte])).collect()
}

pub(crate) fn note(checkpoint: &Checkpoint, lines: &[NoteSignature]) -> Note {
    Note::new(&checkpoint.to_string(), lines.to_vec()).unwrap()
}

impl Log {
    pub(crate) fn new(origin: &str) -> Self {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let ml_dsa_44 = MlDsa44Key::generate().unwrap();
        let name: KeyName = origin.parse().unwrap();
        let keys = LogKeys::new(
            origin.parse().unwrap(),
            VerifierKey::ed25519(name.clone(), &ed25519.public().to_public_bytes()).unwrap(),
            VerifierKey::ml_dsa_44(name, &ml_dsa_44.public()).unwrap(),
        );
        Self {
            ed25519,
            ml_dsa_44,
            keys: keys.unwrap(),
        }
    }

    pub(crate) fn known(&self) -> [VerifierKey; 2] {
        [self.keys.ed25519().clone(), self.keys.ml_dsa_44().clone()]
    }

    pub(crate) fn checkpoint(&self, tree: &MemoryTree) -> Checkpoint {
        Checkpoint {
            origin: self.keys.origin().clone(),
            size: tree.size(),
            root: tree.root(),
        }
    }

    pub(crate) fn lines(&self, checkpoint: &Checkpoint) -> Vec<NoteSignature> {
        let text = checkpoint.to_string();
        let key = self.keys.ml_dsa_44();
        let body = subtree_body(&self.ml_dsa_44, key.name(), checkpoint, TIME);
        vec![
            line(
                self.keys.ed25519(),
                self.ed25519.sign(text.as_bytes()).unwrap(),
            ),
            line(key, body),
        ]
    }

    pub(crate) fn sign(&self, tree: &MemoryTree) -> Note {
        let checkpoint = self.checkpoint(tree);
        note(&checkpoint, &self.lines(&checkpoint))
    }
}

impl Cosigner {
    pub(crate) fn new(name: &str) -> Self {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let ml_dsa_44 = MlDsa44Key::generate().unwrap();
        let name: KeyName = name.parse().unwrap();
        let public = ed25519.public().to_public_bytes();
        Self {
            classical: VerifierKey::cosignature(name.clone(), &public).unwrap(),
            post_quantum: VerifierKey::ml_dsa_44(name, &ml_dsa_44.public()).unwrap(),
            ed25519,
            ml_dsa_44,
        }
    }

    /// The Ed25519 cosignature.
    pub(crate) fn cosign(&self, checkpoint: &Checkpoint, time: u64) -> NoteSignature {
        let text = cosigned_text(time, &checkpoint.to_string()).unwrap();
        let signature = self.ed25519.sign(&text).unwrap();
        let body = TimestampedSignature::ed25519(time, signature).unwrap();
        line(&self.classical, body.to_bytes())
    }

    /// The ML-DSA-44 cosignature.
    pub(crate) fn cosign_post_quantum(&self, checkpoint: &Checkpoint, time: u64) -> NoteSignature {
        let key = &self.post_quantum;
        let body = subtree_body(&self.ml_dsa_44, key.name(), checkpoint, time);
        line(key, body)
    }

    /// A policy line.
    pub(crate) fn line(&self, name: &str) -> String {
        format!("witness {name} {}\n", self.classical)
    }
}

fn subtree_body(key: &MlDsa44Key, name: &KeyName, checkpoint: &Checkpoint, time: u64) -> Vec<u8> {
    let whole = Subtree::new(0, checkpoint.size).unwrap();
    let message = cosigned_message(name, time, &checkpoint.origin, whole, &checkpoint.root);
    let signature = key.sign(&message.unwrap()).unwrap();
    TimestampedSignature::new(time, signature)
        .unwrap()
        .to_bytes()
}
