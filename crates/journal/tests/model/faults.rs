//! A disk that is full or refuses to write or to sync, and a clock that jumps. The writer ends at
//! the first failure; what it had confirmed is there at the next start.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chancery_crypto::AwsLc;
use chancery_journal::{AppendError, Journal, PublishError, SignError, Storage as _};
use chancery_tlog::verify_checkpoint_exact;

use crate::disk::{Op, Plan};
use crate::tree::Keep;
use crate::world::{Keys, LOG, World};

/// Entries, groups, checkpoints, more than one segment; none where the log has ended, or its
/// signer did not sign.
fn script(world: &mut World, journal: &Journal) -> Option<()> {
    world.book.append(journal, 0)?;
    journal.publish_blocking().ok()?;
    world.book.append_all(journal, [40_000, 4, 30_000])?;
    journal.publish_blocking().ok()?;
    world.book.append_all(journal, [3; 255])?;
    journal.publish_blocking().ok()?;
    world.book.append(journal, 40_000).map(|_| ())
}

/// A start, a run and what became of it: how many writes and syncs there were.
fn run(world: &mut World) -> (u64, u64) {
    match world.open() {
        Ok(journal) => {
            // It may have ended at any moment, or gone on without a signature.
            let _ = script(world, &journal);
        }
        Err(failure) => {
            let text = failure.to_string();
            assert!(text.starts_with('/'), "no file is named: {text}");
        }
    }
    (world.disk.writes(), world.disk.syncs())
}

/// Lets each of so many operations fail. Then the process starts anew, with the same caches or
/// after a power cut.
fn fail_each(count: impl FnOnce((u64, u64)) -> u64, plan: fn(u64) -> Plan) {
    let keys = Keys::new();
    let count = count(run(&mut World::new(&keys, 0)));
    assert!(count > 40, "only {count} operations");
    let mut ended = 0;
    for at in 1..=count {
        for (seed, cut) in [None, Some(Keep::Random)].into_iter().enumerate() {
            let mut world = World::new(&keys, at * 10 + seed as u64);
            world.disk.plan(plan(at));
            run(&mut world);
            ended += u64::from(world.disk.has_ended());
            match cut {
                None => world.disk.restart(),
                Some(keep) => world.disk.cut(keep),
            }
            world.check_served();
            let journal = match world.open() {
                Ok(journal) => journal,
                Err(failure) => panic!("{:?}, then {cut:?}: refused to start: {failure}", plan(at)),
            };
            world.check(&journal);
            world.go_on(&journal);
        }
    }
    assert!(ended > count / 2, "the writer ended {ended} times only");
}

#[test]
fn a_full_disk_at_every_write() {
    fail_each(|(writes, _)| writes, Plan::FullAt);
}

#[test]
fn an_error_at_every_write() {
    fail_each(|(writes, _)| writes, Plan::FailWrite);
}

#[test]
fn an_error_at_every_sync() {
    fail_each(|(_, syncs)| syncs, Plan::FailSync);
}

/// After a sync that failed, nothing is confirmed and nothing is tried again: what the cache shows
/// then is not what the disk holds.
#[test]
fn a_failed_sync_ends_the_writer() {
    for (at, op) in [(1, Op::Write), (2, Op::Sync)] {
        let mut world = World::new(&Keys::new(), 7);
        let journal = world.open().unwrap();
        world.wait_for_spare();
        assert_eq!(world.book.append(&journal, 10), Some(0));
        journal.publish_blocking().unwrap();
        world.disk.plan(match op {
            Op::Write => Plan::FailWrite(1),
            _ => Plan::FailSync(1),
        });
        assert_eq!(world.book.append(&journal, 4_000), None);
        assert!(world.disk.has_ended());
        assert_eq!(world.disk.operations(), at);
        assert_eq!(world.disk.trace().last().map(|(op, _)| *op), Some(op));
        assert_eq!(
            journal.append_blocking(b"another".to_vec()),
            Err(AppendError::Closed)
        );
        assert_eq!(world.disk.operations(), at, "it wrote after the failure");
        drop(journal);
        world.disk.restart();
        let journal = world.open().unwrap();
        world.check(&journal);
        world.go_on(&journal);
    }
}

/// A failure of the publisher ends the committer too.
#[test]
fn a_failed_tile_ends_the_writer() {
    let mut world = World::new(&Keys::new(), 7);
    let journal = world.open().unwrap();
    world.wait_for_spare();
    journal.publish_blocking().unwrap();
    assert_eq!(world.book.append(&journal, 10), Some(0));
    world.disk.plan(Plan::FailSync(1));
    assert!(matches!(
        journal.publish_blocking(),
        Err(PublishError::Closed)
    ));
    assert!(world.disk.has_ended());
    assert_eq!(world.book.append(&journal, 10), None);
    assert!(matches!(
        journal.publish_blocking(),
        Err(PublishError::Closed)
    ));
}

