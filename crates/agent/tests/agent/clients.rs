use std::sync::atomic::{AtomicBool, Ordering};

use chancery_agent::LocalClient;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Value, json};

use crate::support::Serving;
use crate::support::gateway::{Say, Seen};

/// A tool server behind the gateway, of either era.
fn server(seen: &Seen) -> Say {
    let message: Value = serde_json::from_str(&seen.body).unwrap();
    let answer = |result: Value| {
        json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()
    };
    let header = |name: &str| {
        seen.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let method = message["method"].as_str().unwrap_or_default();
    if method != "initialize" {
        let stateless = header("mcp-protocol-version") == "2026-07-28";
        if stateless && (header("mcp-method") != method || !header("mcp-session-id").is_empty()) {
            return Say::Nothing(400);
        }
        if !stateless && header("mcp-session-id") != "s-1" {
            return Say::Nothing(400);
        }
    }
    match method {
        "initialize" => Say::Open(
            "s-1",
            answer(json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "fake", "version": "1"},
            })),
        ),
        "server/discover" => Say::Json(
            200,
            answer(json!({
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "resultType": "complete",
                "ttlMs": 0,
                "cacheScope": "private",
            })),
        ),
        "tools/list" => Say::Json(
            200,
            answer(json!({
                "tools": [{"name": "read", "inputSchema": {"type": "object"}}],
                "resultType": "complete",
                "ttlMs": 0,
                "cacheScope": "private",
            })),
        ),
        "tools/call" => {
            let meta = &message["params"]["_meta"];
            assert!(meta["io.chancery/proof"].is_string());
            let told = json!({
                "jsonrpc": "2.0",
                "method": "notifications/message",
                "params": {"level": "info", "data": "working"},
            });
            let result = json!({
                "content": [{"type": "text", "text": message["params"]["arguments"]["text"]}],
                "resultType": "complete",
            });
            Say::Stream(vec![told.to_string(), answer(result)])
        }
        _ => Say::Nothing(202),
    }
}

async fn works(client: &RunningService<RoleClient, ()>) {
    let tools = client.list_all_tools().await.unwrap();
    assert_eq!(tools[0].name, "read");
    let (one, two) = tokio::join!(call(client, "one"), call(client, "two"));
    assert_eq!((one.as_str(), two.as_str()), ("one", "two"));
}

async fn call(client: &RunningService<RoleClient, ()>, text: &str) -> String {
    let arguments = json!({ "text": text }).as_object().cloned().unwrap();
    let call = CallToolRequestParams::new("read").with_arguments(arguments);
    let result = client.call_tool(call).await.unwrap();
    let content = serde_json::to_value(&result.content).unwrap();
    content[0]["text"].as_str().unwrap().to_owned()
}

async fn connect(serving: &Serving, mode: ClientLifecycleMode) -> RunningService<RoleClient, ()> {
    let transport = LocalClient::new(&serving.socket)
        .mcp("files")
        .await
        .unwrap();
    ().serve_with_lifecycle(transport, mode).await.unwrap()
}

#[tokio::test]
async fn the_sdk_client_works_in_the_legacy_era() {
    let serving = Serving::start(|_, seen| server(seen)).await;
    let client = connect(&serving, ClientLifecycleMode::Initialize).await;
    works(&client).await;
    client.cancel().await.unwrap();
    let seen = serving.gateway.wait_seen("/mcp/files", 6).await;
    let methods: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers.get("mcp-method").is_some())
        .collect();
    // The last one is the DELETE of the session.
    assert_eq!(methods.last(), Some(&false));
    assert_eq!(seen.last().unwrap().headers["mcp-session-id"], "s-1");
    assert!(seen[1].body.contains("notifications/initialized"));
}

#[tokio::test]
async fn the_sdk_client_works_in_the_stateless_era() {
    let serving = Serving::start(|_, seen| server(seen)).await;
    let mode = ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    };
    let client = connect(&serving, mode).await;
    works(&client).await;
    client.cancel().await.unwrap();
    let seen = serving.gateway.seen("/mcp/files");
    assert!(
        seen.iter()
            .all(|seen| seen.headers.get("mcp-session-id").is_none())
    );
    let call = seen
        .iter()
        .find(|seen| seen.headers["mcp-method"] == "tools/call")
        .unwrap();
    assert_eq!(call.headers["mcp-name"], "read");
}

#[tokio::test]
async fn a_legacy_session_that_the_gateway_forgot_is_opened_again() {
    let forgotten = AtomicBool::new(false);
    let serving = Serving::start(move |_, seen| {
        if seen.body.contains("tools/list") && !forgotten.swap(true, Ordering::SeqCst) {
            let text = r#"{"jsonrpc":"2.0","error":{"code":4404,"message":"initialize again"}}"#;
            return Say::Json(404, text.to_owned());
        }
        server(seen)
    })
    .await;
    let client = connect(&serving, ClientLifecycleMode::Initialize).await;
    works(&client).await;
    let seen = serving.gateway.seen("/mcp/files");
    let opened = seen
        .iter()
        .filter(|seen| seen.body.contains(r#""initialize""#));
    assert_eq!(opened.count(), 2);
}

#[tokio::test]
async fn a_client_that_closes_its_side_is_still_answered() {
    let serving =
        Serving::start(|_, _| Say::Json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned()))
            .await;
    let mut client = serving.connect().await;
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
        .await;
    client.close_writing();
    assert_eq!(client.json().await["id"], 1);
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn a_server_asks_and_is_answered() {
    let serving = Serving::start(|_, seen| {
        if seen.body.contains("tools/call") {
            let ask = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#.to_owned();
            return Say::Stream(vec![
                ask,
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
            ]);
        }
        Say::Nothing(202)
    })
    .await;
    let mut client = serving.connect().await;
    let question = client
        .ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}"#)
        .await;
    assert_eq!(question["method"], "roots/list");
    assert_eq!(client.json().await["id"], 1);
    let answer = r#"{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}"#;
    client.send(answer).await;
    let seen = serving.gateway.wait_seen("/mcp/files", 2).await;
    assert_eq!(seen[1].body, answer);
}
