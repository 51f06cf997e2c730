//! Keys of subjects: what is sealed opens in its place alone, and is gone once its subject is erased.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_crypto::SealError;
use chancery_journal::{ContentError, Keyring, ObjectStore, Subject};
use chancery_types::{Digest, Timestamp};

const AT: Timestamp = Timestamp::from_seconds(9);

fn ada() -> Subject {
    Subject::person("ada")
}

fn bob() -> Subject {
    Subject::person("bob")
}

fn keys(folder: &Path) -> Keyring {
    Keyring::open(&folder.join("keys")).unwrap()
}

fn open(keys: &Keyring, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, ContentError> {
    let opened = keys.open_value(place, sealed)?;
    Ok(opened.expose().to_vec())
}

/// The files of a folder with that ending, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder.join("keys"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    found.sort();
    found
}

/// The key file of a subject: the one that is not there without it.
fn key_file(folder: &Path, keys: &Keyring, subject: &Subject) -> PathBuf {
    let id = keys.key_of(subject).unwrap().to_string();
    let mut files = files(folder, "key").into_iter();
    let is = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(&id);
    files.find(is).unwrap()
}

#[test]
fn keys_are_the_owners_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = keys(folder.path());
    let sealed = first.seal(&ada(), b"row 1", b"a value of ada").unwrap();
    assert!(!sealed.windows(5).any(|part| part == b"value"));
    let second = keys(folder.path());
    assert_eq!(open(&second, b"row 1", &sealed).unwrap(), b"a value of ada");
    let reader = Keyring::read(&folder.path().join("keys")).unwrap();
    assert_eq!(open(&reader, b"row 1", &sealed).unwrap(), b"a value of ada");
    assert!(matches!(
        reader.seal(&bob(), b"", b""),
        Err(ContentError::ReadOnly)
    ));
    assert!(matches!(
        reader.begin_erasure(&ada(), ""),
        Err(ContentError::ReadOnly)
    ));
    for file in fs::read_dir(folder.path().join("keys")).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mode = fs::metadata(folder.path().join("keys"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    let nobody = Keyring::read(&folder.path().join("nowhere")).unwrap();
    assert!(matches!(
        open(&nobody, b"row 1", &sealed),
        Err(ContentError::UnknownKey { .. })
    ));
}

#[test]
fn a_value_opens_in_its_place_alone() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let of_ada = keys.seal(&ada(), b"row 1", b"ada").unwrap();
    let of_bob = keys.seal(&bob(), b"row 1", b"bob").unwrap();
    let refused = |opened: Result<Vec<u8>, ContentError>| match opened {
        Err(ContentError::Sealed(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(open(&keys, b"row 2", &of_ada)), SealError::Refused);
    // The name of another's key before the value.
    let swapped = [&of_bob[..20], &of_ada[20..]].concat();
    assert_eq!(refused(open(&keys, b"row 1", &swapped)), SealError::Refused);
    for place in 20..of_ada.len() {
        let mut flipped = of_ada.clone();
        flipped[place] ^= 1;
        assert_eq!(refused(open(&keys, b"row 1", &flipped)), SealError::Refused);
    }
    for length in 20..of_ada.len() {
        let cut = refused(open(&keys, b"row 1", &of_ada[..length]));
        assert!([SealError::Truncated, SealError::Refused].contains(&cut));
    }
    for length in 0..20 {
        assert!(matches!(
            open(&keys, b"row 1", &of_ada[..length]),
            Err(ContentError::NotSealed)
        ));
    }
    let mut unknown = of_ada;
    unknown[4] ^= 1;
    assert!(matches!(
        open(&keys, b"row 1", &unknown),
        Err(ContentError::UnknownKey { .. })
    ));
}

#[test]
fn an_erased_subject_is_gone_for_good_and_another_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let of_ada = keys.seal(&ada(), b"1", b"ada").unwrap();
    let of_bob = keys.seal(&bob(), b"1", b"bob").unwrap();
    let file = key_file(folder.path(), &keys, &ada());
    let (before, beside) = (fs::read(&file).unwrap(), folder.path().join("beside"));
    fs::hard_link(&file, &beside).unwrap();
    assert_eq!(keys.begin_erasure(&ada(), "note").unwrap(), "note");
    assert!(matches!(
        keys.seal(&ada(), b"2", b"more"),
        Err(ContentError::Erasing)
    ));
    assert_eq!(open(&keys, b"1", &of_ada).unwrap(), b"ada");
    let tombstone = keys.finish_erasure(&ada(), 7, AT).unwrap();
    assert_eq!((tombstone.entry, tombstone.at), (7, AT));
    // The very file that held the key holds zeros.
    assert_eq!(fs::read(&beside).unwrap(), vec![0; before.len()]);
    let again = self::keys(folder.path());
    for keys in [&keys, &again] {
        assert!(matches!(
            open(keys, b"1", &of_ada),
            Err(ContentError::Erased { entry: 7 })
        ));
        assert!(matches!(
            keys.seal(&ada(), b"2", b"more"),
            Err(ContentError::Erased { entry: 7 })
        ));
        assert!(matches!(
            keys.begin_erasure(&ada(), "again"),
            Err(ContentError::Erased { entry: 7 })
        ));
        assert_eq!(keys.erased(&ada()), Some(tombstone));
        assert_eq!(keys.key_of(&ada()), None);
        assert_eq!(open(keys, b"1", &of_bob).unwrap(), b"bob");
        assert!(keys.erasing().is_empty());
    }
    // Finished again, it stays as it was.
    let same = again.finish_erasure(&ada(), 8, AT).unwrap();
    assert_eq!(same, tombstone);
}

#[test]
fn who_was_never_kept_is_erased_too() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    keys.begin_erasure(&ada(), "").unwrap();
    let tombstone = keys.finish_erasure(&ada(), 3, AT).unwrap();
    assert_eq!(tombstone.key, None);
    assert!(matches!(
        self::keys(folder.path()).seal(&ada(), b"1", b"ada"),
        Err(ContentError::Erased { entry: 3 })
    ));
}

