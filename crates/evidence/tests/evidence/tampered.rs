//! Whatever is changed, taken away or added fails, and the finding names it.

use std::sync::LazyLock;

use chancery_audit::{Entry, Event, Label, Ruling};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_evidence::trust_record::TrustRecord;
use chancery_evidence::{
    Axis, Files, INDEX_PATH, ObjectKind, Place, Report, ReportOutcome, TRUST_RECORD_PATH,
    object_path, verify,
};
use chancery_policy::{SignedBundle, bundle_digest};
use chancery_types::{Algorithm, Digest, base64url, to_canonical};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::log_writer::LogSigner;
use crate::scene::{Scene, at, make_index};

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

/// The record, changed and signed again.
fn resigned(record: &[u8], key: &SigningKey, change: impl FnOnce(&mut TrustRecord)) -> Vec<u8> {
    let mut record: TrustRecord = serde_json::from_slice(record).unwrap();
    change(&mut record);
    record.cnf.jwk = chancery_evidence::trust_record::ConfirmationKey::of(key.public()).unwrap();
    let signature = key.sign(&record.signing_input().unwrap()).unwrap();
    record.signature = Some(base64url::encode(signature));
    record.to_bytes().unwrap()
}

#[test]
fn a_record_signed_again_by_the_right_key_still_has_to_say_what_the_log_says() {
    let changes: [fn(&mut TrustRecord); 11] = [
        |record| record.subject.push('x'),
        |record| record.policy.bundle_hash = Digest::of("x"),
        |record| record.policy.version = "2".to_owned(),
        |record| record.tool_transcript.hash = Digest::of("x"),
        |record| record.tool_transcript.call_count += 1,
        |record| record.transparency.push('x'),
        |record| record.iat -= 1_000,
        |record| record.runtime.measurement = Digest::of("x"),
        |record| record.build_provenance.slsa_level = 3,
        |record| record.references[0].digest = Digest::of("x"),
        |record| record.references.truncate(3),
    ];
    for change in changes {
        let mut scene = Scene::new();
        scene.record = resigned(&scene.record, &scene.signers.record, change);
        let report = check(&scene, &scene.files());
        fails(&report, "record_differs");
        fails(&report, "record_not_enrolled");
        assert!(names(&report, TRUST_RECORD_PATH));
    }
}

#[test]
fn a_swapped_object_shows_as_its_name_and_as_its_use() {
    let scene = Scene::new();
    let proofs: Vec<Digest> = of_kind(&scene, ObjectKind::Proof);
    let mut files = scene.files();
    let (one, other) = (object_path(proofs[0]), object_path(proofs[1]));
    let (first, second) = (
        files.get(&one).unwrap().to_vec(),
        files.get(&other).unwrap().to_vec(),
    );
    set(&mut files, &one, second);
    set(&mut files, &other, first);
    let report = check(&scene, &files);
    fails(&report, "object_altered");
    assert!(names(&report, &one) && names(&report, &other));
}

fn of_kind(scene: &Scene, kind: ObjectKind) -> Vec<Digest> {
    let objects = scene
        .objects
        .iter()
        .filter(|(_, (known, _))| *known == kind);
    objects.map(|(digest, _)| *digest).collect()
}

#[test]
fn an_object_and_its_index_cannot_be_changed_together() {
    for (digest, (kind, _)) in Scene::new().objects.clone() {
        let mut scene = Scene::new();
        // Keys differ between scenes, so that the digests of what is signed do too.
        let Some(digest) = of_kind(&scene, kind).first().copied().or(Some(digest)) else {
            continue;
        };
        let (_, mut bytes) = scene.objects.remove(&digest).unwrap();
        bytes.push(b' ');
        scene.objects.insert(Digest::of(&bytes), (kind, bytes));
        scene.index = make_index(&scene.objects);
        let report = check(&scene, &scene.files());
        fails(&report, "index_differs");
        assert!(names(&report, INDEX_PATH));
        let others = report
            .findings
            .iter()
            .filter(|finding| finding.reason != "index_differs");
        assert!(others.count() > 1, "{kind:?}: {:#?}", report.findings);
    }
}

