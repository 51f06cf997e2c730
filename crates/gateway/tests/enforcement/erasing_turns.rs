//! Erasures beside everything else that goes on: sessions in which a person answered, roots that are
//! being signed, and steps that fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_api::server::{DraftRoot, Revoke, SubmitRoot};
use chancery_audit::{Entry, Event};
use chancery_delegation::{Revocable, RootDraft, Verdict};
use chancery_evidence::ReportOutcome;
use chancery_journal::{Keyring, Subject};
use chancery_types::id::PersonId;
use chancery_types::jws::Compact;
use chancery_types::{RevocationKind, base64url};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use super::agent::{Agent, MISSION};
use super::erasing::{SECRET, check, ended, erase_one, followed_of, revoke};
use super::world::{World, tools};

/// How long nothing is to happen that would come at once.
const QUIET: Duration = Duration::from_secs(5);

fn is_erased(world: &World, person: PersonId) -> bool {
    let keys = Keyring::read(&world.folder.path().join("gateway/keys")).unwrap();
    keys.erased(&Subject::person(person)).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answered_in_a_running_session_is_erased_after_its_end() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let amount = json!({"amount": 5});
    let question = world.asked(&mut opened, &amount).await;
    world.plane.answer(&question, Verdict::Approve).await;
    let paid = opened.call("pay", amount).await;
    assert_eq!(paid.reason(), "ok", "{paid:?}");
    let approver = world.plane.approver.id;
    erase_one(&world, approver).await.unwrap();
    let until = tokio::time::Instant::now() + QUIET;
    while tokio::time::Instant::now() < until {
        assert!(!is_erased(&world, approver), "the session goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(opened.end().await.reason(), "ok");
    let (entry, done) = followed_of(&world, approver).await;
    assert_eq!(done.values, 1);
    let log = world.log().await;
    let is_end = |entry: &Entry| matches!(entry.event, Event::SessionEnd(_));
    assert!(log.iter().position(is_end).unwrap() < usize::try_from(entry).unwrap());
    let files = world.evidence(&opened.session).await;
    let report = check(&world, &files);
    assert_eq!(report.findings, [], "{report:#?}");
    assert_eq!(report.outcome, ReportOutcome::Erased);
}

/// Stands before the signer: a root that is to be signed waits until it is let through.
struct Gate {
    asked: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    fn close(data: &Path) -> Self {
        let (socket, behind) = (data.join("signer.sock"), data.join("signer-behind.sock"));
        std::fs::rename(&socket, &behind).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let gate = Self {
            asked: Arc::clone(&asked),
            open: Arc::clone(&open),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (asked, open, behind) = (Arc::clone(&asked), Arc::clone(&open), behind.clone());
                tokio::spawn(async move { pass(client, &behind, &asked, &open).await });
            }
        });
        gate
    }
}

