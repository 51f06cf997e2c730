//! The completeness index: the map against a definition written out naively, its proofs, its file,
//! and the vectors that Python wrote.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;

use chancery_tlog::{
    IndexKey, IndexMap, IndexPath, IndexPathError, IndexProof, IndexProofError, IndexedChain,
    LeafHash, TlogProof, TreeHash,
};
use chancery_types::Digest;
use proptest::prelude::*;

mod vectors;

fn hash(bytes: &[u8]) -> TreeHash {
    TreeHash::from_bytes(*Digest::of(bytes).as_bytes())
}

fn chain(name: u32, entries: u64) -> IndexedChain {
    let mut chain = None;
    for index in 0..entries {
        let leaf = LeafHash::of(format!("entry {index} of {name}"));
        chain = Some(IndexedChain::followed_by(chain.as_ref(), index, &leaf));
    }
    chain.unwrap()
}

fn name(number: u32) -> String {
    format!("spiffe://example.org/agent/a/instance/{number}")
}

fn key(number: u32) -> IndexKey {
    IndexKey::of(&name(number))
}

/// The root as the format defines it: over the sorted keys, bit by bit.
fn naive(leaves: &[([u8; 32], IndexedChain)], depth: usize) -> TreeHash {
    match leaves {
        [] => hash(b""),
        [(key, chain)] => {
            let mut bytes = vec![2];
            bytes.extend(key);
            bytes.extend(chain.entries().to_be_bytes());
            bytes.extend(chain.last().to_be_bytes());
            bytes.extend(chain.head().as_bytes());
            hash(&bytes)
        }
        _ => {
            let right = |key: &[u8; 32]| key[depth / 8] & (128 >> (depth % 8)) != 0;
            let (left, right): (Vec<_>, Vec<_>) =
                leaves.iter().copied().partition(|(key, _)| !right(key));
            let mut bytes = vec![3];
            bytes.extend(naive(&left, depth + 1).as_bytes());
            bytes.extend(naive(&right, depth + 1).as_bytes());
            hash(&bytes)
        }
    }
}

fn naive_key(name: &str) -> [u8; 32] {
    *Digest::of([&[5][..], name.as_bytes()].concat()).as_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_root_follows_from_what_is_in_it_alone(
        steps in prop::collection::vec((0_u32..60, 0_u64..4), 0..120),
        asked in 0_u32..70,
    ) {
        let (mut map, mut held) = (IndexMap::new(), BTreeMap::new());
        for (number, entries) in steps {
            match entries {
                0 => {
                    let removed = map.remove(&key(number));
                    prop_assert_eq!(removed, held.remove(&number));
                }
                _ => {
                    map.set(key(number), chain(number, entries));
                    held.insert(number, chain(number, entries));
                }
            }
        }
        let mut leaves: Vec<_> =
            held.iter().map(|(number, chain)| (naive_key(&name(*number)), *chain)).collect();
        leaves.sort_by_key(|(key, _)| *key);
        prop_assert_eq!(map.root(), naive(&leaves, 0));
        prop_assert_eq!(map.instances(), held.len() as u64);
        let mut again = IndexMap::new();
        for (number, chain) in held.iter().rev() {
            again.set(key(*number), *chain);
        }
        prop_assert_eq!(&again, &map);
        let path = map.prove(&key(asked));
        prop_assert_eq!(path.verify(&key(asked), &map.root()), Ok(held.get(&asked).copied()));
        prop_assert_eq!(map.get(&key(asked)), held.get(&asked));
    }
}

fn map(count: u32) -> IndexMap {
    let mut map = IndexMap::new();
    (0..count).for_each(|number| map.set(key(number), chain(number, 1 + u64::from(number % 3))));
    map
}

