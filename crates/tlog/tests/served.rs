//! Every kind of damage to every kind of file of a served log, at every shape of tree: what is
//! wrong is said, and where.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use chancery_tlog::{
    Checkpoint, LogEdge, LogFile, LogFinding, LogReason, Recomputed, Resource, TileEdge, TileKind,
    TilePath, TreeHash, decode_bundle, encode_entry, recompute, tiles_for,
};

const SIZES: [u64; 4] = [1, 255, 256, 257];

/// Three levels of tiles, two of which end with partial ones.
const LARGE: u64 = 70_000;

/// A log as it is served.
#[derive(Clone)]
struct Served {
    checkpoint: Checkpoint,
    files: BTreeMap<TilePath, Vec<u8>>,
}

fn entry(branch: u64, index: u64) -> Vec<u8> {
    let text = format!("{branch} {index} ");
    let long = "x".repeat(index as usize % 7);
    [text, long].concat().into_bytes()
}

/// The log of `size` entries that follows `branch` from entry `from` on.
fn log(size: u64, branch: u64, from: u64) -> Served {
    let (mut edge, mut files) = (LogEdge::new(), Vec::new());
    for index in 0..size {
        let branch = if index < from { 0 } else { branch };
        edge.push(&entry(branch, index), &mut files).unwrap();
    }
    files.extend(edge.partials());
    Served {
        checkpoint: Checkpoint {
            origin: "td.example/log/served".parse().unwrap(),
            size,
            root: edge.root(),
        },
        files: files
            .into_iter()
            .map(|Resource { path, bytes }| (path, bytes))
            .collect(),
    }
}

fn plain(size: u64) -> Served {
    log(size, 0, size)
}

/// The plain log of [`LARGE`] entries, made once.
fn large() -> Served {
    static MADE: OnceLock<Served> = OnceLock::new();
    MADE.get_or_init(|| plain(LARGE)).clone()
}

fn pass(log: &Served, seen: &TileEdge, whole: bool) -> Recomputed {
    let mut read = |path: &TilePath| Ok::<_, Infallible>(log.files.get(path).cloned());
    recompute(&log.checkpoint, seen, whole, &mut read, &mut |_, _| {}).unwrap()
}

/// What a first pass finds.
fn found(log: &Served) -> Vec<LogFinding> {
    pass(log, &TileEdge::new(), false).findings
}

fn seen(log: &Served) -> TileEdge {
    let first = pass(log, &TileEdge::new(), false);
    assert_eq!(first.findings, []);
    assert_eq!(first.edge.root(), log.checkpoint.root);
    first.edge
}

/// The file, the code and the entries of a finding.
fn said(finding: &LogFinding) -> (String, &'static str, std::ops::Range<u64>) {
    let range = finding.entries.clone().unwrap_or_default();
    (finding.file.to_string(), finding.reason.code(), range)
}

/// How many entries one hash or entry of a file stands for.
fn span(path: &TilePath) -> u64 {
    match path.kind() {
        TileKind::Entries => 1,
        TileKind::Hashes(level) => 1 << (u32::from(level) * 8),
    }
}

/// What the file holds, piece by piece: its entries with their lengths, or its hashes.
fn pieces(path: &TilePath, bytes: &[u8]) -> Vec<Vec<u8>> {
    match path.kind() {
        TileKind::Hashes(_) => bytes.chunks(32).map(<[u8]>::to_vec).collect(),
        TileKind::Entries => {
            let framed = |entry: &[u8]| {
                let mut bytes = Vec::new();
                encode_entry(entry, &mut bytes).unwrap();
                bytes
            };
            let entries = decode_bundle(bytes, path.width()).unwrap();
            entries.into_iter().map(framed).collect()
        }
    }
}

/// A file of each kind and width: the first and the last.
fn some_of(size: u64) -> Vec<TilePath> {
    let paths: Vec<TilePath> = tiles_for(size).collect();
    let mut some = Vec::new();
    for kind in (0..8).map(TileKind::Hashes).chain([TileKind::Entries]) {
        let of_kind = |path: &&TilePath| path.kind() == kind;
        some.extend(paths.iter().find(of_kind));
        some.extend(paths.iter().rfind(of_kind));
    }
    some.sort();
    some.dedup();
    some
}

/// A change of a file, the code that it must be found by, and the places that must be named.
type Damage = (Option<Vec<u8>>, LogReason, std::ops::Range<usize>);

