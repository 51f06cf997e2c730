//! The rules W of the specification that bind whoever writes files (W1, W4 to W7, W11 to W13, W15
//! and W16 are also rules of the formats, and tested with them).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chancery_crypto::AwsLc;
use chancery_journal::{
    AppendError, CheckpointSigner, JournalError, LocalSigner, PublishError, SignError,
};
use chancery_tlog::{
    Checkpoint, LeafHash, Note, NoteSignature, Origin, SignatureKind, TileKind, TreeHash,
    decode_bundle, parse_tile, tiles_for, verify_checkpoint_exact,
};

use crate::disk::{ModelDisk, Op, Plan};
use crate::tree::Keep;
use crate::world::{Keys, LOG, SIGNER, World};

/// Where a file of the log stands.
fn at(path: impl std::fmt::Display) -> PathBuf {
    Path::new(LOG).join(path.to_string())
}

/// Looks at the disk while it is asked to sign, and after it has signed.
struct Watching {
    signer: LocalSigner,
    disk: ModelDisk,
    seen: Arc<Mutex<Vec<Checkpoint>>>,
}

impl CheckpointSigner for Watching {
    fn origin(&self) -> &Origin {
        self.signer.origin()
    }

    fn last_signed(&self) -> Result<Option<Checkpoint>, SignError> {
        self.signer.last_signed()
    }

    fn sign(
        &self,
        note_text: &str,
        consistency: &[TreeHash],
    ) -> Result<Vec<NoteSignature>, SignError> {
        let asked: Checkpoint = note_text.parse().unwrap();
        // W8: entries and tiles are durable, then the state; what is visible is older.
        for path in tiles_for(asked.size) {
            let durable = self.disk.durable(&at(path));
            assert!(durable.is_some(), "{path} is not durable yet");
        }
        let state = self.disk.durable(&at("state")).unwrap();
        let settled = state.get(8..16).unwrap().try_into().unwrap();
        assert_eq!(u64::from_be_bytes(settled), asked.size);
        let visible = visible(&self.disk);
        assert!(visible.is_none_or(|visible| visible.size < asked.size || asked.size == 0));
        let lines = self.signer.sign(note_text, consistency)?;
        // W10: what was signed is remembered before a signature leaves.
        let ratchet = self.disk.durable(&Path::new(SIGNER).join("ratchet"));
        let ratchet = Note::parse(&ratchet.unwrap()).unwrap();
        assert_eq!(ratchet.text(), note_text);
        assert_eq!(ratchet.signatures(), lines);
        self.seen.lock().unwrap().push(asked);
        Ok(lines)
    }
}

/// The checkpoint that readers see, as far as it is durable.
fn visible(disk: &ModelDisk) -> Option<Checkpoint> {
    let note = Note::parse(&disk.durable(&at("checkpoint"))?).unwrap();
    Some(note.text().parse().unwrap())
}

#[test]
fn w2_an_entry_that_is_too_large_gets_no_index() {
    let world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    world.wait_for_spare();
    world.disk.plan(Plan::Nothing);
    for length in [65_536, 65_537, 1 << 20] {
        assert!(matches!(
            journal.append_blocking(vec![0; length]),
            Err(AppendError::TooLarge(_))
        ));
    }
    assert_eq!(world.disk.operations(), 0, "it was written");
    assert_eq!(journal.size(), 0);
    assert_eq!(journal.append_blocking(vec![0; 65_535]), Ok(0));
}

#[test]
fn w3_indices_are_contiguous_and_given_once() {
    let keys = Keys::new();
    for seed in 0..20 {
        let mut world = World::new(&keys, seed);
        let mut expected = 0;
        for _ in 0..5 {
            let journal = world.open().unwrap();
            assert!(journal.size() >= expected);
            expected = journal.size();
            for _ in 0..3 {
                assert_eq!(world.book.append(&journal, 90), Some(expected));
                expected += 1;
            }
            // One more is under way when power goes.
            world.disk.plan(Plan::CutAt(1 + seed % 2));
            assert_eq!(world.book.append(&journal, 90), None);
            drop(journal);
            world.disk.cut(Keep::Random);
        }
    }
}

