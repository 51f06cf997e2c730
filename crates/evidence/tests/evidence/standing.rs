//! Roots that rest on a standing consent: each use held against the whole log of the server.

use chancery_audit::{Assurance, ConsentStanding, DelegationRoot, Event, Label, commit};
use chancery_crypto::AwsLc;
use chancery_delegation::{Revocable, Revocation, RevocationSet};
use chancery_evidence::{Report, ReportOutcome, verify};
use chancery_types::id::ConsentId;
use chancery_types::{Digest, RevocationKind};

use crate::scene::{Builder, Scene, at, id};

type Change = fn(&mut Vec<Event>);

fn report(scene: &Scene) -> Report {
    verify(&scene.files(), Some(&scene.trust), &AwsLc, at(100))
}

#[track_caller]
fn fails(scene: &Scene, reason: &str) {
    let report = report(scene);
    assert_eq!(report.outcome, ReportOutcome::Failed);
    let mut found = report.findings.iter();
    let has = found.any(|finding| finding.reason == reason);
    assert!(has, "{reason} in {:#?}", report.findings);
}

fn alter(before: &mut [Event], change: fn(&mut ConsentStanding)) {
    for event in before {
        if let Event::ConsentStanding(standing) = event {
            change(standing);
        }
    }
}

/// A root of another session, which says that it is a use of the same standing consent.
fn other_root(consent: ConsentId, number: u64) -> Event {
    DelegationRoot {
        delegation: Label::or_digest("root-0"),
        link: Digest::of("root-0"),
        session: id(77),
        delegate: Label::or_digest("spiffe://example.org/agent/clerk/instance/x"),
        principal: commit("principal", &[9; 32], b"somebody"),
        mission: Digest::of("mission"),
        assurance: Assurance::Standing,
        consent: Digest::of("consent"),
        epoch: 1,
        expires: at(100),
        standing: Some(consent),
        standing_use: Some(number),
    }
    .into()
}

#[test]
fn a_use_that_is_enrolled_after_its_consent_verifies() {
    let changes: [Change; 3] = [
        |_| {},
        // Another number, and the same number of another consent.
        |before| before.push(other_root(id(8), 2)),
        |before| before.push(other_root(id(9), 1)),
    ];
    for change in changes {
        let report = report(&Scene::with_standing(change, |_, _| {}));
        assert_eq!(report.findings, [], "{report:#?}");
    }
}

#[test]
fn a_use_whose_consent_the_log_lacks_or_has_otherwise_is_found() {
    let lacking: [Change; 2] = [
        |before| before.clear(),
        |before| alter(before, |it| it.standing = id(9)),
    ];
    for change in lacking {
        let scene = Scene::with_standing(change, |_, _| {});
        fails(&scene, "consent_not_enrolled");
    }
    let differing: [Change; 7] = [
        |before| alter(before, |it| it.statement = Digest::of("other")),
        |before| alter(before, |it| it.consent = Digest::of("other")),
        |before| alter(before, |it| it.mission = Digest::of("other")),
        |before| alter(before, |it| it.agent = Label::or_digest("other")),
        |before| alter(before, |it| it.max_uses = 30),
        |before| alter(before, |it| it.max_seconds = 30),
        |before| alter(before, |it| it.expires = at(90_000)),
    ];
    for change in differing {
        let scene = Scene::with_standing(change, |_, _| {});
        fails(&scene, "consent_differs");
    }
    // One that is enrolled after its use.
    fn later(play: &mut Builder, second: u64) {
        if second == 25 {
            let consent = play.consent.take().unwrap();
            play.enrol(24, consent);
        }
    }
    let late = Scene::with_standing(|before| before.clear(), later);
    fails(&late, "consent_not_enrolled");
}

#[test]
fn a_number_that_two_roots_have_is_found() {
    let scene = Scene::with_standing(|before| before.push(other_root(id(8), 1)), |_, _| {});
    fails(&scene, "consent_used_twice");
    // Also where the second one came later.
    fn later(play: &mut Builder, second: u64) {
        if second == 25 {
            play.enrol(24, other_root(id(8), 1));
        }
    }
    fails(&Scene::with_standing(|_| {}, later), "consent_used_twice");
}

#[test]
fn a_call_below_a_revoked_consent_is_wrong() {
    fn known(play: &mut Builder, second: u64) {
        if second == 25 {
            let consent: ConsentId = id(8);
            let kind = RevocationKind::Consent;
            play.server.revoke(24, kind, &consent.to_string());
            let what = Revocable::new(kind, &consent.to_string()).unwrap();
            let mut set = RevocationSet::default();
            set.revoke(&Revocation { what, at: at(24) }).unwrap();
            play.adopt(25, 1, &set);
        }
    }
    fails(&Scene::with_standing(|_| {}, known), "allowed_revoked");
    // Of a root that rests on no standing consent it says nothing.
    let single = Scene::with(known, chancery_audit::EndReason::Completed, None);
    let report = report(&single);
    assert_eq!(report.findings, [], "{report:#?}");
}
