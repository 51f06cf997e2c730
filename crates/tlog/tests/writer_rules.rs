//! The rules W that are rules of the formats: what whoever writes a log must make, and what is
//! refused where it is made otherwise. Those of files and syncs are tested with the journal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use chancery_crypto::{AwsLc, MlDsa44Key, SigningKey};
use chancery_tlog::{
    BundleError, Checkpoint, CheckpointError, CheckpointTextError, CosignatureError, LeafHash,
    LogEdge, LogKeys, LogKeysError, MemoryTree, Note, NoteError, NoteSignature, RatchetError,
    Resource, SignatureKind, Subtree, TileKind, TilePath, TimestampedSignature, TreeHash,
    VerifierKey, advance, check_entry, cosigned_message, decode_bundle, encode_entry, encode_tile,
    parse_tile, prove_consistency, tile_at, tile_root, tiles_for, verify_checkpoint,
};
use chancery_types::{Algorithm, Digest};

const ORIGIN: &str = "td.example/log/rules";

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

/// Every file that a writer makes on the way to that size, with checkpoints at some sizes.
fn files(size: u64, checkpoints: &[u64]) -> BTreeMap<String, Vec<u8>> {
    let (mut edge, mut made) = (LogEdge::new(), BTreeMap::new());
    for index in 0..size {
        let mut full = Vec::new();
        edge.push(&entry(index), &mut full).unwrap();
        if checkpoints.contains(&edge.size()) {
            full.extend(edge.partials());
        }
        for Resource { path, bytes } in full {
            let again = made.insert(path.to_string(), bytes.clone());
            assert!(again.is_none_or(|before| before == bytes), "W9: {path}");
        }
    }
    made
}

fn checkpoint(size: u64, root: TreeHash) -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.parse().unwrap(),
        size,
        root,
    }
}

fn tree(tag: &str, size: u64) -> MemoryTree {
    (0..size)
        .map(|index| LeafHash::of(format!("{tag} {index}")))
        .collect()
}

struct Signer {
    ed25519: SigningKey,
    ml_dsa_44: MlDsa44Key,
    keys: LogKeys,
}

impl Signer {
    fn new() -> Self {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let ml_dsa_44 = MlDsa44Key::generate().unwrap();
        let name = || ORIGIN.parse().unwrap();
        let public = ed25519.public().to_public_bytes();
        let keys = LogKeys::new(
            ORIGIN.parse().unwrap(),
            VerifierKey::ed25519(name(), &public).unwrap(),
            VerifierKey::ml_dsa_44(name(), &ml_dsa_44.public()).unwrap(),
        );
        Self {
            ed25519,
            ml_dsa_44,
            keys: keys.unwrap(),
        }
    }

    /// The two lines, the second with a time and over a tree that may be other ones.
    fn lines(&self, signed: &Checkpoint, covered: &Checkpoint, time: u64) -> Vec<NoteSignature> {
        let classical = self.ed25519.sign(signed.to_string().as_bytes()).unwrap();
        let message = cosigned_message(
            self.keys.ml_dsa_44().name(),
            time,
            &covered.origin,
            Subtree::new(0, covered.size).unwrap(),
            &covered.root,
        );
        let signature = self.ml_dsa_44.sign(&message.unwrap()).unwrap();
        let body = TimestampedSignature::new(time, signature).unwrap();
        let line = |key: &VerifierKey, signature| {
            NoteSignature::new(key.name().clone(), key.key_id(), signature)
        };
        vec![
            line(self.keys.ed25519(), classical),
            line(self.keys.ml_dsa_44(), body.to_bytes()),
        ]
    }
}

