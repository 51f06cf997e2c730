//! Two writers of one origin: the lock keeps them from one folder, and where each has a folder of
//! its own, the signer's ratchet has the last word.

use std::sync::Arc;

use chancery_journal::{CheckpointSigner, JournalError, LocalSignerError, PublishError, SignError};
use chancery_tlog::RatchetError;

use crate::tree::Keep;
use crate::world::{Failure, Keys, SIGNER, World};

#[test]
fn the_lock_refuses_the_second() {
    let world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    assert!(matches!(
        world.open().unwrap_err(),
        Failure::Signer(LocalSignerError::Directory(JournalError::Locked { .. }))
    ));
    let elsewhere = world.keys.signer(&world.disk, "/elsewhere", world.clock);
    let refusal = world.open_with(Arc::new(elsewhere.unwrap())).unwrap_err();
    assert!(matches!(refusal, JournalError::Locked { .. }));
    assert!(refusal.to_string().contains("stop it first"), "{refusal}");
    drop(journal);
    drop(world.open().unwrap());
}

#[test]
fn power_takes_the_lock_away() {
    let world = World::new(&Keys::new(), 1);
    let journal = world.open().unwrap();
    world.disk.cut(Keep::Nothing);
    let next = world.open().unwrap();
    // What the one from before still does reaches nothing.
    let late = journal.append_blocking(b"late".to_vec());
    assert!(late.is_err(), "{late:?}");
    assert_eq!(next.size(), 0);
}

#[test]
fn two_folders_share_no_signature() {
    let world = World::new(&Keys::new(), 1);
    let signer: Arc<dyn CheckpointSigner> =
        Arc::new(world.keys.signer(&world.disk, SIGNER, world.clock).unwrap());
    let first = world.open_in("/first", Arc::clone(&signer)).unwrap();
    let second = world.open_in("/second", Arc::clone(&signer)).unwrap();
    first.append_blocking(b"one".to_vec()).unwrap();
    let one = first.publish_blocking().unwrap().checkpoint;
    second.append_blocking(b"other".to_vec()).unwrap();
    // The same size with another root: the writer of it ends.
    assert!(matches!(
        second.publish_blocking(),
        Err(PublishError::Closed)
    ));
    assert!(world.disk.has_ended());
    assert_eq!(signer.last_signed().unwrap(), Some(one.clone()));
    drop(second);
    drop(first);
    world.disk.restart();

    // It may grow as it likes; the first one's entries are not in it.
    for count in 0..4 {
        let refusal = world.open_in("/second", Arc::clone(&signer));
        let Err(JournalError::Signer(SignError::Refused(refusal))) = refusal else {
            panic!("{refusal:?}");
        };
        match refusal {
            RatchetError::Forked(1) => assert_eq!(count, 0),
            RatchetError::Inconsistent { signed: 1, .. } => assert!(count > 0),
            other => panic!("{other}"),
        }
        let alone = world
            .keys
            .signer(&world.disk, "/alone", world.clock)
            .unwrap();
        let journal = world.open_in("/second", Arc::new(alone)).unwrap();
        journal
            .append_blocking(format!("more {count}").into_bytes())
            .unwrap();
        drop(journal);
    }
    assert_eq!(signer.last_signed().unwrap(), Some(one));
    // The first one goes on.
    let first = world.open_in("/first", Arc::clone(&signer)).unwrap();
    first.append_blocking(b"two".to_vec()).unwrap();
    assert_eq!(first.publish_blocking().unwrap().checkpoint.size, 2);
}

#[test]
fn an_empty_folder_beside_a_signed_log_is_refused() {
    let world = World::new(&Keys::new(), 1);
    let signer: Arc<dyn CheckpointSigner> =
        Arc::new(world.keys.signer(&world.disk, SIGNER, world.clock).unwrap());
    let first = world.open_in("/first", Arc::clone(&signer)).unwrap();
    first.append_blocking(b"one".to_vec()).unwrap();
    first.publish_blocking().unwrap();
    assert!(matches!(
        world.open_in("/second", signer).unwrap_err(),
        JournalError::RolledBack {
            found: 0,
            expected: 1,
            ..
        }
    ));
}
