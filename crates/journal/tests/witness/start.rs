//! C6: a log that was rolled back is found out before it signs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use chancery_journal::{CheckpointSigner as _, Journal, JournalError, LocalSigner, LogAlarm};

use crate::scripted::{Reply, Scripted, text};
use crate::world::{Place, Served, fill, origin, witness};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, target) = entry
            .map(|it| (it.path(), to.join(it.file_name())))
            .unwrap();
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).unwrap();
        }
    }
}

/// A log of 20 entries that a witness knows, and what log and signer were at 7: a snapshot of the
/// whole machine, ratchet included.
struct RolledBack {
    place: Place,
    folder: tempfile::TempDir,
    served: Served,
}

impl RolledBack {
    fn new() -> Self {
        let place = Place::new();
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(&folder.path().join("w"), place.known());
        let journal = place.open(&served.policy());
        fill(&journal, 7);
        assert!(journal.publish_blocking().unwrap().is_witnessed);
        drop(journal);
        copy(place.folder.path(), &folder.path().join("snapshot"));
        let journal = place.open(&served.policy());
        fill(&journal, 13);
        assert!(journal.publish_blocking().unwrap().is_witnessed);
        drop(journal);
        Self {
            place,
            folder,
            served,
        }
    }

    /// The machine as it was at 7.
    fn restored(self) -> (Place, Served, tempfile::TempDir) {
        let Self {
            place,
            folder,
            served,
        } = self;
        let Place {
            folder: current,
            signer,
        } = place;
        drop(signer);
        std::fs::remove_dir_all(current.path().join("log")).unwrap();
        std::fs::remove_dir_all(current.path().join("signer")).unwrap();
        copy(&folder.path().join("snapshot"), current.path());
        let signer = LocalSigner::open_or_create(&current.path().join("signer"), &origin());
        let place = Place {
            folder: current,
            signer: Arc::new(signer.unwrap()),
        };
        (place, served, folder)
    }
}

fn ahead(refused: Result<Journal, JournalError>) -> (u64, u64) {
    match refused.map(drop) {
        Err(JournalError::Alarm {
            alarm: LogAlarm::RolledBack { recorded, size, .. },
            ..
        }) => (recorded, size),
        other => panic!("{other:?}"),
    }
}

#[test]
fn c6_a_snapshot_of_the_whole_machine_is_refused() {
    let (place, served, _folder) = RolledBack::new().restored();
    let signed = place.signer.last_signed().unwrap();
    assert_eq!(signed.as_ref().unwrap().size, 7);
    let policy = served.policy();
    let refused = place.try_open(Some(place.witnesses(&policy)));
    assert_eq!(ahead(refused), (20, 7));
    assert_eq!(ahead(place.open_withholding(&policy)), (20, 7));
    assert_eq!(place.signer.last_signed().unwrap(), signed);
    // Once seen it is remembered, whether the witness is asked again or not.
    assert_eq!(ahead(place.try_open(None)), (20, 7));
    drop(served);
    assert_eq!(ahead(place.open_withholding(&policy)), (20, 7));
    assert_eq!(place.signer.last_signed().unwrap(), signed);
}

#[test]
fn c6_a_snapshot_of_the_whole_machine_goes_unseen_without_the_witness() {
    let (place, _served, _folder) = RolledBack::new().restored();
    assert!(place.try_open(None).is_ok());
    assert!(!alarm_file(&place).exists());
}

fn alarm_file(place: &Place) -> std::path::PathBuf {
    place.log().join("alarm")
}

#[test]
fn c6_an_alarm_is_over_when_the_latest_copy_is_back() {
    let rolled_back = RolledBack::new();
    let folder = tempfile::tempdir().unwrap();
    copy(rolled_back.place.folder.path(), folder.path());
    let (place, served, _folder) = rolled_back.restored();
    let policy = served.policy();
    assert_eq!(ahead(place.open_withholding(&policy)), (20, 7));
    let mode = std::fs::metadata(alarm_file(&place)).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    // The latest copy is laid over what is there: the file stays, and what it shows is there.
    let Place {
        folder: current,
        signer,
    } = place;
    drop(signer);
    copy(folder.path(), current.path());
    let signer = LocalSigner::open_or_create(&current.path().join("signer"), &origin());
    let place = Place {
        folder: current,
        signer: Arc::new(signer.unwrap()),
    };
    assert!(alarm_file(&place).exists());
    let journal = place.open_withholding(&policy).unwrap();
    fill(&journal, 1);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
    assert!(!alarm_file(&place).exists());
}