#[test]
fn w1_leaves_and_nodes_have_their_prefixes() {
    let leaf = |entry: &[u8]| Digest::of([&[0][..], entry].concat());
    assert_eq!(LeafHash::of(b"x").digest(), leaf(b"x"));
    let (left, right) = (
        TreeHash::from(LeafHash::of(b"l")),
        TreeHash::from(LeafHash::of(b"r")),
    );
    let both = [&left.as_bytes()[..], right.as_bytes()].concat();
    let node = TreeHash::node(&left, &right);
    assert_eq!(node.digest(), Digest::of([&[1][..], &both].concat()));
    // No entry is a node, and the order counts.
    assert_ne!(TreeHash::from(LeafHash::of(&both)), node);
    assert_ne!(node.digest(), Digest::of(&both));
    assert_ne!(node, TreeHash::node(&right, &left));
    let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(TreeHash::empty().to_string(), empty);
    assert_ne!(TreeHash::from(LeafHash::of(b"")), TreeHash::empty());
}

#[test]
fn w2_an_entry_has_at_most_65_535_bytes() {
    for length in [0, 1, 65_535] {
        let mut bundle = Vec::new();
        encode_entry(&vec![7; length], &mut bundle).unwrap();
        check_entry(&vec![7; length]).unwrap();
        assert_eq!(bundle.len(), length + 2);
    }
    for length in [65_536, 65_537, 131_072] {
        let mut edge = LogEdge::new();
        edge.push(b"first", &mut Vec::new()).unwrap();
        let before = edge.clone();
        check_entry(&vec![7; length]).unwrap_err();
        edge.push(&vec![7; length], &mut Vec::new()).unwrap_err();
        assert_eq!(edge, before, "it left a trace");
    }
}

#[test]
fn w4_a_bundle_holds_the_entries_that_its_tile_names() {
    let made = files(600, &[600]);
    for path in tiles_for(600).filter(|path| path.kind() == TileKind::Entries) {
        let bytes = made.get(&path.to_string()).unwrap();
        let tile = tile_at(TileKind::Hashes(0), path.index(), 600).unwrap();
        let hashes = parse_tile(made.get(&tile.to_string()).unwrap(), tile.width()).unwrap();
        let mut expected = Vec::new();
        let entries = decode_bundle(bytes, path.width()).unwrap();
        assert_eq!(entries.len(), hashes.len());
        for ((index, found), hash) in (path.index() * 256..).zip(entries).zip(hashes) {
            assert_eq!(found, entry(index));
            assert_eq!(hash, LeafHash::of(found).into());
            expected.extend(u16::try_from(found.len()).unwrap().to_be_bytes());
            expected.extend(found);
        }
        assert_eq!(bytes, &expected);
        // Neither fewer nor more entries, nor an end within one.
        assert_eq!(
            decode_bundle(bytes, path.width() - 1),
            Err(BundleError::Trailing)
        );
        let more = BundleError::Truncated { at: path.width() };
        assert_eq!(decode_bundle(bytes, path.width() + 1), Err(more));
        let cut = bytes.split_last().unwrap().1;
        decode_bundle(cut, path.width()).unwrap_err();
    }
}

#[test]
fn w4_an_edge_with_other_entries_is_not_taken_up() {
    let made = files(300, &[300]);
    let read = |change: &str| {
        LogEdge::load(300, |path| {
            let mut bytes = made.get(&path.to_string()).unwrap().clone();
            if path.to_string() == change {
                *bytes.last_mut().unwrap() ^= 1;
            }
            Ok::<_, std::io::Error>(bytes)
        })
    };
    assert_eq!(read("none").unwrap().size(), 300);
    for changed in ["tile/entries/001.p/44", "tile/0/001.p/44"] {
        assert!(read(changed).is_err(), "{changed}");
    }
}

#[test]
fn w5_a_full_tile_has_8_192_bytes() {
    let made = files(66_000, &[66_000]);
    let mut full = 0;
    for path in tiles_for(66_000).filter(|path| path.kind() != TileKind::Entries) {
        let bytes = made.get(&path.to_string()).unwrap();
        assert_eq!(bytes.len(), usize::from(path.width()) * 32, "{path}");
        full += usize::from(path.is_full() && bytes.len() == 8_192);
    }
    assert_eq!(full, 257 + 1);
    let hashes = vec![TreeHash::empty(); 256];
    let bytes = encode_tile(&hashes);
    assert_eq!(parse_tile(&bytes, 256).unwrap(), hashes);
    for width in [0, 255, 257] {
        parse_tile(&bytes, width).unwrap_err();
    }
    parse_tile(bytes.split_last().unwrap().1, 256).unwrap_err();
    parse_tile(&[&bytes[..], &[0]].concat(), 256).unwrap_err();
}

