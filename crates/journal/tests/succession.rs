//! A log of which nothing but an older copy is left is succeeded by another one, which says so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::AwsLc;
use chancery_journal::{
    CheckpointSigner, Config, Journal, JournalError, LocalSigner, Reader, Succession,
    SuccessionError,
};
use chancery_tlog::LogKeys;

const OLD: &str = "td.example/log/gateway";
const NEW: &str = "td.example/log/gateway-2";

struct Place {
    folder: tempfile::TempDir,
    keys: LogKeys,
    /// The signed note of no entries.
    empty: String,
    /// Signed notes of 100, 300 and 340 entries; the copy has 300.
    notes: Vec<String>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = signer(folder.path(), OLD);
        let keys = signer.keys().clone();
        let journal = Journal::open(config(&folder.path().join("log"), OLD), signer).unwrap();
        let empty = journal.published().unwrap().note;
        let mut notes = Vec::new();
        for (size, copied) in [(100, false), (300, true), (340, false)] {
            while journal.size() < size {
                let entry = format!("entry {}", journal.size()).into_bytes();
                journal.append_blocking(entry).unwrap();
            }
            notes.push(journal.publish_blocking().unwrap().note);
            if copied {
                copy_all(&folder.path().join("log"), &folder.path().join("copy"));
            }
        }
        Self {
            folder,
            keys,
            empty,
            notes,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn copy(&self) -> Reader {
        Reader::open(&self.path("copy")).unwrap()
    }

    fn judge(&self, known: &[String]) -> Result<Succession, SuccessionError> {
        Succession::of_copy(&self.copy(), &self.keys, known, &AwsLc)
    }

    fn succeed(&self, first: &str, name: &str) -> Result<Journal, SuccessionError> {
        let signer = signer(&self.path("new"), name);
        let config = config(&self.path("new/log"), name);
        let succession = self.judge(&self.notes).unwrap();
        let (copy, entry) = (self.copy(), first.as_bytes().to_vec());
        Journal::succeed(&succession, &copy, entry, config, signer)
    }
}

fn signer(dir: &Path, name: &str) -> Arc<LocalSigner> {
    fs::create_dir_all(dir).unwrap();
    let signer = LocalSigner::open_or_create(&dir.join("signer"), &name.parse().unwrap());
    Arc::new(signer.unwrap())
}

fn config(dir: &Path, name: &str) -> Config {
    let mut config = Config::new(dir, name.parse().unwrap());
    config.publish_interval = Duration::from_secs(3_600);
    config.segment_bytes = 1 << 17;
    config
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

#[test]
fn goes_on_under_another_name_and_says_what_is_missing() {
    let place = Place::new();
    let succession = place.judge(&place.notes).unwrap();
    assert_eq!(succession.kept().size, 300);
    let notes = [succession.note(), succession.known_note()].map(ToString::to_string);
    assert_eq!(place.notes.get(1..), Some(&notes[..]));
    assert_eq!((succession.known().size, succession.missing()), (340, 40));
    for _ in 0..2 {
        // The second time it is there already.
        let journal = place.succeed("it succeeds", NEW).unwrap();
        assert_eq!(journal.size(), 301);
        assert_eq!(journal.read_entry(299).unwrap(), b"entry 299");
        assert_eq!(journal.read_entry(300).unwrap(), b"it succeeds");
        assert_eq!(journal.published().unwrap().checkpoint.size, 301);
        assert_eq!(journal.origin().as_str(), NEW);
        // Every proof into what is left of the old log holds in the new one.
        let root = journal.reader().root_at(300).unwrap();
        assert_eq!(root, succession.kept().root);
        assert_eq!(journal.reader().audit().unwrap().unwrap().size, 301);
    }
    let refusal = place.succeed("something else", NEW).unwrap_err();
    assert!(matches!(refusal, SuccessionError::Taken { .. }));
    assert!(refusal.to_string().contains("empty folder"), "{refusal}");
}

#[test]
fn one_that_was_cut_off_is_taken_up_again_and_another_log_is_not() {
    let place = Place::new();
    let start = |name: &str, entries: &[&str]| {
        let folder = place.path(name);
        let journal = Journal::open(config(&folder.join("log"), NEW), signer(&folder, NEW));
        let journal = journal.unwrap();
        for entry in entries {
            journal.append_blocking(entry.as_bytes().to_vec()).unwrap();
        }
        journal.publish_blocking().unwrap();
    };
    let succeed = |name: &str| {
        let folder = place.path(name);
        let succession = place.judge(&place.notes).unwrap();
        let (copy, entry) = (place.copy(), b"it succeeds".to_vec());
        let config = config(&folder.join("log"), NEW);
        Journal::succeed(&succession, &copy, entry, config, signer(&folder, NEW)).map(drop)
    };
    start("cut-off", &["entry 0", "entry 1"]);
    succeed("cut-off").unwrap();
    let log = Reader::open(&place.path("cut-off/log")).unwrap();
    assert_eq!(log.size().unwrap(), 301);
    start("another", &["entry 0", "entry 2"]);
    assert!(matches!(
        succeed("another"),
        Err(SuccessionError::Taken { .. })
    ));
    start("cut-off", &["it went on"]);
    assert!(matches!(
        succeed("cut-off"),
        Err(SuccessionError::Taken { .. })
    ));
}

#[test]
fn the_old_name_is_refused() {
    let place = Place::new();
    assert!(matches!(
        place.succeed("it succeeds", OLD),
        Err(SuccessionError::SameName(name)) if name.as_str() == OLD
    ));
    // And under its own name, the copy does not start.
    let signer: Arc<dyn CheckpointSigner> = signer(place.folder.path(), OLD);
    let refusal = Journal::open(config(&place.path("copy"), OLD), signer).unwrap_err();
    assert!(matches!(
        refusal,
        JournalError::RolledBack {
            found: 300,
            expected: 340,
            ..
        }
    ));
}

#[test]
fn a_copy_that_is_not_behind_is_started_as_it_is() {
    let place = Place::new();
    for known in [0, 1, 2] {
        let known = place.notes.get(..known).unwrap();
        let refusal = place.judge(known).unwrap_err();
        assert!(matches!(refusal, SuccessionError::NotBehind(300)));
        assert!(refusal.to_string().contains("as it is"), "{refusal}");
    }
}

#[test]
fn notes_of_others_and_forks_are_refused() {
    let place = Place::new();
    let other = signer(&place.path("other"), OLD);
    let journal = Journal::open(config(&place.path("other/log"), OLD), other).unwrap();
    journal.append_blocking(b"another".to_vec()).unwrap();
    let forged = journal.publish_blocking().unwrap().note;
    assert!(matches!(
        place.judge(&[forged]),
        Err(SuccessionError::Known { size: 1, .. })
    ));
    let changed = place.notes.last().unwrap().replace("\n340\n", "\n341\n");
    assert!(matches!(
        place.judge(&[changed]),
        Err(SuccessionError::Known { size: 341, .. })
    ));
    assert!(matches!(
        place.judge(&["nothing".to_owned()]),
        Err(SuccessionError::Known { size: 0, .. })
    ));
}

#[test]
fn two_trees_of_one_size_are_a_fork() {
    let place = Place::new();
    // The same keys with an older memory, on a log of other entries.
    let fork = place.path("fork");
    copy_all(&place.path("signer"), &place.path("fork-signer"));
    fs::create_dir(&fork).unwrap();
    fs::rename(place.path("fork-signer"), fork.join("signer")).unwrap();
    fs::write(fork.join("signer/ratchet"), &place.empty).unwrap();
    let journal = Journal::open(config(&fork.join("log"), OLD), signer(&fork, OLD)).unwrap();
    for size in [100, 340] {
        while journal.size() < size {
            journal
                .append_blocking(b"of another kind".to_vec())
                .unwrap();
        }
        let forked = journal.publish_blocking().unwrap().note;
        // One that contradicts the copy, and one that contradicts what is known beside it.
        let known = [place.notes.clone(), vec![forked]].concat();
        assert!(matches!(
            place.judge(&known),
            Err(SuccessionError::Forked(found)) if found == size
        ));
    }
}

#[test]
fn a_damaged_copy_is_refused() {
    let place = Place::new();
    let tile = place.path("copy/tile/entries/000");
    let mut bytes = fs::read(&tile).unwrap();
    if let Some(byte) = bytes.get_mut(40) {
        *byte ^= 1;
    }
    fs::write(&tile, bytes).unwrap();
    let refusal = place.judge(&place.notes).unwrap_err().to_string();
    assert!(refusal.contains("tile/"), "{refusal}");
    fs::remove_file(place.path("copy/checkpoint")).unwrap();
    assert!(matches!(
        place.judge(&place.notes),
        Err(SuccessionError::Empty { .. })
    ));
}