#[test]
fn c6_an_alarm_that_cannot_be_read_is_no_alarm_that_is_over() {
    let (place, served, _folder) = RolledBack::new().restored();
    assert_eq!(ahead(place.open_withholding(&served.policy())), (20, 7));
    let good = std::fs::read_to_string(alarm_file(&place)).unwrap();
    for bad in [
        String::new(),
        "{}".to_owned(),
        good.replace("log-alarm/v1", "log-alarm/v2"),
        good.replacen("td.example", "", 1)
            .replace("\\n20\\n", "\\n020\\n"),
        good.replacen("\"shown\"", "\"hidden\"", 1),
    ] {
        assert_ne!(bad, good);
        std::fs::write(alarm_file(&place), bad).unwrap();
        let refused = place.try_open(None).map(drop);
        assert!(
            matches!(&refused, Err(JournalError::Damaged { path, .. }) if *path == alarm_file(&place)),
            "{refused:?}"
        );
    }
}

#[test]
fn c6_a_log_that_went_another_way_to_the_same_size_is_refused() {
    let (place, served, _folder) = RolledBack::new().restored();
    let journal = place.try_open(None).unwrap();
    for number in 0..13 {
        journal.append_blocking(vec![number]).unwrap();
    }
    journal.publish_blocking().unwrap();
    drop(journal);
    let refused = place.try_open(Some(place.witnesses(&served.policy())));
    match refused.map(drop) {
        Err(JournalError::Alarm { path, alarm }) => {
            let shown_by = "witness W".to_owned();
            let recorded = 20;
            assert_eq!(alarm, LogAlarm::Forked { shown_by, recorded });
            // Both notes are kept: what this log signed of 20 entries, and what the witness shows.
            let kept = std::fs::read_to_string(path).unwrap();
            assert_eq!(kept.matches("\\n20\\n").count(), 2, "{kept}");
        }
        other => panic!("{other:?}"),
    }
    assert!(place.try_open(None).is_err(), "across restarts too");
}

#[test]
fn c6_a_log_that_went_another_way_and_further_is_refused() {
    let (place, served, _folder) = RolledBack::new().restored();
    let journal = place.try_open(None).unwrap();
    for number in 0..100 {
        journal.append_blocking(vec![number]).unwrap();
    }
    journal.publish_blocking().unwrap();
    drop(journal);
    let refused = place.try_open(Some(place.witnesses(&served.policy())));
    assert!(matches!(
        refused.map(drop),
        Err(JournalError::Alarm {
            alarm: LogAlarm::Forked { recorded: 20, .. },
            ..
        })
    ));
}

#[test]
fn c6_what_is_durable_and_not_published_counts() {
    let RolledBack {
        place,
        served,
        folder: _folder,
    } = RolledBack::new();
    let policy = served.policy();
    let journal = place.open(&policy);
    fill(&journal, 30);
    drop(journal);
    let journal = place.open(&policy);
    let published = journal.published().unwrap();
    assert_eq!(
        (published.checkpoint.size, published.is_witnessed),
        (50, true)
    );
}

#[test]
fn c6_a_witness_that_knows_nothing_or_is_away_refuses_nothing() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let real = witness(&folder.path().join("w"), place.known());
    let reply: Arc<Mutex<Reply>> = Arc::default();
    let told = Arc::clone(&reply);
    let scripted = Scripted::start(move |request| match request.method.as_str() {
        "GET" => told.lock().unwrap().clone(),
        _ => text(503, "away"),
    });
    let policy = crate::world::policy(&real, scripted.address);
    for (answer, withheld) in [
        (text(404, "never cosigned\n"), true),
        (text(500, ""), false),
        (text(200, ""), false),
        (text(200, "not a note\n"), false),
        (text(301, "elsewhere"), false),
    ] {
        *reply.lock().unwrap() = answer.clone();
        // Marked, the log opens; withheld, it opens where the quorum said what it has.
        assert!(place.try_open(Some(place.witnesses(&policy))).is_ok());
        let opened = place.open_withholding(&policy).map(drop);
        match opened {
            Ok(()) => assert!(withheld, "{answer:?}"),
            Err(JournalError::WitnessesSilent) => assert!(!withheld, "{answer:?}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn c6_what_our_keys_did_not_sign_is_no_rollback() {
    let (place, other) = (Place::new(), Place::new());
    let folder = tempfile::tempdir().unwrap();
    let real = witness(&folder.path().join("w"), place.known());
    let journal = other.try_open(None).unwrap();
    fill(&journal, 50);
    let forged = journal.publish_blocking().unwrap().note;
    let scripted = Scripted::start(move |request| match request.method.as_str() {
        "GET" => text(200, forged.clone()),
        _ => text(503, "away"),
    });
    let policy = crate::world::policy(&real, scripted.address);
    assert!(place.try_open(Some(place.witnesses(&policy))).is_ok());
    let refused = place.open_withholding(&policy).map(drop);
    assert!(matches!(refused, Err(JournalError::WitnessesSilent)));
}
