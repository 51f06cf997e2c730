//! Brakes at a real gateway: what they stop, how soon, and what stands in the log.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chancery_api::ClientError;
use chancery_api::gateway::{BrakeOrder, SetBrake};
use chancery_audit::{BrakeMode, BrakeOn, Event, Ruling};
use serde_json::json;
use tokio::task::JoinSet;

use super::world::{World, count, tools};

fn order(on: BrakeOn, name: &str) -> BrakeOrder {
    let name = name.parse().unwrap();
    BrakeOrder { on, name }
}

fn brake(on: BrakeOn, name: &str, mode: BrakeMode) -> SetBrake {
    let name = name.parse().unwrap();
    SetBrake { on, name, mode }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    match result {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("{other:?}"),
    }
}

/// From the button to the last call that is admitted: in the log no allowed call stands after the brake,
/// and the time until it is in force is seen here.
#[tokio::test(flavor = "multi_thread")]
async fn h7_no_call_is_admitted_after_the_brake_and_the_time_is_measured() {
    let world = World::start().await;
    let opened = world.open(&tools()).await;
    let agent = Arc::new(opened.agent);
    let chain = Arc::new(opened.chain.clone());
    let stopped = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let mut connection = agent.connect(world.address).await;
        let (agent, chain) = (Arc::clone(&agent), Arc::clone(&chain));
        let stopped = Arc::clone(&stopped);
        callers.spawn(async move {
            let mut last = None;
            while !stopped.load(Ordering::Relaxed) {
                let path = json!({"path": "/a"});
                let reply = connection.call(&agent, &chain, "read", path).await;
                match reply.reason() {
                    "ok" => last = Some(Instant::now()),
                    "paused" => break,
                    other => panic!("{other}"),
                }
            }
            last
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pressed = Instant::now();
    let set = brake(BrakeOn::Everywhere, "everywhere", BrakeMode::Pause);
    let changed = world.operator().set_brake(&set).await.unwrap();
    let in_force = pressed.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stopped.store(true, Ordering::Relaxed);
    let last = callers.join_all().await;
    let last = last.into_iter().flatten().max().unwrap();
    let after = last.saturating_duration_since(pressed);
    println!("brake in force after {in_force:?}, last answer of an admitted call after {after:?}");
    let log = world.log().await;
    let place = log
        .iter()
        .position(|entry| matches!(entry.event, Event::BrakeSet(_)));
    let place = place.unwrap();
    assert_eq!(changed.log_index, place as u64);
    let allowed = |entry: &chancery_audit::Entry| matches!(&entry.event, Event::Decision(it) if it.outcome == Ruling::Allow);
    assert!(log[..place].iter().any(allowed));
    assert!(!log[place..].iter().any(allowed));
    // It is in force, and listed.
    let known = world.operator().brakes().await.unwrap();
    assert_eq!(known.brakes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_a_pause_outlives_a_restart_and_ends_with_its_release() {
    let mut world = World::start().await;
    let opened = world.open(&tools()).await;
    let set = brake(BrakeOn::Tool, "fs/read", BrakeMode::Pause);
    world.operator().set_brake(&set).await.unwrap();
    world.stop_gateway().await;
    world.start_gateway(|_| {}).await;
    let mut connection = opened.agent.connect(world.address).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let read = json!({"path": "/a"});
    let reply = connection.call(agent, chain, "read", read.clone()).await;
    assert_eq!(reply.reason(), "paused");
    let reply = connection
        .call(agent, chain, "note", json!({"text": "x"}))
        .await;
    assert_eq!(reply.reason(), "ok");
    let release = order(BrakeOn::Tool, "fs/read");
    world.operator().release_brake(&release).await.unwrap();
    let reply = connection.call(agent, chain, "read", read).await;
    assert_eq!(reply.reason(), "ok");
    let reply = connection.control("POST", &opened.session, "/end").await;
    assert_eq!(reply.reason(), "ok");
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_what_is_killed_ends_and_a_stranger_sees_the_brake() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut other = world.open(&tools()).await;
    let set = brake(BrakeOn::Session, &opened.session, BrakeMode::Kill);
    world.operator().set_brake(&set).await.unwrap();
    let reply = opened.call("read", json!({"path": "/a"})).await;
    assert_ne!(reply.reason(), "ok");
    let ended = async {
        loop {
            let log = world.log().await;
            let ended = log.iter().find_map(|entry| match &entry.event {
                Event::SessionEnd(end) => Some(end.reason.name()),
                _ => None,
            });
            if let Some(reason) = ended {
                return reason;
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .unwrap();
    assert_eq!(reason, "killed");
    assert_eq!(
        other.call("read", json!({"path": "/a"})).await.reason(),
        "ok"
    );
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h7_a_brake_on_nothing_is_refused_and_a_kill_is_not_released() {
    let world = World::start().await;
    let operator = world.operator();
    for (on, name) in [
        (BrakeOn::Everywhere, "all"),
        (BrakeOn::Session, "ses_x"),
        (BrakeOn::Agent, "clerk"),
        (BrakeOn::Instance, "ins_1"),
        (BrakeOn::Tool, "pay"),
        (BrakeOn::Tool, "/pay"),
        (BrakeOn::Tool, "fs/"),
    ] {
        let set = brake(on, name, BrakeMode::Pause);
        assert_eq!(
            refusal(operator.set_brake(&set).await),
            "brake_name",
            "{name}"
        );
    }
    let unknown = order(BrakeOn::Tool, "fs/pay");
    assert_eq!(
        refusal(operator.release_brake(&unknown).await),
        "brake_unknown"
    );
    let kill = brake(BrakeOn::Tool, "fs/pay", BrakeMode::Kill);
    operator.set_brake(&kill).await.unwrap();
    assert_eq!(
        refusal(operator.release_brake(&unknown).await),
        "brake_kills"
    );
    assert_eq!(count(&world.log().await, "brake.release"), 0);
}

/// The agents' side has none of it, and the socket is its owner's alone.
#[tokio::test(flavor = "multi_thread")]
async fn h4_an_agent_reaches_no_brake() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    for (method, path) in [
        ("GET", "/v1/brakes"),
        ("POST", "/v1/brakes"),
        ("POST", "/v1/brakes/release"),
        ("GET", "/v1/sessions"),
    ] {
        let set = r#"{"on":"everywhere","name":"everywhere","mode":"kill"}"#;
        let reply = opened
            .connection
            .send(method, path, &[], set.to_owned())
            .await;
        assert!(reply.status.is_client_error(), "{method} {path}: {reply:?}");
    }
    let socket = world.folder.path().join("gateway.sock");
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        opened.call("read", json!({"path": "/a"})).await.reason(),
        "ok"
    );
}