#[test]
fn w6_partial_tiles_are_as_wide_as_the_formula_says() {
    for size in [1, 255, 256, 257, 511, 512, 65_535, 65_536, 70_000] {
        let made = files(size, &[size]);
        for level in 0..4_u32 {
            let hashes = size >> (8 * level);
            let (full, partial) = (hashes / 256, hashes % 256);
            let name = |index: u64| {
                let path = TilePath::new(TileKind::Hashes(level as u8), index, 256).unwrap();
                path.to_string()
            };
            if full > 0 {
                assert!(made.contains_key(&name(full - 1)), "{size}, level {level}");
            }
            assert!(!made.contains_key(&name(full)), "{size}, level {level}");
            let widths: Vec<_> = made
                .keys()
                .filter_map(|made| made.strip_prefix(&format!("{}.p/", name(full))))
                .collect();
            let expected: Vec<_> = (partial > 0)
                .then(|| partial.to_string())
                .into_iter()
                .collect();
            assert_eq!(widths, expected, "{size}, level {level}");
        }
    }
    let made = files(70_000, &[70_000]);
    for (path, length) in [
        ("tile/0/272", 8_192),
        ("tile/0/273.p/112", 112 * 32),
        ("tile/1/000", 8_192),
        ("tile/1/001.p/17", 17 * 32),
        ("tile/2/000.p/1", 32),
    ] {
        assert_eq!(made.get(path).unwrap().len(), length, "{path}");
    }
    let made = files(256, &[256]);
    let names: Vec<_> = made.keys().map(String::as_str).collect();
    assert_eq!(names, ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]);
}

/// A hash of a higher level is that of a full tile below; a partial one has none.
#[test]
fn w6_no_partial_tile_is_hashed_upward() {
    let made = files(600, &[255, 256, 511, 600]);
    let above = parse_tile(made.get("tile/1/000.p/2").unwrap(), 2).unwrap();
    for (index, hash) in above.iter().enumerate() {
        let below = made.get(&format!("tile/0/{index:03}")).unwrap();
        assert_eq!(tile_root(&parse_tile(below, 256).unwrap()), *hash);
    }
    for premature in ["tile/1/000.p/3", "tile/2/000.p/1"] {
        assert!(!made.contains_key(premature), "{premature}");
    }
    assert!(
        !files(255, &[255])
            .keys()
            .any(|path| path.starts_with("tile/1"))
    );
}

#[test]
fn w7_no_tile_is_empty() {
    assert!(LogEdge::new().partials().is_empty());
    assert_eq!(tiles_for(0).count(), 0);
    let sizes: Vec<u64> = (1..=1_030).collect();
    for (path, bytes) in files(1_030, &sizes) {
        assert!(!bytes.is_empty(), "{path}");
        assert!(path.parse::<TilePath>().unwrap().width() > 0);
    }
    TilePath::new(TileKind::Hashes(0), 0, 0).unwrap_err();
    "tile/0/000.p/0".parse::<TilePath>().unwrap_err();
    parse_tile(&[], 0).unwrap_err();
    assert_eq!(tile_at(TileKind::Entries, 1, 256), None);
    assert_eq!(tile_at(TileKind::Hashes(1), 0, 255), None);
}

