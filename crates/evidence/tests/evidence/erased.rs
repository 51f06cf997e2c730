//! What was erased, and what is only said to be: objects are gone by an erasure of whom they concern,
//! behind the session's end, and whatever the logs alone show must still hold.

use std::collections::BTreeSet;

use chancery_audit::*;
use chancery_crypto::AwsLc;
use chancery_delegation::{Revocable, Revocation, RevocationSet};
use chancery_evidence::{
    AxisVerdict, Concern, ERASED_PATH, ErasedConcern, ErasedFormat, ErasedObject, ErasedObjects,
    Erasure as Taken, Files, ObjectKind, Place, Replay, Report, ReportOutcome, TRUST_RECORD_PATH,
    object_path, verify, why,
};
use chancery_types::id::SessionKind;
use chancery_types::{Digest, RevocationKind};

use crate::scene::{Builder, Scene, approver, at, id, make_index, person};
use crate::tampered::swaps::{RECORD_LIES, resigned};

/// What somebody did to a session in the making.
type Change = fn(&mut Builder, u64);

/// The kinds that are about nobody.
const NOBODYS: [ObjectKind; 4] = [
    ObjectKind::Manifest,
    ObjectKind::Wit,
    ObjectKind::Policy,
    ObjectKind::Catalog,
];

fn session() -> Concern {
    Concern::Session(id(1))
}

