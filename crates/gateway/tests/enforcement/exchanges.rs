use chancery_api::oauth::{CHAIN_TOKEN_TYPE, GRANT_TYPE, PROOF_ASSERTION_TYPE};
use chancery_audit::{Event, OutcomeStatus};
use chancery_crypto::{AwsLc, random_id};
use chancery_delegation::access_token::{AccessToken, AccessTokenContext, verify_access_token};
use chancery_delegation::{Call, Entry, ProofDraft, Target, Verdict};
use chancery_evidence::verify;
use chancery_types::id::{ExecutionKind, ProofKind};
use chancery_types::{Digest, Timestamp};
use serde_json::{Value, json};

use super::agent::{Agent, Connection, GATEWAY, MISSION, Reply};
use super::plane::{ISSUER, now};
use super::world::{Opened, World, count, reasons, tool};

pub(crate) const API: &str = "https://api.example";
const ASKED: &str = "https://asked.example";

/// The right to exchange for an audience.
pub(crate) fn exchange(audience: &str) -> Value {
    json!({"type": "mcp_tool", "server": "token-exchange", "tool": audience})
}

/// One invoice of a customer register that no gateway serves.
pub(crate) fn invoice() -> Value {
    json!({"type": "mcp_tool", "server": "crm", "tool": "invoice", "args": {"year": {"int_range": [2020, 2026]}}})
}

/// A mission whose one step lists the exchanges too.
pub(crate) fn mission() -> String {
    let mut mission: Value = serde_json::from_str(MISSION).unwrap();
    let means = mission["steps"][0]["means"].as_array_mut().unwrap();
    let audiences = [
        API,
        ASKED,
        "https://denied.example",
        "https://unnamed.example",
        "https://other.example",
    ];
    means.extend(audiences.map(exchange));
    mission.to_string()
}

/// A proof of an exchange, made as `change` says.
pub(crate) fn proof(
    agent: &Agent,
    chain: &[String],
    audience: &str,
    details: Option<&Value>,
    change: impl FnOnce(&mut ProofDraft<'_>),
) -> String {
    let arguments = match details {
        Some(details) => json!({"authorization_details": details}),
        None => json!({}),
    };
    let jti = random_id::<ProofKind>().unwrap().to_string();
    let mut draft = ProofDraft {
        audience: GATEWAY,
        issued_at: now(),
        jti: &jti,
        chain: Digest::of(chain.join(",")),
        call: Call {
            server: "token-exchange",
            target: Target::Tool(audience),
            args: arguments.as_object().unwrap(),
        },
        execution: Some(random_id::<ExecutionKind>().unwrap()),
        step: Some("keep"),
    };
    change(&mut draft);
    draft
        .sign(agent.key.public(), &|message| agent.key.sign(message))
        .unwrap()
}

/// The parameters of an exchange.
pub(crate) fn parameters(
    chain: &[String],
    proof: &str,
    audience: &str,
    details: Option<&Value>,
) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("grant_type", GRANT_TYPE.to_owned()),
        ("subject_token_type", CHAIN_TOKEN_TYPE.to_owned()),
        ("subject_token", chain.join(",")),
        ("audience", audience.to_owned()),
        ("client_assertion_type", PROOF_ASSERTION_TYPE.to_owned()),
        ("client_assertion", proof.to_owned()),
    ];
    parameters.extend(details.map(|details| ("authorization_details", details.to_string())));
    parameters
}

pub(crate) async fn post(connection: &mut Connection, parameters: &[(&str, String)]) -> Reply {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    connection
        .send("POST", "/oauth/token", &headers, form.finish())
        .await
}

/// Exchanges the chain that an instance holds.
pub(crate) async fn ask(opened: &mut Opened, audience: &str, details: Option<&Value>) -> Reply {
    let proof = proof(&opened.agent, &opened.chain, audience, details, |_| {});
    let parameters = parameters(&opened.chain, &proof, audience, details);
    post(&mut opened.connection, &parameters).await
}