#[test]
fn a_policy_changed_with_its_index_decides_nothing() {
    let mut scene = Scene::new();
    let digest = of_kind(&scene, ObjectKind::Policy)[0];
    let (kind, bytes) = scene.objects.remove(&digest).unwrap();
    let text = String::from_utf8(bytes)
        .unwrap()
        .replace("1000000", "9000000");
    let bytes = text.into_bytes();
    scene.objects.insert(Digest::of(&bytes), (kind, bytes));
    scene.index = make_index(&scene.objects);
    let report = check(&scene, &scene.files());
    fails(&report, "policy_missing");
    fails(&report, "policy_signature");
    fails(&report, "object_unreferenced");
    fails(&report, "index_differs");
}

#[test]
fn files_that_no_policy_signer_signed_are_no_policy() {
    let mut scene = Scene::new();
    let digest = of_kind(&scene, ObjectKind::Policy)[0];
    let (kind, bytes) = scene.objects.remove(&digest).unwrap();
    let mut signed: SignedBundle = serde_json::from_slice(&bytes).unwrap();
    let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let statement = SignedBundle::statement(bundle_digest(&signed.to_files()).unwrap());
    signed.signature = base64url::encode(other.sign(&statement).unwrap());
    let bytes = to_canonical(&signed).unwrap();
    scene.objects.insert(Digest::of(&bytes), (kind, bytes));
    scene.index = make_index(&scene.objects);
    fails(&check(&scene, &scene.files()), "policy_signature");
}

#[test]
fn an_object_that_nothing_refers_to_is_found() {
    let mut scene = Scene::new();
    let bytes = b"{\"more\":1}".to_vec();
    scene
        .objects
        .insert(Digest::of(&bytes), (ObjectKind::Arguments, bytes));
    scene.index = make_index(&scene.objects);
    fails(&check(&scene, &scene.files()), "object_unreferenced");
    let mut scene = Scene::new();
    let digest = of_kind(&scene, ObjectKind::Proof)[0];
    scene.objects.get_mut(&digest).unwrap().0 = ObjectKind::Mission;
    scene.index = make_index(&scene.objects);
    fails(&check(&scene, &scene.files()), "object_kind");
}

/// Rewrites the gateway's log from an entry on, with every instance's chain made whole again: what
/// a gateway that lies from the start could write.
fn rewritten(scene: &mut Scene, change: impl Fn(&mut Event) -> bool) {
    let entries = scene.gateway.parsed();
    scene.gateway.entries.clear();
    scene.gateway.note = None;
    let mut last = std::collections::BTreeMap::new();
    let mut decisions = std::collections::BTreeMap::new();
    for mut entry in entries {
        if !change(&mut entry.event) {
            continue;
        }
        let name = entry.event.instance_link().map(|(_, name, _)| name.clone());
        if let Event::Outcome(outcome) = &mut entry.event {
            outcome.decision = decisions[&outcome.execution];
        }
        if let Some(link) = link_of(&mut entry.event) {
            let (seq, prev) = match last.get(name.as_ref().unwrap()) {
                Some((seq, leaf)) => (seq + 1, Some(Clone::clone(leaf))),
                None => (0, None),
            };
            link.seq = seq;
            link.prev = prev;
        }
        let leaf = scene.gateway.push(&entry);
        if let Event::Decision(decision) = &entry.event {
            decisions.insert(decision.execution, leaf.index);
        }
        if let Some((_, name, link)) = entry.event.instance_link() {
            last.insert(name.clone(), (link.seq, leaf));
        }
    }
}

fn link_of(event: &mut Event) -> Option<&mut chancery_audit::InstanceLink> {
    match event {
        Event::SessionJoin(body) => Some(&mut body.link),
        Event::SessionLeave(body) => Some(&mut body.link),
        Event::Decision(body) => Some(&mut body.link),
        Event::Outcome(body) => Some(&mut body.link),
        Event::ApprovalRequest(body) => Some(&mut body.link),
        Event::ApprovalGrant(body) => Some(&mut body.link),
        _ => None,
    }
}

#[test]
fn rewriting_nothing_changes_nothing_but_the_signature() {
    let mut scene = Scene::new();
    let before = scene.gateway.entries.clone();
    rewritten(&mut scene, |_| true);
    assert_eq!(scene.gateway.entries, before);
}