#[test]
fn a_crash_anywhere_leaves_an_erasure_that_goes_on() {
    // After the note; after the key was overwritten; after the tombstone stood in its place.
    for crash in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let sealed = {
            let keys = keys(folder.path());
            let sealed = keys.seal(&ada(), b"1", b"ada").unwrap();
            let file = key_file(folder.path(), &keys, &ada());
            let note = file.with_extension("erasing");
            keys.begin_erasure(&ada(), "the first").unwrap();
            match crash {
                0 => {}
                1 => {
                    let length = fs::metadata(&file).unwrap().len();
                    let zeros = vec![0; usize::try_from(length).unwrap()];
                    fs::write(&file, zeros).unwrap();
                    fs::write(file.with_extension("next"), b"half").unwrap();
                }
                _ => {
                    let kept = fs::read(&note).unwrap();
                    keys.finish_erasure(&ada(), 7, AT).unwrap();
                    fs::write(&note, kept).unwrap();
                    fs::set_permissions(&note, fs::Permissions::from_mode(0o600)).unwrap();
                }
            }
            sealed
        };
        let keys = keys(folder.path());
        let [begun] = keys.erasing().try_into().unwrap();
        assert_eq!(
            (begun.subject.clone(), begun.note.as_str()),
            (ada(), "the first")
        );
        assert!(keys.seal(&ada(), b"2", b"more").is_err(), "{crash}");
        if crash < 2 {
            // Begun again, the first note stands.
            let stands = keys.begin_erasure(&ada(), "the second").unwrap();
            assert_eq!(stands, "the first");
        }
        keys.finish_erasure(&begun.subject, 7, AT).unwrap();
        assert!(keys.erasing().is_empty());
        let again = self::keys(folder.path());
        assert!(
            open(&again, b"1", &sealed).unwrap_err().is_erased(),
            "{crash}"
        );
        assert_eq!(again.erased(&ada()).unwrap().entry, 7);
        assert!(again.erasing().is_empty());
        assert!(files(folder.path(), "erasing").is_empty());
        assert!(files(folder.path(), "next").is_empty());
    }
}

#[test]
fn a_key_that_was_brought_back_opens_nothing_that_a_tombstone_stands_for() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let sealed = keys.seal(&ada(), b"1", b"ada").unwrap();
    let file = key_file(folder.path(), &keys, &ada());
    let before = fs::read(&file).unwrap();
    keys.begin_erasure(&ada(), "").unwrap();
    keys.finish_erasure(&ada(), 7, AT).unwrap();
    // Under the name of another subject the old key is that of nobody.
    keys.seal(&bob(), b"1", b"bob").unwrap();
    let others = key_file(folder.path(), &keys, &bob());
    fs::write(&others, before).unwrap();
    assert!(matches!(
        Keyring::open(&folder.path().join("keys")),
        Err(ContentError::ForeignKey { .. })
    ));
    assert!(open(&keys, b"1", &sealed).unwrap_err().is_erased());
}

