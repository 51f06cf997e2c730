//! Checkpoints and proof files, signed with real keys.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use chancery_crypto::{AwsLc, MlDsa44Key, SigningKey};
use chancery_tlog::{
    Checkpoint, CheckpointError, LeafHash, LogKeys, LogKeysError, MemoryTree, Note, NoteSignature,
    ProofError, SignatureKind, Subtree, TimestampedSignature, TlogProof, TlogProofError, TreeHash,
    VerifierKey, VerifyEntryError, cosigned_message, prove_consistency, prove_inclusion,
    verify_checkpoint, verify_checkpoint_exact,
};
use chancery_types::Algorithm;

const ORIGIN: &str = "td.example/log/gateway";

struct Log {
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
    keys: LogKeys,
}

impl Log {
    fn new(origin: &str) -> Self {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let ml_dsa_44 = MlDsa44Key::generate().unwrap();
        let keys = LogKeys::new(
            origin.parse().unwrap(),
            VerifierKey::ed25519(origin.parse().unwrap(), &ed25519.public().to_public_bytes())
                .unwrap(),
            VerifierKey::ml_dsa_44(origin.parse().unwrap(), &ml_dsa_44.public()).unwrap(),
        );
        Self {
            ed25519,
            ml_dsa_44,
            keys: keys.unwrap(),
        }
    }

    fn checkpoint(&self, tree: &MemoryTree) -> Checkpoint {
        Checkpoint {
            origin: self.keys.origin().clone(),
            size: tree.size(),
            root: tree.root(),
        }
    }

    fn lines(&self, checkpoint: &Checkpoint, timestamp: u64) -> [NoteSignature; 2] {
        let text = checkpoint.to_string();
        let message = cosigned_message(
            self.keys.ml_dsa_44().name(),
            timestamp,
            &checkpoint.origin,
            Subtree::new(0, checkpoint.size).unwrap(),
            &checkpoint.root,
        );
        let signature = self.ml_dsa_44.sign(&message.unwrap()).unwrap();
        let body = TimestampedSignature::new(timestamp, signature).unwrap();
        let line = |key: &VerifierKey, signature| {
            NoteSignature::new(key.name().clone(), key.key_id(), signature)
        };
        [
            line(
                self.keys.ed25519(),
                self.ed25519.sign(text.as_bytes()).unwrap(),
            ),
            line(self.keys.ml_dsa_44(), body.to_bytes()),
        ]
    }

    fn sign(&self, checkpoint: &Checkpoint) -> String {
        let lines = self.lines(checkpoint, 1_700_000_000);
        note(&checkpoint.to_string(), &lines)
    }
}

fn note(text: &str, lines: &[NoteSignature]) -> String {
    Note::new(text, lines.to_vec()).unwrap().to_string()
}

fn tree(size: u8) -> MemoryTree {
    (0..size).map(|byte| LeafHash::of([byte])).collect()
}

#[test]
fn both_signatures_make_a_checkpoint() {
    let log = Log::new(ORIGIN);
    let checkpoint = log.checkpoint(&tree(7));
    let note = log.sign(&checkpoint);
    for verify in [verify_checkpoint, verify_checkpoint_exact] {
        let verified = verify(note.as_bytes(), &log.keys, &AwsLc).unwrap();
        assert_eq!(verified.checkpoint(), &checkpoint);
        assert_eq!(verified.timestamp(), Some(1_700_000_000));
    }
    let empty = log.checkpoint(&tree(0));
    let verified = verify_checkpoint_exact(log.sign(&empty).as_bytes(), &log.keys, &AwsLc);
    assert_eq!(verified.unwrap().size(), 0);
}

