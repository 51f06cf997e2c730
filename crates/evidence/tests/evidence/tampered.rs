//! Whatever is changed, taken away or added fails, and the finding names it.

pub(crate) mod lies;
mod quorum;
mod shared;
pub(crate) mod swaps;

use std::sync::LazyLock;

use chancery_crypto::{AwsLc, SigningKey};
use chancery_evidence::{
    Axis, Files, INDEX_PATH, Place, Report, ReportOutcome, TRUST_RECORD_PATH, object_path, verify,
};
use chancery_types::{Algorithm, Digest, to_canonical};
use proptest::prelude::*;

use crate::log_writer::LogSigner;
use crate::scene::{Scene, at};
use swaps::resigned;

/// A scene for what only changes its files.
static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

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
    report
        .findings
        .iter()
        .any(|finding| finding.reason == reason)
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
    kept.map(|(path, content)| (path.to_owned(), content.to_vec()))
        .collect()
}

/// Flips one bit at up to `most` positions of every file.
fn flip(most: usize) {
    let scene = Scene::new();
    let files = scene.files();
    let mut positions = Vec::new();
    for (path, content) in files.iter() {
        let stride = content.len().div_ceil(most).max(1);
        positions.extend(
            (0..content.len())
                .step_by(stride)
                .map(|at| (path.to_owned(), at)),
        );
    }
    let half = positions.len() / 2;
    std::thread::scope(|scope| {
        for positions in [&positions[..half], &positions[half..]] {
            let (scene, files) = (&scene, &files);
            scope.spawn(move || {
                for (path, position) in positions {
                    let mut content = files.get(path).unwrap().to_vec();
                    content[*position] ^= 1 << (position % 8);
                    let mut changed = files.clone();
                    set(&mut changed, path, content);
                    let report = check(scene, &changed);
                    assert_eq!(
                        report.outcome,
                        ReportOutcome::Failed,
                        "{path} at {position}"
                    );
                    assert!(names(&report, path), "{path} at {position}: {report:#?}");
                }
            });
        }
    });
}

#[test]
fn every_part_of_every_file_counts() {
    flip(32);
}

#[test]
#[ignore = "minutes: every byte position; run by the nightly script"]
fn every_byte_counts() {
    flip(MOST);
}

#[test]
fn every_file_counts_and_no_other_may_be_there() {
    let scene = Scene::new();
    let files = scene.files();
    for path in files.paths() {
        let report = check(&scene, &without(&files, path));
        assert_eq!(report.outcome, ReportOutcome::Failed, "{path}");
        assert!(names(&report, path), "{path}: {:#?}", report.findings);
        let mut longer = files.clone();
        set(
            &mut longer,
            path,
            [files.get(path).unwrap(), &b"\n"[..]].concat(),
        );
        assert!(names(&check(&scene, &longer), path), "{path}");
        let mut empty = files.clone();
        set(&mut empty, path, Vec::new());
        assert!(names(&check(&scene, &empty), path), "{path}");
    }
    let digest = object_path(Digest::of("more"));
    for path in [
        "readme",
        "log/gateway/tile/0/001",
        "log/server/x",
        &digest,
        "objects/",
        "",
    ] {
        let mut more = files.clone();
        set(&mut more, path, b"more".to_vec());
        let report = check(&scene, &more);
        fails(&report, "file_unexpected");
        assert!(names(&report, path), "{path}");
    }
    let nothing = check(&scene, &Files::new());
    assert_eq!(nothing.outcome, ReportOutcome::Failed);
    assert!(nothing.findings.len() >= 4);
}

#[test]
fn an_omitted_entry_is_missed() {
    for index in 0..Scene::new().gateway.entries.len() {
        let mut scene = Scene::new();
        scene.gateway.entries.remove(index);
        let report = check(&scene, &scene.files());
        assert_eq!(report.outcome, ReportOutcome::Failed, "{index}");
        assert!(report.findings.iter().any(|finding| {
            matches!(&finding.place, Place::File(path) if path.starts_with("log/gateway/"))
        }));
    }
    // The log's own keys sign the shorter log: the server saw the longer one.
    let mut scene = Scene::new();
    scene.gateway.entries.pop();
    scene.gateway.note = None;
    let report = check(&scene, &scene.files());
    fails(&report, "checkpoint_not_enrolled");
    fails(&report, "session_end");
}

#[test]
fn an_entry_omitted_from_the_servers_log_is_missed() {
    let expected = [
        "trust_not_enrolled",
        "policy_not_published",
        "manifest_not_enrolled",
        "certificate_not_enrolled",
        "token_not_enrolled",
        "certificate_not_enrolled",
        "token_not_enrolled",
        "root_not_enrolled",
        "answer_not_enrolled",
        "checkpoint_not_enrolled",
        "record_not_enrolled",
    ];
    for (index, reason) in expected.into_iter().enumerate() {
        let mut scene = Scene::new();
        scene.server.entries.remove(index);
        fails(&check(&scene, &scene.files()), reason);
    }
}