/// The token of an answer, as its audience reads it.
pub(crate) fn read(world: &World, reply: &Reply, audience: &str, at: Timestamp) -> AccessToken {
    let token = reply.body["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{reply:?}"));
    let context = AccessTokenContext {
        now: at,
        authorities: &world.plane.trust.access_token_authorities,
        audience,
        verifier: &AwsLc,
    };
    verify_access_token(token, &context).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_is_exchanged_for_a_token_of_one_audience() {
    let world = World::exchanging().await;
    let tools = [exchange(API), tool("read"), tool("note"), invoice()];
    let mut opened = world.open_for(&tools, &mission()).await;
    let mut worker = world
        .join(&opened, &[exchange(API), tool("read"), invoice()])
        .await;
    let reply = ask(&mut worker, API, None).await;
    let token = read(&world, &reply, API, now());
    let text = reply_token(&reply);
    assert_eq!(token.issuer(), ISSUER);
    assert_eq!(token.person(), world.plane.principal.id.to_string());
    let actors: Vec<_> = token.actors().iter().map(ToString::to_string).collect();
    assert_eq!(
        actors,
        [
            worker.agent.spiffe_id.clone(),
            opened.agent.spiffe_id.clone()
        ]
    );
    assert_eq!(token.key(), worker.agent.key.public().thumbprint());
    let carried: Vec<_> = token.details().iter().map(Entry::to_json).collect();
    assert_eq!(carried, [tool("read"), invoice()]);
    assert_eq!(reply.body["authorization_details"], json!(carried));
    assert_eq!(reply.body["token_type"], json!("DPoP"));
    // From when it is answered.
    let left = reply.body["expires_in"].as_u64().unwrap();
    assert!((200..=300).contains(&left), "{left}");
    assert_eq!(token.expires_at(), token.issued_at().plus_seconds(300));

    let narrower = json!([{"type": "mcp_tool", "server": "crm", "tool": "invoice", "args": {"year": {"exact": 2026}}}]);
    let reply = ask(&mut worker, API, Some(&narrower)).await;
    let narrowed = read(&world, &reply, API, now());
    assert_eq!(
        json!(
            narrowed
                .details()
                .iter()
                .map(Entry::to_json)
                .collect::<Vec<_>>()
        ),
        narrower
    );
    let none = ask(&mut worker, API, Some(&json!([]))).await;
    assert!(read(&world, &none, API, now()).details().is_empty());

    // Nothing was called, and the log names each token.
    assert_eq!(world.forwarded(), Vec::<String>::new());
    let log = world.log().await;
    assert_eq!(reasons(&log), ["permit", "permit", "permit"]);
    let outcome = log.iter().find_map(|entry| match &entry.event {
        Event::Outcome(outcome) if outcome.execution == token.execution() => Some(outcome),
        _ => None,
    });
    let outcome = outcome.unwrap();
    assert_eq!(outcome.status, OutcomeStatus::Completed);
    assert_eq!(outcome.result, Some(Digest::of(text)));
    let decided = log.iter().any(|entry| match &entry.event {
        Event::Decision(decision) => decision.execution == token.execution(),
        _ => false,
    });
    assert!(decided);
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok");
    let files = world.evidence(&opened.session).await;
    let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
    assert!(report.is_verified(), "{:#?}", report.findings);
}

