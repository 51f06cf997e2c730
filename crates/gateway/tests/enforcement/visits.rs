//! What a session hears without a decision, and that it is an instance's only one.

use chancery_audit::Event;
use serde_json::json;

use super::world::{World, count, tools};

const PERMITS: &str = r#"
@id("use") permit (principal, action, resource);
"#;

/// A server's list holds its own words: the session has them before any call.
#[tokio::test(flavor = "multi_thread")]
async fn s7_the_list_of_an_untrusted_server_taints_before_any_call() {
    let rules = json!({"untrusted_servers": ["fs"], "tools": {"fs/pay": {}}});
    let world = World::ruled(PERMITS, rules).await;
    let mut opened = world.open(&tools()).await;
    for _ in 0..2 {
        let listed = opened.connection.request("tools/list", None, json!({}));
        assert!(listed.await.body["result"]["tools"].is_array());
    }
    let acted = opened.call("pay", json!({"amount": 5})).await;
    assert_eq!(acted.reason(), "approval-pending");
    let question = world.plane.question().await;
    assert_eq!(question.request.subject.policies, ["taint:server:fs"]);
    opened.end().await;
    let log = world.log().await;
    assert_eq!(count(&log, "session.visit"), 1);
    let visited = log
        .iter()
        .position(|entry| matches!(&entry.event, Event::SessionVisit(_)));
    let decided = log
        .iter()
        .position(|entry| matches!(&entry.event, Event::Decision(_)));
    assert!(visited < decided);
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_the_list_of_another_server_taints_nothing() {
    let world = World::ruled(PERMITS, json!({"tools": {"fs/pay": {}}})).await;
    let mut opened = world.open(&tools()).await;
    opened
        .connection
        .request("tools/list", None, json!({}))
        .await;
    let acted = opened.call("pay", json!({"amount": 5})).await;
    assert_eq!(acted.reason(), "ok");
    assert_eq!(count(&world.log().await, "session.visit"), 0);
}

/// Who ended its session, whatever stopped it there, goes on in no other one.
#[tokio::test(flavor = "multi_thread")]
async fn p3_an_instance_opens_no_second_session() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    for ended in [false, true] {
        if ended {
            opened.end().await;
        }
        let agent = &opened.agent;
        let root = agent.root(&world.plane, &tools(), 600).await;
        let chain = vec![root.root.clone()];
        let mut connection = agent.connect(world.address).await;
        let nonce = connection.nonce().await;
        let presentation = agent.presentation(&root, &chain, &nonce);
        let reply = connection.open(&presentation).await;
        assert_eq!(reply.reason(), "joined_elsewhere", "{reply:?}");
    }
    let log = world.log().await;
    assert_eq!(count(&log, "session.open"), 1);
    assert_eq!(count(&log, "session.refuse"), 2);
}
