//! What policy was asked, found again in evidence.

use chancery_crypto::AwsLc;
use chancery_evidence::{Files, ReportOutcome, asked};
use chancery_policy::Cause;
use serde_json::json;

use crate::scene::{Scene, at, id};

#[test]
fn every_decision_in_which_policy_was_asked_comes_out_again_from_what_was_asked() {
    let scene = Scene::new();
    let recorded = asked(&scene.files(), &scene.trust, &AwsLc, at(100)).unwrap();
    assert_eq!((recorded.session, recorded.decisions), (id(1), 5));
    let decided: Vec<_> = recorded
        .asked
        .iter()
        .map(|one| {
            let bundle = &recorded.bundles[&one.policy];
            let decision = bundle.decide(&one.question.request());
            (one.ruling.name(), one.reason.as_str(), decision.cause)
        })
        .collect();
    // The call with somebody else's chain never came to policy.
    assert_eq!(
        decided,
        [
            ("allow", "permit", Cause::Permit),
            ("deny", "policy_forbid", Cause::Forbid),
            ("escalate", "ask", Cause::Ask),
            ("allow", "approved", Cause::Granted),
        ]
    );
    let request = recorded.asked[3].question.request();
    assert_eq!(request.arguments, &json!({"amount": 5000}));
    assert_eq!(request.target.name, "pay");
    // The session as it stood before the call: the forbidden one and the escalated one are counted.
    assert_eq!((request.session.calls, request.session.escalated), (1, 1));
}

#[test]
fn what_is_not_verified_says_nothing_of_policy() {
    let scene = Scene::new();
    let whole = scene.files();
    for left_out in whole.paths() {
        let mut files = Files::new();
        for (path, bytes) in whole.iter().filter(|(path, _)| *path != left_out) {
            files.insert(path, bytes.to_vec());
        }
        let report = asked(&files, &scene.trust, &AwsLc, at(100)).unwrap_err();
        assert_eq!(report.outcome, ReportOutcome::Failed, "{left_out}");
    }
    let other = Scene::new();
    let report = asked(&whole, &other.trust, &AwsLc, at(100)).unwrap_err();
    assert_eq!(report.outcome, ReportOutcome::Failed);
}
