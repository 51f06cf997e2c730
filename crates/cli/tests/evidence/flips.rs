//! Flipped bytes, missing files, files too many.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chancery_evidence::{EvidenceIndex, Files, INDEX_PATH, Report, TRUST_RECORD_PATH, object_path};

use crate::rng::Rng;
use crate::scene::{Scene, names, pick, with};

/// Flips of files that are not objects, which each have at least one, and of objects. Those of
/// objects take longer: the session is followed to its end all the same.
const OTHER_FLIPS: usize = 190;
const OBJECT_FLIPS: usize = 22;

/// Objects that are flipped at once where it is asked whether each is named.
const AT_ONCE: usize = 256;

/// One byte changed.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    pub(crate) path: String,
    pub(crate) at: usize,
    pub(crate) mask: u8,
}

impl Flip {
    /// A random change of a random byte.
    pub(crate) fn of(path: &str, files: &Files, rng: &mut Rng) -> Self {
        Self {
            path: path.to_owned(),
            at: rng.below(files.get(path).unwrap().len()),
            mask: 1 << rng.below(8),
        }
    }

    pub(crate) fn bytes(&self, files: &Files) -> Vec<u8> {
        let mut bytes = files.get(&self.path).unwrap().to_vec();
        bytes[self.at] ^= self.mask;
        bytes
    }

    fn apply(&self, files: &Files) -> Files {
        with(files, &self.path, Some(self.bytes(files)))
    }
}

/// Flips single bytes of every file that is not an object and of random objects of every kind.
pub(crate) fn each_single_flip_is_found(scene: &Scene, rng: &mut Rng) -> usize {
    let (others, objects) = scene.paths();
    let mut flips: Vec<_> = others
        .iter()
        .map(|path| Flip::of(path, &scene.files, rng))
        .collect();
    let logs: Vec<_> = others.iter().filter(|path| !is_record(path)).collect();
    while flips.len() < OTHER_FLIPS {
        let path = pick(rng, &logs);
        flips.push(Flip::of(path, &scene.files, rng));
    }
    for paths in by_kind(scene).values() {
        let path = pick(rng, paths).clone();
        flips.push(Flip::of(&path, &scene.files, rng));
    }
    while flips.len() < OTHER_FLIPS + OBJECT_FLIPS {
        let path = pick(rng, &objects).clone();
        flips.push(Flip::of(&path, &scene.files, rng));
    }
    assert!(flips.len() >= 200);
    each(&flips, |flip| {
        let report = scene.verify(&flip.apply(&scene.files));
        is_about(&report, &flip.path, &format!("{flip:?}"));
    });
    flips.len()
}

/// Flips one byte of each object, many objects at once: each is named.
pub(crate) fn every_object_is_named_when_flipped(scene: &Scene, rng: &mut Rng) -> usize {
    let (_, objects) = scene.paths();
    let flips: Vec<_> = objects
        .iter()
        .map(|path| Flip::of(path, &scene.files, rng))
        .collect();
    let batches: Vec<_> = flips.chunks(AT_ONCE).collect();
    each(&batches, |batch| {
        let mut files = scene.files.clone();
        for flip in *batch {
            files.insert(flip.path.clone(), flip.bytes(&scene.files));
        }
        let report = scene.verify(&files);
        for flip in *batch {
            is_about(&report, &flip.path, &format!("{flip:?}"));
        }
    });
    flips.len()
}

/// Deletes each file that is not an object, and one object of each kind.
pub(crate) fn each_deletion_is_found(scene: &Scene, rng: &mut Rng) -> usize {
    let (mut paths, _) = scene.paths();
    for of_kind in by_kind(scene).values() {
        paths.push(pick(rng, of_kind).clone());
    }
    each(&paths, |path| {
        let report = scene.verify(&with(&scene.files, path, None));
        is_about(&report, path, &format!("without {path}"));
        let missing = report
            .findings
            .iter()
            .any(|finding| finding.reason == "file_missing" && names(finding, path));
        assert!(missing, "without {path}: {:?}", report.findings);
    });
    paths.len()
}

/// Adds a file in each folder, of an unknown name and of one that could be right.
pub(crate) fn each_addition_is_found(scene: &Scene) -> usize {
    let added = [
        "note.txt",
        "objects/0000000000000000000000000000000000000000000000000000000000000000",
        "objects/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "log/gateway/tile/entries/900",
        "log/gateway/tile/7/000",
        "log/witness/checkpoint",
    ];
    each(&added, |path| {
        let report = scene.verify(&with(&scene.files, path, Some(Vec::new())));
        is_about(&report, path, &format!("with {path}"));
    });
    added.len()
}

fn is_record(path: &str) -> bool {
    path == TRUST_RECORD_PATH
}

/// The objects by what the index calls them.
fn by_kind(scene: &Scene) -> BTreeMap<&'static str, Vec<String>> {
    let index = EvidenceIndex::parse(scene.files.get(INDEX_PATH).unwrap()).unwrap();
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for object in &index.objects {
        let paths = kinds.entry(object.kind.name()).or_default();
        paths.push(object_path(object.digest));
    }
    kinds
}

fn is_about(report: &Report, path: &str, what: &str) {
    assert!(!report.is_verified(), "{what} was not noticed");
    assert!(
        report.findings.iter().any(|finding| names(finding, path)),
        "{what}: no finding names the file: {:?}",
        report.findings
    );
}

/// Does `job` for each of them, on all processors.
fn each<T: Sync>(of: &[T], job: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = of.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(one)));
                    if let Err(panic) = done {
                        failed.lock().unwrap().get_or_insert(panic);
                        next.store(of.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if let Some(panic) = failed.into_inner().unwrap() {
        std::panic::resume_unwind(panic);
    }
}