#[test]
fn w10_nothing_inconsistent_is_signed() {
    let (seven, nine, other) = (tree("a", 7), tree("a", 9), tree("b", 9));
    let last = checkpoint(7, seven.root());
    let proof = prove_consistency(&nine, 7, 9).unwrap();
    assert_eq!(advance(&last, &checkpoint(9, nine.root()), &proof), Ok(()));
    let forged = prove_consistency(&other, 7, 9).unwrap();
    for (size, root, proof) in [
        (9, other.root(), &forged),
        (9, other.root(), &proof),
        (9, nine.root(), &forged),
        (9, nine.root(), &vec![]),
        (9, nine.root(), &[&proof[..], &[TreeHash::empty()]].concat()),
    ] {
        assert!(
            matches!(
                advance(&last, &checkpoint(size, root), proof),
                Err(RatchetError::Inconsistent { signed: 7, .. })
            ),
            "{size}"
        );
    }
    let fork = checkpoint(7, tree("b", 7).root());
    assert_eq!(advance(&last, &fork, &[]), Err(RatchetError::Forked(7)));
}

#[test]
fn w11_the_size_never_shrinks() {
    let ten = tree("a", 10);
    let last = checkpoint(10, ten.root());
    for size in 0..10 {
        let root = tree("a", size).root();
        let proof = match size {
            0 => Vec::new(),
            size => prove_consistency(&ten, size, 10).unwrap(),
        };
        for proof in [&[][..], &proof] {
            assert!(matches!(
                advance(&last, &checkpoint(size, root), proof),
                Err(RatchetError::Smaller { signed: 10, .. })
            ));
        }
    }
    assert_eq!(advance(&last, &last, &[]), Ok(()));
}

#[test]
fn w12_a_checkpoint_is_three_lines() {
    let text = checkpoint(10, tree("a", 10).root()).to_string();
    assert_eq!(text.lines().count(), 3);
    assert!(text.ends_with('\n'));
    let root = text.lines().nth(2).unwrap();
    for (bad, error) in [
        (format!("{text}extension\n"), CheckpointTextError::Lines),
        (format!("{text}\n"), CheckpointTextError::Lines),
        (text.trim_end().to_owned(), CheckpointTextError::Lines),
        (text.replace("\n10\n", "\n010\n"), CheckpointTextError::Size),
        (text.replace("\n10\n", "\n+10\n"), CheckpointTextError::Size),
        (text.replace("\n10\n", "\n10 \n"), CheckpointTextError::Size),
        (
            text.replace("\n10\n", "\n0x0a\n"),
            CheckpointTextError::Size,
        ),
        (
            text.replace("\n10\n", "\n0\n"),
            CheckpointTextError::EmptyRoot,
        ),
        (text.replace(root, ""), CheckpointTextError::Root),
        (text.replace('\n', "\r\n"), CheckpointTextError::Origin),
    ] {
        assert_eq!(bad.parse::<Checkpoint>(), Err(error), "{bad:?}");
    }
}

#[test]
fn w13_the_key_is_called_like_the_log() {
    let signer = Signer::new();
    let ed25519 = signer.ed25519.public().to_public_bytes();
    let ml_dsa_44 = signer.ml_dsa_44.public();
    let keys = |classical: &str, quantum: &str| {
        LogKeys::new(
            ORIGIN.parse().unwrap(),
            VerifierKey::ed25519(classical.parse().unwrap(), &ed25519).unwrap(),
            VerifierKey::ml_dsa_44(quantum.parse().unwrap(), &ml_dsa_44).unwrap(),
        )
    };
    keys(ORIGIN, ORIGIN).unwrap();
    for (classical, quantum, kind) in [
        ("td.example", ORIGIN, SignatureKind::Ed25519),
        ("td.example/log/Rules", ORIGIN, SignatureKind::Ed25519),
        (ORIGIN, "td.example/log/rules/", SignatureKind::MlDsa44),
    ] {
        let refusal = keys(classical, quantum).unwrap_err();
        assert_eq!(refusal, LogKeysError::Name(kind));
    }
}

