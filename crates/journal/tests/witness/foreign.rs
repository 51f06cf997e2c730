//! litewitness cosigns our log and refuses our forks.

use chancery_journal::{JournalError, LogAlarm, PublishError};

use crate::litewitness::{Litewitness, NAME, Programs, fork, request};
use crate::world::{Place, fill};

fn policy(witness: &Litewitness) -> String {
    format!(
        "witness L {} http://{}\nquorum L\n",
        witness.vkey, witness.address
    )
}

#[test]
fn c3_litewitness_cosigns_our_log_and_refuses_its_forks() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let place = Place::new();
    let log = place.known()[0].clone();
    let witness = Litewitness::start(&programs, &log);
    let journal = place.open_withholding(&policy(&witness)).unwrap();
    for count in [7, 13, 680] {
        fill(&journal, count);
        let published = journal.publish_blocking().unwrap();
        assert!(published.is_witnessed);
        assert!(published.cosigned.contains(&format!("\u{2014} {NAME} ")));
    }
    let reader = journal.reader();
    let note = journal.published().unwrap().note;
    let keys = place.folder.path().join("signer");
    let forked = |size| fork(&keys, &log, size);
    let stale = witness.add(&request(reader, 7, 700, note));
    assert_eq!(stale, (409, "700\n".to_owned()));
    let same_size = witness.add(&format!("old 700\n\n{}", forked(700)));
    assert_eq!(same_size.0, 422, "{same_size:?}");
    let proof = request(reader, 20, 700, forked(800)).replace("old 20\n", "old 700\n");
    let longer = witness.add(&proof);
    assert_eq!(longer.0, 422, "{longer:?}");
    // The log itself goes on.
    fill(&journal, 1);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
}

#[test]
fn c2_litewitness_does_not_cosign_a_log_that_was_rolled_back() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let place = Place::new();
    let log = place.known()[0].clone();
    let witness = Litewitness::start(&programs, &log);
    let journal = place.open(&policy(&witness));
    fill(&journal, 20);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
    drop(journal);
    // A disk and a ratchet from before, both of them: nothing here remembers more.
    let before = Place::with_keys_of(place);
    let asked = policy(&witness);
    let alarm = match before.try_open(Some(before.witnesses(&asked))) {
        Err(JournalError::Alarm { alarm, .. }) => Some(alarm),
        Err(other) => panic!("{other:?}"),
        Ok(journal) => {
            fill(&journal, 3);
            match journal.publish_blocking() {
                // A version that shows nothing to monitors says a size, which proves nothing.
                Ok(published) => {
                    assert!(!published.is_witnessed);
                    None
                }
                Err(PublishError::Alarm(alarm)) => Some(alarm),
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    if let Some(alarm) = alarm {
        assert!(matches!(alarm, LogAlarm::RolledBack { recorded: 20, .. }));
    }
}
