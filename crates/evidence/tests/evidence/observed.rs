//! A session in which policy was not enforced: what verifies says so, and hiding it is found.

use chancery_audit::{Event, Label, ObservedBy, Ruling};
use chancery_crypto::AwsLc;
use chancery_evidence::{
    Axis, AxisVerdict, NoteValue, Report, ReportOutcome, actions, asked, verify, why,
};
use chancery_policy::{Bundle, Cause, Files, Outcome, Question, schema_text, suggest};
use serde_json::{Value, json};

use crate::scene::{Scene, at, id};
use crate::tampered::lies::rewritten;

fn pays() -> Value {
    json!({"tools": ["bank/pay"]})
}

fn report(scene: &Scene) -> Report {
    verify(&scene.files(), Some(&scene.trust), &AwsLc, at(100))
}

fn scope(report: &Report) -> AxisVerdict {
    let mut axes = report.axes.iter();
    axes.find(|one| one.axis == Axis::Scope).unwrap().verdict
}

#[test]
fn a_session_with_unenforced_calls_is_never_plainly_verified() {
    let scene = Scene::observed(&pays());
    let found = report(&scene);
    assert_eq!(found.findings, [], "{found:#?}");
    assert_eq!(found.outcome, ReportOutcome::Unenforced);
    assert!(!found.is_verified());
    assert_eq!(scope(&found), AxisVerdict::Unenforced);
    let others = found.axes.iter().filter(|one| one.axis != Axis::Scope);
    for one in others {
        assert_eq!(one.verdict, AxisVerdict::Holds, "{:?}", one.axis);
    }
    let notes: Vec<_> = found
        .notes
        .iter()
        .filter(|note| note.value == NoteValue::Unenforced)
        .collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    let text = &notes[0].about;
    assert!(text.contains("bank/pay allow"), "{text}");
    assert!(
        notes
            .iter()
            .any(|it| it.about.contains("deny (policy_forbid)"))
    );
    assert!(notes.iter().any(|it| it.about.contains("escalate (ask)")));
    // The bundle observes, and nothing passed that policy did not allow.
    let none = Scene::observed(&json!({"tools": ["bank/list"]}));
    let found = report(&none);
    assert_eq!(found.outcome, ReportOutcome::Verified, "{found:#?}");
    assert_eq!(scope(&found), AxisVerdict::Holds);
}

#[test]
fn the_record_says_that_denials_did_not_block() {
    let record = |scene: &Scene| -> Value { serde_json::from_slice(&scene.record).unwrap() };
    let observed = record(&Scene::observed(&pays()));
    assert_eq!(observed["policy"]["enforcement_mode"], "advisory");
    assert_eq!(observed["tool_transcript"]["unenforced_count"], 2);
    let enforced = record(&Scene::new());
    assert_eq!(enforced["policy"]["enforcement_mode"], "enforce");
    assert!(
        enforced["tool_transcript"]
            .get("unenforced_count")
            .is_none()
    );
}

#[test]
fn why_and_the_list_say_what_policy_said() {
    let scene = Scene::observed(&pays());
    let files = scene.files();
    let story = why(&files, Some(&scene.trust), &AwsLc, id(2), at(100)).unwrap();
    let said = story.allowed.unenforced.as_ref().unwrap();
    assert_eq!((said.verdict, said.by), (Ruling::Deny, ObservedBy::Tool));
    let text = story.to_string();
    for part in [
        "policy was not enforced in all calls",
        "allow (observed), unenforced",
        "policy says deny (policy_forbid), which was not enforced: observed by tool",
        "huge",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let story = why(&files, Some(&scene.trust), &AwsLc, id(1), at(100)).unwrap();
    assert!(!story.to_string().contains("unenforced"), "{story}");
    let lines = actions(&files);
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.ruling, line.reason.as_str(), line.unenforced))
        .collect();
    assert_eq!(
        told,
        [
            (Ruling::Allow, "permit", None),
            (Ruling::Allow, "observed", Some(Ruling::Deny)),
            (Ruling::Deny, "holder_mismatch", None),
            (Ruling::Allow, "observed", Some(Ruling::Escalate)),
        ]
    );
    let recorded = asked(&files, &scene.trust, &AwsLc, at(100)).unwrap();
    let unenforced: Vec<_> = recorded.asked.iter().map(|one| one.unenforced).collect();
    assert_eq!(unenforced, [false, true, true]);
}

