use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;

use chancery_audit::{Event, OutcomeStatus};
use chancery_crypto::AwsLc;
use chancery_evidence::{NoteValue, TRUST_RECORD_PATH, verify, why};
use serde_json::json;

use super::agent::Agent;
use super::plane::now;
use super::world::{World, count, example, reasons, tools};

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_running_sessions_go_on_for_the_grace() {
    let world = World::with(|config| config.grace_seconds = 16).await;
    let mut opened = world.open(&tools()).await;
    let late = Agent::launch(&world.plane).await;
    let root = late.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    world.plane.stop_server().await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (agent, session) = (&opened.agent, &opened.chain);
    let connection = &mut opened.connection;
    let read = connection
        .call(agent, session, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(read.reason(), "ok");
    let note = connection
        .call(agent, session, "note", json!({"text": "x"}))
        .await;
    assert_eq!(note.reason(), "ok");
    let paid = connection
        .call(agent, session, "pay", json!({"amount": 1}))
        .await;
    assert_eq!(paid.reason(), "snapshot_stale");
    let mut newcomer = late.connect(world.address).await;
    let nonce = newcomer.nonce().await;
    let refused = newcomer
        .open(&late.presentation(&root, &chain, &nonce))
        .await;
    assert_eq!(refused.reason(), "snapshot_stale");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let read = connection
        .call(agent, session, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(read.reason(), "snapshot_expired");
    let listed = connection.request("tools/list", None, json!({})).await;
    assert_eq!(listed.reason(), "snapshot_expired");
    assert_eq!(
        reasons(&world.log().await),
        [
            "permit",
            "permit",
            "snapshot_stale",
            "snapshot_stale",
            "snapshot_expired"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_governs_the_next_call() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let path = json!({"path": "/a"});
    let before = opened
        .connection
        .call(agent, chain, "read", path.clone())
        .await;
    assert_eq!(before.reason(), "ok");
    let digest = world
        .plane
        .publish(2, "@id(\"nobody\") forbid(principal, action, resource);")
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = opened.connection.call(agent, chain, "read", path).await;
    assert_eq!(after.reason(), "policy_forbid");
    let log = world.log().await;
    let last = log.iter().rev().find_map(|entry| match &entry.event {
        Event::Decision(decision) => Some(decision.policy),
        _ => None,
    });
    assert_eq!(last, Some(digest));
    // Its manifest binds the policy before: no further session of this agent.
    let late = Agent::launch(&world.plane).await;
    let root = late.root(&world.plane, &tools(), 600).await;
    let mut connection = late.connect(world.address).await;
    let nonce = connection.nonce().await;
    let presentation = late.presentation(&root, std::slice::from_ref(&root.root), &nonce);
    assert_eq!(
        connection.open(&presentation).await.reason(),
        "policy_mismatch"
    );
}

async fn spawn(world: &World) -> (Child, SocketAddr) {
    let data = world.folder.path();
    let address = data.join("address");
    let _ = std::fs::remove_file(&address);
    let mut child = Command::new(example("gateway_process"))
        .arg(data)
        .arg(example("governed_server"))
        .arg(data.join("received"))
        .spawn()
        .unwrap();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let text = std::fs::read_to_string(&address).unwrap_or_default();
        if let Ok(address) = text.parse() {
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            return (child, address);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the gateway does not start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_goes_on_where_its_log_ends() {
    let mut world = World::plane().await;
    let (mut child, address) = spawn(&world).await;
    world.address = address;
    let limited = json!({
        "type": "mcp_tool", "server": "fs", "tool": "read", "limits": {"max_calls": 2}
    });
    let mut opened = world.open(&[limited, super::world::tool("slow")]).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let path = json!({"path": "/a"});
    let replayed = agent.proof(chain, "read", &path);
    let first = opened
        .connection
        .call_with(chain, &replayed, "read", &path)
        .await;
    assert_eq!(first.reason(), "ok");
    let none = json!({});
    let proof = agent.proof(chain, "slow", &none);
    let slow = opened.connection.call_with(chain, &proof, "slow", &none);
    assert!(
        // Long enough that it is decided on a busy machine as well.
        tokio::time::timeout(Duration::from_secs(2), slow)
            .await
            .is_err()
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let (mut child, address) = spawn(&world).await;
    let mut connection = agent.connect(address).await;
    let old = connection.call_with(chain, &replayed, "read", &path).await;
    assert_eq!(old.reason(), "pop_stale");
    let second = connection.call(agent, chain, "read", path.clone()).await;
    assert_eq!(second.reason(), "ok");
    let third = connection.call(agent, chain, "read", path).await;
    assert_eq!(third.reason(), "call_limit");
    let log = world.log().await;
    let unknown = log.iter().filter(|entry| match &entry.event {
        Event::Outcome(outcome) => outcome.status == OutcomeStatus::Unknown,
        _ => false,
    });
    assert_eq!(unknown.count(), 1);
    assert_eq!(count(&log, "session.open"), 1);
    // What the run that was killed left is said, once, between its decision and its outcome.
    let gap = log.iter().find_map(|entry| match &entry.event {
        Event::GapDisclose(gap) => Some(gap.clone()),
        _ => None,
    });
    let gap = gap.unwrap();
    assert_eq!(count(&log, "gap.disclose"), 1);
    let decided = &log[usize::try_from(gap.decision).unwrap()].event;
    assert!(matches!(decided, Event::Decision(decision)
        if decision.execution == gap.execution && decision.request.name == *"slow"));
    // A further start adds nothing to it.
    child.kill().unwrap();
    child.wait().unwrap();
    let (mut child, address) = spawn(&world).await;
    let mut connection = agent.connect(address).await;
    let ended = connection.control("POST", &opened.session, "/end").await;
    assert_eq!(ended.reason(), "ok", "{ended:?}");
    assert_eq!(count(&world.log().await, "gap.disclose"), 1);
    let files = world.evidence(&opened.session).await;
    let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
    assert_eq!(report.findings, [], "{report:#?}");
    let mut notes = report.notes.iter();
    assert!(
        notes.any(|note| note.value == NoteValue::Gap),
        "{report:#?}"
    );
    let record = files.get(TRUST_RECORD_PATH).unwrap();
    let record: serde_json::Value = serde_json::from_slice(record).unwrap();
    assert_eq!(record["tool_transcript"]["gap_count"], 1);
    let story = why(
        &files,
        Some(&world.plane.trust),
        &AwsLc,
        gap.execution,
        now(),
    )
    .unwrap();
    assert!(story.action.gap);
    let told = story.to_string();
    assert!(told.contains("gap") && told.contains("unknown"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
}
