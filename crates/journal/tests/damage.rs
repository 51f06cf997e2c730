//! Directories that lost something: what was never confirmed is cut, everything else is refused
//! with the name of the file.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_journal::{
    CheckpointSigner, Config, Damage, Journal, JournalError, LocalSigner, Reader,
};

const PAGE: usize = 4_096;

struct Place {
    _folder: tempfile::TempDir,
    log: PathBuf,
    signer: Arc<LocalSigner>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = "td.example/log/damage".parse().unwrap();
        let signer = LocalSigner::open_or_create(&folder.path().join("signer"), &origin).unwrap();
        Self {
            log: folder.path().join("log"),
            _folder: folder,
            signer: Arc::new(signer),
        }
    }

    fn try_open(&self) -> Result<Journal, JournalError> {
        let mut config = Config::new(&self.log, self.signer.origin().clone());
        config.publish_interval = Duration::from_secs(3_600);
        config.segment_bytes = 1 << 17;
        Journal::open(
            config,
            Arc::clone(&self.signer) as Arc<dyn CheckpointSigner>,
        )
    }

    fn open(&self) -> Journal {
        self.try_open().unwrap()
    }

    /// Appends one entry after the other, so that each is a frame of its own.
    fn fill(&self, range: std::ops::Range<u64>, publish: bool) {
        let journal = self.open();
        for index in range {
            assert_eq!(journal.append_blocking(entry(index)).unwrap(), index);
        }
        if publish {
            journal.publish_blocking().unwrap();
        }
    }

    /// The last segment.
    fn segment(&self) -> PathBuf {
        let items = fs::read_dir(self.log.join("wal")).unwrap();
        let paths = items.map(|item| item.unwrap().path());
        paths
            .filter(|path| path.extension().is_some())
            .max()
            .unwrap()
    }

    fn refusal(&self) -> JournalError {
        let refusal = self.try_open().unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains(self.log.to_str().unwrap()), "{text}");
        refusal
    }
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    for cut in (0..40).chain([PAGE - 1]) {
        let place = Place::new();
        place.fill(0..3, false);
        change(&place.segment(), |bytes| {
            // The header page, two whole frames, and so much of the third.
            let tail = bytes.get_mut(3 * PAGE + cut..).unwrap();
            tail.fill(0);
        });
        let journal = place.open();
        let kept = if cut < 24 + 2 + entry(2).len() { 2 } else { 3 };
        assert_eq!(journal.size(), kept, "cut at {cut}");
        assert_eq!(journal.append_blocking(b"next".to_vec()), Ok(kept));
        drop(journal);
        let journal = place.open();
        assert_eq!(journal.size(), kept + 1);
        assert_eq!(journal.read_entry(kept).unwrap(), b"next");
        assert_eq!(journal.read_entry(1).unwrap(), entry(1));
        journal.publish_blocking().unwrap();
        assert_eq!(journal.reader().audit().unwrap().unwrap().size, kept + 1);
    }
}

#[test]
fn a_torn_file_is_cut_as_well() {
    let place = Place::new();
    place.fill(0..3, false);
    change(&place.segment(), |bytes| bytes.truncate(3 * PAGE + 10));
    assert_eq!(place.open().size(), 2);
}

#[test]
fn a_hole_is_refused() {
    let place = Place::new();
    place.fill(0..4, false);
    change(&place.segment(), |bytes| {
        bytes.get_mut(2 * PAGE..3 * PAGE).unwrap().fill(0);
    });
    let refusal = place.refusal();
    assert!(
        refusal.to_string().contains("the disk did not keep"),
        "{refusal}"
    );
    assert!(matches!(
        refusal,
        JournalError::Damaged {
            damage: Damage::Hole {
                offset: 8_192,
                later: 12_288
            },
            ..
        }
    ));
    let place = Place::new();
    place.fill(0..4, false);
    change(&place.segment(), |bytes| {
        if let Some(byte) = bytes.get_mut(PAGE + 30) {
            *byte ^= 1;
        }
    });
    assert!(matches!(
        place.refusal(),
        JournalError::Damaged {
            damage: Damage::Hole { .. },
            ..
        }
    ));
}