#[test]
fn a_gateway_that_lies_is_found_by_deciding_again() {
    type Lie = fn(&mut Event) -> bool;
    let lies: [(&str, Lie); 14] = [
        // Another step than the proof cites.
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "permit"
            {
                decision.step = Some(Label::or_digest("step-2"));
            }
            true
        }),
        // The opinion that came is not told; that it came is not proven by anything else.
        ("object_unreferenced", |event| {
            if let Event::Decision(decision) = event {
                decision.opinion = None;
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "policy_forbid"
            {
                decision.reason = Label::or_digest("policy_no_match");
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "policy_forbid"
            {
                decision.outcome = Ruling::Allow;
                decision.reason = Label::or_digest("permit");
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event
                && decision.reason == "holder_mismatch"
            {
                decision.reason = Label::or_digest("pop_bad_signature");
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event {
                decision.determining.clear();
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event {
                decision.approvals.clear();
            }
            true
        }),
        ("decision_differs", |event| {
            if let Event::Decision(decision) = event {
                decision.charges.clear();
            }
            true
        }),
        ("decision_differs", |event| {
            !matches!(event, Event::ApprovalGrant(_))
        }),
        ("does_not_follow", |event| {
            !matches!(event, Event::ApprovalRequest(_))
        }),
        ("dangling", |event| !matches!(event, Event::Outcome(_))),
        (
            "does_not_follow",
            |event| !matches!(event, Event::DelegationEnrol(enrol) if enrol.delegation == "root-1"),
        ),
        ("delegation_differs", |event| {
            if let Event::DelegationEnrol(enrol) = event {
                enrol.depth += 1;
            }
            true
        }),
        ("chain_open", |event| {
            !matches!(event, Event::SessionLeave(_))
        }),
    ];
    for (at, (reason, lie)) in lies.into_iter().enumerate() {
        let mut scene = Scene::new();
        rewritten(&mut scene, lie);
        let report = check(&scene, &scene.files());
        assert!(
            has(&report, reason),
            "{at} {reason}: {:#?}",
            report.findings
        );
        // The server enrolled another log.
        assert!(has(&report, "log_forked") || has(&report, "checkpoint_not_enrolled"));
    }
}

#[test]
fn a_lying_opening_or_approval_is_found() {
    type Lie = fn(&mut Event) -> bool;
    let lies: [(&str, Lie); 12] = [
        // More than the mission's budget, later than its end, another approver than it names.
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.max_calls = Some(101);
            }
            true
        }),
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.max_cost_micros = None;
            }
            true
        }),
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.approver = Some(crate::scene::id(3));
            }
            true
        }),
        ("open_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.assurance = chancery_audit::Assurance::Asserted;
            }
            true
        }),
        ("principal_undisclosed", |event| {
            if let Event::SessionOpen(open) = event {
                open.principal = open.operator;
            }
            true
        }),
        ("gateway_differs", |event| {
            if let Event::SessionOpen(open) = event {
                open.gateway = Label::or_digest("spiffe://example.org/service/other");
            }
            true
        }),
        ("trust_unknown", |event| {
            if let Event::SessionOpen(open) = event {
                open.trust = 7;
            }
            true
        }),
        ("join_differs", |event| {
            if let Event::SessionJoin(join) = event {
                join.isolation = chancery_audit::Isolation::Unisolated;
            }
            true
        }),
        ("token_missing", |event| {
            if let Event::SessionJoin(join) = event {
                join.agent_key = Digest::of("x");
            }
            true
        }),
        ("display_differs", |event| {
            if let Event::ApprovalRequest(request) = event {
                request.asks.push(Label::or_digest("more"));
            }
            true
        }),
        ("grant_differs", |event| {
            if let Event::ApprovalGrant(grant) = event {
                grant.expires = at(550);
            }
            true
        }),
        ("answer_not_enrolled", |event| {
            if let Event::ApprovalGrant(grant) = event {
                grant.verdict = chancery_audit::Verdict::Deny;
            }
            true
        }),
    ];
    for (reason, lie) in lies {
        let mut scene = Scene::new();
        rewritten(&mut scene, lie);
        let report = check(&scene, &scene.files());
        assert!(has(&report, reason), "{reason}: {:#?}", report.findings);
    }
}

/// Claims that a call was simply allowed.
fn allow(event: &mut Event, reason: &str) -> bool {
    if let Event::Decision(decision) = event
        && decision.reason == reason
    {
        decision.outcome = Ruling::Allow;
        decision.reason = Label::or_digest("permit");
        decision.determining = vec![Label::or_digest("reads")];
    }
    true
}

