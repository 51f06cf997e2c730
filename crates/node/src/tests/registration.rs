use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use chancery_api::ClientError;
use chancery_identity::{InstanceSpiffeId, Isolation};
use serde_json::{Value, json};

use super::issuer::{Mood, TestIssuer};
use super::{AGENT, Serving, Sleeper};
use crate::{EndReason, LaunchList, LaunchView, Node, NodeConfig, NodeError, Process};

/// A `sleep` that is the init of a pid namespace, below `unshare`; where the system allows it.
fn contained() -> Option<(Sleeper, u32)> {
    let outer = Sleeper::start(
        "unshare",
        &[
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
            "sleep",
            "60",
        ],
    );
    let children = format!("/proc/{0}/task/{0}/children", outer.0.id());
    for _ in 0..100 {
        let text = fs::read_to_string(&children).unwrap_or_default();
        let child = text.split_ascii_whitespace().next();
        // Before it executes its program, the child is `unshare` still.
        let runs = |child: &&str| {
            fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "sleep\n")
        };
        if let Some(child) = child.filter(runs) {
            return Some((outer, child.parse().unwrap()));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("skipped: no pid namespaces here");
    None
}

fn process(pid: u32) -> Process {
    Process::open(pid.try_into().unwrap()).unwrap()
}

#[tokio::test]
async fn an_isolated_launch_covers_its_namespace_and_its_bridge() {
    let serving = Serving::start();
    let Some((outer, init)) = contained() else {
        return;
    };
    let launch = serving.register(Some(init), true).await.unwrap();
    let covering = |pid| {
        serving
            .launches
            .of_caller(&process(pid))
            .first()
            .map(|launch| launch.id())
    };
    assert_eq!(covering(init), Some(launch.launch_id));
    assert_eq!(covering(std::process::id()), Some(launch.launch_id));
    assert_eq!(covering(outer.0.id()), None);
    let list: LaunchList = serving.operator().get("/v1/launches").await.unwrap();
    let [view] = list.launches.as_slice() else {
        panic!("{list:?}");
    };
    assert_eq!(view.isolation, Isolation::Isolated);
    assert!(view.pid_namespace.is_some());
    assert_eq!(view.init_pid, Some(init.try_into().unwrap()));
}

#[tokio::test]
async fn a_namespace_has_one_init() {
    let serving = Serving::start();
    let Some((outer, _)) = contained() else {
        return;
    };
    // The parent of the namespace's init lives in the node's own namespace.
    let refusal = serving
        .register(Some(outer.0.id()), true)
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, "not_isolated");
}

#[tokio::test]
async fn an_isolated_launch_is_seen_to_be_isolated() {
    let serving = Serving::start();
    let child = Sleeper::plain();
    let refusal = serving
        .register(Some(child.0.id()), true)
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.status, refusal.reason.as_str()),
        (403, "not_isolated")
    );
    let refusal = serving.register(None, true).await.unwrap_err();
    assert_eq!(
        (refusal.status, refusal.reason.as_str()),
        (400, "no_init_pid")
    );
}

#[tokio::test]
async fn only_what_the_caller_started_is_its_to_launch() {
    let serving = Serving::start();
    for (pid, reason) in [
        (1, "not_a_descendant"),
        (std::os::unix::process::parent_id(), "not_a_descendant"),
        (std::process::id(), "not_a_descendant"),
        (0, "process_unknown"),
        (u32::MAX >> 1, "process_unknown"),
    ] {
        let refusal = serving.register(Some(pid), false).await.unwrap_err();
        assert_eq!(refusal.reason, reason, "{pid}");
    }
    let negative = json!({"agent_id": AGENT, "isolated": false, "init_pid": -1});
    match serving
        .operator()
        .post::<_, Value>("/v1/launches", &negative)
        .await
    {
        Err(ClientError::Refused(problem)) => assert_eq!(problem.reason, "process_unknown"),
        other => panic!("{other:?}"),
    }
    let mut gone = Sleeper::plain();
    gone.end();
    let refusal = serving
        .register(Some(gone.0.id()), false)
        .await
        .unwrap_err();
    assert_eq!(refusal.reason, "process_unknown");
    assert!(serving.launches.list().is_empty());
}