/// Everything that can be done to a file.
fn damages(path: &TilePath, bytes: &[u8]) -> Vec<Damage> {
    let pieces = pieces(path, bytes);
    let width = pieces.len();
    let other = match path.kind() {
        TileKind::Entries => LogReason::EntryMismatch,
        TileKind::Hashes(_) => LogReason::TileMismatch,
    };
    let cut = bytes.split_last().unwrap().1.to_vec();
    let longer = [bytes, &[0]].concat();
    let twice = [bytes, pieces.first().unwrap()].concat();
    let mut damages: Vec<Damage> = vec![
        (None, LogReason::Missing, 0..width),
        (Some(Vec::new()), LogReason::Truncated, 0..width),
        (Some(cut), LogReason::Truncated, width - 1..width),
        (Some(longer), LogReason::Surplus, 0..width),
        (Some(twice), LogReason::Surplus, 0..width),
    ];
    let mut places = vec![0, width / 2, width - 1];
    places.dedup();
    for place in places {
        let mut flipped = pieces.clone();
        *flipped
            .get_mut(place)
            .and_then(|piece| piece.last_mut())
            .unwrap() ^= 1;
        damages.push((Some(flipped.concat()), other, place..place + 1));
        let mut without = pieces.clone();
        without.remove(place);
        let reason = match place + 1 == width {
            true => LogReason::Truncated,
            false => LogReason::Omitted,
        };
        damages.push((Some(without.concat()), reason, place..place + 1));
    }
    if width > 1 {
        let mut swapped = pieces;
        swapped.swap(0, width - 1);
        damages.push((Some(swapped.concat()), LogReason::Reordered, 0..width));
    }
    damages
}

/// The log with one file changed, and the one finding that there must be.
fn damaged(log: &Served, path: &TilePath, damage: Damage) -> (Served, LogFinding) {
    let (bytes, reason, places) = damage;
    let mut damaged = log.clone();
    match bytes {
        Some(bytes) => damaged.files.insert(*path, bytes),
        None => damaged.files.remove(path),
    };
    let at = |place: usize| (path.index() * 256 + place as u64) * span(path);
    let finding = LogFinding {
        file: LogFile::Tile(*path),
        reason,
        entries: Some(at(places.start)..at(places.end)),
    };
    (damaged, finding)
}

#[test]
fn v10_every_damage_to_every_file_is_said() {
    for size in SIZES {
        let log = plain(size);
        let seen = seen(&log);
        for (path, bytes) in &log.files {
            for damage in damages(path, bytes) {
                let (damaged, finding) = damaged(&log, path, damage);
                let wanted = [finding];
                assert_eq!(found(&damaged), wanted, "of {size} entries");
                // Who has seen it before and reads all of it again finds the same.
                assert_eq!(pass(&damaged, &seen, true).findings, wanted);
            }
        }
    }
}

#[test]
fn v10_every_damage_to_a_large_log_is_said() {
    let log = large();
    let mut kinds = BTreeMap::new();
    for (number, path) in some_of(LARGE).iter().enumerate() {
        let damages = damages(path, log.files.get(path).unwrap());
        // Each kind of damage in turn: a pass over so many entries takes its time.
        for (_, damage) in damages
            .into_iter()
            .enumerate()
            .filter(|(at, _)| at % 5 == number % 5)
        {
            let (damaged, finding) = damaged(&log, path, damage);
            kinds
                .entry(path.kind())
                .or_insert_with(Vec::new)
                .push(finding.reason);
            assert_eq!(found(&damaged), [finding]);
        }
    }
    assert_eq!(kinds.len(), 4);
    assert!(kinds.values().all(|reasons| reasons.len() > 1), "{kinds:?}");
}

#[test]
fn files_of_a_log_in_each_others_place_are_said() {
    let log = large();
    for (kind, reason) in [
        (TileKind::Entries, LogReason::EntryMismatch),
        (TileKind::Hashes(0), LogReason::TileMismatch),
    ] {
        let mut swapped = log.clone();
        let [one, two] = [3, 7].map(|index| TilePath::new(kind, index, 256).unwrap());
        let (first, second) = (
            swapped.files.remove(&one).unwrap(),
            swapped.files.remove(&two).unwrap(),
        );
        swapped.files.extend([(one, second), (two, first)]);
        let findings = found(&swapped);
        let said: Vec<_> = findings.iter().map(said).collect();
        assert_eq!(
            said,
            [
                (one.to_string(), reason.code(), 768..1_024),
                (two.to_string(), reason.code(), 1_792..2_048)
            ]
        );
    }
}

