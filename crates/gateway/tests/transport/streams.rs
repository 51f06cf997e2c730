use std::time::Duration;

use chancery_gateway::{Limits, Status};
use http_body_util::BodyExt as _;

use crate::support::Gateway;
use crate::support::client::{BOTH, params};

const HEADERS: [(&str, &str); 4] = [
    BOTH,
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "silent"),
];

fn silent() -> String {
    let params = params(r#""name":"silent","#);
    format!(r#"{{"jsonrpc":"2.0","id":"s","method":"tools/call","params":{params}}}"#)
}

#[tokio::test]
async fn progress_comes_before_the_answer() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "progress").await;
    assert_eq!(reply.headers["x-accel-buffering"], "no");
    let events = reply.events();
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["params"]["progressToken"], "p");
    assert_eq!(events[1]["params"]["progress"], 2.0);
    assert_eq!(events[2]["id"], 1);
    assert!(reply.body.contains("\"progress\":2.0}"), "byte for byte");
}

#[tokio::test]
async fn a_long_call_shows_that_it_lives() {
    let limits = Limits {
        keep_alive: Duration::from_millis(50),
        call: Duration::from_millis(280),
        ..Limits::default()
    };
    let gateway = Gateway::with(limits).await;
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "silent").await;
    assert!(
        reply.body.matches(": keep-alive\n\n").count() >= 3,
        "{}",
        reply.body
    );
    assert_eq!(reply.events()[0]["error"]["code"], 4504);
}

async fn cancelled(gateway: &Gateway) {
    let outcomes = gateway.enforcer.outcomes(1).await;
    assert_eq!(outcomes[0].status, Status::Cancelled);
    for _ in 0..200 {
        if gateway.received().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told: serde_json::Value = serde_json::from_str(&gateway.received()[1]).unwrap();
    assert_eq!(told["method"], "notifications/cancelled");
    assert_eq!(told["params"]["requestId"], "s");
}

#[tokio::test]
async fn a_client_that_leaves_early_cancels() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let started = tokio::time::timeout(
        Duration::from_millis(300),
        client.start("POST", "/mcp/raw", &HEADERS, silent()),
    );
    assert!(started.await.is_err());
    drop(client);
    cancelled(&gateway).await;
}

#[tokio::test]
async fn a_client_that_closes_its_stream_cancels() {
    let limits = Limits {
        keep_alive: Duration::from_millis(50),
        ..Limits::default()
    };
    let gateway = Gateway::with(limits).await;
    let mut client = gateway.client("a").await;
    let mut response = client.start("POST", "/mcp/raw", &HEADERS, silent()).await;
    response.frame().await.unwrap().unwrap();
    drop((response, client));
    cancelled(&gateway).await;
}