#[test]
fn every_change_of_a_proof_is_refused() {
    let map = map(300);
    let root = map.root();
    for asked in [0, 7, 299, 300, 301, 400] {
        let (key, path) = (key(asked), map.prove(&key(asked)));
        let said = path.verify(&key, &root).unwrap();
        assert_eq!(said.is_some(), asked < 300);
        let refused = |path: &IndexPath| assert!(path.verify(&key, &root).is_err(), "{path:?}");
        for at in 0..path.siblings.len() {
            let mut other = path.clone();
            other.siblings[at] = hash(b"other");
            refused(&other);
            let mut other = path.clone();
            other.siblings.remove(at);
            refused(&other);
            let mut other = path.clone();
            other.siblings.insert(at, TreeHash::empty());
            refused(&other);
            if at > 0 {
                let mut other = path.clone();
                other.siblings.swap(at - 1, at);
                // Two subtrees without leaves are the same.
                if other != path {
                    refused(&other);
                }
            }
        }
        let mut none = path.clone();
        none.end = path.end.map_or_else(|| Some((key, chain(1, 1))), |_| None);
        refused(&none);
        if let Some((end, held)) = path.end {
            let changed = [
                IndexedChain::new(held.entries() + 1, held.last() + 1, *held.head()),
                IndexedChain::new(held.entries(), held.last() + 1, *held.head()),
                IndexedChain::new(held.entries(), held.last(), hash(b"other")),
            ];
            for chain in changed {
                let mut other = path.clone();
                other.end = Some((end, chain.unwrap()));
                refused(&other);
            }
        }
        assert_eq!(
            path.verify(&key, &hash(b"another root")),
            Err(IndexPathError::RootMismatch)
        );
    }
}

#[test]
fn a_proof_is_of_one_instance_alone() {
    let map = map(50);
    for asked in 0..50 {
        let path = map.prove(&key(asked));
        for other in (0..60).filter(|other| *other != asked) {
            let said = path.verify(&key(other), &map.root());
            // A leaf on the way of another key proves that this other one is absent.
            let absent = other >= 50 && said == Ok(None);
            assert!(said.is_err() || absent, "{asked} {other} {said:?}");
        }
    }
}

#[test]
fn a_leaf_that_is_not_on_the_way_proves_no_absence() {
    let map = map(64);
    let absent = key(1_000);
    let path = map.prove(&absent);
    for other in 0..64 {
        let mut moved = path.clone();
        moved.end = Some((key(other), *map.get(&key(other)).unwrap()));
        if moved == path {
            continue;
        }
        assert!(moved.verify(&absent, &map.root()).is_err());
    }
    let mut deep = path;
    deep.siblings = vec![TreeHash::empty(); 257];
    assert_eq!(
        deep.verify(&absent, &map.root()),
        Err(IndexPathError::TooDeep)
    );
}

#[test]
fn no_root_says_two_things_of_one_instance() {
    // Whoever makes a root may put two leaves of one instance into it: only the one on the way of
    // its key is ever proven.
    let (mine, own) = (key(0), chain(0, 2));
    let other = (1..).find(|other| key(*other).as_bytes()[0] >> 7 != mine.as_bytes()[0] >> 7);
    let other = other.unwrap();
    let mut map = IndexMap::new();
    map.set(mine, own);
    map.set(key(other), chain(other, 1));
    let path = map.prove(&mine);
    let beside = IndexPath {
        end: Some((mine, own)),
        siblings: map.prove(&key(other)).siblings,
    };
    assert_eq!(path.verify(&mine, &map.root()), Ok(Some(own)));
    assert!(beside.verify(&mine, &map.root()).is_err());
    assert_eq!(
        beside.verify(&key(other), &map.root()),
        Err(IndexPathError::Elsewhere)
    );
}

#[test]
fn chains_that_cannot_be_are_refused() {
    for (entries, last) in [(0, 0), (0, 5), (2, 0), (7, 5), (u64::MAX, 3)] {
        assert_eq!(IndexedChain::new(entries, last, hash(b"")), None);
    }
    for (entries, last) in [(1, 0), (6, 5), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        assert!(IndexedChain::new(entries, last, hash(b"")).is_some());
    }
    let (one, two) = (chain(0, 3), chain(1, 3));
    assert_ne!(one.head(), two.head());
    let moved = IndexedChain::followed_by(None, 1, &LeafHash::of("entry 0 of 0"));
    assert_ne!(moved.head(), chain(0, 1).head());
}

