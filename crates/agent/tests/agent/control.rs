use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chancery_agent::{
    Answer, LocalClient, LocalError, MAX_CHILDREN, SpawnEnd, SpawnEnds, SpawnError, SpawnMany,
    SpawnRequest, Spawned, SpawnedChild, Spawner,
};
use chancery_api::server::RosterFilter;
use chancery_types::id::SessionId;

use crate::support::gateway::Say;
use crate::support::world::session;
use crate::support::{Serving, Setup};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}"#;

fn ok() -> Say {
    Say::Json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned())
}

fn path(end: &str) -> String {
    format!("/v1/sessions/{}{end}", session())
}

/// Starts nothing; `hang` never ends.
#[derive(Default)]
struct Scripted {
    dropped: Arc<AtomicUsize>,
    begun: Arc<AtomicUsize>,
}

struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Spawner for Scripted {
    fn spawn(&self, request: SpawnRequest) -> Answer<'_, Result<SpawnEnd, SpawnError>> {
        Box::pin(async move {
            match request.argv[0].as_str() {
                "hang" => {
                    let _hanging = Hanging(Arc::clone(&self.dropped));
                    std::future::pending().await
                }
                "refuse" => Err(SpawnError {
                    reason: "no_such_agent".to_owned(),
                    message: "no such agent".to_owned(),
                    remedy: Some("register it".to_owned()),
                }),
                _ => Ok(SpawnEnd {
                    instance: request.agent,
                    exit_code: 3,
                    stdout: "out\n".to_owned(),
                }),
            }
        })
    }

    fn spawn_many(&self, request: SpawnMany) -> Answer<'_, Result<Spawned, SpawnError>> {
        Box::pin(async move {
            // Whoever asked may be gone meanwhile.
            tokio::task::yield_now().await;
            self.begun
                .fetch_add(request.children.len(), Ordering::SeqCst);
            let children = request.children.into_iter().map(|child| {
                let task = child.task.map(|task| task.to_string()).unwrap_or_default();
                SpawnedChild::Instance(format!("{} {} {task}", child.agent, child.argv[0]))
            });
            Ok(Spawned {
                children: children.collect(),
            })
        })
    }

    fn ends(&self, _: Vec<String>) -> Answer<'_, Result<SpawnEnds, SpawnError>> {
        Box::pin(async move {
            let _hanging = Hanging(Arc::clone(&self.dropped));
            self.begun.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        })
    }
}

async fn scripted() -> (Serving, Arc<Scripted>) {
    let spawner = Arc::new(Scripted::default());
    let setup = Setup {
        spawner: Some(Arc::clone(&spawner) as _),
        ..Setup::default()
    };
    (Serving::with(setup, |_, _| ok()).await, spawner)
}

fn request(command: &str) -> SpawnRequest {
    SpawnRequest {
        agent: "worker".to_owned(),
        allow: vec!["files/read".to_owned()],
        argv: vec![command.to_owned()],
        task: None,
        lifetime_seconds: None,
        outlive: false,
        may_delegate: false,
    }
}

#[tokio::test]
async fn the_first_call_opens_the_session_and_the_end_leaves_it() {
    let mut serving = Serving::start(|_, _| ok()).await;
    let mut client = serving.connect().await;
    assert!(serving.gateway.seen("/v1/sessions").is_empty());
    client.ask(CALL).await;
    client.ask(CALL).await;
    assert_eq!(serving.gateway.seen("/v1/sessions").len(), 1);
    assert!(serving.gateway.seen(&path("/join")).is_empty());
    serving.stop().await;
    assert_eq!(serving.gateway.seen(&path("/leave")).len(), 1);
}

#[tokio::test]
async fn who_holds_the_root_can_complete_what_was_joined_and_nothing_else() {
    let serving = Serving::start(|_, _| ok()).await;
    serving.instance.complete_session().await;
    assert!(serving.gateway.seen(&path("/end")).is_empty());
    serving.connect().await.ask(CALL).await;
    serving.instance.complete_session().await;
    assert_eq!(serving.gateway.seen(&path("/end")).len(), 1);
}