#[test]
fn what_the_mission_says_is_decided_again() {
    let forbidding: fn(&mut Value) = |document| {
        document["forbid"] = json!([{"type": "mcp_tool", "server": "bank", "tool": "list"}]);
    };
    let stopping: fn(&mut Value) = |document| {
        document["stop"] = json!([{"when": "elapsed", "seconds": 10}]);
    };
    for (mission, reason) in [
        (forbidding, "mission_forbid"),
        (stopping, "mission_stopped"),
    ] {
        let told = |scene: &Scene| {
            scene
                .gateway
                .parsed()
                .iter()
                .any(|entry| match &entry.event {
                    Event::Decision(decision) => decision.reason == *reason,
                    _ => false,
                })
        };
        let mut scene = Scene::with_mission(mission);
        assert!(told(&scene), "{reason}");
        assert_eq!(check(&scene, &scene.files()).findings, [], "{reason}");
        rewritten(&mut scene, |event| allow(event, reason));
        assert!(!told(&scene));
        let report = check(&scene, &scene.files());
        assert!(
            has(&report, "decision_differs"),
            "{reason}: {:#?}",
            report.findings
        );
    }
}

#[test]
fn rules_for_chains_are_held_again() {
    let rules = |member: &str, value: Value| {
        let mut rules = json!({"rules": "chancery/delegation-rules/v1"});
        rules[member] = value;
        rules
    };
    let kept = Scene::with_rules(&rules("root", json!({"max_seconds": 2_000})));
    assert_eq!(check(&kept, &kept.files()).findings, []);
    // The gateway let chains in that break a rule, and says that a call was simply allowed.
    for (member, value, reason) in [
        ("root", json!({"max_seconds": 1_999}), "rules_lifetime"),
        ("max_depth", json!(2), "rules_depth"),
    ] {
        let mut scene = Scene::with_rules(&rules(member, value));
        fails(&check(&scene, &scene.files()), "rules_broken");
        rewritten(&mut scene, |event| allow(event, reason));
        fails(&check(&scene, &scene.files()), "decision_differs");
    }
}

#[test]
fn a_mission_that_is_none_and_one_that_is_over_are_found() {
    let mut scene = Scene::new();
    let digest = mission_of(&scene);
    scene.objects.get_mut(&digest).unwrap().1 = b"Pay.".to_vec();
    let report = check(&scene, &scene.files());
    fails(&report, "object_altered");
    assert!(!report.is_verified());
}

fn mission_of(scene: &Scene) -> Digest {
    let mut objects = scene.objects.iter();
    let found = objects.find(|(_, (kind, _))| *kind == ObjectKind::Mission);
    *found.unwrap().0
}

#[test]
fn the_same_lie_under_an_unnamed_key_is_refused_by_its_checkpoint() {
    let mut scene = Scene::new();
    rewritten(&mut scene, |event| {
        if let Event::Decision(decision) = event {
            decision.reason = Label::or_digest("permit");
        }
        true
    });
    scene.signers.gateway = LogSigner::new("example.org/log/gateway");
    let report = check(&scene, &scene.files());
    fails(&report, "checkpoint_refused");
    assert!(names(&report, "log/gateway/checkpoint"));
}

#[test]
fn a_proof_that_comes_twice_is_a_replay() {
    let mut scene = Scene::new();
    let first = scene
        .gateway
        .parsed()
        .into_iter()
        .find_map(|entry| match entry.event {
            Event::Decision(decision) if decision.reason == "ask" => Some(decision.proof),
            _ => None,
        });
    let entries = scene.gateway.parsed();
    scene.gateway.entries.clear();
    scene.gateway.note = None;
    for mut entry in entries {
        if let Event::Decision(decision) = &mut entry.event
            && decision.reason == "approved"
        {
            decision.proof = first.unwrap();
        }
        scene.gateway.push(&entry);
    }
    let report = check(&scene, &scene.files());
    let replayed = report
        .findings
        .iter()
        .any(|finding| finding.text.contains("(replay)"));
    assert!(replayed, "{:#?}", report.findings);
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

#[test]
fn entries_of_another_kind_or_time_are_found() {
    let mut scene = Scene::new();
    let end = scene.gateway.parsed().pop().unwrap();
    scene.server.append(at(10), end.event);
    let report = check(&scene, &scene.files());
    fails(&report, "entry_writer");
    fails(&report, "time_went_back");

    let mut scene = Scene::new();
    let mut entry: Entry = scene.server.parsed().pop().unwrap();
    entry.origin = Label::or_digest("example.org/log/gateway");
    scene.server.push(&entry);
    scene.server.entries.push(b"{}".to_vec());
    let report = check(&scene, &scene.files());
    fails(&report, "entry_origin");
    fails(&report, "entry_malformed");
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