#[test]
fn w4_w5_w6_w7_what_stands_in_the_files() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    let mut entries = Vec::new();
    for (count, size) in [(1, 1), (254, 255), (1, 256), (1, 257), (300, 557)] {
        for _ in 0..count {
            let entry = world.book.entry(entries.len() % 40);
            journal.append_blocking(entry.clone()).unwrap();
            entries.push(entry);
        }
        journal.publish_blocking().unwrap();
        for path in tiles_for(size) {
            let bytes = world.disk.durable(&at(path)).unwrap();
            assert!(!bytes.is_empty(), "W7: {path} is empty");
            let first = path.index() as usize * 256;
            let held = entries.get(first..first + usize::from(path.width()));
            match path.kind() {
                TileKind::Entries => {
                    let expected: Vec<u8> = held
                        .unwrap()
                        .iter()
                        .flat_map(|entry| {
                            let length = u16::try_from(entry.len()).unwrap();
                            [&length.to_be_bytes()[..], entry].concat()
                        })
                        .collect();
                    assert_eq!(bytes, expected, "W4: {path}");
                    assert_eq!(decode_bundle(&bytes, path.width()).unwrap(), held.unwrap());
                }
                TileKind::Hashes(0) => {
                    let hashes = parse_tile(&bytes, path.width()).unwrap();
                    let leaves = held.unwrap().iter().map(LeafHash::of).map(TreeHash::from);
                    assert!(leaves.eq(hashes), "W4: {path}");
                }
                TileKind::Hashes(_) => {}
            }
            if path.is_full() && path.kind() != TileKind::Entries {
                assert_eq!(bytes.len(), 8_192, "W5: {path}");
            }
        }
        // W6 and W7: nothing is wider than its place, and no folder holds an empty tile.
        let (remainder, full) = (size % 256, size / 256);
        let next = at(format!("tile/0/{full:03}.p/{}", remainder + 1));
        assert_eq!(world.disk.durable(&next), None);
        assert_eq!(
            world.disk.durable(&at(format!("tile/0/{full:03}.p/0"))),
            None
        );
    }
}

#[test]
fn w8_w10_nothing_is_signed_or_shown_before_its_turn() {
    let world = World::new(&Keys::new(), 1);
    let seen = Arc::default();
    let signer = Watching {
        signer: world.signer().unwrap(),
        disk: world.disk.clone(),
        seen: Arc::clone(&seen),
    };
    let journal = world.open_with(Arc::new(signer)).unwrap();
    let mut size = 0;
    for count in [1, 5, 249, 1, 300, 40] {
        for _ in 0..count {
            journal.append_blocking(vec![b'x'; 20]).unwrap();
        }
        size += count;
        let before = visible(&world.disk);
        assert!(before.is_none_or(|before| before.size < size));
        let published = journal.publish_blocking().unwrap();
        assert_eq!(visible(&world.disk), Some(published.checkpoint));
    }
    let sizes: Vec<_> = seen.lock().unwrap().iter().map(|c| c.size).collect();
    assert_eq!(sizes, [0, 1, 6, 255, 256, 556, 596]);
}

#[test]
fn w8_nothing_is_shown_that_was_not_signed() {
    struct Refusing(LocalSigner);
    impl CheckpointSigner for Refusing {
        fn origin(&self) -> &Origin {
            self.0.origin()
        }
        fn last_signed(&self) -> Result<Option<Checkpoint>, SignError> {
            self.0.last_signed()
        }
        fn sign(&self, _: &str, _: &[TreeHash]) -> Result<Vec<NoteSignature>, SignError> {
            Err(SignError::Unavailable("away".into()))
        }
    }
    let world = World::new(&Keys::new(), 1);
    let signer = Refusing(world.signer().unwrap());
    let journal = world.open_with(Arc::new(signer)).unwrap();
    journal.append_blocking(b"one".to_vec()).unwrap();
    assert!(matches!(
        journal.publish_blocking(),
        Err(PublishError::Sign(SignError::Unavailable(_)))
    ));
    assert_eq!(visible(&world.disk), None);
    assert_eq!(journal.published(), None);
}

