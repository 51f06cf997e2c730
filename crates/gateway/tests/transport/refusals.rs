use std::time::Duration;

use chancery_gateway::Limits;
use http::StatusCode;
use tokio::io::AsyncReadExt as _;

use crate::support::Gateway;
use crate::support::client::{BOTH, params};
use crate::support::tls;

const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
const METHOD: (&str, &str) = ("mcp-method", "tools/call");
const NAME: (&str, &str) = ("mcp-name", "echo");

fn body(members: &str) -> String {
    let params = params(members);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

#[tokio::test]
async fn nothing_ambiguous_reaches_a_server() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let good = body(r#""name":"echo","#);
    let all = [BOTH, VERSION, METHOD, NAME];
    for (bad, code) in [
        (format!("[{good}]"), -32600),
        (good.replacen(r#""id":1"#, r#""id":1,"id":2"#, 1), -32600),
        (
            good.replacen(r#""id":1"#, r#""id":1,"Method":"x""#, 1),
            -32600,
        ),
        (body(r#""name":"echo","name":"crash","#), -32600),
        (body(r#""name":"echo","arguments":{"a":1,"a":2},"#), -32600),
        (body(r#""name":"echo","arguments":{"a":1,"A":2},"#), -32600),
        (
            body(r#""name":"echo","arguments":{"a":{"b":1,"\u0062":2}},"#),
            -32600,
        ),
        (body(r#""name":"echo","arguments":[1],"#), -32602),
        (body(r#""name":["echo"],"#), -32602),
        (good.replacen(r#""id":1"#, r#""id":null"#, 1), -32600),
        (good.replacen("2.0", "2.1", 1), -32600),
        (format!("{good}{good}"), -32700),
        (good.replacen('{', "{,", 1), -32700),
        (String::new(), -32700),
    ] {
        let reply = client.send("POST", "/mcp/raw", &all, bad.clone()).await;
        assert_eq!(
            (reply.status, reply.code()),
            (StatusCode::BAD_REQUEST, code),
            "{bad}"
        );
    }
    assert!(gateway.received().is_empty());
    assert!(gateway.enforcer.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let good = body(r#""name":"echo","#);
    let other = ("mcp-name", "crash");
    for (headers, code) in [
        (vec![BOTH, VERSION, METHOD], -32020),
        (vec![BOTH, VERSION, NAME], -32020),
        (vec![BOTH, METHOD, NAME], -32020),
        (vec![BOTH, VERSION, METHOD, other], -32020),
        (vec![BOTH, VERSION, METHOD, NAME, other], -32020),
        (vec![BOTH, VERSION, ("mcp-method", "ping"), NAME], -32020),
        (
            vec![BOTH, ("mcp-protocol-version", "2025-11-25"), METHOD, NAME],
            -32020,
        ),
    ] {
        let reply = client
            .send("POST", "/mcp/raw", &headers, good.clone())
            .await;
        assert_eq!(
            (reply.status, reply.code()),
            (StatusCode::BAD_REQUEST, code),
            "{headers:?}"
        );
    }
    let bare = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    let all = [BOTH, VERSION, METHOD, NAME];
    let reply = client.send("POST", "/mcp/raw", &all, bare).await;
    assert_eq!(
        (reply.status, reply.code()),
        (StatusCode::BAD_REQUEST, -32602)
    );
    assert!(gateway.received().is_empty());
}

#[tokio::test]
async fn http_that_is_not_ours_is_refused() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let good = body(r#""name":"echo","#);
    let all = vec![BOTH, VERSION, METHOD, NAME];
    let with = |header| [all.clone(), vec![header]].concat();
    for (method, path, headers, status) in [
        (
            "GET",
            "/mcp/raw",
            all.clone(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            "PUT",
            "/mcp/raw",
            all.clone(),
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        ("POST", "/mcp/other", all.clone(), StatusCode::NOT_FOUND),
        ("POST", "/mcp/..", all.clone(), StatusCode::NOT_FOUND),
        ("POST", "/mcp/raw/x", all.clone(), StatusCode::NOT_FOUND),
        ("POST", "/", all.clone(), StatusCode::NOT_FOUND),
        (
            "POST",
            "/mcp/raw",
            with(("origin", "https://evil.example")),
            StatusCode::FORBIDDEN,
        ),
        (
            "POST",
            "/mcp/raw",
            with(("host", "evil.example")),
            StatusCode::FORBIDDEN,
        ),
        (
            "POST",
            "/mcp/raw",
            with(("content-type", "text/plain")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "POST",
            "/mcp/raw",
            vec![("accept", "text/html")],
            StatusCode::NOT_ACCEPTABLE,
        ),
        ("DELETE", "/mcp/raw", all.clone(), StatusCode::BAD_REQUEST),
    ] {
        let reply = client.send(method, path, &headers, good.clone()).await;
        assert_eq!(reply.status, status, "{method} {path} {headers:?}");
    }
    assert!(gateway.received().is_empty());
}

#[tokio::test]
async fn bodies_have_a_size_and_a_time() {
    let limits = Limits {
        request_bytes: 1000,
        body: Duration::from_millis(200),
        ..Limits::default()
    };
    let gateway = Gateway::with(limits).await;
    let all = [BOTH, VERSION, METHOD, NAME];
    let mut client = gateway.client("a").await;
    let large = body(&format!(r#""name":"echo","x":"{}","#, "x".repeat(1000)));
    let reply = client.send("POST", "/mcp/raw", &all, large).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let config = gateway.authority.client("a");
    let mut stream = tls::connect(gateway.address, config).await.unwrap();
    let head = "POST /mcp/raw HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(gateway.received().is_empty());
}

#[tokio::test]
async fn without_a_name_there_is_no_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let gateway = Gateway::start().await;
    let stranger = crate::support::tls::Authority::new();
    for config in [
        gateway.authority.nobody(),
        gateway.authority.client("stranger"),
    ] {
        // With TLS 1.3 the client learns of the refusal with its first read.
        let mut answer = Vec::new();
        if let Ok(mut stream) = tls::connect(gateway.address, config).await {
            let _ = stream
                .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await;
            let _ = stream.read_to_end(&mut answer).await;
        }
        assert!(answer.is_empty());
    }
    let foreign = tls::connect(gateway.address, stranger.client("a")).await;
    assert!(foreign.is_err());
}

#[tokio::test]
async fn a_server_that_cannot_start_says_so() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client.call("gone", "echo").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::OK, 4503));
    let outcomes = gateway.enforcer.outcomes(1).await;
    assert_eq!(outcomes[0].status.as_str(), "not-forwarded");
}

#[tokio::test]
async fn one_peer_cannot_take_the_places_of_all() {
    let limits = Limits {
        connections: 4,
        connections_per_peer: 2,
        ..Limits::default()
    };
    let gateway = Gateway::with(limits).await;
    // Connections on which nothing is ever said.
    let mut idle = Vec::new();
    for _ in 0..2 {
        let config = gateway.authority.client("a");
        idle.push(tls::connect(gateway.address, config).await.unwrap());
    }
    for _ in 0..4 {
        let config = gateway.authority.client("a");
        let mut refused = tls::connect(gateway.address, config).await.unwrap();
        let mut byte = [0; 1];
        let closed = refused.read(&mut byte);
        let closed = tokio::time::timeout(Duration::from_secs(5), closed).await;
        // The end of the stream or a reset, but no silence.
        assert!(!matches!(closed.unwrap(), Ok(1)));
    }
    let mut other = gateway.client("b").await;
    assert_eq!(other.call("raw", "echo").await.status, StatusCode::OK);
    // A place that is let go is free again.
    idle.pop();
    let again = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            let config = gateway.authority.client("a");
            let mut stream = tls::connect(gateway.address, config).await.unwrap();
            let mut byte = [0; 1];
            let read = stream.read(&mut byte);
            let silent = tokio::time::timeout(Duration::from_millis(200), read).await;
            if silent.is_err() {
                return stream;
            }
        }
    });
    assert!(again.await.is_ok());
}
