use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chancery_agent::{
    AgentKey, Gateway, GatewayClient, GatewayError, LocalClient, LocalError, McpHeaders, OwnSvid,
};

use crate::support::gateway::{FakeGateway, Say};
use crate::support::world::{World, gateway_id, instance};
use crate::support::{Serving, Setup};

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}"#;

fn ok() -> Say {
    Say::Json(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned())
}

#[tokio::test]
async fn a_foreign_process_is_not_heard() {
    let admit = Arc::new(|peer: &chancery_agent::PeerProcess| peer.pid() == 1);
    let serving = Serving::with(
        Setup {
            admit,
            ..Setup::default()
        },
        |_, _| ok(),
    )
    .await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    assert_eq!(client.line().await, "");
    let refusal = LocalClient::new(&serving.socket)
        .view_session()
        .await
        .unwrap_err();
    let gone = matches!(
        refusal,
        LocalError::HungUp { .. } | LocalError::Unreachable { .. }
    );
    assert!(gone, "{refusal}");
    assert!(serving.gateway.shared.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_socket_is_its_owners_and_goes_with_the_bridge() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut serving = Serving::start(|_, _| ok()).await;
    let mode = std::fs::metadata(&serving.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    serving.stop().await;
    assert!(!serving.socket.exists());
}

#[tokio::test]
async fn a_first_line_that_is_none_is_refused() {
    let serving = Serving::start(|_, _| ok()).await;
    for (line, reason) in [
        ("hello", "malformed"),
        (CALL, "malformed"),
        (r#"{"chancery":2,"connect":"files"}"#, "version"),
        (r#"{"chancery":1,"connect":"../x"}"#, "bad_server"),
        (r#"{"chancery":1,"present":{}}"#, "malformed"),
        (&"x".repeat(70_000), "malformed"),
    ] {
        let mut client = serving.open(line).await;
        assert_eq!(client.json().await["error"]["reason"], reason, "{line:.40}");
        assert_eq!(client.line().await, "");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    let serving = Serving::start(|_, _| ok()).await;
    let mut client = serving.connect().await;
    let large = format!(
        r#"{{"id":1,"method":"ping","params":{{"x":"{}"}}}}"#,
        "a".repeat(5 << 20)
    );
    client.send(&large).await;
    assert_eq!(client.json().await["error"]["data"]["reason"], "too_large");
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_next_is_served() {
    let serving = Serving::start(|_, _| ok()).await;
    let mut client = serving.connect().await;
    for bad in [
        "x",
        "[]",
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"{"id":1,"id":2,"method":"ping"}"#,
        r#"{"id":null,"method":"ping"}"#,
        r#"{"id":[1],"method":"ping"}"#,
    ] {
        let answer = client.ask(bad).await;
        assert_eq!(answer["error"]["code"], -32600, "{bad}");
    }
    client.send("").await;
    assert_eq!(client.ask(CALL).await["id"], 1);
}

#[tokio::test]
async fn without_a_delegation_a_call_says_what_helps() {
    let setup = Setup {
        delegated: false,
        ..Setup::default()
    };
    let serving = Serving::with(setup, |_, _| ok()).await;
    let mut client = serving.connect().await;
    let answer = client.ask(CALL).await;
    assert_eq!(answer["error"]["code"], 4403);
    assert_eq!(answer["error"]["data"]["reason"], "no_delegation");
    let remedy = answer["error"]["data"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("chancery delegate"));
    assert!(serving.gateway.seen("/mcp/files").is_empty());

    let held = serving
        .node
        .world
        .held(&serving.node.name, serving.instance.key());
    *serving.node.held.lock().unwrap() = Some(held);
    assert_eq!(client.ask(CALL).await["result"], serde_json::json!({}));
}

#[tokio::test]
async fn a_delegation_for_another_key_is_not_held() {
    let setup = Setup {
        delegated: false,
        ..Setup::default()
    };
    let serving = Serving::with(setup, |_, _| ok()).await;
    let other = AgentKey::generate().unwrap();
    let held = serving.node.world.held(&serving.node.name, &other);
    assert_eq!(
        serving.instance.hold(held.clone()).unwrap_err().reason(),
        "other_key"
    );
    *serving.node.held.lock().unwrap() = Some(held);
    let mut client = serving.connect().await;
    assert_eq!(
        client.ask(CALL).await["error"]["data"]["reason"],
        "no_delegation"
    );
}

#[tokio::test]
async fn a_gateway_that_is_away_is_named() {
    let serving = Serving::start(|_, _| ok()).await;
    serving.gateway.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut client = serving.connect().await;
    let answer = client.ask(CALL).await;
    assert_eq!(answer["error"]["code"], 4503);
    assert_eq!(answer["error"]["data"]["reason"], "gateway_unreachable");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1")
    );
}

#[tokio::test]
async fn the_gateway_must_be_the_one_that_was_named() {
    let (world, stranger) = (World::new(), World::new());
    let name = instance("reader", 1);
    for (server, own) in [
        (world.tls(&instance("reader", 2)), world.tls(&name)),
        (stranger.tls(&gateway_id()), world.tls(&name)),
        (world.tls(&gateway_id()), stranger.tls(&name)),
    ] {
        let gateway = FakeGateway::start(&server, |_, _| ok()).await;
        let at = Gateway {
            address: gateway.address,
            spiffe_id: gateway_id(),
        };
        let client = GatewayClient::new(at, OwnSvid::new(own));
        let refusal = client.challenge().await.unwrap_err();
        let refused = matches!(
            refusal,
            GatewayError::Handshake { .. } | GatewayError::Broken { .. }
        );
        assert!(refused, "{refusal}");
        assert!(gateway.shared.seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_renewed_svid_makes_new_connections() {
    let world = World::new();
    let gateway = FakeGateway::start(&world.tls(&gateway_id()), |_, _| ok()).await;
    let at = Gateway {
        address: gateway.address,
        spiffe_id: gateway_id(),
    };
    let svid = OwnSvid::new(world.tls(&instance("reader", 1)));
    let client = GatewayClient::new(at, svid.clone());
    client.challenge().await.unwrap();
    let connection = |gateway: &FakeGateway| gateway.shared.connections.load(Ordering::SeqCst);
    client.challenge().await.unwrap();
    assert_eq!(connection(&gateway), 1);
    svid.renewed();
    client.challenge().await.unwrap();
    assert_eq!(connection(&gateway), 2);
}

#[tokio::test]
async fn a_server_that_is_no_path_segment_is_not_asked_for() {
    let world = World::new();
    let gateway = FakeGateway::start(&world.tls(&gateway_id()), |_, _| ok()).await;
    let at = Gateway {
        address: gateway.address,
        spiffe_id: gateway_id(),
    };
    let client = GatewayClient::new(at, OwnSvid::new(world.tls(&instance("reader", 1))));
    let call = client
        .call("a b", String::new(), &McpHeaders::default())
        .await;
    assert_eq!(call.unwrap_err().reason(), "bad_request");
}

#[tokio::test]
async fn answers_that_are_none_become_errors() {
    for (say, code, reason) in [
        (Say::Nothing(404), 4404, "no_such_server"),
        (Say::Nothing(500), 4503, "gateway_answer"),
        (Say::Stream(Vec::new()), 4503, "gateway_broke_off"),
    ] {
        let say = std::sync::Mutex::new(Some(say));
        let serving =
            Serving::start(move |_, _| say.lock().unwrap().take().unwrap_or(Say::Hang)).await;
        let mut client = serving.connect().await;
        let answer = client.ask(CALL).await;
        assert_eq!(answer["error"]["code"], code);
        assert_eq!(answer["error"]["data"]["reason"], reason);
        assert_eq!(answer["id"], 1);
    }
}

#[tokio::test]
async fn an_error_that_names_no_request_answers_the_one_that_was_sent() {
    let serving = Serving::start(|_, _| {
        let text = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"not JSON"}}"#;
        Say::Json(400, text.to_owned())
    })
    .await;
    let mut client = serving.connect().await;
    let answer = client.ask(CALL).await;
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&1.into(), &(-32700).into())
    );
}

#[tokio::test]
async fn a_gateway_that_started_again_is_found() {
    let serving = Serving::start(|_, _| ok()).await;
    let mut client = serving.connect().await;
    assert_eq!(client.ask(CALL).await["id"], 1);
    serving.gateway.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send(CALL).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let listener = tokio::net::TcpListener::bind(serving.gateway.address)
        .await
        .unwrap();
    let identity = serving.node.world.tls(&gateway_id());
    let again = FakeGateway::on(listener, &identity, |_, _| ok());
    assert_eq!(client.json().await["result"], serde_json::json!({}));
    assert_eq!(again.seen("/mcp/files").len(), 1);
}

#[tokio::test]
async fn a_call_that_may_have_happened_is_not_repeated() {
    let serving = Serving::start(|_, _| Say::Hang).await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    serving.gateway.wait_seen("/mcp/files", 1).await;
    serving.gateway.stop();
    let answer = client.json().await;
    assert_eq!(answer["error"]["data"]["reason"], "gateway_broke_off");
    assert_eq!(serving.gateway.seen("/mcp/files").len(), 1);
}
