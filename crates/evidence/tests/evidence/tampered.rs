//! Whatever is changed, taken away or added fails, and the finding names it.

use chancery_audit::{Entry, Event, Label, Ruling};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_evidence::trust_record::TrustRecord;
use chancery_evidence::{
    Axis, Files, INDEX_PATH, ObjectKind, Place, Report, ReportOutcome, TRUST_RECORD_PATH,
    object_path, verify,
};
use chancery_types::{Algorithm, Digest, base64url, to_canonical};
use proptest::prelude::*;

use crate::log_writer::LogSigner;
use crate::scene::{Scene, at, make_index};

/// Most positions of one file that are flipped one by one.
const MOST: usize = 4_096;

fn check(scene: &Scene, files: &Files) -> Report {
    verify(files, Some(&scene.trust), &AwsLc, at(100))
}

fn names(report: &Report, path: &str) -> bool {
    report.findings.iter().any(|finding| match &finding.place {
        // A bundle of entries may be named as a whole.
        Place::File(named) => named == path || path.starts_with(&format!("{named}/")),
        _ => false,
    })
}

fn has(report: &Report, reason: &str) -> bool {
    report.findings.iter().any(|finding| finding.reason == reason)
}

#[track_caller]
fn fails(report: &Report, reason: &str) {
    assert_eq!(report.outcome, ReportOutcome::Failed);
    assert!(has(report, reason), "{reason} in {:#?}", report.findings);
}

fn set(files: &mut Files, path: &str, content: Vec<u8>) {
    files.insert(path.to_owned(), content);
}

fn without(files: &Files, path: &str) -> Files {
    let kept = files.iter().filter(|(known, _)| *known != path);
    kept.map(|(path, content)| (path.to_owned(), content.to_vec())).collect()
}

#[test]
fn every_byte_counts() {
    let scene = Scene::new();
    let files = scene.files();
    let mut positions = Vec::new();
    for (path, content) in files.iter() {
        let stride = content.len().div_ceil(MOST).max(1);
        positions.extend((0..content.len()).step_by(stride).map(|at| (path.to_owned(), at)));
    }
    eprintln!("{} positions", positions.len());
    let started = std::time::Instant::now();
    for (path, position) in positions.iter().take(200) {
        let mut content = files.get(path).unwrap().to_vec();
        content[*position] ^= 1 << (position % 8);
        let mut changed = files.clone();
        set(&mut changed, path, content);
        let report = check(&scene, &changed);
        assert_eq!(report.outcome, ReportOutcome::Failed, "{path} at {position}");
        assert!(names(&report, path), "{path} at {position}: {:#?}", report.findings);
    }
    eprintln!("{:?}", started.elapsed());
}
