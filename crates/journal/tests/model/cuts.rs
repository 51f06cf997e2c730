//! Power cuts. Whatever the disk keeps of what was not synced: every confirmed entry is there with
//! its index, no index was given twice, and no two checkpoints contradict each other.

use std::time::Duration;

use chancery_journal::Journal;

use crate::disk::{Op, Plan};
use crate::random::Random;
use crate::tree::Keep;
use crate::world::{Keys, WHEN_TOLD, World, block_on};

/// How many random cuts, where nobody says so.
const CUTS: u64 = 2_000;
const CUTS_VARIABLE: &str = "CHANCERY_POWER_CUTS";

/// What a short run does; none where it was cut off.
type Script = fn(&mut World, &Journal) -> Option<()>;

/// What cuts keep of a short run.
const KEEPS: [Keep; 7] = [
    Keep::Nothing,
    Keep::Everything,
    Keep::Names,
    Keep::Contents,
    Keep::Random,
    Keep::Random,
    Keep::Random,
];

/// The same for runs with more bytes.
const FEWER: [Keep; 4] = [Keep::Nothing, Keep::Names, Keep::Contents, Keep::Random];

/// Single entries, a group, checkpoints.
fn small_groups(world: &mut World, journal: &Journal) -> Option<()> {
    world.book.append(journal, 0)?;
    world.book.append(journal, 700)?;
    journal.publish_blocking().ok()?;
    world.book.append_all(journal, [0, 30, 5_000])?;
    journal.publish_blocking().ok()?;
    world.book.append(journal, 0).map(|_| ())
}

/// Segments are filled, freed and used again.
fn segments(world: &mut World, journal: &Journal) -> Option<()> {
    world.book.append(journal, 40_000)?;
    world.book.append(journal, 40_000)?;
    journal.publish_blocking().ok()?;
    world.book.append(journal, 40_000)?;
    journal.publish_blocking().ok()?;
    world.book.append(journal, 40_000).map(|_| ())
}

/// A tile is completed and its partial ones are dropped.
fn tiles(world: &mut World, journal: &Journal) -> Option<()> {
    world.book.append_all(journal, [8; 250])?;
    journal.publish_blocking().ok()?;
    world.book.append_all(journal, [8; 20])?;
    journal.publish_blocking().ok()?;
    world.book.append(journal, 0).map(|_| ())
}

/// Opens the log and runs the script until the end or until power is off.
fn live(world: &mut World, script: Script) {
    match world.open() {
        Ok(journal) => {
            let done = script(world, &journal);
            assert!(done.is_some() || world.disk.is_off(), "an append was lost");
        }
        Err(failure) => assert!(world.disk.is_off(), "{failure}"),
    }
}

/// Opens the log after a cut and holds it to what was promised.
fn look_after(world: &mut World, what: &str) {
    world.check_served();
    let journal = match world.open() {
        Ok(journal) => journal,
        Err(failure) => panic!("{what}: refused to start: {failure}"),
    };
    world.check(&journal);
    world.go_on(&journal);
}

/// Cuts a run at each of its operations, and keeps of it what a disk may keep.
fn cut_everywhere(script: Script, keeps: &[Keep]) {
    let keys = Keys::new();
    let mut whole = World::new(&keys, 0);
    live(&mut whole, script);
    let operations = whole.disk.operations();
    assert!(operations > 60, "only {operations} operations");
    for at in 1..=operations {
        for (seed, keep) in (at * 100..).zip(keeps) {
            let mut world = World::new(&keys, seed);
            world.disk.plan(Plan::CutAt(at));
            live(&mut world, script);
            world.disk.cut(*keep);
            look_after(&mut world, &format!("{keep:?} at operation {at}"));
        }
    }
}

#[test]
fn a_cut_at_every_operation_of_small_groups() {
    cut_everywhere(small_groups, &KEEPS);
}

#[test]
fn a_cut_at_every_operation_while_segments_change() {
    cut_everywhere(segments, &FEWER);
}

#[test]
fn a_cut_at_every_operation_while_a_tile_is_completed() {
    cut_everywhere(tiles, &FEWER);
}

/// Power goes a second time, at every operation of the recovery.
#[test]
fn a_cut_at_every_operation_of_the_recovery() {
    let keys = Keys::new();
    let broken = |seed| {
        let mut world = World::new(&keys, seed);
        let journal = world.open().unwrap();
        small_groups(&mut world, &journal).unwrap();
        world.disk.plan(Plan::CutAt(2));
        assert_eq!(world.book.append(&journal, 9_000), None);
        drop(journal);
        world.disk.cut(Keep::Random);
        world
    };
    let world = broken(1);
    world.disk.plan(Plan::Nothing);
    drop(world.open().unwrap());
    let operations = world.disk.operations();
    for at in 1..=operations {
        for (seed, keep) in (at * 100..).zip(KEEPS) {
            let mut world = broken(seed);
            world.disk.plan(Plan::CutAt(at));
            live(&mut world, |_, _| Some(()));
            world.disk.cut(keep);
            look_after(&mut world, &format!("{keep:?} at operation {at}"));
        }
    }
}

