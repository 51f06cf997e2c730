//! A person is erased: what is kept of them is gone from both folders, and everything that can be
//! proven still is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::ClientError;
use chancery_api::server::{ErasePerson, PersonErased, Revoke};
use chancery_audit::{ErasureDone, Event, commit};
use chancery_crypto::AwsLc;
use chancery_delegation::Revocable;
use chancery_evidence::{
    Axis, AxisVerdict, ERASED_PATH, ErasedObjects, Files, NoteValue, Report, ReportOutcome, verify,
};
use chancery_gateway::KeptObjects;
use chancery_journal::{Keyring, ObjectStore, Reader, Subject};
use chancery_tlog::verify_inclusion;
use chancery_types::id::PersonId;
use chancery_types::{RevocationKind, base64url, to_canonical};
use serde_json::{Value, json};

use super::plane::now;
use super::world::{Opened, World, tools};

/// What the person's calls say, and nobody else.
pub(super) const SECRET: &str = "secret-of-the-person";

/// How long the gateway may take to follow.
const PATIENCE: Duration = Duration::from_secs(30);

/// The files below a folder that hold a text.
fn holds(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holds(&path, text));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            if bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// A session that called with the secret and ended.
pub(super) async fn ended(world: &World) -> Opened {
    let mut opened = world.open(&tools()).await;
    let called = opened.call("note", json!({"text": SECRET})).await;
    assert_eq!(called.reason(), "ok", "{called:?}");
    let over = opened.end().await;
    assert_eq!(over.reason(), "ok", "{over:?}");
    opened
}

pub(super) async fn revoke(world: &World) {
    let person = world.plane.principal.id.to_string();
    let what = Revocable::new(RevocationKind::Person, &person).unwrap();
    let reason = format!("{SECRET} leaves");
    let request = Revoke { what, reason };
    world.plane.client().revoke(&request).await.unwrap();
}

async fn erase(world: &World) -> PersonErased {
    erase_one(world, world.plane.principal.id).await.unwrap()
}

pub(super) async fn erase_one(
    world: &World,
    person: PersonId,
) -> Result<PersonErased, ClientError> {
    let reason = "asked for".to_owned();
    let request = ErasePerson { reason };
    world.plane.client().erase(person, &request).await
}

async fn followed(world: &World) -> (u64, ErasureDone) {
    followed_of(world, world.plane.principal.id).await
}