/// What of a scene a person's key sealed who stands at its root and answered in it.
fn of_person(scene: &Scene) -> BTreeSet<Digest> {
    let all = scene.objects.iter();
    let sealed = all.filter(|(_, (kind, bytes))| {
        let of_operator = String::from_utf8_lossy(bytes).contains(r#""name":"operator""#);
        !(NOBODYS.contains(kind) || *kind == ObjectKind::Disclosure && of_operator)
    });
    sealed.map(|(digest, _)| *digest).collect()
}

fn of_kind(scene: &Scene, wanted: ObjectKind) -> BTreeSet<Digest> {
    let all = scene.objects.iter();
    let of_kind = all.filter(|(_, (kind, _))| *kind == wanted);
    of_kind.map(|(digest, _)| *digest).collect()
}

fn answers(scene: &Scene) -> Vec<Concern> {
    let approvals = of_kind(scene, ObjectKind::Approval).into_iter();
    approvals.map(Concern::Answer).collect()
}

/// An erasure, as it is enrolled; each test changes one thing.
struct Erasing {
    scope: Vec<Disclosure>,
    /// What the gateway's entry names.
    gone: BTreeSet<Digest>,
    done: u64,
    asked: u64,
}

fn scope_of(concerns: &[Concern]) -> Vec<Disclosure> {
    let salted = (1_u8..).zip(concerns);
    salted
        .map(|(salt, concern)| concern.disclosed([salt; 32]))
        .collect()
}

fn asked(scope: Option<&[Disclosure]>) -> Erasure {
    let scope = scope.map(Taken::scope);
    Erasure {
        subject: commit("erased-subject", &[1; 32], b"somebody"),
        by: commit("eraser", &[2; 32], b"operator"),
        reason: commit("erasure-reason", &[3; 32], b"asked"),
        values: 1,
        scope: scope.as_ref().map(Taken::root),
        scope_size: scope.as_ref().map(Taken::values),
    }
}

fn done(erasure: u64, gone: &BTreeSet<Digest>) -> ErasureDone {
    let gone = Taken::new(gone.iter().copied());
    ErasureDone {
        subject: commit("erased-subject", &[1; 32], b"somebody"),
        log: "example.org/log/server".parse().unwrap(),
        erasure,
        values: gone.values(),
        objects: gone.root(),
    }
}

/// The server enrols the gateway's log as it is.
fn settle(scene: &mut Scene) {
    let note = scene.gateway.checkpoint(&scene.signers.gateway);
    scene.gateway.note = Some(note.clone());
    let enrol = CheckpointEnrol {
        log: scene.gateway.origin.clone(),
        size: scene.gateway.size(),
        root: scene.gateway.root(),
        checkpoint: Digest::of(&note),
    };
    scene.server.append(at(62), enrol.into());
}

/// Enrols the erasure of somebody whom that concerns, who takes those objects.
fn erase(scene: &mut Scene, concerns: &[Concern], gone: BTreeSet<Digest>) -> Erasing {
    let scope = scope_of(concerns);
    let asked = scene
        .server
        .append(at(60), asked(Some(&scope)).into())
        .index;
    let done = scene
        .gateway
        .append(at(61), done(asked, &gone).into())
        .index;
    settle(scene);
    Erasing {
        scope,
        gone,
        done,
        asked,
    }
}

impl Erasing {
    fn objects(&self) -> Vec<ErasedObject> {
        let taken = Taken::new(self.gone.iter().copied());
        let proven = self.gone.iter().map(|one| taken.prove(*one, self.done));
        proven.map(Option::unwrap).collect()
    }

    fn concerns(&self, wanted: &[Concern]) -> Vec<ErasedConcern> {
        let taken = Taken::scope(&self.scope);
        let wanted = wanted.iter();
        let mut proven: Vec<_> = wanted
            .filter_map(|one| taken.prove_concern(&self.scope, *one, self.asked))
            .collect();
        proven.sort_by(|a, b| a.opened.value.cmp(&b.opened.value));
        proven
    }

    /// The evidence that is left, with a list that says so.
    fn files(&self, scene: &Scene, concerns: &[Concern]) -> Files {
        let list = ErasedObjects {
            format: ErasedFormat::V1,
            concerns: self.concerns(concerns),
            erased: self.objects(),
        };
        left(scene, &self.gone, &list)
    }
}

fn left(scene: &Scene, gone: &BTreeSet<Digest>, list: &ErasedObjects) -> Files {
    let gone: BTreeSet<_> = gone.iter().map(|digest| object_path(*digest)).collect();
    let files = scene.files();
    let kept = files.iter().filter(|(path, _)| !gone.contains(*path));
    let mut files: Files = kept
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
        .collect();
    files.insert(ERASED_PATH, list.to_bytes().unwrap());
    files
}

fn check(scene: &Scene, files: &Files) -> Report {
    verify(files, Some(&scene.trust), &AwsLc, at(100))
}

#[track_caller]
fn fails(report: &Report, reason: &str) {
    assert_eq!(report.outcome, ReportOutcome::Failed, "{reason}");
    let mut found = report.findings.iter();
    let has = found.any(|finding| finding.reason == reason);
    assert!(has, "{reason} in {:#?}", report.findings);
}

/// The scene after its person was erased, who stands at the root and answered.
fn after(scene: &mut Scene) -> Files {
    let mut concerns = answers(scene);
    concerns.push(session());
    let gone = of_person(scene);
    erase(scene, &concerns, gone).files(scene, &concerns)
}

#[test]
fn what_an_erased_person_takes_is_proven_and_the_rest_holds() {
    let mut scene = Scene::new();
    let files = after(&mut scene);
    let report = check(&scene, &files);
    assert_eq!(report.findings, [], "{report:#?}");
    assert_eq!(report.outcome, ReportOutcome::Erased);
    for axis in report.axes {
        assert_ne!(axis.verdict, AxisVerdict::Fails, "{axis:?}");
    }
    let story = why(&files, Some(&scene.trust), &AwsLc, id(5), at(100)).unwrap();
    assert_eq!(story.allowed.replay, Replay::Erased);
    assert_eq!(story.on_behalf.principal, None);
}

#[test]
fn an_erased_approver_takes_the_answer_alone_and_every_call_is_decided_again() {
    let mut scene = Scene::answered_by_another(|_, _| {});
    let (concerns, gone) = (answers(&scene), of_kind(&scene, ObjectKind::Approval));
    let erasing = erase(&mut scene, &concerns, gone);
    let files = erasing.files(&scene, &concerns);
    let report = check(&scene, &files);
    assert_eq!(report.findings, [], "{report:#?}");
    assert_eq!(report.outcome, ReportOutcome::Erased);
    for execution in [1, 5] {
        let story = why(&files, Some(&scene.trust), &AwsLc, id(execution), at(100)).unwrap();
        assert_eq!(story.allowed.replay, Replay::Rederived, "{execution}");
        assert!(story.erased.is_empty(), "{:?}", story.erased);
    }
    // Who answered cannot take what is the principal's, nor the principal an answer of somebody else.
    for (concerns, gone) in [
        (answers(&scene), of_kind(&scene, ObjectKind::Arguments)),
        (vec![session()], of_kind(&scene, ObjectKind::Approval)),
    ] {
        let mut scene = Scene::answered_by_another(|_, _| {});
        let gone = match gone.iter().all(|one| scene.objects.contains_key(one)) {
            true => gone,
            false => of_kind(&scene, ObjectKind::Approval),
        };
        let erasing = erase(&mut scene, &concerns, gone);
        fails(
            &check(&scene, &erasing.files(&scene, &[])),
            "erased_foreign",
        );
    }
}

#[test]
fn what_is_about_nobody_is_never_erased() {
    for kind in NOBODYS {
        let mut scene = Scene::new();
        let gone = of_kind(&scene, kind);
        let erasing = erase(&mut scene, &[session()], gone);
        let report = check(&scene, &erasing.files(&scene, &[]));
        fails(&report, "erased_kind");
        fails(&report, "file_missing");
    }
}

#[test]
fn an_erasure_of_somebody_else_takes_nothing() {
    let other = Concern::Session(id(2));
    let mut scene = Scene::new();
    let gone = of_person(&scene);
    let erasing = erase(&mut scene, &[other], gone);
    fails(
        &check(&scene, &erasing.files(&scene, &[])),
        "erased_foreign",
    );
    // What is shown in its place is not what the erasure names.
    let change = |change: &dyn Fn(&mut ErasedConcern)| {
        let mut concerns = erasing.concerns(&[other]);
        change(&mut concerns[0]);
        let list = ErasedObjects {
            format: ErasedFormat::V1,
            concerns,
            erased: erasing.objects(),
        };
        check(&scene, &left(&scene, &erasing.gone, &list))
    };
    let lies: [&dyn Fn(&mut ErasedConcern); 6] = [
        &|one| one.opened.value = session().to_string(),
        &|one| one.opened.salt = [9; 32],
        &|one| one.erasure -= 1,
        &|one| one.leaf += 1,
        &|one| one.proof.push(Digest::of("more")),
        // It is proven, and nothing needs it.
        &|_| {},
    ];
    for lie in lies {
        let report = change(lie);
        fails(&report, "erased_unproven");
        fails(&report, "erased_foreign");
    }
    // An erasure that does not say whom it concerns proves nothing.
    let mut scene = Scene::new();
    let gone = of_kind(&scene, ObjectKind::Mission);
    let index = scene.server.append(at(60), asked(None).into()).index;
    let entry = scene
        .gateway
        .append(at(61), done(index, &gone).into())
        .index;
    settle(&mut scene);
    let erasing = Erasing {
        scope: scope_of(&[session()]),
        gone,
        done: entry,
        asked: index,
    };
    let report = check(&scene, &erasing.files(&scene, &[session()]));
    fails(&report, "erased_unproven");
    fails(&report, "erased_foreign");
}

#[test]
fn an_erasure_is_enrolled_by_the_server_first_and_followed_once() {
    let mut scene = Scene::new();
    let concerns = [&answers(&scene)[..], &[session()]].concat();
    let gone = of_person(&scene);
    let erasing = erase(&mut scene, &concerns, gone.clone());
    scene
        .gateway
        .append(at(63), done(erasing.asked, &BTreeSet::new()).into());
    settle(&mut scene);
    fails(
        &check(&scene, &erasing.files(&scene, &concerns)),
        "erased_twice",
    );

    // The server's entry stands behind the checkpoint that covers the gateway's.
    let mut scene = Scene::new();
    let concerns = [&answers(&scene)[..], &[session()]].concat();
    let gone = of_person(&scene);
    let index = scene.server.size() + 1;
    let entry = scene
        .gateway
        .append(at(61), done(index, &gone).into())
        .index;
    settle(&mut scene);
    let scope = scope_of(&concerns);
    scene.server.append(at(63), asked(Some(&scope)).into());
    let erasing = Erasing {
        scope,
        gone,
        done: entry,
        asked: index,
    };
    fails(
        &check(&scene, &erasing.files(&scene, &concerns)),
        "erased_unproven",
    );
}

#[test]
fn nothing_is_erased_of_a_session_that_goes_on() {
    fn early(play: &mut Builder, second: u64) {
        if second == 35 {
            let all = play.digests();
            let scope = scope_of(&[session()]);
            let asked = play.server.append(at(34), asked(Some(&scope)).into()).index;
            play.gateway(35, done(asked, &all).into());
        }
    }
    let scene = Scene::with(early, EndReason::Completed, None);
    let find = |entries: Vec<Entry>, name| {
        let mut entries = entries.into_iter();
        entries
            .position(|entry| entry.event.type_name() == name)
            .unwrap() as u64
    };
    let all: BTreeSet<_> = scene.objects.keys().copied().collect();
    let mission = of_kind(&scene, ObjectKind::Mission);
    let taken = Taken::new(all);
    let entry = find(scene.gateway.parsed(), "erasure.done");
    let erasing = Erasing {
        scope: scope_of(&[session()]),
        gone: mission.clone(),
        done: entry,
        asked: find(scene.server.parsed(), "erasure"),
    };
    let objects = mission.iter().map(|one| taken.prove(*one, entry).unwrap());
    let list = ErasedObjects {
        format: ErasedFormat::V1,
        concerns: erasing.concerns(&[session()]),
        erased: objects.collect(),
    };
    fails(
        &check(&scene, &left(&scene, &mission, &list)),
        "erased_early",
    );
}

/// What a scene fails for after its person was erased.
#[track_caller]
fn fails_after(mut scene: Scene, reason: &str) {
    let files = after(&mut scene);
    fails(&check(&scene, &files), reason);
}

fn played(beside: fn(&mut Builder, u64)) -> Scene {
    Scene::with(beside, EndReason::Completed, None)
}

#[test]
fn what_the_servers_log_must_have_is_still_missed() {
    // Trust, policy, manifest, two issuances each of two instances, root, answer.
    for (index, reason) in [
        (0, "trust_not_enrolled"),
        (1, "policy_not_published"),
        (2, "manifest_not_enrolled"),
        (3, "certificate_not_enrolled"),
        (4, "token_not_enrolled"),
        (7, "root_not_enrolled"),
        (8, "answer_not_enrolled"),
    ] {
        let mut scene = Scene::new();
        scene.server.entries.remove(index);
        fails_after(scene, reason);
    }
}

#[test]
fn what_was_withdrawn_is_still_a_finding() {
    let revoked: [(Change, &str); 5] = [
        (
            |play, second| {
                if second == 9 {
                    play.server.revoke(
                        2,
                        RevocationKind::Session,
                        &id::<SessionKind>(1).to_string(),
                    );
                }
            },
            "allowed_revoked",
        ),
        (
            |play, second| {
                if second == 9 {
                    play.server.revoke(2, RevocationKind::Token, "root-1");
                }
            },
            "allowed_revoked",
        ),
        (
            |play, second| {
                if second == 9 {
                    play.server.revoke(
                        2,
                        RevocationKind::Agent,
                        "spiffe://example.org/agent/clerk",
                    );
                }
            },
            "allowed_revoked",
        ),
        (
            |play, second| {
                if second == 9 {
                    play.server.raise(2, 2);
                }
            },
            "allowed_revoked",
        ),
        (
            |play, second| {
                if second == 9 {
                    play.server
                        .revoke(2, RevocationKind::Person, &person().to_string());
                }
            },
            "approval_revoked",
        ),
    ];
    for (beside, reason) in revoked {
        fails_after(Scene::late(beside, 1_000), reason);
    }
    // What the gateway said that it knew binds it at once.
    fn known(play: &mut Builder, second: u64) {
        if second == 9 {
            play.server.revoke(8, RevocationKind::Token, "root-1");
            let mut set = RevocationSet::default();
            let what = Revocable::new(RevocationKind::Token, "root-1").unwrap();
            set.revoke(&Revocation { what, at: at(8) }).unwrap();
            play.adopt(9, 1, &set);
        }
    }
    fails_after(played(known), "allowed_revoked");
    fn ended(play: &mut Builder, second: u64) {
        if second == 9 {
            let end = IdentityEnd {
                instance: play.instance(0),
                reason: Label::or_digest("exited"),
                credentials: Vec::new(),
                launch: None,
            };
            play.enrol(2, end.into());
        }
    }
    fails_after(Scene::late(ended, 1_000), "acted_after_end");
}

#[test]
fn an_end_as_revoked_is_still_founded_on_something() {
    let adopting: fn(&mut Builder, u64) = |play, second| {
        if second == 9 {
            play.adopt(9, 1, RevocationSet::none());
        }
    };
    fails_after(
        Scene::with(adopting, EndReason::Revoked, Some("token")),
        "revocation_unfounded",
    );
}

#[test]
fn what_an_entry_names_is_there_or_erased() {
    fn forgets(play: &mut Builder, second: u64) {
        if second == 35 {
            play.forget(ObjectKind::Arguments);
        }
    }
    fails_after(played(forgets), "object_missing");
}

#[test]
fn a_chain_that_is_there_is_asked_although_the_arguments_are_erased() {
    let of_arguments = |mut scene: Scene| {
        let gone = of_kind(&scene, ObjectKind::Arguments);
        scene.gateway.note = None;
        let files = erase(&mut scene, &[session()], gone).files(&scene, &[session()]);
        check(&scene, &files)
    };
    let report = of_arguments(Scene::new());
    assert_eq!(report.outcome, ReportOutcome::Erased, "{report:#?}");
    let chains = of_kind(&Scene::new(), ObjectKind::Chain).len();
    assert_eq!(chains, 2);
    // None; what is no chain; another one's.
    for lie in 0..3 {
        let mut scene = Scene::new();
        let entries = scene.gateway.parsed();
        let allowed = entries.iter().enumerate().find_map(|(at, entry)| {
            let Event::Decision(decision) = &entry.event else {
                return None;
            };
            (decision.outcome == Ruling::Allow).then_some((at, entry, decision))
        });
        let (at, entry, decision) = allowed.unwrap();
        let mut decision = (*decision).clone();
        let own = decision.chain;
        let mut others = of_kind(&scene, ObjectKind::Chain).into_iter();
        let mut keep = |bytes: &[u8]| {
            let digest = Digest::of(bytes);
            let object = (ObjectKind::Chain, bytes.to_vec());
            scene.objects.insert(digest, object);
            scene.index = make_index(&scene.objects);
            digest
        };
        decision.chain = match lie {
            0 => keep(b""),
            1 => keep(b"no chain"),
            _ => others.find(|other| *other != own).unwrap(),
        };
        let mut entry = entry.clone();
        entry.event = decision.into();
        scene.gateway.entries[at] = entry.to_bytes().unwrap();
        fails(&of_arguments(scene), "chain_refused");
    }
}

#[test]
fn the_record_is_still_held_to_the_log() {
    for lie in RECORD_LIES {
        let mut scene = Scene::new();
        scene.record = resigned(&scene.record, &scene.signers.record, lie);
        let files = after(&mut scene);
        let report = check(&scene, &files);
        let mut found = report.findings.iter();
        let file = Place::File(TRUST_RECORD_PATH.to_owned());
        let differs = found.any(|one| one.reason == "record_differs" && one.place == file);
        assert!(differs, "{report:#?}");
    }
}

#[test]
fn a_link_that_was_not_enrolled_before_is_no_chain() {
    let mut scene = Scene::new();
    for (place, mut entry) in scene.gateway.parsed().into_iter().enumerate() {
        if let Event::DelegationEnrol(link) = &mut entry.event
            && link.parent.is_some()
        {
            // The gateway's own keys sign the other log.
            link.delegation = "another".parse().unwrap();
            scene.gateway.entries[place] = entry.to_bytes().unwrap();
        }
    }
    scene.gateway.note = None;
    fails_after(scene, "link_not_enrolled");
}

#[test]
fn an_approver_who_was_revoked_is_found_without_the_answer() {
    fn revoked(play: &mut Builder, second: u64) {
        if second == 9 {
            play.server
                .revoke(8, RevocationKind::Person, &approver().to_string());
            let mut set = RevocationSet::default();
            let name = approver().to_string();
            let what = Revocable::new(RevocationKind::Person, &name).unwrap();
            set.revoke(&Revocation { what, at: at(8) }).unwrap();
            play.adopt(9, 1, &set);
        }
    }
    let mut scene = Scene::answered_by_another(revoked);
    let (concerns, gone) = (answers(&scene), of_kind(&scene, ObjectKind::Approval));
    let erasing = erase(&mut scene, &concerns, gone);
    fails(
        &check(&scene, &erasing.files(&scene, &concerns)),
        "approval_revoked",
    );
}