#[test]
fn several_damages_are_said_one_by_one() {
    let mut log = large();
    let path = |kind, index, width| TilePath::new(kind, index, width).unwrap();
    log.files.remove(&path(TileKind::Entries, 0, 256));
    log.files.remove(&path(TileKind::Hashes(0), 200, 256));
    log.files.remove(&path(TileKind::Entries, 100, 256));
    log.files.remove(&path(TileKind::Hashes(0), 100, 256));
    log.files
        .get_mut(&path(TileKind::Hashes(1), 1, 17))
        .unwrap()[5] ^= 1;
    let findings = found(&log);
    let said: Vec<_> = findings.iter().map(said).collect();
    assert_eq!(
        said,
        [
            ("tile/entries/000".to_owned(), "missing", 0..256),
            ("tile/entries/100".to_owned(), "missing", 25_600..25_856),
            ("tile/0/100".to_owned(), "missing", 25_600..25_856),
            ("tile/0/200".to_owned(), "missing", 51_200..51_456),
            (
                "tile/1/001.p/17".to_owned(),
                "tile_mismatch",
                65_536..65_792
            ),
        ]
    );
}

/// A bundle and its tile replaced together do not contradict each other.
#[test]
fn a_bundle_and_its_tile_replaced_together_are_said() {
    let (mut log, other) = (large(), log(70_000, 1, 0));
    for kind in [TileKind::Entries, TileKind::Hashes(0)] {
        let path = TilePath::new(kind, 77, 256).unwrap();
        log.files
            .insert(path, other.files.get(&path).unwrap().clone());
    }
    let findings = found(&log);
    let said: Vec<_> = findings.iter().map(said).collect();
    let entries = 77 * 256..78 * 256;
    assert_eq!(
        said,
        [
            (
                "tile/entries/077".to_owned(),
                "entry_mismatch",
                entries.clone()
            ),
            ("tile/0/077".to_owned(), "tile_mismatch", entries),
        ]
    );
}

/// A whole other tree under a checkpoint that does not name it.
#[test]
fn a_tree_that_the_checkpoint_does_not_name_is_said() {
    for size in SIZES {
        let mut log = log(size, 1, size / 2);
        log.checkpoint.root = plain(size).checkpoint.root;
        let findings = found(&log);
        let said: Vec<_> = findings.iter().map(said).collect();
        assert_eq!(said, [("checkpoint".to_owned(), "root_mismatch", 0..size)]);
        log.checkpoint.root = TreeHash::from_bytes([7; 32]);
        assert_eq!(found(&log), findings);
    }
}

#[test]
fn a_log_that_shrinks_is_said() {
    for (before, after) in [(1, 0), (256, 255), (257, 256), (700, 257)] {
        let seen = seen(&plain(before));
        for whole in [false, true] {
            let findings = pass(&plain(after), &seen, whole).findings;
            let said: Vec<_> = findings.iter().map(said).collect();
            assert_eq!(said, [("checkpoint".to_owned(), "shrunk", after..before)]);
        }
    }
}

/// Where the fork begins, as closely as what was remembered tells it.
#[test]
fn a_log_that_forks_is_said_and_since_when() {
    for (before, after, from, entries) in [
        (1, 1, 0, 0..1),
        (1, 2, 0, 0..1),
        (255, 255, 254, 0..255),
        (255, 300, 254, 254..255),
        (255, 600, 3, 3..4),
        (256, 257, 255, 0..256),
        (257, 600, 256, 256..257),
        (257, 600, 9, 0..256),
        (70_000, 71_000, 65_600, 65_536..65_792),
        (700, 700, 1, 0..700),
    ] {
        let seen = seen(&plain(before));
        let forked = log(after, 1, from);
        for whole in [false, true] {
            let findings = pass(&forked, &seen, whole).findings;
            let said: Vec<_> = findings.iter().map(said).collect();
            let wanted = ("checkpoint".to_owned(), "forked", entries.clone());
            assert_eq!(said, [wanted], "{before} to {after} from {from}, {whole}");
        }
    }
}

#[test]
fn a_log_that_grows_is_followed_over_every_step() {
    let steps = [0, 1, 2, 200, 255, 256, 257, 511, 512, 513, 1_000];
    for (place, before) in steps.iter().enumerate() {
        let rest = steps.get(place..).unwrap_or_default();
        follow(*before, rest.iter().step_by(1 + place % 3));
    }
    follow(65_500, &[65_500, 65_537]);
}