/// Of the eight sectors of a frame, every choice: it is whole or it was never there.
#[test]
fn every_part_of_a_torn_frame() {
    let keys = Keys::new();
    let mut whole = 0;
    for mask in 0..256 {
        let mut world = World::new(&keys, mask);
        let journal = world.open().unwrap();
        world.wait_for_spare();
        world.book.append(&journal, 0).unwrap();
        journal.publish_blocking().unwrap();
        let size = journal.size();
        // The write is done, its sync is not.
        world.disk.plan(Plan::CutAt(2));
        assert_eq!(world.book.append(&journal, 4_000), None);
        assert!(matches!(
            world.disk.trace().as_slice(),
            [(Op::Write, wrote), (Op::Sync, synced), ..] if wrote == synced
        ));
        drop(journal);
        world.disk.cut(Keep::Sectors(mask));
        let journal = world.open().unwrap();
        world.check(&journal);
        whole += journal.size() - size;
        assert_eq!(journal.size() > size, mask == 255, "{mask:b}");
        drop(journal);
        look_after(&mut world, &format!("sectors {mask:b}"));
    }
    assert_eq!(whole, 1);
}

/// Does something, mostly small; none where the log has ended.
fn step(world: &mut World, journal: &Journal, random: &mut Random) -> Option<()> {
    let length = match random.below(24) {
        0 => random.below(60_000),
        1..3 => random.below(6_000),
        _ => random.below(100),
    };
    let length = usize::try_from(length).unwrap();
    match random.below(10) {
        0..5 => world.book.append(journal, length).map(|_| ()),
        5..7 => {
            let count = 1 + random.below(30);
            world
                .book
                .append_all(journal, (0..count).map(|_| length % 500))
        }
        7 => {
            let entries: Vec<_> = (0..9).map(|_| world.book.entry(length % 500)).collect();
            let (indices, published) = block_on(async {
                tokio::join!(journal.append_all(entries.clone()), journal.publish())
            });
            for (index, entry) in indices.ok()?.into_iter().zip(entries) {
                world.book.confirm(index, entry);
            }
            published.ok().map(|_| ())
        }
        _ => journal.publish_blocking().ok().map(|_| ()),
    }
}

/// A log that lives through cut after cut.
fn lives(world: &mut World, random: &mut Random, lives: u64) {
    for life in 0..lives {
        world.interval = match random.below(3) {
            0 => Duration::from_millis(1),
            _ => WHEN_TOLD,
        };
        // A start takes some forty operations.
        world.disk.plan(Plan::CutAt(1 + random.below(160)));
        match world.open() {
            Ok(journal) => {
                if life > 0 {
                    world.check(&journal);
                }
                let steps = random.below(25);
                for _ in 0..steps {
                    if step(world, &journal, random).is_none() {
                        assert!(world.disk.is_off(), "the log ended by itself");
                        break;
                    }
                }
            }
            Err(failure) => assert!(world.disk.is_off(), "refused to start: {failure}"),
        }
        world.disk.cut(Keep::Random);
    }
}

/// Long runs, with cuts at random and any part kept: 2,000 of them here, more where the
/// environment says so.
#[test]
fn random_cuts() {
    let cuts = std::env::var(CUTS_VARIABLE).map_or(CUTS, |cuts| cuts.parse().unwrap());
    let keys = Keys::new();
    let (mut done, mut confirmed, mut signed) = (0, 0, 0);
    for seed in 0.. {
        if done >= cuts {
            break;
        }
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(&keys, seed);
            let mut random = Random::new(seed ^ 0x5eed);
            lives(&mut world, &mut random, 8);
            look_after(&mut world, "the last start");
            (world.book.confirmed(), world.book.signed().len())
        });
        let Ok((entries, checkpoints)) = result else {
            panic!("after {done} cuts, in the world of seed {seed}");
        };
        done += 8;
        confirmed += entries;
        signed += checkpoints;
    }
    assert!(
        confirmed as u64 > cuts,
        "{confirmed} entries were confirmed"
    );
    assert!(signed as u64 > cuts / 2, "{signed} checkpoints were signed");
    println!("{done} power cuts, {confirmed} confirmed entries, {signed} signed checkpoints");
}