/// What was observed gives a policy under which exactly that passes.
#[test]
fn what_was_observed_drafts_the_policy_that_covers_it() {
    let scene = Scene::observed(&pays());
    let recorded = asked(&scene.files(), &scene.trust, &AwsLc, at(100)).unwrap();
    let bundle = recorded.bundles.values().next().unwrap();
    let passed = recorded
        .asked
        .iter()
        .filter(|one| one.ruling == Ruling::Allow);
    let passed: Vec<_> = passed.map(|one| one.question.clone()).collect();
    let said = |question: &Question| bundle.decide(&question.request()).cause;
    let text = suggest(bundle.index(), passed.iter().map(|it| (it, said(it))));
    let mut files = Files::from([
        (
            "bundle.json".to_owned(),
            json!({"name": "p", "version": 2, "tools": {
                "bank/pay": {"args": {"amount": "long"}, "clear": ["amount"],
                    "cost_arg": "amount", "cost_unit": "cents"},
                "bank/list": {}}})
            .to_string()
            .into_bytes(),
        ),
        ("suggested.cedar".to_owned(), text.clone().into_bytes()),
    ]);
    let schema = schema_text(bundle.index());
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    let draft = Bundle::load(&files).unwrap();
    assert_eq!(passed.len(), 3);
    for question in &passed {
        // What policy asks about is asked about.
        let decided = draft.decide(&question.request());
        let expected = match said(question) {
            Cause::Ask => Outcome::Escalate,
            _ => Outcome::Allow,
        };
        assert_eq!(decided.outcome, expected, "{text}");
        // A neighbour of it: another tool, another amount, another agent.
        let denied = |change: &dyn Fn(&mut Value)| {
            let mut other = serde_json::to_value(question).unwrap();
            change(&mut other);
            let other = Question::parse(other.to_string().as_bytes()).unwrap();
            let decided = draft.decide(&other.request());
            assert_eq!(decided.outcome, Outcome::Deny, "{other:?}\n{text}");
        };
        denied(&|it| it["tool"] = json!("bank/close"));
        denied(&|it| it["principal"]["agent"] = json!("spiffe://example.org/agent/other"));
        if question.request().target.name == "pay" {
            denied(&|it| it["args"]["amount"] = json!(4_999));
            denied(&|it| it["args"]["amount"] = json!(2_000_001));
        }
    }
}

#[test]
fn what_was_not_enforced_cannot_be_hidden_nor_claimed() {
    type Lie = fn(&mut chancery_audit::Decision);
    let observed: [Lie; 6] = [
        |it| it.unenforced = None,
        |it| {
            it.unenforced = None;
            it.reason = Label::or_digest("permit");
        },
        |it| it.unenforced.as_mut().unwrap().outcome = Ruling::Allow,
        |it| it.unenforced.as_mut().unwrap().reason = Label::or_digest("policy_error"),
        |it| it.unenforced.as_mut().unwrap().determining = vec![Label::or_digest("small")],
        |it| it.unenforced.as_mut().unwrap().by = ObservedBy::Bundle,
    ];
    for (number, lie) in observed.into_iter().enumerate() {
        let mut scene = Scene::observed(&pays());
        rewritten(&mut scene, |event| {
            if let Event::Decision(decision) = event
                && decision.unenforced.is_some()
            {
                lie(decision);
            }
            true
        });
        let found = report(&scene);
        assert_eq!(found.outcome, ReportOutcome::Failed, "{number}");
        let mut reasons = found.findings.iter().map(|finding| finding.reason);
        assert!(reasons.any(|it| it == "decision_differs"), "{number}");
    }
    // A gateway whose bundle observes nothing lets nothing pass in its name.
    let mut scene = Scene::new();
    rewritten(&mut scene, |event| {
        if let Event::Decision(decision) = event
            && decision.reason == "policy_forbid"
        {
            decision.outcome = Ruling::Allow;
            decision.reason = Label::or_digest("observed");
            let determining = std::mem::take(&mut decision.determining);
            decision.unenforced = Some(chancery_audit::Unenforced {
                outcome: Ruling::Deny,
                reason: Label::or_digest("policy_forbid"),
                determining,
                by: ObservedBy::Bundle,
            });
        }
        true
    });
    let found = report(&scene);
    assert_eq!(found.outcome, ReportOutcome::Failed);
    assert!(
        found
            .findings
            .iter()
            .any(|it| it.reason == "decision_differs")
    );
}
