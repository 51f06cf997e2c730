//! Trees, proofs and files against definitions written out naively, and parsers against noise.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::collections::HashMap;

use chancery_tlog::{
    Checkpoint, Frontier, LeafHash, LogEdge, MemoryTree, Note, NoteSignature, Origin, RebuildError,
    Resource, Subtree, TileKind, TileNodes, TilePath, TimestampedSignature, TlogProof, TreeHash,
    VerifierKey, decode_bundle, parse_tile, prove_consistency, prove_inclusion,
    prove_subtree_consistency, prove_subtree_inclusion, rebuild, subtree_root, tile_at, tiles_for,
    verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
};
use proptest::prelude::*;

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn leaves(size: u64) -> Vec<LeafHash> {
    (0..size).map(|index| LeafHash::of(entry(index))).collect()
}

/// MTH of RFC 6962 section 2.1, word for word.
fn naive_root(leaves: &[LeafHash]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [leaf] => (*leaf).into(),
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            TreeHash::node(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

/// All files of a log of `size` entries, partial ones as they stand at that size.
fn files(size: u64) -> HashMap<TilePath, Vec<u8>> {
    let mut edge = LogEdge::new();
    let mut files = Vec::new();
    for index in 0..size {
        edge.push(&entry(index), &mut files).unwrap();
    }
    files.extend(edge.partials());
    files.into_iter().map(|f| (f.path, f.bytes)).collect()
}

fn range() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..600).prop_flat_map(|size| (0..size, Just(size)))
}