#[test]
fn keys_that_the_trust_document_does_not_name_sign_nothing() {
    let mut scene = Scene::new();
    scene.signers.server = LogSigner::new("example.org/log/server");
    let report = check(&scene, &scene.files());
    fails(&report, "checkpoint_refused");
    assert!(names(&report, "log/server/checkpoint"));

    let mut scene = Scene::new();
    scene.signers.gateway = LogSigner::new("example.org/log/gateway");
    scene.gateway.note = None;
    fails(&check(&scene, &scene.files()), "checkpoint_refused");

    let mut scene = Scene::new();
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    scene.record = resigned(&scene.record, &key, |_| {});
    let report = check(&scene, &scene.files());
    fails(&report, "record_refused");
    assert!(names(&report, TRUST_RECORD_PATH));

    let scene = Scene::new();
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let signer = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let files = scene.files();
    for (reason, trust) in [
        (
            "token_refused",
            scene.trust_with(|it| it.token_authorities = vec![*other.public()]),
        ),
        (
            "chain_refused",
            scene.trust_with(|it| it.delegation_authorities.clear()),
        ),
        (
            "manifest_refused",
            scene.trust_with(|it| it.manifest_issuers.clear()),
        ),
        (
            "policy_signer",
            scene.trust_with(|it| it.policy_signers = vec![*signer.public()]),
        ),
        (
            "policy_signature",
            scene.trust_with(|it| it.policy_signers = vec![*signer.public()]),
        ),
        ("consent_refused", scene.trust_with(|it| it.people.clear())),
        ("approval_refused", scene.trust_with(|it| it.people.clear())),
        (
            "approval_refused",
            scene.trust_with(|it| it.people[0].roles.truncate(1)),
        ),
        (
            "consent_refused",
            scene.trust_with(|it| {
                it.people[0].roles.remove(0);
            }),
        ),
        (
            "record_refused",
            scene.trust_with(|it| it.record_signers.clear()),
        ),
        (
            "origin_unknown",
            scene.trust_with(|it| it.log_origins.clear()),
        ),
        ("trust_fork", scene.trust_with(|it| it.issued_at = at(1))),
        ("trust_not_enrolled", scene.trust_with(|it| it.version = 2)),
    ] {
        let report = verify(&files, Some(&trust), &AwsLc, at(100));
        fails(&report, reason);
        assert!(!report.is_verified());
    }
}

#[test]
fn a_newer_trust_document_than_given_is_a_matter_of_freshness() {
    let mut scene = Scene::new();
    let change = chancery_audit::TrustChange {
        version: 2,
        document: Digest::of("newer"),
        signers: Vec::new(),
        previous: Some(scene.trust.digest()),
    };
    scene.server.append(at(60), change.into());
    let report = check(&scene, &scene.files());
    fails(&report, "trust_superseded");
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.axis == Axis::Freshness)
    );
}

#[test]
fn evidence_from_the_future_is_not_fresh() {
    let scene = Scene::new();
    let early = at(0).minus_seconds(1_000);
    let report = verify(&scene.files(), Some(&scene.trust), &AwsLc, early);
    fails(&report, "from_the_future");
}

#[test]
fn acting_long_after_the_end_is_a_matter_of_revocation() {
    let mut scene = Scene::new();
    let mut end = scene.server.parsed().pop().unwrap();
    end.at = at(0).minus_seconds(2_000);
    scene.server.entries.insert(0, end.to_bytes().unwrap());
    fails(&check(&scene, &scene.files()), "acted_after_end");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn verification_is_total(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 8),
        index in any::<bool>(),
    ) {
        let scene = &*SCENE;
        let mut files = scene.files();
        let paths: Vec<String> = files.paths().map(str::to_owned).collect();
        for (at, content) in contents.iter().enumerate() {
            let path = &paths[(at * 7 + content.len()) % paths.len()];
            files.insert(path.clone(), content.clone());
        }
        if index {
            files.insert(INDEX_PATH, to_canonical(&contents).unwrap());
        }
        let report = check(scene, &files);
        prop_assert!(!report.is_verified());
        let _ = chancery_evidence::actions(&files);
        let execution = crate::scene::id(5);
        let _ = chancery_evidence::why(&files, Some(&scene.trust), &AwsLc, execution, at(0));
    }

    #[test]
    fn any_signed_entries_are_followed_without_panic(order in proptest::collection::vec(0_usize..40, 0..40)) {
        let mut scene = Scene::new();
        let entries = scene.gateway.entries.clone();
        scene.gateway.note = None;
        scene.gateway.entries =
            order.iter().filter_map(|at| entries.get(*at).cloned()).collect();
        prop_assume!(scene.gateway.entries != entries && !scene.gateway.entries.is_empty());
        let report = check(&scene, &scene.files());
        prop_assert!(!report.is_verified());
    }
}