/// A ratchet that cannot be kept means no signature; entries go on, and the next try is whole.
#[test]
fn without_a_ratchet_there_is_no_signature() {
    let mut world = World::new(&Keys::new(), 3);
    let journal = world.open().unwrap();
    world.wait_for_spare();
    journal.publish_blocking().unwrap();
    world.book.append(&journal, 10).unwrap();
    let settled = {
        world.disk.plan(Plan::Nothing);
        journal.publish_blocking().unwrap();
        let trace = world.disk.trace();
        let ratchet = trace
            .iter()
            .filter(|(op, _)| matches!(op, Op::Sync | Op::SyncFolder | Op::SyncAll));
        let place = ratchet
            .clone()
            .position(|(_, path)| path.starts_with("/signer"));
        place.unwrap() as u64
    };
    let signed = world.book.signed();
    // The ratchet's file, then its name.
    for failing in 1..=2 {
        world.book.append(&journal, 10).unwrap();
        world.disk.plan(Plan::FailSync(settled + failing));
        let refusal = journal.publish_blocking();
        assert!(
            matches!(&refusal, Err(PublishError::Sign(SignError::Io { path, .. })) if path.starts_with("/signer")),
            "{refusal:?}"
        );
        assert_eq!(world.book.signed(), signed, "a signature left");
        assert!(!world.disk.has_ended());
    }
    world.disk.plan(Plan::Nothing);
    world.go_on(&journal);
}

static NOW: AtomicU64 = AtomicU64::new(0);

/// Time decides nothing about entries; of the times that are signed none lies before another.
#[test]
fn a_clock_that_jumps() {
    let mut world = World::new(&Keys::new(), 11);
    world.clock = || NOW.load(Ordering::SeqCst);
    let keys = world.keys.log.clone();
    let mut latest = 0;
    let jumps = [
        (1_000, Some(1_000)),
        (5_000, Some(5_000)),
        (900, None),
        (4_999, None),
        (5_000, Some(5_000)),
        (0, None),
        (6_000, Some(6_000)),
        (1, None),
        (u64::MAX >> 2, Some(u64::MAX >> 2)),
        (7_000, None),
    ];
    for restart in [false, true] {
        let mut journal = world.open().unwrap();
        for (now, expected) in jumps {
            if restart {
                drop(journal);
                journal = world.open().unwrap();
            }
            let now = if restart {
                now.saturating_mul(2).min(1 << 62)
            } else {
                now
            };
            NOW.store(now, Ordering::SeqCst);
            world.book.append(&journal, 5).unwrap();
            let note = journal.publish_blocking().unwrap().note;
            let verified = verify_checkpoint_exact(note.as_bytes(), &keys, &AwsLc).unwrap();
            if !restart {
                assert_eq!(verified.timestamp(), expected, "at {now}");
            }
            if let Some(signed) = verified.timestamp() {
                assert!(signed >= latest, "{signed} after {latest}");
                assert_eq!(signed, now);
                latest = signed;
            } else {
                assert!(now < latest, "{now} was not signed after {latest}");
            }
        }
        world.check(&journal);
    }
}

/// A start that finds no room takes none: what is made free meanwhile is there for the next one.
#[test]
fn a_start_on_a_full_disk_leaves_no_half_segment_behind() {
    let mut world = World::new(&Keys::new(), 11);
    let journal = world.open().unwrap();
    world.wait_for_spare();
    assert_eq!(world.book.append(&journal, 10), Some(0));
    journal.publish_blocking().unwrap();
    drop(journal);
    world.disk.restart();
    let folder = Path::new(LOG).join("wal");
    let before = world.disk.list(&folder).unwrap().len();
    let mut met = 0;
    for at in 1..=12 {
        world.disk.plan(Plan::FullAt(at));
        let opened = world.open();
        // The file is made, and then there is no room for what goes into it.
        let mut trace = world.disk.trace();
        trace.retain(|(op, path)| *op != Op::Remove && path.starts_with(&folder));
        let is_met = opened.is_err()
            && matches!(&*trace, [.., (Op::Create, made), (Op::Write, written)] if made == written);
        drop(opened);
        world.disk.restart();
        if is_met {
            met += 1;
            assert_eq!(
                world.disk.list(&folder).unwrap().len(),
                before,
                "full at {at}"
            );
        }
    }
    assert!(met > 0, "no start met a disk that was full");
    world.disk.plan(Plan::Nothing);
    let journal = world.open().unwrap();
    world.check(&journal);
    world.go_on(&journal);
}
