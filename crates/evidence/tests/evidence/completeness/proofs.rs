//! The proof of an instance, handed to somebody who has the log's keys and nothing else.

use chancery_audit::{IndexRoot, Label};
use chancery_crypto::AwsLc;
use chancery_evidence::completeness::{
    EntriesGap, InstanceProofError, ProvenInstance, verify_instance,
};
use chancery_tlog::{IndexPathError, IndexProof, LogKeys};

use super::world::{World, name};
use crate::log_writer::LogSigner;

fn checked(proof: &IndexProof, keys: &LogKeys) -> Result<ProvenInstance, InstanceProofError> {
    let text = proof.to_string();
    let read = IndexProof::parse(text.as_bytes()).unwrap();
    assert_eq!(&read, proof);
    verify_instance(&read, 0, keys, &AwsLc)
}

fn rooted() -> World {
    let mut world = World::played();
    world.root();
    world.act(0, 1);
    world
}

#[test]
fn all_entries_of_an_instance_are_proven_and_that_there_is_none() {
    let world = rooted();
    for (number, entries) in [(0, 5), (1, 4), (2, 2)] {
        let proven = checked(&world.honest(&name(number)), &world.keys()).unwrap();
        assert_eq!(proven.chain().unwrap().entries(), entries);
        assert_eq!((proven.covers(), proven.index()), (12, 12));
        assert_eq!(proven.checkpoint().size(), 14);
        let own = world.of(&name(number));
        let given = || own.iter().map(|(index, bytes)| (*index, &**bytes));
        assert!(proven.compare(given()).is_ok());
        // Entries of others stand beside them, and later ones of their own.
        let all = (0..).zip(world.log.entries.iter().map(Vec::as_slice));
        assert!(proven.compare(all).is_ok());
    }
    for number in 3..20 {
        let proven = checked(&world.honest(&name(number)), &world.keys()).unwrap();
        assert_eq!(proven.chain(), None);
        assert_eq!(*proven.instance(), name(number));
        assert!(proven.compare([]).is_ok());
    }
}

#[test]
fn entries_that_are_not_all_show_where() {
    let world = rooted();
    let proven = checked(&world.honest(&name(0)), &world.keys()).unwrap();
    let own = world.of(&name(0));
    let compare = |entries: &[(u64, Vec<u8>)]| {
        proven.compare(entries.iter().map(|(index, bytes)| (*index, &**bytes)))
    };
    for gone in 0..own.len() {
        let mut short = own.clone();
        short.remove(gone);
        let gap = compare(&short).unwrap_err();
        let last = gone + 2 >= own.len();
        assert_eq!(
            matches!(gap, EntriesGap::Count { .. }),
            last,
            "{gone} {gap}"
        );
        assert!(last || matches!(gap, EntriesGap::Chain(_)), "{gone} {gap}");
    }
    assert!(matches!(
        compare(&[]),
        Err(EntriesGap::Count {
            held: 0,
            proven: 5,
            last: 9
        })
    ));
    let mut doubled = own.clone();
    doubled.insert(1, own[0].clone());
    assert!(matches!(compare(&doubled), Err(EntriesGap::Order(0))));
    let mut reordered = own.clone();
    reordered.swap(0, 1);
    assert!(compare(&reordered).is_err());
    let mut moved = own.clone();
    moved[4].0 += 1;
    assert!(matches!(compare(&moved), Err(EntriesGap::Head)));
    let mut changed = own.clone();
    let text = String::from_utf8(changed[4].1.clone()).unwrap();
    changed[4].1 = text.replace("\"micros\":1", "\"micros\":2").into_bytes();
    assert!(matches!(compare(&changed), Err(EntriesGap::Head)));
    let mut changed = own.clone();
    changed[0].1.push(b' ');
    assert!(matches!(compare(&changed), Err(EntriesGap::Entry(0, _))));
    // Of an instance that is proven to be absent there is nothing.
    let mut other = World::new();
    let stranger = other.act(0, 9);
    let absent = checked(&world.honest(&name(9)), &world.keys()).unwrap();
    let bytes = other.log.entries.last().unwrap();
    assert!(matches!(
        absent.compare([(stranger.index, &**bytes)]),
        Err(EntriesGap::Count {
            held: 1,
            proven: 0,
            ..
        })
    ));
}

#[test]
fn a_path_of_another_root_or_instance_is_refused() {
    let world = rooted();
    let keys = world.keys();
    let wrong = |proof: &IndexProof| checked(proof, &keys).unwrap_err();
    for number in 0..6 {
        let instance = name(number);
        // Of the index before, of a later one, of an empty one.
        for size in [0, 1, 5, 11, 14] {
            let path = world.index_of(size).prove(instance.as_str());
            if path == world.index_of(12).prove(instance.as_str()) {
                continue;
            }
            let error = wrong(&world.proof(12, &instance, path));
            assert!(
                matches!(
                    error,
                    InstanceProofError::Path(IndexPathError::RootMismatch)
                ),
                "{number} {size}"
            );
        }
        // Of another instance.
        let other = name((number + 1) % 3);
        if other == instance {
            continue;
        }
        let path = world.index_of(12).prove(other.as_str());
        if path.end.is_some_and(|(_, chain)| chain.entries() > 0) {
            let named = world.proof(12, &instance, path);
            let said = checked(&named, &keys);
            let absent = number > 2 && said.as_ref().is_ok_and(|said| said.chain().is_none());
            assert!(said.is_err() || absent, "{number}");
        }
    }
    // Absent claimed for present.
    let mut path = world.index_of(12).prove(name(0).as_str());
    path.end = None;
    assert!(matches!(
        wrong(&world.proof(12, &name(0), path)),
        InstanceProofError::Path(IndexPathError::RootMismatch)
    ));
}