#[test]
fn keys_of_other_masters_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let opened = |folder: &Path| Keyring::open(&folder.join("keys")).map(drop);
    {
        let keys = keys(folder.path());
        keys.seal(&ada(), b"1", b"ada").unwrap();
        keys.seal(&bob(), b"1", b"bob").unwrap();
    }
    let [one, two] = files(folder.path(), "key").try_into().unwrap();
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    // Swapped between subjects.
    fs::write(&one, &second).unwrap();
    assert!(matches!(
        opened(folder.path()),
        Err(ContentError::ForeignKey { .. })
    ));
    for bad in [
        &b""[..],
        b"{}",
        b"null",
        &first[1..],
        b"{\"format\":\"chancery/data-key/v1\"}",
    ] {
        fs::write(&one, bad).unwrap();
        assert!(matches!(
            opened(folder.path()),
            Err(ContentError::Damaged { .. })
        ));
    }
    fs::write(&one, &first).unwrap();
    opened(folder.path()).unwrap();
    // Open to others.
    fs::set_permissions(&one, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        opened(folder.path()),
        Err(ContentError::KeyFile(_))
    ));
    fs::set_permissions(&one, fs::Permissions::from_mode(0o600)).unwrap();
    // A name that no subject has.
    let stray = folder.path().join("keys/stray.key");
    fs::copy(&one, &stray).unwrap();
    assert!(matches!(
        opened(folder.path()),
        Err(ContentError::Damaged { .. })
    ));
    fs::remove_file(&stray).unwrap();
    // The note of another subject's erasure.
    let note = one.with_extension("erasing");
    let text = r#"{"format":"chancery/erasing/v1","note":"","subject":"person:eve"}"#;
    fs::write(&note, text).unwrap();
    fs::set_permissions(&note, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        opened(folder.path()),
        Err(ContentError::Damaged { .. })
    ));
    fs::remove_file(&note).unwrap();
    // Another master, a damaged one, none.
    let master = folder.path().join("keys/master");
    let kept = fs::read(&master).unwrap();
    let other = tempfile::tempdir().unwrap();
    drop(keys(other.path()));
    fs::copy(other.path().join("keys/master"), &master).unwrap();
    assert!(matches!(
        opened(folder.path()),
        Err(ContentError::ForeignKey { .. })
    ));
    for bad in [&b""[..], b"short", &kept[1..]] {
        fs::write(&master, bad).unwrap();
        assert!(matches!(
            opened(folder.path()),
            Err(ContentError::Damaged { .. })
        ));
    }
    fs::remove_file(&master).unwrap();
    assert!(matches!(
        opened(folder.path()),
        Err(ContentError::NoMaster { .. })
    ));
    assert!(
        !master.exists(),
        "no master is made beside keys that another sealed"
    );
}

fn store(folder: &Path) -> ObjectStore {
    ObjectStore::open(&folder.join("objects"), Arc::new(keys(folder))).unwrap()
}

#[test]
fn objects_are_kept_once_for_each_of_whom_they_are_about() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let [shared, own, clear] = [&b"shared"[..], b"of ada", b"of nobody"].map(<[u8]>::to_vec);
    let digest = |bytes: &[u8]| Digest::of(bytes);
    store
        .put(Some(&ada()), &[shared.clone(), own.clone()])
        .unwrap();
    store
        .put(Some(&bob()), std::slice::from_ref(&shared))
        .unwrap();
    store.put(None, std::slice::from_ref(&clear)).unwrap();
    for whose in [None, Some(ada()), Some(bob())] {
        let get = |bytes: &[u8]| store.get(whose.as_ref(), digest(bytes)).unwrap();
        assert_eq!(get(&shared), shared);
        assert_eq!(get(&own), own);
        assert_eq!(get(&clear), clear);
        assert!(store.holds(whose.as_ref(), digest(&own)));
        assert!(!store.holds(whose.as_ref(), digest(b"other")));
    }
    assert!(matches!(
        store.get(None, digest(b"other")),
        Err(ContentError::Missing { .. })
    ));
    let mut of_ada = vec![digest(&shared), digest(&own)];
    of_ada.sort();
    assert_eq!(store.of(&ada()).unwrap(), of_ada);
    assert_eq!(store.clear().unwrap(), [digest(&clear)]);
    let keys = store.keys();
    keys.begin_erasure(&ada(), "").unwrap();
    let tombstone = keys.finish_erasure(&ada(), 4, AT).unwrap();
    assert!(
        store
            .get(Some(&ada()), digest(&own))
            .unwrap_err()
            .is_erased()
    );
    assert_eq!(
        store.get(None, digest(&shared)).unwrap(),
        shared,
        "bob's copy stays"
    );
    assert!(store.put(Some(&ada()), &[b"new".to_vec()]).is_err());
    store.remove_of(tombstone.key.unwrap()).unwrap();
    store.remove_of(tombstone.key.unwrap()).unwrap();
    assert!(!store.holds(Some(&ada()), digest(&own)));
    assert_eq!(store.get(None, digest(&clear)).unwrap(), clear);
}

