//! Roots that a lying gateway enrols: each is refused, and what differs is named.

use chancery_audit::{Entry, Event, IndexRoot, LeafRef};
use chancery_evidence::completeness::{Blame, IndexChecker, IndexFault, SeenIndexError};
use chancery_tlog::{IndexKey, IndexMap, IndexedChain, LeafHash};
use chancery_types::Digest;

use super::world::{World, name};

/// What the checker finds wrong in the world's log.
fn faults(world: &World) -> Vec<IndexFault> {
    let mut checker = IndexChecker::default();
    let entries = world.parsed().into_iter();
    entries
        .filter_map(|(leaf, entry)| checker.take(&leaf, &entry.event).err())
        .collect()
}

/// What is said of a root in the place of the honest one.
#[track_caller]
fn blamed(world: &mut World, root: IndexRoot) -> Blame {
    let place = world.enrol(root.clone()).index;
    // The log goes on, and the next root is right again.
    world.act(0, 1);
    world.root();
    let mut found = faults(world);
    let fault = found.pop().unwrap();
    assert_eq!(found, []);
    let IndexFault::Wrong { index, size, blame } = fault else {
        panic!("{fault}");
    };
    assert_eq!((index, size), (place, root.size));
    blame
}

/// The index of the world in which some instances are otherwise.
fn forged(world: &World, change: impl FnOnce(&mut IndexMap)) -> IndexRoot {
    let honest = world.index.to_entry();
    let mut map = IndexMap::new();
    for number in 0..8 {
        if let Some(chain) = world.index.get(name(number).as_str()) {
            map.set(key(number), *chain);
        }
    }
    assert_eq!(map.root().digest(), honest.root);
    change(&mut map);
    IndexRoot {
        size: honest.size,
        root: map.root().digest(),
        instances: map.instances(),
    }
}

fn key(number: u8) -> IndexKey {
    IndexKey::of(name(number).as_str())
}

/// The chain of an instance over those of its entries that are kept.
fn chain(world: &World, number: u8, kept: impl Fn(usize) -> bool) -> Option<IndexedChain> {
    let own = world.of(&name(number)).into_iter().enumerate();
    own.filter(|(at, _)| kept(*at))
        .fold(None, |chain, (_, (index, bytes))| {
            let leaf = LeafHash::of(bytes);
            Some(IndexedChain::followed_by(chain.as_ref(), index, &leaf))
        })
}

#[test]
fn honest_roots_are_taken() {
    let mut world = World::played();
    world.root();
    world.act(0, 3);
    world.root();
    world.root();
    assert_eq!(faults(&world), []);
}

#[test]
fn an_instance_that_is_left_out_is_named() {
    for number in 0..3 {
        let mut world = World::played();
        let root = forged(&world, |map| {
            map.remove(&key(number)).unwrap();
        });
        assert_eq!(blamed(&mut world, root), Blame::Skipped(name(number)));
    }
}

#[test]
fn an_entry_that_is_left_out_is_named() {
    // Those that the root before covers are covered: only what is new can be left out.
    for (number, omitted) in [(0, 3), (1, 2), (2, 0)] {
        let mut world = World::played();
        let entry = world.of(&name(number)).get(omitted).unwrap().0;
        let short = chain(&world, number, |at| at != omitted).unwrap();
        let root = forged(&world, |map| map.set(key(number), short));
        let instance = name(number);
        assert_eq!(
            blamed(&mut world, root),
            Blame::Omitted { instance, entry },
            "{number}"
        );
    }
}

#[test]
fn a_chain_that_is_cut_off_is_named() {
    let mut world = World::played();
    for _ in 0..3 {
        world.act(0, 0);
        world.act(0, 1);
    }
    let own = world.of(&name(0)).len();
    let short = chain(&world, 0, |at| at < own - 2).unwrap();
    let root = forged(&world, |map| map.set(key(0), short));
    let blame = blamed(&mut world, root);
    let (entries, of) = (own as u64 - 2, own as u64);
    let instance = name(0);
    assert_eq!(
        blame,
        Blame::Truncated {
            instance,
            entries,
            of
        }
    );
}