#[test]
fn an_entry_cannot_forge_a_record() {
    let place = Place::new();
    place.fill(0..2, false);
    let frames = fs::read(place.segment()).unwrap();
    let forged = frames.get(PAGE..2 * PAGE).unwrap();
    let mut inside = vec![0; PAGE - 26];
    inside.extend(forged);
    let journal = place.open();
    journal.append_blocking(inside).unwrap();
    drop(journal);
    change(&place.segment(), |bytes| {
        if let Some(byte) = bytes.get_mut(PAGE + 5) {
            *byte ^= 1;
        }
    });
    assert_eq!(place.open().size(), 2);
}

#[test]
fn lost_segments_are_refused() {
    let place = Place::new();
    place.fill(0..3, true);
    place.fill(3..5, false);
    fs::remove_file(place.segment()).unwrap();
    assert!(matches!(place.refusal(), JournalError::Missing { .. }));

    let place = Place::new();
    let journal = place.open();
    for _ in 0..4 {
        journal.append_blocking(vec![7; 60_000]).unwrap();
    }
    drop(journal);
    let first = place.log.join("wal").join(format!("{:020}.wal", 0));
    let hidden = place.log.join("hidden");
    fs::rename(&first, &hidden).unwrap();
    assert!(matches!(
        place.refusal(),
        JournalError::Damaged {
            damage: Damage::Gap { .. },
            ..
        }
    ));
    fs::rename(&hidden, &first).unwrap();
    change(&first, |bytes| {
        if let Some(byte) = bytes.get_mut(9) {
            *byte ^= 1;
        }
    });
    assert!(matches!(
        place.refusal(),
        JournalError::Damaged {
            damage: Damage::Checksum,
            ..
        }
    ));
}

#[test]
fn a_cut_segment_before_another_is_refused() {
    let place = Place::new();
    let journal = place.open();
    for _ in 0..4 {
        journal.append_blocking(vec![7; 60_000]).unwrap();
    }
    drop(journal);
    let first = place.log.join("wal").join(format!("{:020}.wal", 0));
    change(&first, |bytes| {
        if let Some(byte) = bytes.get_mut(16 * PAGE + 30) {
            *byte ^= 1;
        }
    });
    assert!(matches!(
        place.refusal(),
        JournalError::Damaged {
            damage: Damage::Gap { .. },
            ..
        }
    ));
}

/// Damages one file of a log of 600 entries in every way and restores it.
fn damage_is_named(file: &str) {
    let place = Place::new();
    place.fill(0..600, true);
    let path = place.log.join(file);
    let whole = fs::read(&path).unwrap();
    let middle = whole.len() / 2;
    let mut cases: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("shorter", whole.get(..whole.len() - 1).map(<[u8]>::to_vec)),
        ("half", whole.get(..middle).map(<[u8]>::to_vec)),
        ("longer", Some([&whole[..], b"\0"].concat())),
    ];
    let mut flipped = whole.clone();
    if let Some(byte) = flipped.get_mut(middle) {
        *byte ^= 1;
    }
    cases.push(("flipped", Some(flipped)));
    for (how, bytes) in cases {
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let refusal = place.refusal().to_string();
        let reader = Reader::open(&place.log);
        let audit = reader.and_then(|reader| reader.audit());
        assert!(
            ["restore", "version", "its own"]
                .iter()
                .any(|remedy| refusal.contains(remedy)),
            "{refusal}"
        );
        if file.starts_with("tile") {
            assert!(refusal.contains("tile/"), "{how}: {refusal}");
            let found = audit.unwrap_err().to_string();
            assert!(found.contains("tile/"), "{how}: {found}");
        } else {
            assert!(refusal.contains(file), "{how}: {refusal}");
        }
        fs::write(&path, &whole).unwrap();
        drop(place.open());
    }
}

#[test]
fn damaged_bundles_are_named() {
    damage_is_named("tile/entries/000");
    damage_is_named("tile/entries/002.p/88");
}