/// Waits until the gateway has followed, and its entry is enrolled.
pub(super) async fn followed_of(world: &World, person: PersonId) -> (u64, ErasureDone) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let keys = world.folder.path().join("gateway/keys");
    let subject = Subject::person(person);
    loop {
        let known = Keyring::read(&keys).unwrap().erased(&subject);
        if let Some(tombstone) = known {
            let log = world.log().await;
            let place = usize::try_from(tombstone.entry).unwrap();
            if let Some(Event::ErasureDone(done)) = log.get(place).map(|entry| &entry.event) {
                return (tombstone.entry, done.clone());
            }
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "the gateway does not follow"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(super) fn check(world: &World, files: &Files) -> Report {
    verify(files, Some(&world.plane.trust), &AwsLc, now())
}

fn verdict(report: &Report, axis: Axis) -> AxisVerdict {
    let mut axes = report.axes.iter();
    axes.find(|known| known.axis == axis).unwrap().verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_unreadable_and_everything_is_proven() {
    let world = World::start().await;
    let opened = ended(&world).await;
    let before = world.evidence(&opened.session).await;
    assert_eq!(check(&world, &before).outcome, ReportOutcome::Verified);
    let data = world.folder.path();
    for folder in ["gateway", "server"] {
        let clear = holds(&data.join(folder), SECRET);
        assert!(clear.is_empty(), "{clear:?}");
    }
    revoke(&world).await;
    let erased = erase(&world).await;
    assert!(!erased.before && erased.values > 0, "{erased:?}");
    let receipt = erased.receipt.clone().unwrap();
    assert_eq!(receipt.commitment(), erased.subject);
    assert_eq!(receipt.value, world.plane.principal.id.to_string());
    let (entry, done) = followed(&world).await;
    assert!(done.values > 5, "{done:?}");
    assert_eq!(
        (done.erasure, done.subject),
        (erased.log_index, erased.subject)
    );

    // Nobody reads it: not with all the keys there are.
    let reader = Reader::open(&data.join("gateway/log")).unwrap();
    let kept = KeptObjects::open(&data.join("gateway"), &reader).unwrap();
    let subject = Subject::person(world.plane.principal.id);
    assert!(kept.store().of(&subject).unwrap().is_empty());
    for folder in ["gateway", "server"] {
        let clear = holds(&data.join(folder), SECRET);
        assert!(clear.is_empty(), "{clear:?}");
    }

    // The erasure is in both logs.
    for (log, index) in [("server", erased.log_index), ("gateway", entry)] {
        let reader = Reader::open(&data.join(log).join("log")).unwrap();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let (_, checkpoint) = reader.checkpoint().unwrap().unwrap();
        let proof = reader.prove_inclusion(index, checkpoint.size).unwrap();
        let bytes = reader.entries(index..index + 1).unwrap().next().unwrap();
        let leaf = chancery_tlog::LeafHash::of(bytes.unwrap().1);
        verify_inclusion(index, checkpoint.size, leaf, &proof, &checkpoint.root).unwrap();
    }

    // Evidence that was taken before verifies as it did.
    assert_eq!(check(&world, &before).outcome, ReportOutcome::Verified);

    // Evidence that is taken now says what is gone, and proves it.
    let after = world.evidence(&opened.session).await;
    let report = check(&world, &after);
    assert_eq!(report.outcome, ReportOutcome::Erased, "{report:?}");
    assert_eq!(report.findings, []);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.value == NoteValue::Erased)
    );
    for (axis, expected) in [
        (Axis::Integrity, AxisVerdict::Holds),
        (Axis::Completeness, AxisVerdict::Holds),
        (Axis::Scope, AxisVerdict::Erased),
        (Axis::Authenticity, AxisVerdict::Erased),
    ] {
        assert_eq!(verdict(&report, axis), expected, "{axis}");
    }
    assert!(
        after
            .iter()
            .all(|(_, bytes)| !String::from_utf8_lossy(bytes).contains(SECRET))
    );

    // Again it is only told.
    let again = erase(&world).await;
    assert!(again.before);
    assert_eq!(again.log_index, erased.log_index);
    forged(&world, &after).await;
}

/// What is said to be erased and is not proven is missing.
async fn forged(world: &World, after: &Files) {
    let list = ErasedObjects::parse(after.get(ERASED_PATH).unwrap()).unwrap();
    let with = |list: Option<&ErasedObjects>| -> Files {
        let all = after.iter().filter(|(path, _)| *path != ERASED_PATH);
        let mut files: Files = all
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect();
        if let Some(list) = list {
            files.insert(ERASED_PATH, list.to_bytes().unwrap());
        }
        files
    };
    let refused = |files: &Files, reason: &str| {
        let report = check(world, files);
        assert_eq!(report.outcome, ReportOutcome::Failed, "{reason}");
        let found = report.findings.iter().any(|one| one.reason == reason);
        assert!(found, "{reason}: {:?}", report.findings);
    };
    // Without the list, and with one object fewer in it.
    refused(&with(None), "file_missing");
    let mut fewer = list.clone();
    fewer.erased.pop();
    refused(&with(Some(&fewer)), "file_missing");
    // Another entry, another place, another proof, an object of nobody.
    let change = |change: &dyn Fn(&mut ErasedObjects)| {
        let mut changed = list.clone();
        change(&mut changed);
        changed
    };
    for changed in [
        change(&|list| list.erased[0].entry -= 1),
        change(&|list| list.erased[0].leaf += 1),
        change(&|list| list.erased[0].proof.clear()),
        change(&|list| list.erased[0].digest = chancery_types::Digest::from_bytes([0; 32])),
    ] {
        refused(&with(Some(&changed)), "erased_unproven");
    }
    // An object that is there is not erased, whoever says so.
    let mut hidden = with(Some(&list));
    let shown = after
        .paths()
        .find(|path| path.starts_with("objects/"))
        .unwrap()
        .to_owned();
    hidden = hidden
        .iter()
        .filter(|(path, _)| *path != shown)
        .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
        .collect();
    refused(&hidden, "file_missing");
    let mut malformed = with(None);
    malformed.insert(ERASED_PATH, b"[]".to_vec());
    refused(&malformed, "erased_malformed");
    let unlisted = with(Some(&list));
    assert_eq!(check(world, &unlisted).outcome, ReportOutcome::Erased);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_erased_who_is_at_work() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let request = ErasePerson {
        reason: "too early".to_owned(),
    };
    let person = world.plane.principal.id;
    let kept = world.plane.client().kept_of(person).await.unwrap();
    assert_eq!(kept.at_work.len(), 1, "{kept:?}");
    assert!(kept.erased.is_none());
    let refused = world.plane.client().erase(person, &request).await;
    let text = format!("{:?}", refused.unwrap_err());
    assert!(text.contains("person_at_work"), "{text}");
    let called = opened.call("read", json!({"path": "x"})).await;
    assert_eq!(called.reason(), "ok");
    opened.end().await;
    for reason in ["", "a\nb"] {
        let request = ErasePerson {
            reason: reason.to_owned(),
        };
        let refused = world.plane.client().erase(person, &request).await;
        assert!(format!("{:?}", refused.unwrap_err()).contains("reason"));
    }
    let stranger = chancery_types::id::PersonId::from_random([77; 16]);
    let refused = world.plane.client().erase(stranger, &request).await;
    let text = format!("{:?}", refused.unwrap_err());
    assert!(text.contains("person_unknown"), "{text}");
    let erasures = world.plane.client().erasures().await.unwrap();
    assert!(erasures.erasures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_goes_on_after_a_restart_of_either() {
    let mut world = World::start().await;
    ended(&world).await;
    revoke(&world).await;
    // The server noted it and was killed before it enrolled anything.
    world.plane.stop_server().await;
    let subject = Subject::person(world.plane.principal.id);
    let note = {
        let disclosure = |name: &str, value: &str| {
            json!({"name": name, "salt": "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg",
                "value": value})
        };
        json!({
            "person": world.plane.principal.id, "values": 3,
            "subject": disclosure("erased-subject", &world.plane.principal.id.to_string()),
            "by": disclosure("eraser", "uid 0"),
            "reason": disclosure("erasure-reason", "asked for"),
        })
        .to_string()
    };
    let keys = Keyring::open(&world.folder.path().join("server/keys")).unwrap();
    keys.begin_erasure(&subject, &note).unwrap();
    drop(keys);
    world.stop_gateway().await;
    world.plane.start_server().await;
    let known = world.plane.client().erasures().await.unwrap();
    let [erased] = known.erasures.try_into().unwrap();
    let salt = [8; 32];
    let person = world.plane.principal.id.to_string();
    let expected = commit("erased-subject", &salt, person.as_bytes());
    assert_eq!(erased.subject, expected);
    // Once more, it is not enrolled twice.
    world.plane.stop_server().await;
    let keys = Keyring::open(&world.folder.path().join("server/keys")).unwrap();
    assert!(keys.erasing().is_empty());
    assert_eq!(keys.erased(&subject).unwrap().entry, erased.log_index);
    drop(keys);
    world.plane.start_server().await;
    let again = world.plane.client().erasures().await.unwrap();
    assert_eq!(again.erasures, [erased]);

    // The gateway noted it and was killed before it enrolled anything.
    let keys = Keyring::open(&world.folder.path().join("gateway/keys")).unwrap();
    let note = json!({
        "subject": expected.as_digest(), "log": again.log, "erasure": again.erasures[0].log_index,
    });
    keys.begin_erasure(&subject, &note.to_string()).unwrap();
    drop(keys);
    world.start_gateway(|_| {}).await;
    let (entry, done) = followed(&world).await;
    assert!(done.values > 5);
    world.stop_gateway().await;
    // It noted it and was killed after it had enrolled it: nothing is enrolled twice.
    world.start_gateway(|_| {}).await;
    let log = world.log().await;
    let count = log
        .iter()
        .filter(|entry| matches!(entry.event, Event::ErasureDone(_)));
    assert_eq!(count.count(), 1, "entry {entry}");
}

/// Makes of a gateway's folder what one kept that sealed nothing.
fn unseal(world: &World, sessions: &[&str]) {
    let folder = world.folder.path().join("gateway");
    let keys = Arc::new(Keyring::open(&folder.join("keys")).unwrap());
    let store = ObjectStore::open(&folder.join("objects"), Arc::clone(&keys)).unwrap();
    let people = [world.plane.principal.id, world.plane.approver.id].map(Subject::person);
    for subject in people.into_iter().chain([Subject::operator()]) {
        let kept = store.of(&subject).unwrap();
        let objects: Vec<_> = kept
            .into_iter()
            .map(|digest| store.get(Some(&subject), digest).unwrap())
            .collect();
        store.put(None, &objects).unwrap();
    }
    for session in sessions {
        let path = folder.join("sessions").join(format!("{session}.json"));
        let mut dossier: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let sealed = base64url::decode(dossier["principal"].as_str().unwrap()).unwrap();
        let place = format!("dossier {session}");
        let principal = keys.open_value(place.as_bytes(), &sealed).unwrap();
        dossier["principal"] = serde_json::from_slice(principal.expose()).unwrap();
        std::fs::write(&path, to_canonical(&dossier).unwrap()).unwrap();
    }
    for key in keys.keys() {
        store.remove_of(key).unwrap();
    }
    std::fs::remove_dir_all(folder.join("keys")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_clear_is_sealed_when_the_gateway_starts() {
    let mut world = World::start().await;
    let opened = ended(&world).await;
    // One that goes on over the restart.
    let mut open = world.open(&tools()).await;
    let called = open.call("note", json!({"text": SECRET})).await;
    assert_eq!(called.reason(), "ok");
    world.stop_gateway().await;
    unseal(&world, &[&opened.session, &open.session]);
    let gateway = world.folder.path().join("gateway");
    assert!(!holds(&gateway, SECRET).is_empty());
    world.start_gateway(|_| {}).await;
    let clear = holds(&gateway, SECRET);
    assert!(clear.is_empty(), "{clear:?}");
    let files = world.evidence(&opened.session).await;
    assert_eq!(check(&world, &files).outcome, ReportOutcome::Verified);
    open.connection = open.agent.connect(world.address).await;
    let called = open.call("read", json!({"path": "more"})).await;
    assert_eq!(called.reason(), "ok", "{called:?}");
}