fn inclusion() -> TlogProof {
    TlogProof {
        extra: None,
        index: 9,
        path: vec![hash(b"1"), hash(b"2")],
        checkpoint: "example.org/log\n10\nroot\n".to_owned(),
    }
}

fn file(asked: u32) -> String {
    let path = map(40).prove(&key(asked));
    IndexProof::new(&name(asked), b"{}".to_vec(), path, inclusion())
        .unwrap()
        .to_string()
}

#[test]
fn files_read_their_own_writing() {
    for asked in 0..60 {
        let text = file(asked);
        let read = IndexProof::parse(text.as_bytes()).unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.path(), &map(40).prove(&key(asked)));
        assert_eq!((read.name(), read.entry()), (&*name(asked), &b"{}"[..]));
    }
    let empty = IndexMap::new().prove(&key(0));
    let file = IndexProof::new(&name(0), b"{}".to_vec(), empty, inclusion()).unwrap();
    let text = file.to_string();
    assert!(text.contains("\nabsent\n\n"));
    assert_eq!(IndexProof::parse(text.as_bytes()), Ok(file));
}

#[test]
fn files_are_read_strictly() {
    use IndexProofError as E;
    let good = file(3);
    let other = file(50);
    let long = "x".repeat(2_049);
    let line = |text: &str, at: usize| text.lines().nth(at).unwrap().to_owned();
    let swap = |at: usize, with: &str| good.replacen(&line(&good, at), with, 1);
    let hashes = format!("{}\n", hash(b"x")).repeat(257);
    let own = format!("other {} 1 1 {}", key(3), hash(b"x"));
    for (bad, error) in [
        (String::new(), E::NoInclusion),
        (good.replace("\n\n", "\n"), E::NoInclusion),
        (format!(" {good}"), E::Header),
        (swap(0, "chancery-index-proof/2"), E::Header),
        (swap(1, "instance "), E::Instance),
        (swap(1, "instance"), E::Instance),
        (swap(1, &format!("instance {long}")), E::Instance),
        (swap(1, "instance a\u{7f}"), E::Instance),
        (swap(1, "name a"), E::Instance),
        (swap(2, "entry "), E::Entry),
        (swap(2, "entry e30"), E::Entry),
        (swap(2, "e30="), E::Entry),
        (swap(3, "present"), E::End),
        (swap(3, "present 1 2"), E::End),
        (swap(3, "absent "), E::End),
        (swap(3, &format!("present 01 2 {}", hash(b"x"))), E::End),
        (swap(3, &format!("present 0 2 {}", hash(b"x"))), E::End),
        (swap(3, &format!("present 4 2 {}", hash(b"x"))), E::End),
        (swap(3, &format!("present 1 2 {} ", hash(b"x"))), E::End),
        (swap(3, &format!("present 1  2 {}", hash(b"x"))), E::End),
        (swap(3, &own), E::End),
        (swap(4, "AAAA"), E::Hash),
        (swap(4, &format!("{}\r", hash(b"x"))), E::Hash),
        (swap(4, hashes.trim_end()), E::TooManyHashes),
        (format!("{good}\0").repeat(20_000), E::TooLong),
        (
            good.replace("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
            E::Inclusion(chancery_tlog::TlogProofError::Header),
        ),
        (
            good.replace("\nindex 9\n", "\nindex 09\n"),
            E::Inclusion(chancery_tlog::TlogProofError::Index),
        ),
    ] {
        assert_eq!(IndexProof::parse(bad.as_bytes()), Err(error), "{bad:.200}");
    }
    assert_eq!(IndexProof::parse(b"\xff"), Err(E::NotText));
    assert!(line(&other, 3).starts_with("other ") || line(&other, 3) == "absent");
    let path = map(1).prove(&key(0));
    for (name, entry) in [("", "{}"), ("a\nb", "{}"), (&long, "{}"), ("a", "")] {
        let made = IndexProof::new(name, entry.into(), path.clone(), inclusion());
        assert!(made.is_err(), "{name:.20}");
    }
}