#[test]
fn damaged_tiles_are_named() {
    damage_is_named("tile/0/001");
    damage_is_named("tile/0/002.p/88");
    damage_is_named("tile/1/000.p/2");
}

#[test]
fn damaged_state_and_format_are_named() {
    damage_is_named("state");
    damage_is_named("format");
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let place = Place::new();
    place.fill(0..600, true);
    let path = place.log.join("checkpoint");
    let whole = fs::read_to_string(&path).unwrap();
    for bad in [
        String::new(),
        whole.trim_end().to_owned(),
        whole.replace("\n600\n", "\n0600\n"),
        whole.replace("log/damage", "log/other"),
        whole.replace("\n600\n", "\n599\n"),
    ] {
        fs::write(&path, bad).unwrap();
        assert!(place.refusal().to_string().contains("checkpoint"));
    }
    fs::write(&path, whole.replace("\n600\n", "\n601\n")).unwrap();
    assert!(matches!(
        place.refusal(),
        JournalError::RolledBack {
            found: 600,
            expected: 601,
            ..
        }
    ));
}

#[test]
fn unknown_formats_and_other_logs_are_refused() {
    let place = Place::new();
    place.fill(0..3, true);
    let path = place.log.join("format");
    for bad in [
        "chancery-log/2\ntd.example/log/damage\n",
        "chancery-log/1\n",
        "\n",
        "x",
    ] {
        fs::write(&path, bad).unwrap();
        let refusal = place.refusal();
        assert!(matches!(refusal, JournalError::Format { .. }), "{refusal}");
        assert!(matches!(
            Reader::open(&place.log),
            Err(JournalError::Format { .. })
        ));
    }
    fs::write(&path, "chancery-log/1\ntd.example/log/other\n").unwrap();
    assert!(matches!(place.refusal(), JournalError::Origin { .. }));
    fs::remove_file(&path).unwrap();
    assert!(matches!(place.refusal(), JournalError::Missing { .. }));
}

#[test]
fn a_log_that_was_never_finished_is_made_again() {
    let place = Place::new();
    drop(place.open());
    fs::remove_file(place.log.join("format")).unwrap();
    fs::remove_file(place.log.join("checkpoint")).unwrap();
    fs::write(place.log.join("tmp/state"), b"half").unwrap();
    place.fill(0..3, true);
    assert_eq!(place.open().size(), 3);
}

#[test]
fn an_older_copy_is_refused() {
    let place = Place::new();
    place.fill(0..300, true);
    let copy = place.log.with_extension("copy");
    copy_all(&place.log, &copy);
    place.fill(300..310, true);
    fs::rename(&place.log, place.log.with_extension("newer")).unwrap();
    fs::rename(&copy, &place.log).unwrap();
    let refusal = place.refusal();
    assert!(refusal.to_string().contains("rolled back"), "{refusal}");
    assert!(matches!(
        refusal,
        JournalError::RolledBack {
            found: 300,
            expected: 310,
            ..
        }
    ));
}

#[test]
fn another_branch_is_refused() {
    let place = Place::new();
    place.fill(0..300, true);
    let copy = place.log.with_extension("copy");
    copy_all(&place.log, &copy);
    place.fill(300..310, true);
    let signed = place.signer.last_signed().unwrap().unwrap();
    fs::rename(&place.log, place.log.with_extension("newer")).unwrap();
    fs::rename(&copy, &place.log).unwrap();
    // The older copy goes on with another signer, then comes back to the one that knows better.
    let folder = tempfile::tempdir().unwrap();
    let origin = place.signer.origin().clone();
    let other = LocalSigner::open_or_create(folder.path(), &origin).unwrap();
    let journal = Journal::open(Config::new(&place.log, origin), Arc::new(other)).unwrap();
    for index in 300..320 {
        journal.append_blocking(entry(index + 1_000)).unwrap();
    }
    drop(journal);
    assert!(matches!(
        place.try_open().unwrap_err(),
        JournalError::Signer(_)
    ));
    assert_eq!(place.signer.last_signed().unwrap().unwrap(), signed);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy_all(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}