async fn pass(mut client: UnixStream, behind: &Path, asked: &Notify, open: &Notify) {
    let mut first = [0; 1_024];
    let length = client.read(&mut first).await.unwrap();
    let is_root = first.starts_with(b"POST /v1/sign/root");
    if is_root {
        asked.notify_one();
        open.notified().await;
    }
    let mut server = UnixStream::connect(behind).await.unwrap();
    server.write_all(&first[..length]).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_out_before_its_person_is_erased_or_never() {
    let world = World::start().await;
    let agent = Agent::launch(&world.plane).await;
    let person = world.plane.principal.id;
    let client = world.plane.client();
    let request = DraftRoot {
        instance_id: agent.id,
        person_id: person,
        mission: base64url::encode(MISSION),
        authorization_details: tools(),
        lifetime_seconds: Some(600),
        max_depth: 3,
        gateway: None,
    };
    let draft = client.draft_root(&request).await.unwrap();
    let claims = RootDraft::from_claims(draft.claims.as_bytes()).unwrap();
    let submit = SubmitRoot {
        claims: draft.claims,
        consent: world.plane.principal.assert(&claims.challenge().unwrap()),
    };
    let again = submit.clone();
    let gate = Gate::close(world.folder.path());
    let submitting = tokio::spawn({
        let client = world.plane.client();
        async move { client.submit_root(&submit).await }
    });
    gate.asked.notified().await;
    // The root is being signed: the erasure waits, and finds it standing.
    let early = tokio::time::timeout(QUIET / 5, erase_one(&world, person)).await;
    assert!(early.is_err(), "{early:?}");
    gate.open.notify_one();
    submitting.await.unwrap().unwrap();
    let refused = erase_one(&world, person).await.unwrap_err();
    assert!(
        format!("{refused:?}").contains("person_at_work"),
        "{refused:?}"
    );
    assert!(client.erasures().await.unwrap().erasures.is_empty());

    // Once the person is erased no root of theirs is signed, drafted or kept.
    revoke(&world).await;
    erase_one(&world, person).await.unwrap();
    for refused in [
        client.submit_root(&again).await.map(drop).unwrap_err(),
        client.draft_root(&request).await.map(drop).unwrap_err(),
    ] {
        assert!(format!("{refused:?}").contains("erased"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_something_of_a_person_was_revoked_goes_with_them() {
    let world = World::start().await;
    let opened = ended(&world).await;
    let client = world.plane.client();
    let root = Compact::parse(&opened.root.root).unwrap();
    let jti = root.claims["jti"].as_str().unwrap();
    let mission = chancery_types::Digest::of(MISSION).to_string();
    for (kind, id) in [
        (RevocationKind::Token, jti),
        (RevocationKind::Session, opened.session.as_str()),
        (RevocationKind::Mission, mission.as_str()),
    ] {
        let what = Revocable::new(kind, id).unwrap();
        let reason = format!("{SECRET} has left");
        client.revoke(&Revoke { what, reason }).await.unwrap();
    }
    let person = world.plane.principal.id;
    let kept = client.kept_of(person).await.unwrap().kept;
    let reasons = kept.iter().find(|kept| kept.what.contains("revocations"));
    assert_eq!(reasons.map(|kept| kept.values), Some(3), "{kept:?}");
    let shown = client.revocations().await.unwrap().revocations;
    assert_eq!(shown.len(), 3);
    assert!(shown.iter().all(|one| one.reason.contains(SECRET)));
    erase_one(&world, person).await.unwrap();
    let shown = client.revocations().await.unwrap().revocations;
    assert_eq!(shown.len(), 3);
    assert!(shown.iter().all(|one| one.reason == "erased"), "{shown:?}");
}

/// Takes the file of a person's key away and puts something in its place that cannot be overwritten;
/// gives back where it stood and where it is.
fn hinder(keys: &Path, person: PersonId) -> (PathBuf, PathBuf) {
    let id = Keyring::read(keys).unwrap();
    let id = id.key_of(&Subject::person(person)).unwrap().to_string();
    let files = std::fs::read_dir(keys).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    let file = files.find(|path| {
        path.extension().is_some_and(|it| it == "key")
            && std::fs::read_to_string(path).unwrap().contains(&id)
    });
    let (file, aside) = (file.unwrap(), keys.with_extension("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    (file, aside)
}

fn let_go((file, aside): &(PathBuf, PathBuf)) {
    std::fs::remove_dir(file).unwrap();
    std::fs::rename(aside, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_step_that_fails_is_not_told_as_done() {
    let world = World::start().await;
    ended(&world).await;
    revoke(&world).await;
    let person = world.plane.principal.id;
    let hindered = hinder(&world.folder.path().join("server/keys"), person);
    erase_one(&world, person).await.unwrap_err();
    let client = world.plane.client();
    assert!(client.kept_of(person).await.unwrap().erased.is_none());
    // Asked again it is gone on with, and fails again.
    erase_one(&world, person).await.unwrap_err();
    let_go(&hindered);
    let erased = erase_one(&world, person).await.unwrap();
    assert!(!erased.before);
    let known = client.kept_of(person).await.unwrap().erased.unwrap();
    assert_eq!(known.log_index, erased.log_index);
    assert_eq!(client.erasures().await.unwrap().erasures.len(), 1);
    assert!(erase_one(&world, person).await.unwrap().before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_fails_keeps_no_other_waiting() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let amount = json!({"amount": 5});
    let question = world.asked(&mut opened, &amount).await;
    world.plane.answer(&question, Verdict::Approve).await;
    assert_eq!(opened.call("pay", amount).await.reason(), "ok");
    assert_eq!(opened.end().await.reason(), "ok");
    revoke(&world).await;
    let (first, second) = (world.plane.principal.id, world.plane.approver.id);
    let keys = world.folder.path().join("gateway/keys");
    let hindered = hinder(&keys, first);
    erase_one(&world, first).await.unwrap();
    erase_one(&world, second).await.unwrap();
    // The keys cannot be read as long as the file is not there: what the log says tells it.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let done = |log: &[Entry]| {
        let done = log
            .iter()
            .filter(|entry| matches!(entry.event, Event::ErasureDone(_)));
        done.count()
    };
    while done(&world.log().await) < 2 {
        assert!(tokio::time::Instant::now() < deadline, "the second waits");
    }
    let_go(&hindered);
    assert!(followed_of(&world, first).await.1.values > 5);
    assert_eq!(followed_of(&world, second).await.1.values, 1);
    assert_eq!(done(&world.log().await), 2);
    let report = check(&world, &world.evidence(&opened.session).await);
    assert_eq!(report.findings, [], "{report:#?}");
    assert_eq!(report.outcome, ReportOutcome::Erased);
}
