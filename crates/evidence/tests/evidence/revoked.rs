//! What was revoked, and what the gateway had to know of it.

use chancery_audit::EndReason;
use chancery_crypto::AwsLc;
use chancery_delegation::{Revocable, Revocation, RevocationSet};
use chancery_evidence::{NoteValue, Report, ReportOutcome, verify, why};
use chancery_types::RevocationKind;

use crate::scene::{Builder, Scene, approver, at, id};

const TOKEN: RevocationKind = RevocationKind::Token;

fn set(all: &[(RevocationKind, &str, u64)]) -> RevocationSet {
    let mut set = RevocationSet::default();
    for (kind, name, second) in all {
        let what = Revocable::new(*kind, name).unwrap();
        let at = at(*second);
        set.revoke(&Revocation { what, at }).unwrap();
    }
    set
}

fn report(scene: &Scene) -> Report {
    verify(&scene.files(), Some(&scene.trust), &AwsLc, at(100))
}

fn completed(beside: fn(&mut Builder, u64)) -> Scene {
    Scene::with(beside, EndReason::Completed, None)
}

#[track_caller]
fn fails(scene: &Scene, reason: &str) {
    let report = report(scene);
    assert_eq!(report.outcome, ReportOutcome::Failed);
    let mut found = report.findings.iter();
    let has = found.any(|finding| finding.reason == reason);
    assert!(has, "{reason} in {:#?}", report.findings);
}

/// The worker's link is revoked once it has made its calls.
fn honest(play: &mut Builder, second: u64) {
    match second {
        9 => play.adopt(9, 1, RevocationSet::none()),
        35 => {
            play.server.revoke(34, TOKEN, "link-1");
            play.adopt(35, 1, &set(&[(TOKEN, "link-1", 34)]));
        }
        _ => {}
    }
}

#[test]
fn what_was_revoked_after_the_last_call_changes_nothing() {
    let scene = completed(honest);
    let report = report(&scene);
    assert_eq!(report.findings, [], "{report:#?}");
    assert_eq!(report.outcome, ReportOutcome::Verified);
}

#[test]
fn why_says_that_the_authority_was_withdrawn() {
    let scene = completed(honest);
    let told = |execution| {
        why(
            &scene.files(),
            Some(&scene.trust),
            &AwsLc,
            id(execution),
            at(60),
        )
        .unwrap()
    };
    // The worker's call, and the orchestrator's.
    let worker = told(2).authority;
    let over = "the token of link 1 of the chain is revoked".to_owned();
    assert!(worker.over.contains(&over), "{:?}", worker.over);
    assert!(
        worker
            .places
            .iter()
            .any(|place| place.entry == "revocation.add")
    );
    let other = told(5).authority;
    assert!(!other.over.iter().any(|over| over.contains("revoked")));
}

#[test]
fn a_call_that_was_allowed_after_its_revocation_was_known_is_wrong() {
    fn known(play: &mut Builder, second: u64) {
        if second == 25 {
            play.server.revoke(24, TOKEN, "root-1");
            play.adopt(25, 1, &set(&[(TOKEN, "root-1", 24)]));
        }
    }
    fails(&completed(known), "allowed_revoked");
    // The same where the gateway had not learnt of it yet.
    fn unknown(play: &mut Builder, second: u64) {
        if second == 25 {
            play.adopt(23, 1, RevocationSet::none());
            play.server.revoke(24, TOKEN, "root-1");
        }
    }
    let report = report(&completed(unknown));
    assert_eq!(report.findings, [], "{report:#?}");
}

#[test]
fn an_epoch_that_was_raised_ends_every_chain() {
    fn raised(play: &mut Builder, second: u64) {
        if second == 25 {
            play.server.raise(24, 2);
            play.adopt(25, 2, RevocationSet::none());
        }
    }
    fails(&completed(raised), "allowed_revoked");
}

#[test]
fn a_snapshot_holds_what_the_servers_log_has() {
    fn dropped(play: &mut Builder, second: u64) {
        if second == 35 {
            play.server.revoke(34, TOKEN, "link-1");
            play.adopt(35, 1, RevocationSet::none());
        }
    }
    fails(&completed(dropped), "snapshot_differs");
    fn invented(play: &mut Builder, second: u64) {
        if second == 35 {
            play.adopt(35, 1, &set(&[(TOKEN, "link-1", 34)]));
        }
    }
    fails(&completed(invented), "snapshot_differs");
    fn other_epoch(play: &mut Builder, second: u64) {
        if second == 35 {
            play.adopt(35, 2, RevocationSet::none());
        }
    }
    fails(&completed(other_epoch), "snapshot_differs");
    fn lifted(play: &mut Builder, second: u64) {
        if second == 35 {
            play.server.revoke(32, TOKEN, "link-1");
            play.server.lift(33, TOKEN, "link-1", 32);
            play.adopt(35, 1, RevocationSet::none());
        }
    }
    assert_eq!(report(&completed(lifted)).findings, []);
    fn lifted_another(play: &mut Builder, second: u64) {
        if second == 35 {
            play.server.revoke(32, TOKEN, "link-1");
            play.server.lift(33, TOKEN, "link-1", 31);
            play.adopt(35, 1, RevocationSet::none());
        }
    }
    fails(&completed(lifted_another), "snapshot_differs");
}