#[test]
fn each_signature_is_required() {
    let log = Log::new(ORIGIN);
    let checkpoint = log.checkpoint(&tree(7));
    let text = checkpoint.to_string();
    let [first, second] = log.lines(&checkpoint, 0);
    for (lines, missing) in [
        (vec![first.clone()], SignatureKind::MlDsa44),
        (vec![second.clone()], SignatureKind::Ed25519),
        (vec![first.clone(), first.clone()], SignatureKind::MlDsa44),
    ] {
        let note = note(&text, &lines);
        assert_eq!(
            verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc),
            Err(CheckpointError::Missing(missing))
        );
        assert_eq!(
            verify_checkpoint_exact(note.as_bytes(), &log.keys, &AwsLc),
            Err(CheckpointError::NotExact)
        );
    }
    let note = note(&text, &[first, second]);
    let verified = verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc).unwrap();
    assert_eq!(verified.timestamp(), None);
}

#[test]
fn unknown_lines_are_ignored_but_not_exact() {
    let log = Log::new(ORIGIN);
    let checkpoint = log.checkpoint(&tree(7));
    let text = checkpoint.to_string();
    let [first, second] = log.lines(&checkpoint, 5);
    let witness = NoteSignature::new("witness".parse().unwrap(), [1; 4], vec![0; 72]);
    let same_name = NoteSignature::new(ORIGIN.parse().unwrap(), [1; 4], vec![0; 72]);
    for lines in [
        vec![first.clone(), second.clone(), witness.clone()],
        vec![witness, first.clone(), second.clone()],
        vec![first.clone(), same_name, second.clone()],
        vec![second.clone(), first.clone()],
        vec![first.clone(), second.clone(), second],
    ] {
        let note = note(&text, &lines);
        assert!(verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc).is_ok());
        assert_eq!(
            verify_checkpoint_exact(note.as_bytes(), &log.keys, &AwsLc),
            Err(CheckpointError::NotExact)
        );
    }
}

#[test]
fn a_wrong_line_of_a_known_key_refuses_the_note() {
    let log = Log::new(ORIGIN);
    let checkpoint = log.checkpoint(&tree(7));
    let other = log.checkpoint(&tree(8));
    let [first, second] = log.lines(&checkpoint, 5);
    let [wrong_first, wrong_second] = log.lines(&other, 5);
    let text = checkpoint.to_string();
    for (wrong, kind) in [
        (wrong_first, SignatureKind::Ed25519),
        (wrong_second, SignatureKind::MlDsa44),
    ] {
        let note = note(&text, &[first.clone(), second.clone(), wrong]);
        assert_eq!(
            verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc),
            Err(CheckpointError::Signature(kind))
        );
    }
    let mut bytes = second.signature().to_vec();
    bytes[7] ^= 1;
    let shifted = NoteSignature::new(second.name().clone(), second.key_id(), bytes);
    let note = note(&text, &[first, shifted]);
    assert_eq!(
        verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc),
        Err(CheckpointError::Signature(SignatureKind::MlDsa44))
    );
}

#[test]
fn another_log_is_refused() {
    let log = Log::new(ORIGIN);
    let other = Log::new("td.example/log/server");
    let note = other.sign(&other.checkpoint(&tree(7)));
    assert_eq!(
        verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc),
        Err(CheckpointError::Origin)
    );
    let twin = Log::new(ORIGIN);
    let note = twin.sign(&twin.checkpoint(&tree(7)));
    assert_eq!(
        verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc),
        Err(CheckpointError::Missing(SignatureKind::Ed25519))
    );
    let (first, second) = (log.keys.ed25519().clone(), log.keys.ml_dsa_44().clone());
    let origin = other.keys.origin().clone();
    assert_eq!(
        LogKeys::new(origin, first.clone(), second.clone()),
        Err(LogKeysError::Name(SignatureKind::Ed25519))
    );
    assert_eq!(
        LogKeys::new(log.keys.origin().clone(), second, first),
        Err(LogKeysError::Kind(SignatureKind::Ed25519))
    );
}