#[tokio::test]
async fn one_process_is_one_launch_at_a_time() {
    let serving = Serving::start();
    let first = serving.launch_own().await;
    let child = Sleeper::plain();
    for init in [None, Some(child.0.id())] {
        let refusal = serving.register(init, false).await.unwrap_err();
        assert_eq!(
            (refusal.status, refusal.reason.as_str()),
            (409, "launch_taken")
        );
    }
    let path = format!("/v1/launches/{}", first.launch_id);
    let view: LaunchView = serving.operator().delete(&path).await.unwrap();
    assert_eq!(view.spiffe_id, first.spiffe_id);
    let second = serving.launch_own().await;
    assert_ne!(second.instance_id, first.instance_id);
    match serving.operator().delete::<LaunchView>(&path).await {
        Err(ClientError::Refused(problem)) => assert_eq!(problem.reason, "no_such_launch"),
        other => panic!("{other:?}"),
    }
    while serving.issuer.ended.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let ended = serving.issuer.ended.lock().unwrap().clone();
    assert_eq!(ended, [(first.spiffe_id, EndReason::Withdrawn)]);
}

#[tokio::test]
async fn an_interpreter_is_recorded_as_one() {
    let serving = Serving::start();
    let child = Sleeper::start("sh", &["-c", "read x; :"]);
    serving.register(Some(child.0.id()), false).await.unwrap();
    let [launch] = serving.launches.list().try_into().unwrap();
    let executable = launch.facts().executable();
    assert!(executable.is_interpreter() && executable.code_digest().is_none());
    assert_eq!(launch.facts().isolation(), Isolation::Unisolated);
}

#[tokio::test]
async fn the_issuer_decides_which_instance_is_opened() {
    for (mood, status, reason) in [
        (Mood::Refusing, 403, "instance_refused"),
        (Mood::Away, 503, "issuer_unavailable"),
        (Mood::WrongAgent, 502, "issuer_contradicts"),
    ] {
        let serving = Serving::start();
        serving.issuer.feel(mood);
        let refusal = serving.register(None, false).await.unwrap_err();
        assert_eq!((refusal.status, refusal.reason.as_str()), (status, reason));
        assert!(serving.launches.list().is_empty());
    }
}

#[tokio::test]
async fn refuses_other_requests() {
    let serving = Serving::start();
    for body in [
        json!({}),
        json!({"agent_id": AGENT}),
        json!({"agent_id": "agent", "isolated": false}),
        json!({"agent_id": "spiffe://td/agent/a/instance/x", "isolated": false}),
        json!({"agent_id": AGENT, "isolated": "no"}),
        json!({"agent_id": AGENT, "isolated": false, "uid": 0}),
        json!({"agent_id": AGENT, "isolated": false, "init_pid": "1"}),
    ] {
        match serving
            .operator()
            .post::<_, Value>("/v1/launches", &body)
            .await
        {
            Err(ClientError::Refused(problem)) => assert_eq!(problem.reason, "bad_launch"),
            other => panic!("{body}: {other:?}"),
        }
    }
    match serving.operator().get::<Value>("/v1/other").await {
        Err(ClientError::Refused(problem)) => assert_eq!(problem.reason, "no_such_route"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_sockets_have_their_modes() {
    let serving = Serving::start();
    for (name, mode) in [("workload.sock", 0o666), ("node.sock", 0o600)] {
        let file = fs::metadata(serving.folder.path().join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, mode, "{name}");
    }
    let config = NodeConfig {
        workload_socket: serving.workload_socket(),
        operator_socket: serving.folder.path().join("other.sock"),
        launches: serving.folder.path().join("other"),
    };
    let refusal = Node::bind(&config, std::sync::Arc::new(TestIssuer::new())).unwrap_err();
    assert!(matches!(refusal, NodeError::Bind { .. }), "{refusal}");
    let config = NodeConfig {
        workload_socket: serving.folder.path().join("a".repeat(108)),
        ..config
    };
    let refusal = Node::bind(&config, std::sync::Arc::new(TestIssuer::new())).unwrap_err();
    assert!(
        matches!(refusal, NodeError::PathTooLong { .. }),
        "{refusal}"
    );
}

#[tokio::test]
async fn an_instance_belongs_to_its_agent() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    let id: InstanceSpiffeId = launch.spiffe_id.to_string().parse().unwrap();
    assert_eq!(id.agent().as_str(), AGENT);
    assert_eq!(id.instance(), launch.instance_id);
}