#[test]
fn the_head_of_another_instance_is_named() {
    let mut world = World::played();
    let theirs = *world.index.get(name(1).as_str()).unwrap();
    let root = forged(&world, |map| map.set(key(0), theirs));
    let (instance, other) = (name(0), name(1));
    assert_eq!(
        blamed(&mut world, root),
        Blame::Exchanged { instance, other }
    );
}

#[test]
fn an_older_root_over_more_entries_is_stale() {
    let world = World::played();
    for covered in 1..world.log.entries.len() {
        let older = world.index_of(covered);
        let mut world = World::played();
        let (size, older) = (world.index.size(), older.to_entry());
        if older.root == world.index.to_entry().root {
            continue;
        }
        // Below the root of before only that one itself is found again.
        let (root, instances) = (older.root, older.instances);
        let blame = blamed(
            &mut world,
            IndexRoot {
                size,
                root,
                instances,
            },
        );
        let stale = matches!(blame, Blame::Stale { .. });
        assert_eq!(stale, covered >= 5, "{covered} {blame}");
        if let Blame::Stale { from } = blame {
            assert!(from >= covered as u64, "{from} {covered}");
        }
    }
}

#[test]
fn a_wrong_number_of_instances_is_named() {
    for said in [0, 2, 4, 1 << 40] {
        let mut world = World::played();
        let root = IndexRoot {
            instances: said,
            ..world.index.to_entry()
        };
        assert_eq!(blamed(&mut world, root), Blame::Counted { said, held: 3 });
    }
}

#[test]
fn what_nothing_explains_is_refused_all_the_same() {
    let mut world = World::played();
    let root = IndexRoot {
        root: Digest::of("other"),
        ..world.index.to_entry()
    };
    assert_eq!(blamed(&mut world, root), Blame::Unknown);
    // Two lies at once.
    let mut world = World::played();
    let root = forged(&world, |map| {
        map.remove(&key(0)).unwrap();
        map.remove(&key(1)).unwrap();
    });
    assert_eq!(blamed(&mut world, root), Blame::Unknown);
    // An instance that never was.
    let mut world = World::played();
    let chain = *world.index.get(name(0).as_str()).unwrap();
    let root = forged(&world, |map| map.set(key(7), chain));
    assert_eq!(blamed(&mut world, root), Blame::Unknown);
}

#[test]
fn how_a_root_is_wrong_is_looked_for_once_and_not_for_ever() {
    // The same lie again and again is told of the first root alone.
    let mut world = World::played();
    let root = forged(&world, |map| {
        map.remove(&key(1)).unwrap();
    });
    for _ in 0..5 {
        world.enrol(root.clone());
    }
    let blames = faults(&world).into_iter().map(|fault| match fault {
        IndexFault::Wrong { blame, .. } => blame,
        other => panic!("{other}"),
    });
    let blames: Vec<_> = blames.collect();
    assert_eq!(blames[0], Blame::Skipped(name(1)));
    assert_eq!(blames[1..], vec![Blame::Unknown; 4]);
    // Of more entries than are tried, nothing is said.
    for (more, is_known) in [(200, true), (300, false)] {
        let mut world = World::played();
        let stale = world.root();
        for _ in 0..more {
            world.act(0, 1);
        }
        let size = world.index.to_entry().size;
        let blame = blamed(&mut world, IndexRoot { size, ..stale });
        assert_eq!(blame != Blame::Unknown, is_known, "{more}: {blame}");
    }
}

#[test]
fn an_index_covers_what_stands_before_it_and_never_less_than_before() {
    for more in [1, 2, 1 << 40] {
        let mut world = World::played();
        let mut root = world.index.to_entry();
        root.size += more;
        let place = world.enrol(root.clone()).index;
        assert_eq!(
            faults(&world),
            [IndexFault::Ahead {
                index: place,
                size: root.size
            }]
        );
    }
    for size in 0..5 {
        let mut world = World::played();
        let root = world.index_of(size).to_entry();
        let place = world.enrol(root).index;
        let (index, size, before) = (place, size as u64, 5);
        let back = IndexFault::Back {
            index,
            size,
            before,
        };
        assert_eq!(faults(&world), [back]);
    }
}

