use std::sync::atomic::Ordering;
use std::time::Duration;

use chancery_gateway::{Limits, ROUTES, Status};
use chancery_types::Digest;
use chancery_types::id::{ApprovalId, ExecutionId};
use http::StatusCode;
use serde_json::json;

use crate::support::Gateway;
use crate::support::client::params;
use crate::support::enforcer::EXECUTION;

#[tokio::test]
async fn a_denied_call_reaches_nobody() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "denied").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(
        reply.json(),
        json!({"jsonrpc": "2.0", "id": 1, "error": {
            "code": 4403,
            "message": "this tool is forbidden",
            "data": {
                "reason": "policy-forbids",
                "execution": ExecutionId::from_random(EXECUTION).to_string(),
            },
        }})
    );
    let reply = client.call("raw", "pending").await;
    assert_eq!(
        reply.json()["error"],
        json!({
            "code": 4202,
            "message": "a person is asked",
            "data": {
                "reason": "approval-pending",
                "execution": ExecutionId::from_random(EXECUTION).to_string(),
                "approval": ApprovalId::from_random([9; 16]).to_string(),
                "retryAfter": 5,
            },
        })
    );
    assert!(gateway.received().is_empty());
    assert!(gateway.enforcer.outcomes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_admitted_reaches_nobody() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("outsider").await;
    for method in ["server/discover", "tools/list", "completion/complete"] {
        let reply = client.stateless("raw", method, None, &params("")).await;
        assert_eq!(reply.code(), 4403, "{method}");
        assert_eq!(reply.json()["error"]["data"]["reason"], "not-joined");
    }
    let mut client = gateway.client("a").await;
    let reply = client
        .stateless("raw", "tools/execute", None, &params(""))
        .await;
    assert_eq!(reply.json()["error"]["data"]["reason"], "unknown-method");
    assert!(gateway.received().is_empty());
}

#[tokio::test]
async fn every_permit_ends_in_one_outcome() {
    let limits = Limits {
        call: Duration::from_secs(2),
        ..Limits::default()
    };
    let gateway = Gateway::with(limits).await;
    let mut client = gateway.client("a").await;
    let plain = br#"{"content":[]}"#;
    for (count, (tool, status, code)) in [
        ("noise", Status::Completed, 0),
        ("fails", Status::ToolError, 0),
        ("crash", Status::Gone, 4503),
        ("silent", Status::TimedOut, 4504),
        ("huge", Status::Gone, 4503),
        ("noise", Status::Completed, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = client.call("raw", tool).await;
        assert_eq!(
            (reply.status, reply.code()),
            (StatusCode::OK, code),
            "{tool}"
        );
        let outcomes = gateway.enforcer.outcomes(count + 1).await;
        assert_eq!(outcomes.len(), count + 1);
        let outcome = &outcomes[count];
        assert_eq!(outcome.status, status, "{tool}");
        if status == Status::Completed {
            assert_eq!(outcome.result_digest, Some(Digest::of(plain)));
            assert_eq!(outcome.result_bytes, plain.len() as u64);
        }
        assert!(outcome.micros > 0);
    }
}

#[tokio::test]
async fn an_answer_whose_outcome_is_not_enrolled_is_withheld() {
    let gateway = Gateway::start().await;
    gateway.enforcer.log_is_full.store(true, Ordering::Relaxed);
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "echo").await;
    assert_eq!(reply.code(), 4502);
    assert!(reply.json()["result"].is_null());
}

#[tokio::test]
async fn every_endpoint_asks_who_is_there() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    for route in ROUTES
        .iter()
        .filter(|route| !route.path.starts_with("/mcp"))
    {
        let path = route.path.replace("{session}", "ses_1");
        let reply = client.send(route.method.as_str(), &path, &[], "{}").await;
        assert_eq!(reply.status, StatusCode::CREATED, "{path}");
        let said = reply.json()["said"].as_str().unwrap().to_owned();
        assert!(said.starts_with("spiffe://test/a "), "{said}");
        assert!(said.contains(&format!("{:?}", route.endpoint)), "{said}");
    }
}

#[tokio::test]
async fn the_end_of_the_gateway_ends_its_children() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let reply = client.call("raw", "process").await;
    let process = reply.json()["result"]["process"].as_u64().unwrap();
    let folder = format!("/proc/{process}");
    assert!(std::fs::exists(&folder).unwrap());
    let pending = tokio::spawn(async move { client.call("raw", "silent").await });
    while gateway.received().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    gateway.stop.send(()).unwrap();
    gateway.served.await.unwrap();
    assert!(!std::fs::exists(&folder).unwrap());
    let outcomes = gateway.enforcer.outcomes(2).await;
    assert_eq!(outcomes[1].status, Status::Gone);
    assert_eq!(pending.await.unwrap().code(), 4503);
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_children() {
    let gateway = Gateway::start().await;
    let mut client = gateway.client("a").await;
    let first = client.call("raw", "process").await.json()["result"]["process"].clone();
    let session = crate::support::enforcer::seat("spiffe://test/a").session;
    gateway.upstreams.close_session(session).await;
    assert!(!std::fs::exists(format!("/proc/{first}")).unwrap());
    let next = client.call("raw", "process").await.json()["result"]["process"].clone();
    assert_ne!(first, next);
}
