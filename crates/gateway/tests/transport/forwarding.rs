use http::StatusCode;

use crate::support::Gateway;
use crate::support::client::{BOTH, params};

const HEADERS: [(&str, &str); 4] = [
    BOTH,
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/call"),
    ("mcp-name", "echo"),
];

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;

#[tokio::test]
async fn every_byte_that_is_not_ours_arrives() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let body = format!(
        r#" {{ "id" : "\u0061" ,"jsonrpc":"2.0", "future":[1.50,1E+2,-0.0,12345678901234567890123],"method":"tools/call","params":{{"name":"echo","x":null , "arguments":{{"n": 1.0,"s":"\/\u00e9"}},"_meta":{{ {META},"k":{{}} }} }} }} "#
    );
    let reply = client
        .send("POST", "/mcp/raw", &HEADERS, body.clone())
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(gateway.received(), [body.as_str()]);
    let received = serde_json::to_string(&body).unwrap();
    assert_eq!(
        reply.body,
        format!(
            r#"{{"jsonrpc":"2.0","id":"a","result":{{ "content":[] ,"received":{received},"n":1.50}}}}"#
        )
    );
}

#[tokio::test]
async fn a_message_on_several_lines_becomes_one() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let body = format!(
        "{{\r\n\"jsonrpc\":\"2.0\",\n\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"_meta\":{{{META}}}}}}}"
    );
    let reply = client
        .send("POST", "/mcp/raw", &HEADERS, body.clone())
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(gateway.received(), [body.replace(['\r', '\n'], " ")]);
}

#[tokio::test]
async fn delegation_and_proof_stay_here() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let body = |credentials: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"a":1.0}},"_meta":{{{META}{credentials}}}}}}}"#
        )
    };
    let full = body(r#","io.chancery/delegation":["l1","l2"],"io.chancery/proof":"p""#);
    let reply = client.send("POST", "/mcp/raw", &HEADERS, full).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(gateway.received(), [body("")]);
    let calls = gateway.enforcer.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].peer, "spiffe://test/a");
    assert_eq!(calls[0].target, "echo");
    assert_eq!(calls[0].arguments.as_deref(), Some(r#"{"a":1.0}"#));
    assert_eq!(calls[0].delegation.as_deref(), Some(r#"["l1","l2"]"#));
    assert_eq!(calls[0].proof.as_deref(), Some(r#""p""#));
}

#[tokio::test]
async fn errors_of_the_server_pass_with_their_status() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client
        .stateless("raw", "completion/complete", None, &params(""))
        .await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(
        reply.body,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no","data":[1.0]}}"#
    );
    // A server of the legacy era: the client is to fall back.
    let reply = client
        .stateless("old", "server/discover", None, &params(""))
        .await;
    assert_eq!(
        (reply.status, reply.code()),
        (StatusCode::BAD_REQUEST, -32601)
    );
    let reply = client
        .stateless("raw", "server/discover", None, &params(""))
        .await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn lists_are_filtered_and_no_longer_public() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client
        .stateless("raw", "tools/list", None, &params(""))
        .await;
    assert_eq!(
        reply.body,
        r#"{"jsonrpc":"2.0","id":1,"result":{"ttlMs":1.0e3,"tools":[{"name":"echo","inputSchema":{"type":"object"},"future":1.50} ,{"name":"crash","inputSchema":{"type":"object"}}],"cacheScope":"private","resultType":"complete"}}"#
    );
}

#[tokio::test]
async fn a_child_sees_no_more_of_the_environment_than_it_may() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "environment").await;
    let names = reply.json()["result"]["names"].clone();
    let names: Vec<String> = serde_json::from_value(names).unwrap();
    assert!(
        names
            .iter()
            .all(|name| ["PATH", "LANG", "TZ"].contains(&name.as_str())),
        "{names:?}"
    );
}

#[tokio::test]
async fn http_2_carries_calls_beside_each_other() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let gateway = Gateway::start().await;
    let config = gateway.authority.client("a");
    let stream = crate::support::tls::connect(gateway.address, config).await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream.unwrap()))
            .await
            .unwrap();
    tokio::spawn(connection);
    let calls = (0..8).map(|id| {
        let mut sender = sender.clone();
        async move {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","_meta":{{{META}}}}}}}"#
            );
            let mut request = http::Request::post("https://localhost/mcp/raw")
                .header("content-type", "application/json");
            for (name, value) in HEADERS {
                request = request.header(name, value);
            }
            let request = request.body(Full::<bytes::Bytes>::from(body)).unwrap();
            let body = sender.send_request(request).await.unwrap().into_body();
            let body = body.collect().await.unwrap().to_bytes();
            let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(answer["id"], id);
        }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn what_is_not_a_message_is_passed_over() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "noise").await;
    assert_eq!(reply.json()["result"]["content"], serde_json::json!([]));
}

#[tokio::test]
async fn seats_share_no_child_and_equal_ids_do_not_meet() {
    let gateway = Gateway::start().await;
    let (mut one, mut two) = (gateway.client("a").await, gateway.client("a").await);
    let mut other = gateway.client("b").await;
    let (one, two, other) = tokio::join!(
        one.call("raw", "process"),
        two.call("raw", "process"),
        other.call("raw", "process")
    );
    let process =
        |reply: &crate::support::client::Reply| reply.json()["result"]["process"].as_u64().unwrap();
    let mut processes = [process(&one), process(&two), process(&other)];
    processes.sort_unstable();
    assert!(processes.is_sorted_by(|a, b| a < b), "{processes:?}");
}