#[test]
fn every_entry_that_is_taken_out_of_the_log_shows() {
    let mut world = World::played();
    world.root();
    let entries = world.parsed();
    for gone in 0..entries.len() - 1 {
        if matches!(entries[gone].1.event, Event::IndexRoot(_)) {
            continue;
        }
        let left = entries.iter().enumerate().filter(|(at, _)| *at != gone);
        assert!(wrong(left.map(|(_, entry)| entry)), "{gone}");
    }
    for (one, other) in (0..5).zip(1..5).chain([(6, 9), (7, 11)]) {
        let mut swapped = entries.clone();
        let (first, second) = (entries[one].1.clone(), entries[other].1.clone());
        swapped[one].1 = second;
        swapped[other].1 = first;
        let hash = |entry: &Entry| chancery_audit::leaf_hash(&entry.to_bytes().unwrap());
        for at in [one, other] {
            swapped[at].0.hash = hash(&swapped[at].1);
        }
        assert!(wrong(&swapped), "{one} {other}");
    }
}

/// Whether entries, put one behind the other, contradict a root among them.
fn wrong<'e>(entries: impl IntoIterator<Item = &'e (LeafRef, Entry)>) -> bool {
    let mut checker = IndexChecker::default();
    let entries = entries.into_iter().zip(0..);
    let found = entries.map(|((leaf, entry), index)| {
        let hash = leaf.hash;
        checker.take(&LeafRef { index, hash }, &entry.event)
    });
    found.collect::<Result<Vec<()>, _>>().is_err()
}

#[test]
fn what_a_monitor_remembered_is_read_strictly() {
    let world = World::played();
    let mut checker = IndexChecker::default();
    for (leaf, entry) in world.parsed() {
        checker.take(&leaf, &entry.event).unwrap();
    }
    let good = checker.to_string();
    assert_eq!(good.parse::<IndexChecker>().unwrap().to_string(), good);
    let line = |at: usize| good.lines().nth(at).unwrap();
    let end = good.lines().last().unwrap();
    let parts: Vec<&str> = line(3).split(' ').collect();
    let (last, head) = (parts[2], parts[3]);
    let other = |of: [&str; 3]| format!("instance {} {}", of.join(" "), parts[4]);
    for (bad, error) in [
        (String::new(), SeenIndexError::Shape),
        (good.replace("/1\n", "/2\n"), SeenIndexError::Shape),
        (good.replace("size ", "length "), SeenIndexError::Shape),
        (
            good.replace("covered 5", "covered -5"),
            SeenIndexError::Shape,
        ),
        (
            good.replace("covered 5", "covered 05"),
            SeenIndexError::NotCanonical,
        ),
        (
            good.replace("covered 5", "covered 13"),
            SeenIndexError::Line(6),
        ),
        (good.replace("size 12", "size 11"), SeenIndexError::Line(11)),
        (good.replace("size 12", "size 4"), SeenIndexError::Line(6)),
        (good.replace(line(3), line(4)), SeenIndexError::NotCanonical),
        (
            good.replace(line(3), &other(["0", last, head])),
            SeenIndexError::Line(4),
        ),
        (
            good.replace(line(3), &other(["x", last, head])),
            SeenIndexError::Line(4),
        ),
        (
            good.replace(line(3), &other(["1", "5", head])),
            SeenIndexError::Line(4),
        ),
        (
            good.replace(line(3), &other(["1", last, "AAAA"])),
            SeenIndexError::Line(4),
        ),
        (
            good.replacen("instance ", "unknown ", 1),
            SeenIndexError::Line(4),
        ),
        (
            good.replace(end, &format!("{end}\n{end}")),
            SeenIndexError::Line(12),
        ),
        (good.replace('\n', "\r\n"), SeenIndexError::NotCanonical),
        (good.trim_end().to_owned(), SeenIndexError::NotCanonical),
        (format!("{good}\n"), SeenIndexError::Line(12)),
    ] {
        assert_eq!(bad.parse::<IndexChecker>().err(), Some(error), "{bad}");
    }
}
