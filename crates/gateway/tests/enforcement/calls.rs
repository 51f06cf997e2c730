use chancery_audit::{Event, Ruling};
use chancery_types::Digest;
use chancery_types::jws::{Compact, Header, assemble, signing_input};
use serde_json::{Value, json};

use super::agent::{Agent, GATEWAY};
use super::plane::now;
use super::world::{World, count, reasons, tool, tools};

#[tokio::test(flavor = "multi_thread")]
async fn a_covered_call_is_enrolled_and_forwarded_without_its_authority() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let reply = opened
        .connection
        .call(&opened.agent, &opened.chain, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(reply.reason(), "ok", "{reply:?}");
    assert_eq!(reply.body["result"]["content"][0]["text"], "done");
    let forwarded = world.forwarded();
    assert_eq!(forwarded.len(), 1);
    assert!(!forwarded[0].contains("io.chancery"), "{}", forwarded[0]);
    let log = world.log().await;
    let types: Vec<_> = log.iter().map(|entry| entry.event.type_name()).collect();
    assert_eq!(
        types,
        [
            "snapshot.adopt",
            "session.open",
            "delegation.enrol",
            "session.join",
            "decision",
            "outcome"
        ]
    );
    assert_eq!(reasons(&log), ["permit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_covered_is_denied_with_its_reason() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    for (name, arguments, reason) in [
        ("list", json!({}), "not_in_scope"),
        ("wipe", json!({}), "policy_forbid"),
        ("absent", json!({}), "not_in_catalog"),
        (
            "read",
            json!({"path": "/a", "Mode": "rw"}),
            "unknown_argument",
        ),
        ("read", json!({}), "policy_error"),
        ("pay", json!({"amount": -1}), "cost_unknown"),
    ] {
        let reply = opened.connection.call(agent, chain, name, arguments).await;
        assert_eq!(reply.reason(), reason, "{name}");
    }
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let log = world.log().await;
    assert_eq!(
        reasons(&log),
        [
            "not_in_scope",
            "policy_forbid",
            "not_in_catalog",
            "unknown_argument",
            "policy_error",
            "cost_unknown"
        ]
    );
    assert_eq!(count(&log, "outcome"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_are_for_one_call_of_one_holder_once() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let connection = &mut opened.connection;
    let path = json!({"path": "/a"});
    let good = agent.proof(chain, "read", &path);
    let mut seen = Vec::new();
    let mut expect = |reply: super::agent::Reply, reason: &'static str| {
        assert_eq!(reply.reason(), reason);
        seen.push(reason);
    };
    let tampered = connection
        .call_with(chain, &good, "read", &json!({"path": "/b"}))
        .await;
    expect(tampered, "pop_mismatch");
    expect(
        connection.call_with(chain, &good, "note", &path).await,
        "pop_mismatch",
    );
    let other = Agent::launch(&world.plane)
        .await
        .proof(chain, "read", &path);
    expect(
        connection.call_with(chain, &other, "read", &path).await,
        "pop_bad_signature",
    );
    let elsewhere = agent.proof_at(
        chain,
        "read",
        &path,
        now(),
        "spiffe://acme.example/service/x",
    );
    expect(
        connection.call_with(chain, &elsewhere, "read", &path).await,
        "pop_mismatch",
    );
    let old = agent.proof_at(chain, "read", &path, now().minus_seconds(120), GATEWAY);
    expect(
        connection.call_with(chain, &old, "read", &path).await,
        "pop_stale",
    );
    let early = agent.proof_at(chain, "read", &path, now().plus_seconds(60), GATEWAY);
    expect(
        connection.call_with(chain, &early, "read", &path).await,
        "pop_stale",
    );
    expect(
        connection.call_with(chain, "nonsense", "read", &path).await,
        "malformed",
    );
    assert_eq!(
        connection
            .call_with(chain, &good, "read", &path)
            .await
            .reason(),
        "ok"
    );
    expect(
        connection.call_with(chain, &good, "read", &path).await,
        "replay",
    );
    let params =
        json!({"name": "read", "arguments": path, "_meta": {"io.chancery/delegation": chain}});
    let bare = connection.request("tools/call", Some("read"), params).await;
    expect(bare, "pop_missing");
    assert_eq!(world.forwarded().len(), 1);
    let log = world.log().await;
    let mut logged = reasons(&log);
    logged.retain(|reason| *reason != "permit");
    assert_eq!(logged, seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_are_held_to_their_format() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let chain = opened.chain.clone();
    let altered = |change: &dyn Fn(&mut Value)| {
        let mut claims = Value::Object(Compact::parse(&chain[0]).unwrap().claims);
        change(&mut claims);
        let header = Header {
            algorithm: chancery_types::Algorithm::Ed25519,
            typ: "adt+jwt".to_owned(),
            kid: Some(world.plane.trust.delegation_authorities[0].key.kid()),
        };
        let input = signing_input(&header, claims.to_string().as_bytes());
        vec![assemble(
            &input,
            &opened.agent.key.sign(input.as_bytes()).unwrap(),
        )]
    };
    let forged = altered(&|claims| claims["exp"] = 4_000_000_000_u64.into());
    let cases = [
        (forged, "bad_signature"),
        (vec!["a.b.c".to_owned()], "malformed"),
        (vec![chain[0].clone(), chain[0].clone()], "bad_signature"),
        (vec![chain[0].clone(); 9], "too_long"),
    ];
    for (bad, reason) in &cases {
        let reply = opened
            .connection
            .call(&opened.agent, bad, "read", json!({"path": "/a"}))
            .await;
        assert_eq!(reply.reason(), *reason);
    }
    let params = json!({"name": "read", "arguments": {"path": "/a"}});
    let bare = opened
        .connection
        .request("tools/call", Some("read"), params)
        .await;
    assert_eq!(bare.reason(), "delegation_missing");
    assert_eq!(world.forwarded(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_kept_for_these_very_bytes() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let path = json!({"path": "/a"});
    let first = opened
        .connection
        .call(agent, chain, "read", path.clone())
        .await;
    assert_eq!(first.reason(), "ok");
    // The same identifiers, holder and key with other content or another signature, each with a
    // proof for itself and with one for what was verified before.
    let (input, signature) = chain[0].rsplit_once('.').unwrap();
    let token = Compact::parse(&chain[0]).unwrap();
    let mut claims = Value::Object(token.claims.clone());
    claims["exp"] = 4_000_000_000_u64.into();
    let longer = signing_input(&token.header, claims.to_string().as_bytes());
    let own = agent.key.sign(input.as_bytes()).unwrap();
    for other in [
        format!("{longer}.{signature}"),
        assemble(input, &own),
        assemble(input, &[0; 64]),
    ] {
        let other = vec![other];
        for proven in [chain, &other] {
            let proof = agent.proof(proven, "read", &path);
            let reply = opened
                .connection
                .call_with(&other, &proof, "read", &path)
                .await;
            assert_eq!(reply.reason(), "bad_signature");
        }
    }
    assert_eq!(world.forwarded().len(), 1);
    let again = opened.connection.call(agent, chain, "read", path).await;
    assert_eq!(again.reason(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_workers_delegation_is_the_presenters_denied_decision() {
    let world = World::start().await;
    let opened = world.open(&tools()).await;
    let reader = world.join(&opened, &[tool("read")]).await;
    let mut payer = world.join(&opened, &[tool("pay")]).await;
    let path = json!({"path": "/a"});
    // The presenter signs, or replays what the other one signed.
    for signer in [&payer.agent, &reader.agent] {
        let proof = signer.proof(&reader.chain, "read", &path);
        let reply = payer
            .connection
            .call_with(&reader.chain, &proof, "read", &path)
            .await;
        assert_eq!(reply.reason(), "holder_mismatch");
        assert!(reply.body["error"]["data"]["execution"].is_string());
    }
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let log = world.log().await;
    let decisions: Vec<_> = log
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Decision(decision) => Some(decision),
            _ => None,
        })
        .collect();
    assert_eq!(decisions.len(), 2);
    for decision in decisions {
        assert_eq!(decision.reason, "holder_mismatch");
        assert_eq!(decision.outcome, Ruling::Deny);
        assert_eq!(decision.instance, payer.agent.spiffe_id.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_have_what_was_delegated_and_no_more() {
    let world = World::start().await;
    let opened = world.open(&tools()).await;
    let mut reader = world.join(&opened, &[tool("read")]).await;
    let (agent, chain) = (&reader.agent, &reader.chain);
    let read = reader
        .connection
        .call(agent, chain, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(read.reason(), "ok");
    let note = reader
        .connection
        .call(agent, chain, "note", json!({"text": "x"}))
        .await;
    assert_eq!(note.reason(), "not_in_scope");
    let listed = reader
        .connection
        .request("tools/list", None, json!({}))
        .await;
    let tools = listed.body["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["read"]);
    // The parent's chain is another one's.
    let proof = agent.proof(&opened.chain, "note", &json!({}));
    let stolen = reader
        .connection
        .call_with(&opened.chain, &proof, "note", &json!({}))
        .await;
    assert_eq!(stolen.reason(), "holder_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_decides_does_not_pass() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    for method in [
        "completion/complete",
        "resources/subscribe",
        "subscriptions/listen",
        "tasks/result",
        "x/unknown",
    ] {
        let params = json!({"uri": "a", "taskId": "a"});
        let mirrored = matches!(method, "resources/subscribe" | "tasks/result").then_some("a");
        let reply = opened.connection.request(method, mirrored, params).await;
        assert_eq!(reply.reason(), "method_not_governed", "{method}");
    }
    let path = json!({"path": "/a"});
    let proof = opened.agent.proof(&opened.chain, "read", &path);
    let meta = json!({"io.chancery/delegation": opened.chain, "io.chancery/proof": proof});
    let params = json!({
        "name": "read", "arguments": path, "inputResponses": {"x": {"path": "/etc"}}, "_meta": meta
    });
    let smuggled = opened
        .connection
        .request("tools/call", Some("read"), params)
        .await;
    assert_eq!(smuggled.reason(), "ungoverned_parameter");
    let large = r#"{"amount":9007199254740993}"#;
    let proof = opened.agent.proof(
        &opened.chain,
        "pay",
        &json!({"amount": 9_007_199_254_740_991_u64}),
    );
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"pay","arguments":{large},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.chancery/delegation":["{}"],"io.chancery/proof":"{proof}"}}}}}}"#,
        opened.chain[0]
    );
    let headers = [
        ("accept", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "pay"),
    ];
    let inexact = opened
        .connection
        .send("POST", "/mcp/fs", &headers, body)
        .await;
    assert_eq!(inexact.reason(), "malformed");
    let stranger = Agent::launch(&world.plane).await;
    let mut outside = stranger.connect(world.address).await;
    let ping = outside.request("tools/list", None, json!({})).await;
    assert_eq!(ping.reason(), "not_joined");
    let call = outside
        .call(&stranger, &opened.chain, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(call.reason(), "holder_mismatch");
    assert_eq!(world.forwarded(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_changes_its_tools_is_denied() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    assert_eq!(
        opened
            .connection
            .call(agent, chain, "change", json!({}))
            .await
            .reason(),
        "ok"
    );
    let denied = opened
        .connection
        .call(agent, chain, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(denied.reason(), "catalog_changed");
    let other = Agent::launch(&world.plane).await;
    let root = other.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    let mut connection = other.connect(world.address).await;
    let nonce = connection.nonce().await;
    let refused = connection
        .open(&other.presentation(&root, &chain, &nonce))
        .await;
    assert_eq!(refused.reason(), "catalog_mismatch");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lacks_its_id_does_not_reach_the_server() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let path = json!({"path": "/a"});
    let proof = opened.agent.proof(&opened.chain, "read", &path);
    let authority = json!({"io.chancery/delegation": opened.chain, "io.chancery/proof": proof});
    for (method, name) in [
        ("tools/call", Some("read")),
        ("resources/read", Some("read")),
        ("prompts/get", Some("read")),
        ("tools/list", None),
        ("logging/setLevel", None),
        ("notifications/anything", None),
    ] {
        for meta in [json!({}), authority.clone()] {
            let params = json!({"name": "read", "uri": "read", "arguments": path, "_meta": meta});
            let reply = opened.connection.tell(method, name, params).await;
            assert!(reply.status.is_client_error(), "{method}: {reply:?}");
        }
    }
    assert_eq!(world.forwarded(), Vec::<String>::new());
    assert_eq!(count(&world.log().await, "decision"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_referred_to_by_who_presented_it_in_the_session() {
    let mut world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut joined = world.join(&opened, &[tool("read")]).await;
    let args = json!({"path": "/a"});
    let referring = |of: &Agent, chain: &[String], named: &str| {
        let proof = of.proof(chain, "read", &args);
        let meta = json!({"io.chancery/delegation": named, "io.chancery/proof": proof});
        json!({"name": "read", "arguments": args, "_meta": meta})
    };
    let reference = Digest::of(opened.chain.join(",")).to_string();
    let call = |agent: &Agent, chain: &[String]| referring(agent, chain, &reference);
    // Nothing was presented with a call yet; nobody else may refer to it later.
    let params = call(&opened.agent, &opened.chain);
    let early = opened
        .connection
        .request("tools/call", Some("read"), params);
    assert_eq!(early.await.reason(), "delegation_reference_unknown");
    let full = opened
        .connection
        .call(&opened.agent, &opened.chain, "read", args.clone())
        .await;
    assert_eq!(full.reason(), "ok");
    let params = call(&joined.agent, &opened.chain);
    let other = joined
        .connection
        .request("tools/call", Some("read"), params);
    assert_eq!(other.await.reason(), "delegation_reference_unknown");
    let params = call(&opened.agent, &opened.chain);
    assert!(reference.len() * 10 < opened.chain.join(",").len());
    let first = opened
        .connection
        .request("tools/call", Some("read"), params.clone())
        .await;
    assert_eq!(first.reason(), "ok", "{first:?}");
    let again = opened
        .connection
        .request("tools/call", Some("read"), params)
        .await;
    assert_eq!(again.reason(), "replay");
    for (named, reason) in [
        ("sha256:00", "delegation_reference_unknown"),
        ("", "delegation_reference_unknown"),
        (opened.chain[0].as_str(), "delegation_reference_unknown"),
    ] {
        let params = referring(&opened.agent, &opened.chain, named);
        let refused = opened
            .connection
            .request("tools/call", Some("read"), params)
            .await;
        assert_eq!(refused.reason(), reason, "{named}");
    }
    // A gateway that started again knows of none, and of no session either before it is joined.
    assert_eq!(world.forwarded().len(), 2);
    world.stop_gateway().await;
    world.start_gateway(|_| ()).await;
    let mut connection = opened.agent.connect(world.address).await;
    let params = call(&opened.agent, &opened.chain);
    let refused = connection.request("tools/call", Some("read"), params).await;
    assert_eq!(refused.reason(), "delegation_reference_unknown");
    let full = connection
        .call(&opened.agent, &opened.chain, "read", args.clone())
        .await;
    assert_eq!(full.reason(), "ok");
    let params = call(&opened.agent, &opened.chain);
    let known = connection.request("tools/call", Some("read"), params).await;
    assert_eq!(known.reason(), "ok");
}
