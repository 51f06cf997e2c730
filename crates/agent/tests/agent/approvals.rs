use std::time::Duration;

use chancery_agent::Patience;
use serde_json::Value;

use crate::support::gateway::Say;
use crate::support::{Serving, Setup};

const CALL: &str = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"read"}}"#;
const DONE: &str = r#"{"jsonrpc":"2.0","id":"a","result":{}}"#;

fn pending(seconds: u64) -> Say {
    Say::Json(
        200,
        format!(
            r#"{{"jsonrpc":"2.0","id":"a","error":{{"code":4202,"message":"wait","data":{{"reason":"approval-pending","approval":"apv_1","retryAfter":{seconds}}}}}}}"#
        ),
    )
}

#[tokio::test]
async fn a_call_resumes_after_its_approval_with_a_fresh_proof() {
    let serving = Serving::start(|number, _| match number {
        0 | 1 => pending(0),
        _ => Say::Stream(vec![DONE.to_owned()]),
    })
    .await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    assert_eq!(client.line().await, DONE);
    let seen = serving.gateway.seen("/mcp/files");
    assert_eq!(seen.len(), 3);
    let mut proofs: Vec<_> = seen
        .iter()
        .map(|seen| {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            body["params"]["_meta"]["io.chancery/proof"].to_string()
        })
        .collect();
    proofs.dedup();
    assert_eq!(proofs.len(), 3);
}

#[tokio::test]
async fn waiting_has_an_end() {
    let patience = Patience {
        delegation: Duration::from_secs(1),
        approval: Duration::from_millis(250),
    };
    let serving = Serving::with(
        Setup {
            patience,
            ..Setup::default()
        },
        |_, _| pending(0),
    )
    .await;
    let mut client = serving.connect().await;
    let answer = client.ask(CALL).await;
    assert_eq!(answer["error"]["code"], 4202);
    assert_eq!(answer["error"]["data"]["approval"], "apv_1");
    assert!(serving.gateway.seen("/mcp/files").len() >= 2);
}

#[tokio::test]
async fn a_pause_beyond_the_patience_is_not_waited_for() {
    let serving = Serving::start(|_, _| pending(3_600)).await;
    let mut client = serving.connect().await;
    assert_eq!(client.ask(CALL).await["error"]["code"], 4202);
    assert_eq!(serving.gateway.seen("/mcp/files").len(), 1);
}

#[tokio::test]
async fn a_denial_is_not_waited_for() {
    let serving = Serving::start(|_, _| {
        let text = r#"{"jsonrpc":"2.0","id":"a","error":{"code":4403,"message":"no","data":{"reason":"policy_forbid"}}}"#;
        Say::Json(200, text.to_owned())
    })
    .await;
    let mut client = serving.connect().await;
    assert_eq!(
        client.ask(CALL).await["error"]["data"]["reason"],
        "policy_forbid"
    );
    assert_eq!(serving.gateway.seen("/mcp/files").len(), 1);
}

#[tokio::test]
async fn a_call_that_waits_can_be_cancelled() {
    let serving = Serving::start(|_, _| pending(1)).await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    serving.gateway.wait_seen("/mcp/files", 1).await;
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
    client.send(cancel).await;
    assert!(client.is_silent().await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(serving.gateway.seen("/mcp/files").len(), 1);
}

#[tokio::test]
async fn other_requests_go_on_while_one_waits() {
    let serving = Serving::start(|_, seen| {
        if seen.body.contains(r#""id":"a""#) {
            pending(2)
        } else {
            Say::Json(200, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.to_owned())
        }
    })
    .await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    serving.gateway.wait_seen("/mcp/files", 1).await;
    let answer = client
        .ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
        .await;
    assert_eq!(answer["id"], 2);
    let again = client.ask(CALL).await;
    assert_eq!(again["error"]["data"]["reason"], "id_in_use");
}

#[tokio::test]
async fn a_cancelled_call_is_withdrawn_from_the_gateway() {
    let serving = Serving::start(|_, _| Say::Hang).await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    serving.gateway.wait_seen("/mcp/files", 1).await;
    let other =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"b"}}"#;
    client.send(other).await;
    assert!(client.is_silent().await);
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"\u0061"}}"#;
    client.send(cancel).await;
    serving.gateway.wait_withdrawn(1).await;
    assert!(client.is_silent().await);
}

#[tokio::test]
async fn the_calls_of_a_client_that_goes_away_are_withdrawn() {
    let mut serving = Serving::start(|_, _| Say::Hang).await;
    let mut client = serving.connect().await;
    client.send(CALL).await;
    serving.gateway.wait_seen("/mcp/files", 1).await;
    serving.stop().await;
    serving.gateway.wait_withdrawn(1).await;
}