#[test]
fn objects_that_were_moved_cut_or_altered_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (one, two) = (b"one".to_vec(), b"two".to_vec());
    store
        .put(Some(&ada()), &[one.clone(), two.clone()])
        .unwrap();
    store.put(Some(&bob()), std::slice::from_ref(&two)).unwrap();
    store.put(None, &[b"clear".to_vec()]).unwrap();
    let objects = folder.path().join("objects");
    let place = |subject: &Subject, bytes: &[u8]| {
        let key = store.keys().key_of(subject).unwrap().to_string();
        objects.join(key).join(Digest::of(bytes).to_hex())
    };
    let path = place(&ada(), &one);
    let kept = fs::read(&path).unwrap();
    for other in [place(&ada(), &two), place(&bob(), &two)] {
        fs::copy(other, &path).unwrap();
        assert!(matches!(
            store.get(Some(&ada()), Digest::of(&one)),
            Err(ContentError::Sealed(SealError::Refused))
        ));
    }
    for length in 0..kept.len() {
        fs::write(&path, &kept[..length]).unwrap();
        assert!(
            store.get(Some(&ada()), Digest::of(&one)).is_err(),
            "{length}"
        );
    }
    let clear = Digest::of(b"clear");
    fs::write(objects.join(clear.to_hex()), b"other").unwrap();
    assert!(matches!(
        store.get(None, clear),
        Err(ContentError::Altered { .. })
    ));
    assert!(matches!(
        store.seal_clear(&ada(), clear),
        Err(ContentError::Altered { .. })
    ));
}

#[test]
fn a_crash_while_what_stood_in_clear_is_taken_away_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let value = b"stood in clear".to_vec();
    let digest = Digest::of(&value);
    let path = folder.path().join("objects").join(digest.to_hex());
    store.put(None, std::slice::from_ref(&value)).unwrap();
    store.seal_clear(&ada(), digest).unwrap();
    // Overwritten, and then replaced by an empty file, are the states between.
    for left in [vec![0; value.len()], Vec::new()] {
        fs::write(&path, left).unwrap();
        assert_eq!(store.get(None, digest).unwrap(), value);
        store.seal_clear(&ada(), digest).unwrap();
        store.remove_clear([digest]).unwrap();
        assert!(!path.exists());
    }
    assert_eq!(store.get(None, digest).unwrap(), value);
}

#[test]
fn what_stood_in_clear_is_sealed_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let value = b"stood in clear".to_vec();
    let digest = Digest::of(&value);
    store.put(None, std::slice::from_ref(&value)).unwrap();
    let path = folder.path().join("objects").join(digest.to_hex());
    let beside = folder.path().join("beside");
    fs::hard_link(&path, &beside).unwrap();
    store.seal_clear(&ada(), digest).unwrap();
    store.remove_clear([digest, Digest::of("other")]).unwrap();
    store.seal_clear(&ada(), digest).unwrap();
    assert!(store.clear().unwrap().is_empty());
    assert_eq!(fs::read(&beside).unwrap(), vec![0; value.len()]);
    assert_eq!(store.get(None, digest).unwrap(), value);
    assert_eq!(store.of(&ada()).unwrap(), [digest]);
}

