use http::StatusCode;
use serde_json::json;

use crate::support::Gateway;
use crate::support::client::BOTH;

const PING: &str = r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;

fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","_meta":{{"progressToken":1}}}}}}"#
    )
}

#[tokio::test]
async fn a_session_works_for_its_peer_and_server_only() {
    let gateway = Gateway::start().await;
    let (mut ours, mut theirs) = (gateway.client("a").await, gateway.client("b").await);
    let session = ours.initialize("old").await;
    assert_eq!(session.len(), 32);
    assert_eq!(
        ours.legacy("old", &session, PING).await.status,
        StatusCode::OK
    );
    let before = gateway.received().len();

    let reply = theirs.legacy("old", &session, PING).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, 4404));
    let reply = ours.legacy("raw", &session, PING).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    for unknown in ["", "x", &"0".repeat(32), &session.to_uppercase()] {
        if *unknown != session {
            let reply = ours.legacy("old", unknown, PING).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{unknown:?}");
        }
    }
    let reply = ours.send("POST", "/mcp/old", &[BOTH], PING).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let header = [("mcp-session-id", session.as_str())];
    let reply = theirs.send("DELETE", "/mcp/old", &header, "").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(gateway.received().len(), before);

    assert_eq!(
        ours.legacy("old", &session, PING).await.status,
        StatusCode::OK
    );
    let reply = ours.send("DELETE", "/mcp/old", &header, "").await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    assert_eq!(
        ours.legacy("old", &session, PING).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_child_that_crashed_comes_back_initialized() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let session = client.initialize("old").await;
    let reply = client.legacy("old", &session, &call("crash")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::OK, 4503));
    assert!(reply.body.contains("exit status: 3"), "{}", reply.body);
    let reply = client.legacy("old", &session, &call("fails")).await;
    assert_eq!(reply.json()["result"]["isError"], true);
    let received = gateway.received();
    let methods: Vec<_> = received
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["method"].clone())
        .collect();
    assert_eq!(
        methods,
        [
            "initialize",
            "notifications/initialized",
            "tools/call",
            "initialize",
            "notifications/initialized",
            "tools/call",
        ]
    );
    assert_eq!(received[0], received[3]);
}

/// A call that comes while the gateway ends its children starts no server that nobody greeted.
#[tokio::test]
async fn no_server_is_called_before_it_was_greeted() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let session = client.initialize("old").await;
    gateway.upstreams.close_all().await;
    let before = gateway.received();
    let reply = client.legacy("old", &session, &call("fails")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::OK, 4404));
    assert_eq!(gateway.received(), before);
    let session = client.initialize("old").await;
    let reply = client.legacy("old", &session, &call("fails")).await;
    assert_eq!(reply.json()["result"]["isError"], true);
}

#[tokio::test]
async fn the_server_may_ask_on_the_open_stream() {
    use http_body_util::BodyExt as _;

    let gateway = Gateway::start().await;
    let (mut client, mut second) = (gateway.client("a").await, gateway.client("a").await);
    let session = client.initialize("old").await;
    let headers = [BOTH, ("mcp-session-id", session.as_str())];
    let answer = r#"{"jsonrpc":"2.0","id":"ask-1","result":{"roots":[]}}"#;
    let reply = second.legacy("old", &session, answer).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "nobody asked yet");

    let mut response = client
        .start("POST", "/mcp/old", &headers, call("ask"))
        .await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let first = response
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(
        first,
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"ask-1\",\"method\":\"roots/list\"}\n\n"
    );
    let reply = second.legacy("old", &session, answer).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    let rest = response.collect().await.unwrap().to_bytes();
    let rest = String::from_utf8(rest.to_vec()).unwrap();
    assert!(
        rest.contains(r#""id":7,"result":{"#) && rest.contains(r#""answer":{"roots":[]}"#),
        "{rest}"
    );
    let reply = second.legacy("old", &session, answer).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "answered already");
}

#[tokio::test]
async fn a_client_without_streams_is_not_asked() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let session = client.initialize("old").await;
    let headers = [("accept", "application/json"), ("mcp-session-id", &session)];
    let reply = client
        .send("POST", "/mcp/old", &headers, call("progress"))
        .await;
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.json()["result"], json!({"content": []}));
}

#[tokio::test]
async fn a_withdrawn_call_ends() {
    let gateway = Gateway::start().await;
    let (mut client, mut second) = (gateway.client("a").await, gateway.client("a").await);
    let session = client.initialize("old").await;
    let known = session.clone();
    let waiting = tokio::spawn(async move { client.legacy("old", &known, &call("silent")).await });
    while gateway.received().len() < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let told = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let reply = second.legacy("old", &session, told).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    assert_eq!(waiting.await.unwrap().code(), 4499);
    let outcomes = gateway.enforcer.outcomes(1).await;
    assert_eq!(outcomes[0].status.as_str(), "cancelled");
}

#[tokio::test]
async fn a_peer_has_only_so_many_sessions() {
    let limits = chancery_gateway::Limits {
        sessions_per_peer: 1,
        ..Default::default()
    };
    let gateway = Gateway::with(limits).await;
    let mut client = gateway.client("a").await;
    let session = client.initialize("old").await;
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let reply = client.send("POST", "/mcp/old", &[BOTH], body).await;
    assert_eq!(
        reply.json()["error"]["data"]["reason"],
        "too-many-transport-sessions"
    );
    assert!(!reply.headers.contains_key("mcp-session-id"));
    let header = [("mcp-session-id", session.as_str())];
    client.send("DELETE", "/mcp/old", &header, "").await;
    client.initialize("old").await;
}
