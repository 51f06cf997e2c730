use std::collections::BTreeSet;
use std::time::Duration;

use chancery_audit::{Entry, Event};
use chancery_crypto::AwsLc;
use chancery_delegation::Verdict;
use chancery_evidence::trust_record::VerifiedTrustRecord;
use chancery_evidence::verify;
use chancery_journal::Reader;
use chancery_types::Digest;
use serde_json::json;

use super::plane::now;
use super::world::{World, reasons, tool, tools};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_keeps_convinces_a_stranger() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    let path = json!({"path": "/a"});
    let (agent, chain) = (&worker.agent, &worker.chain);
    let connection = &mut worker.connection;
    assert_eq!(
        connection
            .call(agent, chain, "read", path.clone())
            .await
            .reason(),
        "ok"
    );
    let proof = agent.proof(chain, "read", &path);
    for (proof, arguments) in [(&proof, json!({"path": "/b"})), (&proof, path.clone())] {
        connection.call_with(chain, proof, "read", &arguments).await;
    }
    connection.call_with(chain, &proof, "read", &path).await;
    connection.call_with(chain, "nonsense", "read", &path).await;
    connection.call(agent, chain, "note", json!({})).await;
    connection
        .call(agent, chain, "read", json!({"path": "/a", "x": 1}))
        .await;
    connection
        .call(agent, &opened.chain, "read", path.clone())
        .await;
    connection
        .call(agent, &["a.b.c".to_owned()], "read", path.clone())
        .await;
    connection.call(agent, &[], "read", path.clone()).await;
    let meta = json!({"io.chancery/delegation": {"no": "chain"}, "io.chancery/proof": 7});
    let params = json!({"name": "read", "arguments": path, "_meta": meta});
    connection.request("tools/call", Some("read"), params).await;
    let meta = json!({"io.chancery/delegation": chain, "io.chancery/proof": 7});
    let params = json!({"name": "read", "arguments": path, "_meta": meta});
    connection.request("tools/call", Some("read"), params).await;
    let proof = agent.proof(chain, "read", &path);
    let meta = json!({"io.chancery/delegation": chain, "io.chancery/proof": proof});
    let params = json!({"name": "read", "arguments": path, "task": {}, "_meta": meta});
    connection.request("tools/call", Some("read"), params).await;
    connection.call_with(chain, &proof, "read", &path).await;

    let (agent, chain) = (&opened.agent, &opened.chain);
    let connection = &mut opened.connection;
    connection.call(agent, chain, "wipe", json!({})).await;
    connection.call(agent, chain, "absent", json!({})).await;
    for (amount, verdict, last) in [
        (5, Verdict::Approve, "ok"),
        (6, Verdict::Deny, "approval_denied"),
    ] {
        let amount = json!({"amount": amount});
        let asked = connection.call(agent, chain, "pay", amount.clone()).await;
        assert_eq!(asked.reason(), "approval-pending");
        let question = world.plane.question().await;
        world.plane.answer(&question, verdict).await;
        let settled = connection.call(agent, chain, "pay", amount).await;
        assert_eq!(settled.reason(), last);
    }
    let ended = connection.control("POST", &opened.session, "/end").await;
    assert!(ended.body["record"].is_string(), "{ended:?}");
    assert_eq!(
        reasons(&world.log().await),
        [
            "permit",
            "pop_mismatch",
            "permit",
            "replay",
            "malformed",
            "not_in_scope",
            "unknown_argument",
            "holder_mismatch",
            "malformed",
            "delegation_missing",
            "delegation_missing",
            "pop_missing",
            "ungoverned_parameter",
            "replay",
            "policy_forbid",
            "not_in_catalog",
            "ask",
            "approved",
            "ask",
            "approval_denied",
        ]
    );

    let files = world.evidence(&opened.session).await;
    let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
    assert!(report.is_verified(), "{:#?}", report.findings);
    assert!(!verify(&files, None, &AwsLc, now()).is_verified());
    for (path, content) in files.iter() {
        let mut altered = files.clone();
        let mut content = content.to_vec();
        match content.last_mut() {
            Some(byte) => *byte ^= 1,
            None => content.push(0),
        }
        altered.insert(path, content);
        let report = verify(&altered, Some(&world.plane.trust), &AwsLc, now());
        assert!(!report.is_verified(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_once_is_one_history() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let other = world.open(&tools()).await;
    let workers = [
        world.join(&opened, &[tool("read")]).await,
        world.join(&opened, &[tool("read")]).await,
        world.join(&opened, &[tool("read")]).await,
        other,
    ];
    let mut running = tokio::task::JoinSet::new();
    for mut worker in workers {
        running.spawn(async move {
            for round in 0..20 {
                let path = json!({"path": format!("/{round}")});
                let (agent, chain) = (&worker.agent, &worker.chain);
                let reply = worker.connection.call(agent, chain, "read", path).await;
                assert_eq!(reply.reason(), "ok");
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let ended = opened.end().await;
    assert!(ended.body["record"].is_string(), "{ended:?}");
    let report = world.report(&opened.session).await;
    assert!(report.is_verified(), "{:#?}", report.findings);
    assert_eq!(world.forwarded().len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_does_not_wait_until_the_others_are_quiet() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut other = world.open(&tools()).await;
    let busy = tokio::spawn(async move {
        loop {
            let reply = other.call("read", json!({"path": "/a"})).await;
            assert_eq!(reply.reason(), "ok");
        }
    });
    opened.call("read", json!({"path": "/a"})).await;
    let ended = opened.end().await;
    assert!(ended.body["record"].is_string(), "{ended:?}");
    let report = world.report(&opened.session).await;
    assert!(!busy.is_finished());
    busy.abort();
    assert!(report.is_verified(), "{:#?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_at_once_name_checkpoints_that_are_enrolled() {
    let world = World::start().await;
    let mut ending = tokio::task::JoinSet::new();
    for _ in 0..SESSIONS {
        let mut opened = world.open(&[tool("read")]).await;
        ending.spawn(async move { assert_eq!(opened.end().await.reason(), "ok") });
    }
    while let Some(done) = ending.join_next().await {
        done.unwrap();
    }
    let folder = world.folder.path().join("gateway");
    while std::fs::read_dir(folder.join("waiting")).unwrap().count() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let enrolled = enrolled_checkpoints(&world).await;
    let signers = &world.plane.trust.record_signers;
    let mut records = 0;
    for file in std::fs::read_dir(folder.join("records")).unwrap() {
        let record = std::fs::read(file.unwrap().path()).unwrap();
        let record = VerifiedTrustRecord::verify(&record, signers, &AwsLc).unwrap();
        let mut references = record.references.iter();
        let named = references.find(|one| one.rel == "log-checkpoint").unwrap();
        assert!(enrolled.contains(&named.digest), "{named:?}");
        records += 1;
    }
    assert_eq!(records, SESSIONS);
}

const SESSIONS: usize = 16;

/// What the server's log has of the gateway's checkpoints.
async fn enrolled_checkpoints(world: &World) -> BTreeSet<Digest> {
    // The server publishes what it enrolled within a second.
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    let server = Reader::open(&world.folder.path().join("server/log")).unwrap();
    let entries = server.entries(0..server.size().unwrap()).unwrap();
    let events = entries.map(|entry| Entry::parse(&entry.unwrap().1).unwrap().event);
    events
        .filter_map(|event| match event {
            Event::CheckpointEnrol(enrol) => Some(enrol.checkpoint),
            _ => None,
        })
        .collect()
}