#[test]
fn every_byte_of_an_exact_note_counts() {
    let log = Log::new(ORIGIN);
    let note = log.sign(&log.checkpoint(&tree(7))).into_bytes();
    let refused = |bytes: &[u8]| verify_checkpoint_exact(bytes, &log.keys, &AwsLc).is_err();
    assert!(!refused(&note));
    for at in 0..note.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bad = note.clone();
            bad[at] ^= flip;
            assert!(refused(&bad), "byte {at} ^ {flip}");
        }
        let without = [&note[..at], &note[at + 1..]].concat();
        assert!(refused(&without), "without byte {at}");
    }
    for more in [&b"\n"[..], b" ", b"\0"] {
        assert!(refused(&[&note, more].concat()));
        assert!(refused(&[more, &note].concat()));
    }
}

#[test]
fn checkpoints_prove_entries_and_each_other() {
    let log = Log::new(ORIGIN);
    let verified = |size| {
        let note = log.sign(&log.checkpoint(&tree(size)));
        verify_checkpoint(note.as_bytes(), &log.keys, &AwsLc).unwrap()
    };
    let (empty, older, newer) = (verified(0), verified(7), verified(20));
    let proof = prove_consistency(&tree(20), 7, 20).unwrap();
    assert_eq!(newer.verify_consistency(&older, &proof), Ok(()));
    assert_eq!(newer.verify_consistency(&empty, &[]), Ok(()));
    assert!(newer.verify_consistency(&empty, &proof).is_err());
    assert!(older.verify_consistency(&newer, &proof).is_err());
    let path = prove_inclusion(&tree(20), 11, 20).unwrap();
    assert_eq!(newer.verify_inclusion(11, &[11], &path), Ok(()));
    assert_eq!(
        newer.verify_inclusion(11, &[12], &path),
        Err(ProofError::RootMismatch)
    );
}

#[test]
fn proof_files() {
    let log = Log::new(ORIGIN);
    let mut proof = TlogProof {
        extra: None,
        index: 11,
        path: prove_inclusion(&tree(20), 11, 20).unwrap(),
        checkpoint: log.sign(&log.checkpoint(&tree(20))),
    };
    for extra in [None, Some(b"what".to_vec())] {
        proof.extra = extra;
        let read = TlogProof::parse(proof.to_string().as_bytes()).unwrap();
        assert_eq!(read, proof);
        let entry = read.verify(&[11], &log.keys, &AwsLc).unwrap();
        assert_eq!((entry.index(), entry.checkpoint().size()), (11, 20));
        assert_eq!(
            read.verify(&[12], &log.keys, &AwsLc),
            Err(VerifyEntryError::Proof(ProofError::RootMismatch))
        );
    }
    let text = proof.to_string();
    let hash = TreeHash::empty().to_string();
    let many = format!("{hash}\n").repeat(64);
    for (bad, error) in [
        (String::new(), TlogProofError::NoCheckpoint),
        (text.replace("@v1", "@v2"), TlogProofError::Header),
        (
            text.replace("c2sp.org", " c2sp.org"),
            TlogProofError::Header,
        ),
        (text.replace("extra ", "extra  "), TlogProofError::Extra),
        (
            text.replace("extra d2hhdA==", "extra "),
            TlogProofError::Extra,
        ),
        (text.replace("d2hhdA==", "d2hhdA"), TlogProofError::Extra),
        (text.replace("index 11\n", ""), TlogProofError::Index),
        (text.replace("index 11", "index 011"), TlogProofError::Index),
        (text.replace("index 11", "index +11"), TlogProofError::Index),
        (
            text.replace("index 11\n", "index 11\n\r\n"),
            TlogProofError::Hash,
        ),
        (
            text.replace("index 11\n", &format!("index 11\n{many}")),
            TlogProofError::TooManyHashes,
        ),
        (
            text.split("\n\n").next().unwrap().to_owned(),
            TlogProofError::NoCheckpoint,
        ),
        ("x".repeat(1 << 20), TlogProofError::TooLong),
    ] {
        let found = TlogProof::parse(bad.as_bytes());
        assert_eq!(found, Err(error), "{bad:.200}");
    }
    assert_eq!(TlogProof::parse(b"\xff"), Err(TlogProofError::NotText));
}