#[tokio::test]
async fn nothing_is_left_that_was_not_joined() {
    let mut serving = Serving::start(|_, _| ok()).await;
    serving.stop().await;
    assert!(serving.gateway.shared.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_is_open_is_joined_with_another_proof() {
    let serving = Serving::start(|_, _| ok()).await;
    serving.gateway.shared.opened.store(true, Ordering::SeqCst);
    let mut client = serving.connect().await;
    assert_eq!(client.ask(CALL).await["id"], 1);
    assert_eq!(serving.gateway.seen(&path("/join")).len(), 1);
    assert_eq!(serving.gateway.seen("/v1/challenges").len(), 2);
}

#[tokio::test]
async fn an_instance_that_the_gateway_forgot_joins_once_more_and_only_once() {
    let refused = r#"{"jsonrpc":"2.0","id":1,"error":{"code":4403,"message":"no","data":{"reason":"not_joined"}}}"#;
    let serving = Serving::start(move |number, _| match number {
        0 | 2 | 3 => Say::Json(200, refused.to_owned()),
        _ => ok(),
    })
    .await;
    let mut client = serving.connect().await;
    assert!(client.ask(CALL).await.get("result").is_some());
    assert_eq!(
        client.ask(CALL).await["error"]["data"]["reason"],
        "not_joined"
    );
    assert_eq!(serving.gateway.seen("/mcp/files").len(), 4);
}

#[tokio::test]
async fn sessions_are_viewed_and_ended_through_the_bridge() {
    let serving = Serving::start(|_, _| ok()).await;
    let local = LocalClient::new(&serving.socket);
    for refusal in [
        local.view_session().await.unwrap_err(),
        local.end_session().await.unwrap_err(),
    ] {
        assert!(matches!(refusal, LocalError::Refused { reason, .. } if reason == "not_joined"));
    }
    serving.connect().await.ask(CALL).await;
    let id: SessionId = session();
    assert_eq!(local.view_session().await.unwrap().session, id);
    let ended = local.end_session().await.unwrap();
    assert_eq!((ended.session, ended.log_index), (id, 9));
}

#[tokio::test]
async fn children_are_started_through_the_bridge() {
    let (serving, spawner) = scripted().await;
    let local = LocalClient::new(&serving.socket);
    let end = local.spawn(&request("work")).await.unwrap();
    assert_eq!(
        (end.instance.as_str(), end.exit_code, end.stdout.as_str()),
        ("worker", 3, "out\n")
    );
    let refusal = local.spawn(&request("refuse")).await.unwrap_err();
    assert!(matches!(refusal, LocalError::Refused { reason, .. } if reason == "no_such_agent"));
    let refusal = local.spawn(&request("")).await.unwrap_err();
    assert!(matches!(refusal, LocalError::Refused { reason, .. } if reason == "no_command"));

    let asking = tokio::spawn(async move { local.spawn(&request("hang")).await });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    asking.abort();
    for _ in 0..100 {
        if spawner.dropped.load(Ordering::SeqCst) == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the child goes on without its parent");
}

#[tokio::test]
async fn without_a_spawner_nothing_is_started() {
    let serving = Serving::start(|_, _| ok()).await;
    let refusal = LocalClient::new(&serving.socket)
        .spawn(&request("work"))
        .await
        .unwrap_err();
    assert!(matches!(refusal, LocalError::Refused { reason, .. } if reason == "no_spawner"));
}

fn reason(error: LocalError) -> String {
    match error {
        LocalError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn many_are_started_by_one_call_and_nobody_waits_for_them() {
    let (serving, spawner) = scripted().await;
    let local = LocalClient::new(&serving.socket);
    let mut own = request("own");
    own.task = Some("count".parse().unwrap());
    let mut shared = request("");
    shared.argv.clear();
    let many = |children: Vec<SpawnRequest>| SpawnMany {
        argv: vec!["shared".to_owned()],
        children,
    };
    let spawned = local
        .spawn_many(&many(vec![own, shared.clone()]))
        .await
        .unwrap();
    let begun = ["worker own count", "worker shared "];
    let begun = begun.map(|name| SpawnedChild::Instance(name.to_owned()));
    assert_eq!(spawned.children, begun);
    let all = local
        .spawn_many(&many(vec![shared.clone(); MAX_CHILDREN]))
        .await;
    assert_eq!(all.unwrap().children.len(), MAX_CHILDREN);
    for (count, said) in [(0, "spawn_too_many"), (MAX_CHILDREN + 1, "spawn_too_many")] {
        let refused = local.spawn_many(&many(vec![shared.clone(); count])).await;
        assert_eq!(reason(refused.unwrap_err()), said);
    }
    assert_eq!(spawner.begun.load(Ordering::SeqCst), MAX_CHILDREN + 2);
}

#[tokio::test]
async fn who_waits_for_ends_may_leave_and_a_roster_is_not_everybodys_to_give() {
    let (serving, spawner) = scripted().await;
    let local = LocalClient::new(&serving.socket);
    let asking = {
        let local = local.clone();
        tokio::spawn(async move { local.ends(&["a".to_owned()]).await })
    };
    while spawner.begun.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    asking.abort();
    while spawner.dropped.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // This one offers none.
    assert_eq!(
        reason(local.roster(&RosterFilter::default()).await.unwrap_err()),
        "no_spawner"
    );
}

#[tokio::test]
async fn without_a_spawner_there_are_neither_children_nor_a_roster() {
    let serving = Serving::start(|_, _| ok()).await;
    let local = LocalClient::new(&serving.socket);
    let many = SpawnMany {
        argv: Vec::new(),
        children: vec![request("work")],
    };
    assert_eq!(
        reason(local.spawn_many(&many).await.unwrap_err()),
        "no_spawner"
    );
    assert_eq!(reason(local.ends(&[]).await.unwrap_err()), "no_spawner");
    assert_eq!(
        reason(local.roster(&RosterFilter::default()).await.unwrap_err()),
        "no_spawner"
    );
}

#[tokio::test]
async fn a_bridge_that_is_not_there_is_named() {
    let refusal = LocalClient::new("/nonexistent/bridge.sock")
        .view_session()
        .await
        .unwrap_err();
    assert!(refusal.to_string().contains("/nonexistent/bridge.sock"));
}
