use chancery_api::oauth::ACCESS_TOKEN_TYPE;
use chancery_api::server::{EndInstance, Revoke};
use chancery_delegation::Revocable;
use chancery_types::RevocationKind;
use http::StatusCode;
use serde_json::{Value, json};

use super::agent::{Agent, Reply};
use super::exchanges::{API, ask, exchange, invoice, mission, parameters, post, proof, read};
use super::plane::now;
use super::world::{Opened, World, reasons, tool};

fn refused(reply: &Reply, error: &str, reason: &str) {
    assert_eq!(
        (reply.body["error"].as_str(), reply.body["reason"].as_str()),
        (Some(error), Some(reason)),
        "{reply:?}"
    );
    assert!(!reply.status.is_success());
    assert!(reply.body.get("access_token").is_none());
    assert!(!reply.body.to_string().contains("eyJ"), "{reply:?}");
}

/// The same parameters with one changed, or one more.
fn with(
    usual: &[(&'static str, String)],
    name: &'static str,
    value: impl Into<String>,
) -> Vec<(&'static str, String)> {
    let mut changed: Vec<_> = usual
        .iter()
        .filter(|(known, _)| *known != name)
        .cloned()
        .collect();
    changed.push((name, value.into()));
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_token_may_be_for_is_said_by_configuration_chain_and_policy() {
    let world = World::exchanging().await;
    let (denied, unnamed) = ("https://denied.example", "https://unnamed.example");
    let other = "https://other.example";
    let rights = [
        exchange(denied),
        exchange(unnamed),
        exchange(other),
        tool("read"),
    ];
    let mut opened = world.open_for(&rights, &mission()).await;
    for (audience, reason) in [
        (API, "not_in_scope"),
        (denied, "policy_forbid"),
        (unnamed, "policy_no_match"),
        (other, "not_in_catalog"),
    ] {
        refused(
            &ask(&mut opened, audience, None).await,
            "invalid_target",
            reason,
        );
    }
    let log = world.log().await;
    assert_eq!(
        reasons(&log),
        [
            "not_in_scope",
            "policy_forbid",
            "policy_no_match",
            "not_in_catalog"
        ]
    );
    let usual = {
        let made = proof(&opened.agent, &opened.chain, denied, None, |_| {});
        parameters(&opened.chain, &made, denied, None)
    };
    for audience in [
        "*",
        "api",
        "https://api.example#x",
        "https://api.example,https://other.example",
    ] {
        let reply = post(&mut opened.connection, &with(&usual, "audience", audience)).await;
        refused(&reply, "invalid_target", "exchange_target");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_never_carries_more_than_the_leaf_may_show() {
    let world = World::exchanging().await;
    let mut counted = tool("note");
    counted["limits"] = json!({"max_calls": 3});
    let rights = [exchange(API), tool("read"), invoice(), counted.clone()];
    let mut opened = world.open_for(&rights, &mission()).await;
    let mut worker = world
        .join(&opened, &[exchange(API), tool("read"), invoice()])
        .await;
    let year = |year: Value| json!({"type": "mcp_tool", "server": "crm", "tool": "invoice", "args": {"year": year}});
    let limited =
        json!({"type": "mcp_tool", "server": "fs", "tool": "read", "limits": {"max_calls": 1}});
    for wide in [
        tool("wipe"),
        tool("note"),
        exchange(API),
        year(json!({"int_range": [2019, 2026]})),
        year(json!({"exact": 2027})),
        json!({"type": "mcp_tool", "server": "crm", "tool": "invoice"}),
        json!({"type": "mcp_prompt", "server": "fs", "prompt": "read"}),
        json!({"type": "mcp_tool", "server": "*", "tool": "read"}),
        json!({"type": "other", "server": "fs", "tool": "read"}),
        json!("fs/read"),
        limited,
    ] {
        let reply = ask(&mut worker, API, Some(&json!([tool("read"), wide]))).await;
        refused(&reply, "invalid_authorization_details", "exchange_details");
    }
    let many: Vec<_> = (0..65).map(|_| tool("read")).collect();
    let reply = ask(&mut worker, API, Some(&json!(many))).await;
    refused(&reply, "invalid_authorization_details", "exchange_details");
    let reply = ask(&mut worker, API, Some(&json!({"type": "mcp_tool"}))).await;
    refused(&reply, "invalid_authorization_details", "exchange_details");
    // What is counted here is counted nowhere else: it is in no token.
    let whole = ask(&mut opened, API, None).await;
    let carried = read(&world, &whole, API, now());
    assert_eq!(carried.details().len(), 2);
    let reply = ask(&mut opened, API, Some(&json!([counted]))).await;
    refused(&reply, "invalid_authorization_details", "exchange_details");
    let log = world.log().await;
    let details = reasons(&log);
    assert_eq!(
        details
            .iter()
            .filter(|one| **one == "exchange_details")
            .count(),
        14
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_implemented_is_refused_by_its_name() {
    let world = World::exchanging().await;
    let mut opened = world.open_for(&[exchange(API)], &mission()).await;
    let made = proof(&opened.agent, &opened.chain, API, None, |_| {});
    let usual = parameters(&opened.chain, &made, API, None);
    let jwt = "urn:ietf:params:oauth:token-type:jwt";
    for (name, value, error, reason) in [
        (
            "grant_type",
            "authorization_code",
            "unsupported_grant_type",
            "exchange_grant_type",
        ),
        ("actor_token", "x", "invalid_request", "exchange_actor"),
        ("scope", "all", "invalid_scope", "exchange_scope"),
        (
            "subject_token_type",
            ACCESS_TOKEN_TYPE,
            "invalid_request",
            "exchange_token_type",
        ),
        (
            "subject_token_type",
            jwt,
            "invalid_request",
            "exchange_token_type",
        ),
        (
            "requested_token_type",
            jwt,
            "invalid_request",
            "exchange_token_type",
        ),
        (
            "resource",
            "https://other.example",
            "invalid_target",
            "exchange_target",
        ),
        (
            "client_assertion_type",
            jwt,
            "invalid_client",
            "pop_missing",
        ),
        (
            "authorization_details",
            "[",
            "invalid_request",
            "exchange_form",
        ),
        (
            "authorization_details",
            "[],\"x\":1",
            "invalid_client",
            "pop_mismatch",
        ),
    ] {
        let reply = post(&mut opened.connection, &with(&usual, name, value)).await;
        refused(&reply, error, reason);
    }
    for (name, error, reason) in [
        ("subject_token", "invalid_request", "exchange_form"),
        ("client_assertion", "invalid_request", "exchange_form"),
        ("audience", "invalid_target", "exchange_target"),
    ] {
        let mut twice = usual.clone();
        twice.push((name, "x".to_owned()));
        refused(&post(&mut opened.connection, &twice).await, error, reason);
    }
    let long = with(&usual, "subject_token", "x".repeat(70_000));
    refused(
        &post(&mut opened.connection, &long).await,
        "invalid_request",
        "too_long",
    );
    // A good form that says it is JSON.
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(&usual);
    let json = opened
        .connection
        .send("POST", "/oauth/token", &[], form.finish())
        .await;
    refused(&json, "invalid_request", "exchange_form");
    assert!(
        reasons(&world.log().await)
            .iter()
            .all(|one| *one == "pop_mismatch")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_for_one_exchange_of_one_holder_once() {
    let world = World::exchanging().await;
    let rights = [
        exchange(API),
        tool("read"),
        exchange("https://denied.example"),
    ];
    let mut opened = world.open_for(&rights, &mission()).await;
    let stranger = Agent::launch(&world.plane).await;
    let other = "spiffe://acme.example/service/gateway/other";
    let (agent, chain) = (&opened.agent, &opened.chain);
    let make = |change: &dyn Fn(&mut chancery_delegation::ProofDraft<'_>)| {
        proof(agent, chain, API, None, |draft| change(draft))
    };
    let narrowed = json!([tool("read")]);
    for (made, reason) in [
        (make(&|draft| draft.audience = other), "pop_mismatch"),
        (make(&|draft| draft.execution = None), "pop_mismatch"),
        (
            make(&|draft| draft.chain = chancery_types::Digest::of("x")),
            "pop_mismatch",
        ),
        (
            make(&|draft| draft.issued_at = now().minus_seconds(61)),
            "pop_stale",
        ),
        (
            make(&|draft| draft.issued_at = now().plus_seconds(30)),
            "pop_stale",
        ),
        (
            proof(agent, chain, "https://denied.example", None, |_| {}),
            "pop_mismatch",
        ),
        (
            proof(agent, chain, API, Some(&narrowed), |_| {}),
            "pop_mismatch",
        ),
        (agent.proof(chain, API, &json!({})), "pop_mismatch"),
        (
            proof(&stranger, chain, API, None, |_| {}),
            "pop_bad_signature",
        ),
    ] {
        let asked = parameters(chain, &made, API, None);
        refused(
            &post(&mut opened.connection, &asked).await,
            "invalid_client",
            reason,
        );
    }
    // A chain where the proof belongs, and the other way about.
    let made = proof(agent, chain, API, None, |_| {});
    let asked = parameters(chain, &chain[0], API, None);
    refused(
        &post(&mut opened.connection, &asked).await,
        "invalid_client",
        "pop_mismatch",
    );
    let asked = parameters(std::slice::from_ref(&made), &made, API, None);
    refused(
        &post(&mut opened.connection, &asked).await,
        "invalid_grant",
        "wrong_typ",
    );
    let asked = parameters(chain, &made, API, None);
    let named = with(&asked, "client_id", stranger.spiffe_id.as_str());
    refused(
        &post(&mut opened.connection, &named).await,
        "invalid_client",
        "holder_mismatch",
    );
    let named = with(&asked, "client_id", agent.spiffe_id.as_str());
    read(
        &world,
        &post(&mut opened.connection, &named).await,
        API,
        now(),
    );
    refused(
        &post(&mut opened.connection, &asked).await,
        "invalid_client",
        "replay",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_chain_is_exchanged_for_nothing() {
    let world = World::exchanging().await;
    let opened = world.open_for(&[exchange(API)], &mission()).await;
    let mut thief = world.join(&opened, &[]).await;
    // With a proof of the holder that was seen on its way, and with one of the thief's.
    let seen = proof(&opened.agent, &opened.chain, API, None, |_| {});
    let own = proof(&thief.agent, &opened.chain, API, None, |_| {});
    for made in [seen, own] {
        let asked = parameters(&opened.chain, &made, API, None);
        let reply = post(&mut thief.connection, &asked).await;
        refused(&reply, "invalid_client", "holder_mismatch");
    }
    let mut outside = Agent::launch(&world.plane)
        .await
        .connect(world.address)
        .await;
    let seen = proof(&opened.agent, &opened.chain, API, None, |_| {});
    let reply = post(&mut outside, &parameters(&opened.chain, &seen, API, None)).await;
    refused(&reply, "invalid_client", "holder_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_no_authority_here() {
    let world = World::exchanging().await;
    let mut opened = world
        .open_for(&[exchange(API), tool("read")], &mission())
        .await;
    let issued = ask(&mut opened, API, None).await;
    let token = issued.body["access_token"].as_str().unwrap().to_owned();
    let chain = [token.clone()];
    let made = proof(&opened.agent, &chain, API, None, |_| {});
    let asked = parameters(&chain, &made, API, None);
    refused(
        &post(&mut opened.connection, &asked).await,
        "invalid_grant",
        "wrong_typ",
    );
    let path = json!({"path": "/a"});
    let reply = opened
        .connection
        .call(&opened.agent, &chain, "read", path.clone())
        .await;
    assert_eq!(reply.reason(), "wrong_typ");
    let long = [opened.chain[0].clone(), token.clone()];
    let reply = opened
        .connection
        .call(&opened.agent, &long, "read", path.clone())
        .await;
    assert_eq!(reply.reason(), "wrong_typ");
    // Alone in a header it says nothing at all.
    let headers = [
        ("accept", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "read"),
        ("authorization", &format!("DPoP {token}")),
    ];
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let params = json!({"name": "read", "arguments": path, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let reply = opened
        .connection
        .send("POST", "/mcp/fs", &headers, body.to_string())
        .await;
    assert_eq!(reply.reason(), "delegation_missing");
    assert_eq!(world.forwarded(), Vec::<String>::new());
}

/// Revokes something of a session and asks until the exchange is refused.
async fn after(world: &World, opened: &mut Opened, kind: RevocationKind, id: &str) -> Reply {
    let request = Revoke {
        what: Revocable::new(kind, id).unwrap(),
        reason: "a test".to_owned(),
    };
    world.plane.client().revoke(&request).await.unwrap();
    let begin = std::time::Instant::now();
    loop {
        let reply = ask(opened, API, None).await;
        if !reply.status.is_success() || begin.elapsed().as_secs() > 5 {
            return reply;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_exchanged_for_nothing() {
    let world = World::exchanging().await;
    let ended = ["revoked", "session_ending", "session_ended", "not_joined"];
    // A link below the root, and its instance.
    let opened = world.open_for(&[exchange(API)], &mission()).await;
    let mut worker = world.join(&opened, &[exchange(API)]).await;
    let name = worker.agent.spiffe_id.clone();
    let reply = after(&world, &mut worker, RevocationKind::Instance, &name).await;
    assert_eq!(reply.body["error"], "invalid_grant", "{reply:?}");
    assert!(ended.contains(&reply.reason()), "{reply:?}");
    // The whole session, while it goes on and after its end.
    let mut opened = world.open_for(&[exchange(API)], &mission()).await;
    let control = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(control.reason(), "ok");
    let reply = ask(&mut opened, API, None).await;
    assert_eq!(reply.body["error"], "invalid_grant", "{reply:?}");
    assert!(ended.contains(&reply.reason()), "{reply:?}");
    // An instance that its node has ended.
    let mut opened = world.open_for(&[exchange(API)], &mission()).await;
    let end = EndInstance {
        reason: "done".to_owned(),
    };
    world
        .plane
        .client()
        .end_instance(opened.agent.id, &end)
        .await
        .unwrap();
    let reply = ask(&mut opened, API, None).await;
    refused(&reply, "invalid_grant", "exchange_refused");
    assert!(
        reply.body["error_description"]
            .as_str()
            .unwrap()
            .contains("instance_ended")
    );
    // A chain that has expired.
    let agent = Agent::launch(&world.plane).await;
    let root = agent
        .root_for(&world.plane, &[exchange(API)], 3, &mission())
        .await;
    let mut opened = world.open_by(agent, root).await;
    tokio::time::sleep(std::time::Duration::from_millis(3_200)).await;
    let reply = ask(&mut opened, API, None).await;
    refused(&reply, "invalid_grant", "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_control_plane_nothing_is_exchanged_and_calls_go_on() {
    let world = World::exchanging().await;
    let mut opened = world
        .open_for(&[exchange(API), tool("read")], &mission())
        .await;
    world.plane.stop_server().await;
    let reply = ask(&mut opened, API, None).await;
    refused(&reply, "temporarily_unavailable", "exchange_unavailable");
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let execution = reply.body["execution"].as_str().unwrap().to_owned();
    let path = json!({"path": "/a"});
    let called = opened
        .connection
        .call(&opened.agent, &opened.chain, "read", path)
        .await;
    assert_eq!(called.reason(), "ok");
    let log = world.log().await;
    let outcome = log.iter().find_map(|entry| match &entry.event {
        chancery_audit::Event::Outcome(outcome) if outcome.execution.to_string() == execution => {
            Some(outcome.status)
        }
        _ => None,
    });
    assert_eq!(outcome, Some(chancery_audit::OutcomeStatus::NotForwarded));
}