#[test]
fn w14_both_keys_sign_what_the_checkpoint_says() {
    let signer = Signer::new();
    let ten = checkpoint(10, tree("a", 10).root());
    let eleven = checkpoint(11, tree("a", 11).root());
    let verify = |lines: Vec<NoteSignature>| {
        let note = Note::new(&ten.to_string(), lines).unwrap().to_string();
        verify_checkpoint(note.as_bytes(), &signer.keys, &AwsLc)
    };
    // Zero claims nothing about the time.
    for (time, claimed) in [
        (1_700_000_000, Some(1_700_000_000)),
        (1, Some(1)),
        (0, None),
    ] {
        let verified = verify(signer.lines(&ten, &ten, time)).unwrap();
        assert_eq!(verified.timestamp(), claimed);
    }
    let [classical, quantum] = <[_; 2]>::try_from(signer.lines(&ten, &ten, 5)).unwrap();
    assert_eq!(
        verify(vec![classical.clone()]),
        Err(CheckpointError::Missing(SignatureKind::MlDsa44))
    );
    assert_eq!(
        verify(vec![quantum.clone()]),
        Err(CheckpointError::Missing(SignatureKind::Ed25519))
    );
    // Another tree under the same text, and another time over the same signature.
    assert_eq!(
        verify(signer.lines(&ten, &eleven, 5)),
        Err(CheckpointError::Signature(SignatureKind::MlDsa44))
    );
    assert_eq!(
        verify(signer.lines(&eleven, &ten, 5)),
        Err(CheckpointError::Signature(SignatureKind::Ed25519))
    );
    let mut later = quantum.signature().to_vec();
    *later.get_mut(7).unwrap() += 1;
    let later = NoteSignature::new(quantum.name().clone(), quantum.key_id(), later);
    assert_eq!(
        verify(vec![classical, later]),
        Err(CheckpointError::Signature(SignatureKind::MlDsa44))
    );
    assert_eq!(
        TimestampedSignature::new(1 << 63, vec![0; 2_420]),
        Err(CosignatureError::Timestamp)
    );
    let part = Subtree::new(4, 8).unwrap();
    let name = signer.keys.ml_dsa_44().name();
    assert_eq!(
        cosigned_message(name, 5, &ten.origin, part, &ten.root),
        Err(CosignatureError::TimestampOnSubtree)
    );
}

#[test]
fn w15_w16_a_note_is_plain_text_and_its_lines_padded_base64() {
    let signer = Signer::new();
    let ten = checkpoint(10, tree("a", 10).root());
    let lines = signer.lines(&ten, &ten, 5);
    let note = Note::new(&ten.to_string(), lines.clone())
        .unwrap()
        .to_string();
    assert!(note.ends_with('\n'));
    let (_, signatures) = note.rsplit_once("\n\n").unwrap();
    for line in signatures.lines() {
        assert!(line.starts_with("\u{2014} "), "{line}");
        let base64 = line.rsplit(' ').next().unwrap();
        assert!(base64.len().is_multiple_of(4), "{base64}");
        assert!(
            base64
                .trim_end_matches('=')
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
        );
    }
    for text in ["tab\t\n", "return\r\n", "nul\0\n", "escape\u{1b}\n"] {
        let made = Note::new(text, lines.clone());
        assert_eq!(made, Err(NoteError::NotText), "{text:?}");
    }
    for text in ["", "no newline"] {
        assert_eq!(
            Note::new(text, lines.clone()),
            Err(NoteError::NoFinalNewline)
        );
    }
    assert_eq!(
        Note::new("text\n", Vec::new()),
        Err(NoteError::NoSignatures)
    );
    let last = note.trim_end();
    for bad in [
        last.to_owned(),
        note.replace("\u{2014} ", "- "),
        note.replace("\u{2014} ", "\u{2013} "),
        note.replace("\u{2014} ", "\u{2014}  "),
        format!("{}\n", last.trim_end_matches('=')),
        format!("{last}=\n"),
        format!("{note}\n"),
        note.replace("\n\n", "\n"),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    let mut bytes = note.clone().into_bytes();
    *bytes.first_mut().unwrap() = 0xff;
    assert_eq!(Note::parse(&bytes), Err(NoteError::NotText));
}