fn reply_token(reply: &Reply) -> String {
    reply.body["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_very_token() {
    let world = World::exchanging().await;
    let mut opened = world.open_for(&[exchange(API)], &mission()).await;
    // The chain by reference, once it was presented in full.
    let reply = ask(&mut opened, API, None).await;
    assert_eq!(reply.body["authorization_details"], json!([]));
    let proof = proof(&opened.agent, &opened.chain, API, None, |_| {});
    let reference = [Digest::of(opened.chain.join(",")).to_string()];
    let parameters = parameters(&reference, &proof, API, None);
    let referred = post(&mut opened.connection, &parameters).await;
    let token = reply_token(&referred);
    let log = world.log().await;
    let digests: Vec<_> = log
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Outcome(outcome) => outcome.result,
            _ => None,
        })
        .collect();
    assert_eq!(
        digests,
        [Digest::of(reply_token(&reply)), Digest::of(token)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_chain() {
    let world = World::exchanging().await;
    let agent = Agent::launch(&world.plane).await;
    let root = agent
        .root_for(&world.plane, &[exchange(API)], 60, &mission())
        .await;
    let mut opened = world.open_by(agent, root).await;
    let reply = ask(&mut opened, API, None).await;
    let token = read(&world, &reply, API, now());
    assert!(token.expires_at() <= token.issued_at().plus_seconds(60));
    assert!(reply.body["expires_in"].as_u64().unwrap() <= 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_where_policy_says_so() {
    let world = World::exchanging().await;
    let mut opened = world.open_for(&[exchange(ASKED)], &mission()).await;
    let asked = ask(&mut opened, ASKED, None).await;
    assert_eq!(asked.body["error"], "authorization_pending", "{asked:?}");
    assert_eq!(asked.reason(), "approval_pending");
    assert!(asked.body["approval"].is_string() && asked.body["interval"].is_u64());
    let question = world.plane.question().await;
    assert_eq!(question.request.subject.tool, ASKED);
    world.plane.answer(&question, Verdict::Approve).await;
    let granted = ask(&mut opened, ASKED, None).await;
    read(&world, &granted, ASKED, now());
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_are_counted() {
    let world = World::exchanging().await;
    let mut once = exchange(API);
    once["limits"] = json!({"max_calls": 1});
    let mut opened = world.open_for(&[once], &mission()).await;
    read(&world, &ask(&mut opened, API, None).await, API, now());
    let again = ask(&mut opened, API, None).await;
    assert_eq!(
        (&again.body["error"], again.reason()),
        (&json!("invalid_grant"), "call_limit")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_callers_authority_reaches_a_tool_server() {
    let world = World::exchanging().await;
    let mut opened = world
        .open_for(&[exchange(API), tool("read")], &mission())
        .await;
    let token = reply_token(&ask(&mut opened, API, None).await);
    let (agent, chain) = (&opened.agent, &opened.chain);
    let bearer = format!("DPoP {token}");
    let path = json!({"path": "/a"});
    let body = |meta: Value, arguments: &Value| {
        let mut meta = meta;
        meta["io.chancery/delegation"] = json!(chain);
        meta["io.chancery/proof"] = agent.proof(chain, "read", arguments).into();
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let params = json!({"name": "read", "arguments": arguments, "_meta": meta});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    let headers = [
        ("accept", "application/json"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "read"),
        ("authorization", bearer.as_str()),
        ("dpop", "proof-in-a-header"),
        ("agent-delegation", "chain-in-a-header"),
    ];
    let ours = json!({
        "io.chancery/access_token": token, "io.chancery/anything": {"deep": [token]}, "kept": 1
    });
    let connection = &mut opened.connection;
    let reply = connection
        .send("POST", "/mcp/fs", &headers, body(ours, &path))
        .await;
    assert_eq!(reply.reason(), "ok", "{reply:?}");
    // Where it would be forwarded, the call is refused.
    for (meta, arguments) in [
        (json!({"authorization": bearer}), path.clone()),
        (json!({"other/token": {"deep": [token]}}), path.clone()),
        (json!({}), json!({"path": token})),
    ] {
        let reply = connection
            .send("POST", "/mcp/fs", &headers, body(meta, &arguments))
            .await;
        assert_eq!(reply.reason(), "token_in_call");
    }
    let listing = json!({"_meta": {"authorization": bearer}});
    let reply = connection.request("tools/list", None, listing).await;
    assert_eq!(reply.reason(), "token_in_call");
    let received = std::fs::read_to_string(world.folder.path().join("received")).unwrap();
    assert_eq!(world.forwarded().len(), 1);
    assert!(received.contains(r#""kept":1"#), "{received}");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [
        signature,
        "eyJ",
        "in-a-header",
        "io.chancery",
        "authorization",
    ] {
        assert!(!received.contains(secret), "{secret}: {received}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relying_parties_are_told_keys_and_endpoints() {
    let world = World::exchanging().await;
    let mut opened = world.open_for(&[exchange(API)], &mission()).await;
    let connection = &mut opened.connection;
    let path = "/.well-known/oauth-authorization-server";
    let told = connection.send("GET", path, &[], String::new()).await;
    assert_eq!(told.body["issuer"], ISSUER);
    assert_eq!(told.body["token_endpoint"], "https://localhost/oauth/token");
    assert_eq!(told.body["grant_types_supported"], json!([GRANT_TYPE]));
    let keys = connection
        .send("GET", "/oauth/jwks", &[], String::new())
        .await;
    let keys = keys.body["keys"].as_array().unwrap().clone();
    let authority = &world.plane.trust.access_token_authorities[0];
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["kid"], authority.key.kid());
    assert!(keys[0].get("d").is_none());
    assert_eq!(count(&world.log().await, "decision"), 0);
}

async fn introspected(connection: &mut Connection, token: &str) -> Reply {
    let body = json!({"token": token}).to_string();
    connection.send("POST", "/v1/introspect", &[], body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_token_stands_is_told_to_its_actors_and_audience() {
    let world = World::exchanging().await;
    let mut opened = world.open_for(&[exchange(API)], &mission()).await;
    let mut worker = world.join(&opened, &[exchange(API)]).await;
    let mut stranger = world.join(&opened, &[]).await;
    let token = reply_token(&ask(&mut worker, API, None).await);
    for connection in [&mut worker.connection, &mut opened.connection] {
        let told = introspected(connection, &token).await;
        assert_eq!(
            (&told.body["active"], &told.body["aud"]),
            (&json!(true), &json!([API]))
        );
        assert_eq!(told.body["sub"], worker.agent.spiffe_id);
        assert_eq!(told.body["links"].as_array().unwrap().len(), 2);
    }
    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.AAAA");
    for (connection, token) in [
        (&mut stranger.connection, &token),
        (&mut worker.connection, &forged),
    ] {
        let told = introspected(connection, token).await;
        assert_eq!(told.reason(), "chain_not_yours", "{told:?}");
    }
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok");
    let told = introspected(&mut opened.connection, &token).await;
    assert_eq!(
        (&told.body["active"], &told.body["cause"]),
        (&json!(false), &json!("session_ended"))
    );
}