/// A subtree of a tree, and the tree's size.
fn subtree() -> impl Strategy<Value = (Subtree, u64)> {
    (1_u64..300, 0_u32..9, 0_u64..300, 0_u64..300).prop_map(|(width, level, place, more)| {
        let unit = 1 << level;
        let width = 1 + width % unit;
        let start = place % 8 * unit.max(width.next_power_of_two());
        (
            Subtree::new(start, start + width).unwrap(),
            start + width + more,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tiles_serve_proofs((index, size) in range(), scale in 1_u64..120) {
        let (index, size) = (index * scale, size * scale);
        let mut edge = LogEdge::new();
        let mut stored = Vec::new();
        let mut tree = MemoryTree::new();
        for index in 0..size.min(70_000) {
            tree.push(edge.push(&index.to_be_bytes(), &mut stored).unwrap());
        }
        let size = tree.size();
        stored.extend(edge.partials());
        let stored: HashMap<_, _> = stored.into_iter().map(|f| (f.path, f.bytes)).collect();
        let nodes = TileNodes::new(size, |path: &TilePath| stored.get(path).cloned().ok_or(std::fmt::Error));
        let index = index % size;
        prop_assert_eq!(prove_inclusion(&nodes, index, size).unwrap(), prove_inclusion(&tree, index, size).unwrap());
        if index > 0 {
            prop_assert_eq!(prove_consistency(&nodes, index, size).unwrap(), prove_consistency(&tree, index, size).unwrap());
        }
        prop_assert!(prove_inclusion(&nodes, 0, size + 1).is_err());
    }
}

proptest! {
    #[test]
    fn roots_agree(size in 0_u64..700) {
        let leaves = leaves(size);
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        let tree: MemoryTree = leaves.iter().copied().collect();
        let root = naive_root(&leaves);
        prop_assert_eq!(frontier.root(), root);
        prop_assert_eq!(tree.root(), root);
        prop_assert_eq!(Frontier::from_bytes(&frontier.to_bytes()).unwrap(), frontier);
        prop_assert!(tree.root_at(size + 1).is_err());
    }

    #[test]
    fn inclusion((index, size) in range(), flip in any::<(prop::sample::Index, u8)>(), more in 1_u64..9) {
        let leaves = leaves(size);
        let tree: MemoryTree = leaves.iter().copied().collect();
        let (leaf, root) = (leaves[index as usize], tree.root());
        let proof = prove_inclusion(&tree, index, size).unwrap();
        prop_assert_eq!(verify_inclusion(index, size, leaf, &proof, &root), Ok(()));
        prop_assert!(verify_inclusion(index, size, LeafHash::of(b"x"), &proof, &root).is_err());
        prop_assert!(verify_inclusion(index + size, size, leaf, &proof, &root).is_err());
        prop_assert!(verify_inclusion((index + more) % (size + 9), size, leaf, &proof, &root).is_err() || size <= 1
            || (index + more) % (size + 9) == index);
        if !proof.is_empty() {
            prop_assert!(verify_inclusion(index, size, leaf, &proof[1..], &root).is_err());
            let mut bad = proof.clone();
            let at = flip.0.index(bad.len());
            let mut bytes = *bad[at].as_bytes();
            bytes[usize::from(flip.1) % 32] ^= 1 << (flip.1 >> 5);
            bad[at] = TreeHash::from_bytes(bytes);
            prop_assert!(verify_inclusion(index, size, leaf, &bad, &root).is_err());
        }
        let longer = [proof, vec![root]].concat();
        prop_assert!(verify_inclusion(index, size, leaf, &longer, &root).is_err());
    }

    #[test]
    fn consistency((old, size) in range(), flip in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let tree: MemoryTree = leaves.iter().copied().collect();
        let (older, newer) = (naive_root(&leaves[..old as usize]), naive_root(&leaves));
        if old == 0 {
            prop_assert!(prove_consistency(&tree, old, size).is_err());
            prop_assert!(verify_consistency(old, size, &[], &older, &newer).is_err());
            return Ok(());
        }
        let mut proof = prove_consistency(&tree, old, size).unwrap();
        prop_assert_eq!(verify_consistency(old, size, &proof, &older, &newer), Ok(()));
        prop_assert!(verify_consistency(size, old, &proof, &newer, &older).is_err());
        prop_assert!(verify_consistency(old, size, &proof, &newer, &newer).is_err());
        prop_assert!(verify_consistency(old, size, &proof, &older, &older).is_err());
        prop_assert!(verify_consistency(old, size, &proof[1..], &older, &newer).is_err());
        let at = flip.index(proof.len());
        proof[at] = TreeHash::empty();
        prop_assert!(verify_consistency(old, size, &proof, &older, &newer).is_err());
    }

    #[test]
    fn subtrees((part, size) in subtree(), at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let tree: MemoryTree = leaves.iter().copied().collect();
        let within = &leaves[part.start() as usize..part.end() as usize];
        let root = naive_root(within);
        prop_assert_eq!(subtree_root(&tree, part).unwrap(), root);
        let index = part.start() + at.index(within.len()) as u64;
        let proof = prove_subtree_inclusion(&tree, index, part).unwrap();
        let leaf = leaves[index as usize];
        prop_assert_eq!(verify_subtree_inclusion(index, part, leaf, &proof, &root), Ok(()));
        prop_assert!(verify_subtree_inclusion(index + part.width(), part, leaf, &proof, &root).is_err());
        let mut proof = prove_subtree_consistency(&tree, part, size).unwrap();
        prop_assert_eq!(verify_subtree_consistency(part, size, &proof, &root, &tree.root()), Ok(()));
        prop_assert!(verify_subtree_consistency(part, size, &proof, &TreeHash::empty(), &tree.root()).is_err());
        if !proof.is_empty() {
            let at = flip.index(proof.len());
            proof[at] = TreeHash::empty();
            prop_assert!(verify_subtree_consistency(part, size, &proof, &root, &tree.root()).is_err());
        }
    }

    #[test]
    fn edges_resume(size in 0_u64..1_200, more in 0_u64..600) {
        let stored = files(size);
        let load = |path: &TilePath| stored.get(path).cloned().ok_or(std::fmt::Error);
        let mut resumed = LogEdge::load(size, load).unwrap();
        prop_assert_eq!(resumed.root(), naive_root(&leaves(size)));
        let mut full = Vec::new();
        for index in size..size + more {
            resumed.push(&entry(index), &mut full).unwrap();
        }
        let expected = files(size + more);
        full.extend(resumed.partials());
        for Resource { path, bytes } in full {
            prop_assert_eq!(Some(&bytes), expected.get(&path), "{}", path);
        }
        prop_assert_eq!(resumed.root(), naive_root(&leaves(size + more)));
    }

    #[test]
    fn rebuilds_every_tile(size in 0_u64..1_500) {
        let stored = files(size);
        let expected: Vec<_> = tiles_for(size).collect();
        prop_assert_eq!(expected.len(), expected.iter().filter(|path| stored.contains_key(path)).count());
        let bundles: Vec<_> = expected.iter().filter(|path| path.kind() == TileKind::Entries)
            .map(|path| stored[path].clone()).collect();
        let rebuilt = rebuild(size, &bundles).unwrap();
        prop_assert_eq!(rebuilt.root, naive_root(&leaves(size)));
        prop_assert_eq!(&rebuilt.leaves, &leaves(size));
        prop_assert_eq!(rebuilt.tree().root(), rebuilt.root);
        let paths: Vec<_> = expected.iter().filter(|path| path.kind() != TileKind::Entries).copied().collect();
        prop_assert_eq!(rebuilt.tiles.iter().map(|tile| tile.path).collect::<Vec<_>>(), paths);
        for tile in &rebuilt.tiles {
            prop_assert_eq!(&tile.bytes, &stored[&tile.path]);
        }
        prop_assert!(matches!(rebuild(size + 256, &bundles), Err(RebuildError::Missing(_) | RebuildError::Bundle(..))));
        if size > 0 {
            prop_assert!(rebuild(size - 1, &bundles).is_err());
        }
    }

    #[test]
    fn paths_round_trip(level in 0_u8..64, index in any::<u64>(), shift in 0_u32..64, width in 1_u16..=256) {
        for kind in [TileKind::Entries, TileKind::Hashes(level)] {
            let path = TilePath::new(kind, index >> shift, width).unwrap();
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn widths_follow_the_formula(size in any::<u64>(), shift in 0_u32..64, level in 0_u8..8) {
        let size = size >> shift;
        let hashes = size >> (8 * u32::from(level));
        let last = tile_at(TileKind::Hashes(level), hashes / 256, size);
        prop_assert_eq!(last.map_or(0, |path| u64::from(path.width())), hashes % 256);
        prop_assert!(tile_at(TileKind::Hashes(level), hashes / 256 + 1, size).is_none());
    }

    /// What a parser accepts it writes back byte for byte; what it refuses it refuses in peace.
    #[test]
    fn parsers_are_total_and_exact(bytes in noise()) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), &bytes[..]);
        }
        if let Ok(proof) = TlogProof::parse(&bytes) {
            prop_assert_eq!(proof.to_string().into_bytes(), &bytes[..]);
        }
        if let Ok(signature) = TimestampedSignature::parse(&bytes) {
            prop_assert_eq!(signature.to_bytes(), &bytes[..]);
        }
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), &bytes[..]);
        }
        for width in [0, 1, 2, 256, u16::MAX] {
            let _ = parse_tile(&bytes, width);
            let _ = decode_bundle(&bytes, width);
        }
        let _ = rebuild(u64::MAX, [&bytes]);
        if let Ok(text) = str::from_utf8(&bytes) {
            fn exact<T: std::str::FromStr + std::fmt::Display>(text: &str) -> bool {
                text.parse::<T>().map_or(true, |value| value.to_string() == text)
            }
            prop_assert!(exact::<Checkpoint>(text));
            prop_assert!(exact::<VerifierKey>(text));
            prop_assert!(exact::<Origin>(text));
            prop_assert!(exact::<TreeHash>(text));
            prop_assert!(exact::<TilePath>(text));
            prop_assert!(exact::<NoteSignature>(text));
        }
    }
}

const HASH: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// Pieces of the formats in any order, and plain noise.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\u{2014} ".to_owned()),
        Just("example.com/log".to_owned()),
        Just(" ".to_owned()),
        Just("0".to_owned()),
        Just("12".to_owned()),
        Just("index ".to_owned()),
        Just("extra ".to_owned()),
        Just("c2sp.org/tlog-proof@v1\n".to_owned()),
        Just("tile/0/x001/000.p/7".to_owned()),
        Just("tile/entries/".to_owned()),
        Just(HASH.to_owned()),
        Just(format!("{HASH}\n")),
        Just(format!("\u{2014} a {HASH}\n")),
        "[a-zA-Z0-9+/=\\r\\t.x]{0,6}",
    ];
    prop_oneof![
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..300),
    ]
}