fn follow<'a>(before: u64, sizes: impl IntoIterator<Item = &'a u64>) {
    let mut edge = TileEdge::new();
    for size in sizes {
        let log = plain(*size);
        let passed = pass(&log, &edge, false);
        assert_eq!(passed.findings, [], "{before} to {size}");
        assert_eq!(passed.edge.root(), log.checkpoint.root);
        edge = passed.edge;
        // Nothing new, nothing read.
        assert_eq!(pass(&log, &edge, false).files, 0);
        assert_eq!(pass(&log, &edge, true).findings, []);
    }
}

#[test]
fn what_was_seen_is_not_read_again_but_what_follows_is() {
    let (before, mut log) = (seen(&plain(600)), large());
    let old = TilePath::new(TileKind::Entries, 0, 256).unwrap();
    log.files.remove(&old);
    assert_eq!(pass(&log, &before, false).findings, []);
    let findings = pass(&log, &before, true).findings;
    assert_eq!(
        findings.iter().map(said).collect::<Vec<_>>(),
        [(old.to_string(), "missing", 0..256)]
    );
    // The bundle in which it had ended is read again, and what had been seen of it must stand.
    let mut log = plain(700);
    for kind in [TileKind::Entries, TileKind::Hashes(0)] {
        let path = TilePath::new(kind, 2, 188).unwrap();
        let pieces = pieces(&path, log.files.get(&path).unwrap());
        let mut swapped = pieces.clone();
        swapped.swap(0, 1);
        log.files.insert(path, swapped.concat());
    }
    let findings = pass(&log, &before, false).findings;
    let said: Vec<_> = findings.iter().map(said).collect();
    assert_eq!(
        said,
        [
            ("tile/entries/002.p/188".to_owned(), "reordered", 512..514),
            ("tile/0/002.p/188".to_owned(), "reordered", 512..514),
        ]
    );
}

#[test]
fn a_partial_file_may_make_room_for_the_full_one() {
    let (small, large) = (plain(300), plain(600));
    let mut served = large;
    served.checkpoint = small.checkpoint;
    let kept = TilePath::new(TileKind::Hashes(1), 0, 1).unwrap();
    served
        .files
        .insert(kept, small.files.get(&kept).unwrap().clone());
    assert_eq!(found(&served), []);
    // Of the full files only the beginning matters to the smaller log.
    let path = TilePath::new(TileKind::Hashes(0), 1, 256).unwrap();
    served.files.get_mut(&path).unwrap()[44 * 32] ^= 1;
    assert_eq!(found(&served), []);
    served.files.get_mut(&path).unwrap()[43 * 32] ^= 1;
    let findings = found(&served);
    let said: Vec<_> = findings.iter().map(said).collect();
    assert_eq!(
        said,
        [("tile/0/001.p/44".to_owned(), "tile_mismatch", 299..300)]
    );
}

#[test]
fn a_size_that_nobody_serves_ends_the_reading() {
    let mut log = plain(1_000);
    log.checkpoint.size = u64::MAX;
    let passed = pass(&log, &TileEdge::new(), false);
    assert!(!passed.findings.is_empty());
    assert!(passed.files < 100, "{}", passed.files);
}

#[test]
fn entries_are_seen_once_and_in_order() {
    let log = plain(700);
    let (mut next, before) = (600, seen(&plain(600)));
    let mut read = |path: &TilePath| Ok::<_, Infallible>(log.files.get(path).cloned());
    let mut each = |index: u64, bytes: &[u8]| {
        assert_eq!((index, bytes), (next, entry(0, next).as_slice()));
        next += 1;
    };
    recompute(&log.checkpoint, &before, false, &mut read, &mut each).unwrap();
    assert_eq!(next, 700);
}

#[test]
fn a_file_that_cannot_be_read_ends_the_pass() {
    #[derive(Debug, thiserror::Error, PartialEq)]
    #[error("broken")]
    struct Broken;
    let log = plain(300);
    for bad in log.files.keys() {
        let mut read = |path: &TilePath| match path == bad {
            true => Err(Broken),
            false => Ok(log.files.get(path).cloned()),
        };
        let passed = recompute(
            &log.checkpoint,
            &TileEdge::new(),
            false,
            &mut read,
            &mut |_, _| {},
        );
        assert_eq!(passed, Err(Broken), "{bad}");
    }
}