#[test]
fn snapshots_only_go_forward() {
    fn back(play: &mut Builder, second: u64) {
        if second == 35 {
            play.adopt(35, 1, RevocationSet::none());
            play.adopt(34, 1, RevocationSet::none());
        }
    }
    fails(&completed(back), "snapshot_order");
}

#[test]
fn a_session_ends_as_revoked_only_by_what_governed() {
    fn root(play: &mut Builder, second: u64) {
        if second == 35 {
            play.server.revoke(34, TOKEN, "root-1");
            play.adopt(35, 1, &set(&[(TOKEN, "root-1", 34)]));
        }
    }
    let ended = |beside, cause| Scene::with(beside, EndReason::Revoked, cause);
    let whole = report(&ended(root, Some("token")));
    assert_eq!(whole.findings, [], "{whole:#?}");
    for (beside, cause) in [
        (root as fn(&mut Builder, u64), Some("person")),
        (root, None),
        (honest, Some("token")),
    ] {
        fails(&ended(beside, cause), "revocation_unfounded");
    }
}

/// What a report of a scene with late calls finds, and whether it names a late withdrawal.
fn found(beside: fn(&mut Builder, u64), seconds: u64) -> (Vec<&'static str>, bool) {
    let scene = Scene::late(beside, seconds);
    let report = verify(&scene.files(), Some(&scene.trust), &AwsLc, at(2_000));
    let mut notes = report.notes.iter();
    let late = notes.any(|note| note.value == NoteValue::LateWithdrawal);
    let found: std::collections::BTreeSet<_> = report
        .findings
        .iter()
        .map(|finding| finding.reason)
        .collect();
    (found.into_iter().collect(), late)
}

#[test]
fn a_gateway_that_keeps_quiet_about_snapshots_knows_no_less() {
    // It never says which snapshot governs, or goes on with the one from before.
    fn silent(play: &mut Builder, second: u64) {
        if second == 9 {
            play.server.revoke(9, TOKEN, "root-1");
        }
    }
    fn stuck(play: &mut Builder, second: u64) {
        if second == 9 {
            play.adopt(8, 1, RevocationSet::none());
            play.server.revoke(9, TOKEN, "root-1");
        }
    }
    fn raised(play: &mut Builder, second: u64) {
        if second == 9 {
            play.server.raise(9, 2);
        }
    }
    // The worker's link, by which nothing is allowed.
    fn other(play: &mut Builder, second: u64) {
        if second == 9 {
            play.server.revoke(9, TOKEN, "link-1");
        }
    }
    fn lifted(play: &mut Builder, second: u64) {
        if second == 9 {
            play.server.revoke(9, TOKEN, "root-1");
            play.server.lift(10, TOKEN, "root-1", 9);
        }
    }
    let wrong = || vec!["allowed_revoked"];
    // What is allowed comes 11 and 22 seconds after the withdrawal, and so many more.
    for beside in [silent, stuck, raised] {
        assert_eq!(found(beside, 0), (vec![], true));
        assert_eq!(found(beside, 877), (vec![], true));
        assert_eq!(found(beside, 878), (wrong(), true));
        assert_eq!(found(beside, 889), (wrong(), false));
    }
    assert_eq!(found(other, 889), (vec![], false));
    assert_eq!(found(lifted, 889), (vec![], false));
}

#[test]
fn nobody_who_is_revoked_approves() {
    const PERSON: RevocationKind = RevocationKind::Person;
    fn known(play: &mut Builder, second: u64) {
        if second == 25 {
            let name = approver().to_string();
            play.server.revoke(24, PERSON, &name);
            play.adopt(25, 1, &set(&[(PERSON, &name, 24)]));
        }
    }
    fails(&Scene::answered_by_another(known), "approval_revoked");
    // The same where the gateway had not learnt of it yet.
    fn unknown(play: &mut Builder, second: u64) {
        if second == 25 {
            play.server.revoke(24, PERSON, &approver().to_string());
        }
    }
    let scene = Scene::answered_by_another(unknown);
    assert_eq!(report(&scene).findings, []);
    // Who was not asked is no matter.
    fn nobody(play: &mut Builder, second: u64) {
        if second == 25 {
            let name = id::<chancery_types::id::PersonKind>(7).to_string();
            play.server.revoke(24, PERSON, &name);
            play.adopt(25, 1, &set(&[(PERSON, &name, 24)]));
        }
    }
    let scene = Scene::answered_by_another(nobody);
    assert_eq!(report(&scene).findings, []);
}
