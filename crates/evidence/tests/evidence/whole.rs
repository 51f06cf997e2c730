//! What holds is said to hold.

use chancery_crypto::AwsLc;
use chancery_evidence::{NoteValue, ReportOutcome, actions, verify, why};

use crate::scene::{Scene, at, id};

#[test]
fn a_whole_session_verifies() {
    let scene = Scene::new();
    let files = scene.files();
    let report = verify(&files, Some(&scene.trust), &AwsLc, at(100));
    assert_eq!(report.findings, [], "{report:#?}");
    assert_eq!(report.outcome, ReportOutcome::Verified);
    for value in [
        NoteValue::SoftwareOnly,
        NoteValue::StandIn,
        NoteValue::Unwitnessed,
    ] {
        assert!(
            report.notes.iter().any(|note| note.value == value),
            "{value:?}"
        );
    }
}

#[test]
fn without_trust_evidence_is_self_asserted() {
    let scene = Scene::new();
    let report = verify(&scene.files(), None, &AwsLc, at(100));
    assert_eq!(report.outcome, ReportOutcome::SelfAsserted);
    assert!(!report.is_verified());
    assert_eq!(report.findings[0].reason, "self_asserted");
}

#[test]
fn actions_are_listed() {
    let lines = actions(&Scene::new().files());
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.name.as_str(), line.ruling.name(), line.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("list", "allow", "permit"),
            ("pay", "deny", "policy_forbid"),
            ("list", "deny", "holder_mismatch"),
            ("pay", "escalate", "ask"),
            ("pay", "allow", "approved"),
        ]
    );
    assert!(lines[0].outcome.is_some() && lines[1].outcome.is_none());
}

#[test]
fn why_tells_the_five_facts() {
    let scene = Scene::new();
    let files = scene.files();
    let story = why(&files, Some(&scene.trust), &AwsLc, id(5), at(100)).unwrap();
    assert_eq!(story.evidence, ReportOutcome::Verified);
    let text = story.to_string();
    for part in [
        "verified",
        "ended 2027-01-15T08:00:53",
        "pays invoices",
        "Pay the invoices of June.",
        "per_",
        "large payments need a person",
        "approve by per_",
        "stand-in",
        "the same decision comes out again",
        "the session ended (completed)",
        "{\"amount\":5000}",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!story.authority.valid);
    let places = [
        &story.action.places,
        &story.instance.places,
        &story.made_of.places,
        &story.on_behalf.places,
        &story.allowed.places,
        &story.authority.places,
    ];
    assert!(places.iter().all(|places| !places.is_empty()), "{story:#?}");
    assert!(serde_json::to_value(&story).is_ok());
    assert!(why(&files, Some(&scene.trust), &AwsLc, id(77), at(100)).is_err());
    assert!(why(&files, None, &AwsLc, id(5), at(100)).is_err());
}