#[test]
fn an_erasure_whose_last_step_fails_is_not_done_and_can_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = keys(folder.path());
    let sealed = keyring.seal(&ada(), b"1", b"a value of ada").unwrap();
    keyring.begin_erasure(&ada(), "the note").unwrap();
    // The key cannot be overwritten where there is no file.
    let file = key_file(folder.path(), &keyring, &ada());
    let aside = folder.path().join("aside");
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    keyring.finish_erasure(&ada(), 7, AT).unwrap_err();
    assert_eq!(keyring.erased(&ada()), None);
    assert_eq!(keyring.erasing().len(), 1);
    assert_eq!(keyring.erasing_of(&ada()).unwrap().note, "the note");
    // Nobody reads it meanwhile, nothing is kept, and who begins again is told of the first note.
    assert!(open(&keyring, b"1", &sealed).unwrap_err().is_erased());
    assert!(matches!(
        keyring.seal(&ada(), b"2", b""),
        Err(ContentError::Erasing)
    ));
    assert!(matches!(keyring.check(&ada()), Err(ContentError::Erasing)));
    assert_eq!(keyring.begin_erasure(&ada(), "other").unwrap(), "the note");

    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    let tombstone = keyring.finish_erasure(&ada(), 7, AT).unwrap();
    assert_eq!(keyring.erased(&ada()), Some(tombstone));
    assert!(keyring.erasing().is_empty());
    assert!(matches!(
        keyring.check(&ada()),
        Err(ContentError::Erased { entry: 7 })
    ));
    let again = keys(folder.path());
    assert_eq!(again.erased(&ada()), Some(tombstone));
}

#[test]
fn a_note_that_could_not_be_taken_away_leaves_the_tombstone_whole() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = keys(folder.path());
    keyring.seal(&ada(), b"1", b"a value of ada").unwrap();
    keyring.begin_erasure(&ada(), "the note").unwrap();
    let file = key_file(folder.path(), &keyring, &ada());
    // The last step fails: the note is none that can be taken away.
    let [note] = files(folder.path(), "erasing").try_into().unwrap();
    let aside = folder.path().join("aside");
    fs::rename(&note, &aside).unwrap();
    fs::create_dir(&note).unwrap();
    keyring.finish_erasure(&ada(), 7, AT).unwrap_err();
    assert_eq!(keyring.erased(&ada()), None);
    let mark = fs::read(&file).unwrap();
    let before = fs::metadata(&file).unwrap().len();
    fs::remove_dir(&note).unwrap();
    fs::rename(&aside, &note).unwrap();
    // Another process finds it unfinished too.
    let reader = Keyring::read(&folder.path().join("keys")).unwrap();
    assert_eq!(reader.erased(&ada()), None);
    assert_eq!(keyring.finish_erasure(&ada(), 7, AT).unwrap().entry, 7);
    assert_eq!(fs::read(&file).unwrap(), mark);
    assert_eq!(before, fs::metadata(&file).unwrap().len());
}

#[test]
fn who_reads_waits_for_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = keys(folder.path());
    let sealed = keyring.seal(&ada(), b"1", b"a value of ada").unwrap();
    let file = key_file(folder.path(), &keyring, &ada());
    let whole = fs::read(&file).unwrap();
    // As a writer does in the middle of a change.
    let held = fs::File::open(folder.path().join("keys")).unwrap();
    held.lock().unwrap();
    fs::write(&file, vec![0; whole.len()]).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let place = folder.path().join("keys");
    let reader = std::thread::spawn(move || {
        tell.send(Keyring::read(&place)).unwrap();
    });
    let early = told.recv_timeout(std::time::Duration::from_millis(300));
    assert!(early.is_err(), "it read what was half written: {early:?}");
    fs::write(&file, &whole).unwrap();
    drop(held);
    let read = told.recv().unwrap().unwrap();
    reader.join().unwrap();
    assert_eq!(open(&read, b"1", &sealed).unwrap(), b"a value of ada");
}

#[test]
fn readers_and_a_writer_at_once_see_whole_changes() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = keys(folder.path());
    keyring.seal(&bob(), b"1", b"a value of bob").unwrap();
    let place = folder.path().join("keys");
    let writes = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while writes.load(std::sync::atomic::Ordering::Relaxed) {
                        let read = Keyring::read(&place).unwrap();
                        assert!(read.key_of(&bob()).is_some());
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for number in 0..40 {
            let subject = Subject::person(number);
            keyring.seal(&subject, b"1", b"a value").unwrap();
            keyring.begin_erasure(&subject, "note").unwrap();
            keyring.finish_erasure(&subject, number, AT).unwrap();
        }
        writes.store(false, std::sync::atomic::Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}