#[test]
fn only_an_index_of_this_log_proves_anything() {
    let world = rooted();
    let keys = world.keys();
    let path = || world.index_of(12).prove(name(0).as_str());
    for place in (0..14).filter(|place| *place != 5 && *place != 12) {
        let error = checked(&world.proof(place, &name(0), path()), &keys).unwrap_err();
        assert!(matches!(error, InstanceProofError::NotAnIndex), "{place}");
    }
    let error = checked(&world.proof(5, &name(0), path()), &keys).unwrap_err();
    assert!(matches!(error, InstanceProofError::Path(_)));
    // The entry of another place, a changed one, one that is no entry.
    let entry = world.log.entries[12].clone();
    let changed = String::from_utf8(entry.clone())
        .unwrap()
        .replace("\"size\":12", "\"size\":13");
    for (entry, place) in [(entry, 5), (changed.into_bytes(), 12), (b"{}".to_vec(), 12)] {
        let proof = IndexProof::new(name(0).as_str(), entry, path(), world.inclusion(place));
        let error = checked(&proof.unwrap(), &keys).unwrap_err();
        assert!(matches!(error, InstanceProofError::Inclusion(_)));
    }
    // Signed by another log of the same name.
    let stranger = World {
        signer: LogSigner::new(super::world::ORIGIN),
        ..rooted()
    };
    let error = checked(&world.honest(&name(0)), &stranger.keys()).unwrap_err();
    assert!(matches!(error, InstanceProofError::Inclusion(_)));
    // An entry that another log wrote, in this one.
    let mut world = World::played();
    world.log.origin = Label::or_digest("example.org/log/another");
    world.root();
    let error = checked(&world.honest(&name(0)), &world.keys()).unwrap_err();
    assert!(matches!(error, InstanceProofError::Origin));
}

#[test]
fn a_stale_index_proves_no_more_than_it_covers() {
    let world = rooted();
    let proof = world.honest(&name(0));
    for least in [0, 1, 11, 12] {
        assert!(verify_instance(&proof, least, &world.keys(), &AwsLc).is_ok());
    }
    for least in [13, 14, u64::MAX] {
        let error = verify_instance(&proof, least, &world.keys(), &AwsLc).unwrap_err();
        assert!(matches!(error, InstanceProofError::Stale { covers: 12, asked } if asked == least));
    }
}

#[test]
fn an_index_that_says_more_than_what_stands_before_it_is_refused() {
    for more in [1, 7, 1 << 40] {
        let mut world = World::played();
        let mut root = world.index.to_entry();
        root.size += more;
        let place = world.enrol(root).index;
        let path = world.index.prove(name(0).as_str());
        let error = checked(&world.proof(place, &name(0), path), &world.keys()).unwrap_err();
        assert!(matches!(error, InstanceProofError::Ahead));
    }
    // A chain whose last entry the index does not cover.
    let mut world = World::played();
    let root = IndexRoot {
        size: 3,
        ..world.index.to_entry()
    };
    let place = world.enrol(root).index;
    let path = world.index.prove(name(0).as_str());
    let error = checked(&world.proof(place, &name(0), path), &world.keys()).unwrap_err();
    assert!(matches!(error, InstanceProofError::Ahead));
}

#[test]
fn a_log_that_forks_under_two_indices_contradicts_itself() {
    // The same log to its first index; then one branch leaves out what an instance did.
    let mut one = World::played();
    one.act(0, 2);
    let honest = one.root();
    let keys = one.keys();
    let proven = checked(&one.honest(&name(2)), &keys).unwrap();
    let mut other = World {
        signer: one.signer,
        ..World::played()
    };
    other.act(0, 0);
    let lying = other.root();
    assert_ne!(honest.root, lying.root);
    // Both branches are signed by the same keys: each proves what it says.
    let denied = checked(&other.honest(&name(2)), &keys).unwrap();
    let entries = |proven: &ProvenInstance| proven.chain().map_or(0, |chain| chain.entries());
    assert_ne!(entries(&proven), entries(&denied));
    // Together the two proofs are what convicts the log: one size, two roots, both signed.
    let (first, second) = (proven.checkpoint(), denied.checkpoint());
    assert_eq!(first.size(), second.size());
    assert_ne!(first.root(), second.root());
    assert!(second.verify_consistency(first, &[]).is_err());
}

#[test]
fn an_instance_left_out_of_the_index_is_proven_absent_and_its_entries_convict_the_log() {
    let mut world = World::played();
    let mut map = chancery_tlog::IndexMap::new();
    for number in 1..3 {
        let chain = world.index.get(name(number).as_str()).unwrap();
        map.set(chancery_tlog::IndexKey::of(name(number).as_str()), *chain);
    }
    let root = IndexRoot {
        size: world.index.size(),
        root: map.root().digest(),
        instances: 2,
    };
    let place = world.enrol(root).index;
    let path = map.prove(&chancery_tlog::IndexKey::of(name(0).as_str()));
    let proven = checked(&world.proof(place, &name(0), path), &world.keys()).unwrap();
    assert_eq!(proven.chain(), None);
    let own = world.of(&name(0));
    let gap = proven.compare(own.iter().map(|(index, bytes)| (*index, &**bytes)));
    assert!(matches!(
        gap,
        Err(EntriesGap::Count {
            held: 5,
            proven: 0,
            ..
        })
    ));
}