#[test]
fn w9_a_path_never_changes_what_it_holds() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    for _ in 0..4 {
        world.book.append_all(&journal, [12; 150]).unwrap();
        journal.publish_blocking().unwrap();
    }
    drop(journal);
    // Neither in its place nor by replacing it, in this run or in the next.
    drop(world.open().unwrap());
    let tiles = at("tile");
    let trace = world.disk.trace();
    let written = |(op, path): &&(Op, PathBuf)| *op == Op::Write && path.starts_with(&tiles);
    assert_eq!(trace.iter().find(written), None);
    let replaced = world.disk.replaced();
    assert!(replaced.iter().any(|path| path.ends_with("checkpoint")));
    let replaced = replaced.iter().find(|path| path.starts_with(&tiles));
    assert_eq!(replaced, None);
}

#[test]
fn w9_other_bytes_in_a_place_end_the_writer() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    journal.publish_blocking().unwrap();
    world.disk.plant(&at("tile/0/000.p/2"), &[7; 64]);
    world.book.append(&journal, 3).unwrap();
    journal.publish_blocking().unwrap();
    world.book.append(&journal, 3).unwrap();
    assert!(matches!(
        journal.publish_blocking(),
        Err(PublishError::Closed)
    ));
    assert!(world.disk.has_ended());
    drop(journal);
    world.disk.restart();
    let refusal = world.open().unwrap_err().to_string();
    assert!(refusal.contains("tile/0/000.p/2"), "{refusal}");
    assert_eq!(world.disk.durable(&at("tile/0/000.p/2")), Some(vec![7; 64]));
}

#[test]
fn w10_w11_the_ratchet_takes_nothing_back() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    world.book.append_all(&journal, [5; 9]).unwrap();
    let nine = journal.publish_blocking().unwrap().checkpoint;
    world.book.append_all(&journal, [5; 4]).unwrap();
    let proof = {
        journal.publish_blocking().unwrap();
        journal.reader().prove_consistency(9, 13).unwrap()
    };
    drop(journal);
    for keep in [Keep::Nothing, Keep::Random, Keep::Everything] {
        world.disk.cut(keep);
        let signer = world.signer().unwrap();
        let last = signer.last_signed().unwrap().unwrap();
        assert_eq!(last.size, 13);
        for (size, root, proof) in [
            (9, nine.root, &proof[..]),
            (0, TreeHash::empty(), &[][..]),
            (13, nine.root, &[][..]),
            (14, nine.root, &proof[..]),
            (14, last.root, &[][..]),
        ] {
            let asked = Checkpoint {
                origin: nine.origin.clone(),
                size,
                root,
            };
            let refusal = signer.sign(&asked.to_string(), proof);
            assert!(
                matches!(refusal, Err(SignError::Refused(_))),
                "{size}: {refusal:?}"
            );
        }
        assert_eq!(signer.last_signed().unwrap(), Some(last));
    }
    let sizes: Vec<_> = world.book.signed().iter().map(|c| c.size).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
}

