use std::sync::Arc;
use std::time::Duration;

use chancery_audit::{EndReason, Entry, Event, Label, LogSucceed};
use chancery_crypto::AwsLc;
use chancery_evidence::EvidenceIndex;
use chancery_evidence::trust_record::VerifiedTrustRecord;
use chancery_gateway::{KeptObject, KeptObjects};
use chancery_journal::{Config, Journal, LocalSigner, Reader};
use chancery_types::Digest;
use serde_json::json;

use super::agent::Agent;
use super::plane::{DOMAIN, now};
use super::world::{World, count, tool, tools};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_once_with_its_evidence() {
    let mut world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    let path = json!({"path": "/a"});
    let (agent, chain) = (&worker.agent, &worker.chain);
    assert_eq!(
        worker
            .connection
            .call(agent, chain, "read", path.clone())
            .await
            .reason(),
        "ok"
    );
    let denied = worker
        .connection
        .call(agent, chain, "note", json!({}))
        .await;
    assert_eq!(denied.reason(), "not_in_scope");
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok", "{ended:?}");
    let again = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(again.reason(), "session_unknown");
    let late = worker.connection.call(agent, chain, "read", path).await;
    assert_eq!(late.reason(), "not_joined");
    let view = opened.connection.control("GET", &opened.session, "").await;
    assert_eq!(view.body["ended"], true);

    let log = world.log().await;
    assert_eq!(count(&log, "session.end"), 1);
    assert_eq!(count(&log, "session.leave"), 2);
    let (place, end) = log
        .iter()
        .enumerate()
        .find_map(|(place, entry)| match &entry.event {
            Event::SessionEnd(end) => Some((place, end.clone())),
            _ => None,
        })
        .unwrap();
    assert_eq!(ended.body["log_index"], place);
    assert_eq!(
        (end.counts.allowed, end.counts.denied, end.counts.outcomes),
        (1, 1, 1)
    );
    let folder = world.folder.path().join("gateway");
    let reader = Reader::open(&folder.join("log")).unwrap();
    let kept = KeptObjects::open(&folder, &reader).unwrap();
    let object = |digest: Digest| match kept.get(digest).ok()? {
        KeptObject::Bytes(bytes) => Some(bytes),
        KeptObject::Erased(_) => None,
    };
    let index = EvidenceIndex::parse(&object(end.evidence.unwrap()).unwrap()).unwrap();
    assert_eq!(index.session.to_string(), opened.session);
    for listed in &index.objects {
        assert_eq!(Digest::of(object(listed.digest).unwrap()), listed.digest);
    }
    for entry in &log {
        let named = match &entry.event {
            Event::Decision(it) => vec![it.chain, it.proof, it.request.args_digest],
            Event::SessionOpen(it) => vec![it.chain, it.mission, it.catalog],
            Event::DelegationEnrol(it) => vec![it.link],
            _ => continue,
        };
        for digest in named {
            assert!(
                index.objects.iter().any(|listed| listed.digest == digest),
                "{entry:?}"
            );
        }
    }

    let record = std::fs::read(
        folder
            .join("records")
            .join(format!("{}.json", opened.session)),
    );
    let record = record.unwrap();
    let signers = &world.plane.trust.record_signers;
    let verified = VerifiedTrustRecord::verify(&record, signers, &AwsLc).unwrap();
    assert_eq!(verified.subject, opened.agent.spiffe_id);
    assert_eq!(verified.tool_transcript.call_count, 2);
    assert_eq!(ended.body["record"], json!(verified.digest()));
    let rels: Vec<_> = verified
        .references
        .iter()
        .map(|one| one.rel.as_str())
        .collect();
    assert_eq!(
        rels,
        [
            "agent-manifest",
            "evidence-index",
            "log-checkpoint",
            "delegation-root"
        ]
    );
    assert_eq!(verified.references[1].digest, end.evidence.unwrap());
    let mut tampered = record.clone();
    let at = tampered.iter().position(|byte| *byte == b'2').unwrap();
    tampered[at] = b'3';
    assert!(VerifiedTrustRecord::verify(&tampered, signers, &AwsLc).is_err());

    // A root opens one session, after a restart too.
    world.stop_gateway().await;
    world.start_gateway(|_| {}).await;
    let mut connection = opened.agent.connect(world.address).await;
    let nonce = connection.nonce().await;
    let presentation = opened
        .agent
        .presentation(&opened.root, &opened.chain, &nonce);
    assert_eq!(
        connection.open(&presentation).await.reason(),
        "session_exists"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_closes_what_still_runs() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, opened.chain.clone());
    let mut second = agent.connect(world.address).await;
    let (slow, ended) = tokio::join!(second.call(agent, &chain, "slow", json!({})), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        opened
            .connection
            .control("POST", &opened.session, "/end")
            .await
    });
    assert_eq!(ended.reason(), "ok");
    assert_eq!(slow.body["error"]["code"], 4503);
    let log = world.log().await;
    assert_eq!(count(&log, "outcome"), 1);
    assert_eq!(count(&log, "session.end"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_themselves_when_nobody_is_left_or_their_time_is_over() {
    let world = World::with(|config| config.abandon_seconds = 1).await;
    let mut left = world.open(&tools()).await;
    assert_eq!(
        left.connection
            .control("POST", &left.session, "/leave")
            .await
            .reason(),
        "ok"
    );
    let agent = Agent::launch(&world.plane).await;
    let root = agent.root(&world.plane, &tools(), 4).await;
    let chain = vec![root.root.clone()];
    let mut connection = agent.connect(world.address).await;
    let nonce = connection.nonce().await;
    let opened = connection
        .open(&agent.presentation(&root, &chain, &nonce))
        .await;
    assert_eq!(opened.reason(), "ok");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let late = connection
        .call(&agent, &chain, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(late.reason(), "expired");
    let log = world.log().await;
    let mut ends: Vec<_> = log
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::SessionEnd(end) => Some(end.reason),
            _ => None,
        })
        .collect();
    ends.sort();
    let mut expected = [EndReason::Expired, EndReason::Abandoned];
    expected.sort();
    assert_eq!(ends, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_the_server() {
    let mut world = World::start().await;
    let mut opened = world.open(&tools()).await;
    world.plane.stop_server().await;
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok");
    assert!(ended.body.get("record").is_none());
    let waiting = world
        .folder
        .path()
        .join("gateway/waiting")
        .join(&opened.session);
    assert!(waiting.exists());
    world.stop_gateway().await;
    world.plane.start_server().await;
    world.start_gateway(|_| {}).await;
    for _ in 0..100 {
        if !waiting.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the record is not enrolled");
}

/// What `log succeed` leaves: the entries that are there, and one that says that others are missing.
async fn succeed(world: &World) {
    let config = world.config();
    let first = config.name.log_origin(DOMAIN);
    let signer = LocalSigner::open_or_create(&config.log_key, &first.parse().unwrap()).unwrap();
    let journal = Config::new(&config.log, first.parse().unwrap());
    let journal = Journal::open(journal, Arc::new(signer)).unwrap();
    let entry = Entry {
        origin: Label::or_digest(&first),
        at: now(),
        event: LogSucceed {
            log: Label::or_digest(&first),
            size: journal.size(),
            root: Digest::of("root"),
            checkpoint: Digest::of("checkpoint"),
            signed: journal.size() + 1,
            signed_root: Digest::of("signed root"),
            signed_checkpoint: Digest::of("signed checkpoint"),
        }
        .into(),
    };
    journal.append(entry.to_bytes().unwrap()).await.unwrap();
    journal.publish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_were_open_when_a_log_was_succeeded_take_no_call_and_end() {
    let mut world = World::start().await;
    let opened = world.open(&tools()).await;
    world.stop_gateway().await;
    succeed(&world).await;
    world.start_gateway(|_| {}).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let mut connection = agent.connect(world.address).await;
    let arguments = json!({"path": "/a"});
    let refused = connection.call(agent, chain, "read", arguments).await;
    assert!(
        ["session_ending", "not_joined", "session_ended"].contains(&refused.reason()),
        "{refused:?}"
    );
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let end = loop {
        let log = world.log().await;
        let ended = log.iter().find_map(|entry| match &entry.event {
            Event::SessionEnd(end) => Some(end.reason),
            _ => None,
        });
        if let Some(reason) = ended {
            break reason;
        }
        assert!(tokio::time::Instant::now() < deadline, "it does not end");
    };
    assert_eq!(end, EndReason::Interrupted);
    // Another session finds nothing missing.
    let mut next = world.open(&tools()).await;
    assert_eq!(
        next.call("read", json!({"path": "/a"})).await.reason(),
        "ok"
    );
}