#[test]
fn w12_w13_w14_w16_what_a_checkpoint_is() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    for _ in 0..12 {
        world.book.append(&journal, 3).unwrap();
        let note = journal.publish_blocking().unwrap().note;
        let note = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(note.text().lines().count(), 3);
        let size = note.text().lines().nth(1).unwrap();
        assert_eq!(size, size.parse::<u64>().unwrap().to_string());
        let keys = &world.keys.log;
        let [ed25519, ml_dsa_44] = note.signatures() else {
            panic!("{note}");
        };
        for (line, key, kind) in [
            (ed25519, keys.ed25519(), SignatureKind::Ed25519),
            (ml_dsa_44, keys.ml_dsa_44(), SignatureKind::MlDsa44),
        ] {
            assert_eq!(line.name().as_str(), journal.origin().as_str());
            assert_eq!((line.key_id(), kind), (key.key_id(), key.kind()));
            let shown = line.to_string();
            let base64 = shown.split(' ').next_back().unwrap();
            assert!(base64.len().is_multiple_of(4), "no padding: {base64}");
            assert!(!base64.contains(['-', '_']), "another alphabet: {base64}");
        }
        let text = note.to_string();
        let verified = verify_checkpoint_exact(text.as_bytes(), keys, &AwsLc).unwrap();
        assert_eq!(verified.timestamp(), Some(1_700_000_000));
        // Either signature alone is not enough.
        for line in note.signatures() {
            let alone = Note::new(note.text(), vec![line.clone()])
                .unwrap()
                .to_string();
            verify_checkpoint_exact(alone.as_bytes(), keys, &AwsLc).unwrap_err();
        }
    }
}

#[test]
fn w17_partial_tiles_stay_until_the_full_one_is_durable_and_shown() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    world.book.append_all(&journal, [6; 255]).unwrap();
    journal.publish_blocking().unwrap();
    world.disk.plan(Plan::Nothing);
    world.book.append_all(&journal, [6; 3]).unwrap();
    journal.publish_blocking().unwrap();
    let trace = world.disk.trace();
    let place = |wanted: &dyn Fn(Op, &Path) -> bool| {
        let place = trace.iter().position(|(op, path)| wanted(*op, path));
        place.unwrap_or_else(|| panic!("{trace:?}"))
    };
    let dropped = place(&|op, path| op == Op::Remove && path == at("tile/entries/000.p"));
    let shown = place(&|op, path| op == Op::Rename && path == at("checkpoint"));
    let full = place(&|op, path| op == Op::Rename && path == at("tile/entries/000"));
    let durable = place(&|op, path| op == Op::SyncFolder && path == at("tile/entries"));
    assert!(full < durable && durable < shown && shown < dropped);
    drop(journal);
    // Wherever power goes, what is shown is whole.
    world.disk.cut(Keep::Random);
    world.check_served();
}

#[test]
fn w18_nothing_is_pruned() {
    let mut world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    for _ in 0..5 {
        world.book.append_all(&journal, [6; 200]).unwrap();
        journal.publish_blocking().unwrap();
    }
    drop(journal);
    drop(world.open().unwrap());
    let removed = world.disk.trace().into_iter().filter(|(op, path)| {
        *op == Op::Remove && path.starts_with(at("tile")) && path.extension().is_none()
    });
    assert_eq!(removed.count(), 0);
    for path in tiles_for(1_000) {
        assert!(world.disk.durable(&at(path)).is_some(), "{path}");
    }
}

/// A log whose oldest segments were freed in part, as a power cut may leave it, starts.
#[test]
fn segments_that_tiles_cover_may_be_gone() {
    let keys = Keys::new();
    let run = |seed, plan| {
        let mut world = World::new(&keys, seed);
        let journal = world.open().unwrap();
        world.wait_for_spare();
        for _ in 0..6 {
            world.book.append(&journal, 30_000).unwrap();
        }
        world.disk.plan(plan);
        let _ = journal.publish_blocking();
        drop(journal);
        world
    };
    let trace = run(0, Plan::Nothing).disk.trace();
    let wal = at("wal");
    let freed = trace
        .iter()
        .filter(|(op, path)| matches!(op, Op::Write | Op::Remove) && path.starts_with(&wal));
    assert!(freed.count() > 1, "{trace:?}");
    for seed in 0..30 {
        for cut in [trace.len() as u64, trace.len() as u64 - 1] {
            let world = run(seed, Plan::CutAt(cut));
            world.disk.cut(Keep::Random);
            let journal = world.open().unwrap();
            world.check(&journal);
            assert_eq!(journal.size(), 6);
            assert!(matches!(
                journal.read_entry(6),
                Err(JournalError::OutOfRange { .. })
            ));
        }
    }
}
