use chancery_api::ClientError;
use chancery_api::gateway::{Presentation, SessionProof};
use chancery_api::server::{IssueWit, IssueWitSvid};
use chancery_api::signer::SignedToken;
use chancery_crypto::SigningKey;
use chancery_delegation::{Assertion, ConsentArtefact};
use chancery_types::{Algorithm, Digest, base64url};
use serde_json::json;

use super::agent::{Agent, GATEWAY};
use super::plane::now;
use super::world::{World, count, reasons, tool, tools};

type Change = fn(&mut Presentation);

/// The assertion that came as consent.
fn assertion(presentation: &mut Presentation) -> &mut Assertion {
    match &mut presentation.consent {
        ConsentArtefact::Root(assertion) => assertion,
        ConsentArtefact::Standing(signed) => &mut signed.assertion,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_presentation_is_held_against_the_others() {
    let world = World::start().await;
    let agent = Agent::launch(&world.plane).await;
    let root = agent.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    let mut connection = agent.connect(world.address).await;
    let cases: [(Change, &str); 9] = [
        (
            |p| p.mission = base64url::encode("another mission"),
            "mission_mismatch",
        ),
        (|p| p.mission = "!".to_owned(), "malformed"),
        (
            |p| p.principal.value = "per_other".to_owned(),
            "principal_mismatch",
        ),
        (
            |p| p.principal.name = "operator".parse().unwrap(),
            "principal_mismatch",
        ),
        (|p| p.wit = p.wit.replacen('.', "x.", 1), "wit_refused"),
        (
            |p| p.manifest = base64url::encode("no manifest"),
            "manifest_refused",
        ),
        (
            |p| assertion(p).signature = base64url::encode([0; 70]),
            "consent_invalid",
        ),
        (
            |p| assertion(p).credential_id = base64url::encode("other"),
            "consent_invalid",
        ),
        (|p| p.chain.clear(), "malformed"),
    ];
    let mut expected = Vec::new();
    for (change, reason) in cases {
        let nonce = connection.nonce().await;
        let mut presentation = agent.presentation(&root, &chain, &nonce);
        change(&mut presentation);
        assert_eq!(connection.open(&presentation).await.reason(), reason);
        expected.push(reason);
    }
    let reply = connection
        .send("POST", "/v1/sessions", &[], "{}".to_owned())
        .await;
    assert_eq!(reply.reason(), "malformed");
    expected.push("malformed");
    let log = world.log().await;
    assert_eq!(reasons(&log), expected);
    assert_eq!(count(&log, "session.open"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wit_svid_of_a_workload_is_no_agents_credential_and_its_key_no_agents() {
    let world = World::start().await;
    let mut agent = Agent::launch(&world.plane).await;
    let other = Agent::launch(&world.plane).await;
    let server = world.plane.client();
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let asked = |id, key: &SigningKey| IssueWitSvid {
        instance_id: id,
        key: *key.public(),
    };
    let issued = server.issue_wit_svid(&asked(agent.id, &key)).await;
    // It is the credential of no agent key, with the right chain and all else.
    agent.wit = issued.unwrap().token;
    let root = agent.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    let mut connection = agent.connect(world.address).await;
    let nonce = connection.nonce().await;
    let presentation = agent.presentation(&root, &chain, &nonce);
    assert_eq!(connection.open(&presentation).await.reason(), "wit_refused");
    // Its key becomes nobody's agent key, and an agent key is no workload's.
    let refused = |outcome: Result<SignedToken, ClientError>| match outcome {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("{other:?}"),
    };
    for id in [agent.id, other.id] {
        let key = *key.public();
        let wit = IssueWit {
            instance_id: id,
            key,
        };
        assert_eq!(refused(server.issue_wit(&wit).await), "agent_key");
    }
    let own = refused(server.issue_wit_svid(&asked(agent.id, &agent.key)).await);
    assert_eq!(own, "agent_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presentation_is_proven_freshly_and_once() {
    let world = World::start().await;
    let agent = Agent::launch(&world.plane).await;
    let root = agent.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    let mut connection = agent.connect(world.address).await;
    let good = SessionProof {
        aud: GATEWAY.to_owned(),
        nonce: connection.nonce().await,
        cth: Digest::of(chain.join(",")).to_base64url(),
        iat: now().as_seconds(),
    };
    let bad = [
        (
            SessionProof {
                aud: "spiffe://acme.example/x".into(),
                ..good.clone()
            },
            "pop_mismatch",
        ),
        (
            SessionProof {
                cth: Digest::of("x").to_base64url(),
                ..good.clone()
            },
            "pop_mismatch",
        ),
        (
            SessionProof {
                iat: good.iat - 120,
                ..good.clone()
            },
            "pop_stale",
        ),
        (
            SessionProof {
                iat: good.iat + 60,
                ..good.clone()
            },
            "pop_stale",
        ),
        (
            SessionProof {
                nonce: "guessed".into(),
                ..good.clone()
            },
            "challenge_unknown",
        ),
    ];
    let mut presentation = agent.presentation(&root, &chain, "");
    for (claims, reason) in bad {
        presentation.proof = agent.prove(&claims);
        assert_eq!(connection.open(&presentation).await.reason(), reason);
    }
    let other = Agent::launch(&world.plane).await;
    presentation.proof = other.prove(&good);
    assert_eq!(
        connection.open(&presentation).await.reason(),
        "pop_bad_signature"
    );
    // A nonce is its peer's: another instance cannot use it, nor this one's presentation.
    presentation.proof = agent.prove(&good);
    let mut thief = other.connect(world.address).await;
    assert_eq!(thief.open(&presentation).await.reason(), "holder_mismatch");
    assert_eq!(connection.open(&presentation).await.reason(), "ok");
    assert_eq!(
        connection.open(&presentation).await.reason(),
        "challenge_unknown"
    );
    presentation.proof = agent.prove(&SessionProof {
        nonce: connection.nonce().await,
        ..good
    });
    assert_eq!(
        connection.open(&presentation).await.reason(),
        "session_exists"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_bind_policy_and_tools_exactly() {
    let world = World::start().await;
    let agent = Agent::launch(&world.plane).await;
    let root = agent.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    let mut connection = agent.connect(world.address).await;
    let hash = Digest::of("other").to_string();
    let other_policy = world
        .plane
        .manifest(|m| m["artifacts"]["policy_bundle"]["hash"] = hash.into())
        .await;
    let no_tools = world
        .plane
        .manifest(|m| {
            m["artifacts"]
                .as_object_mut()
                .unwrap()
                .remove("tool_manifest");
        })
        .await;
    let renewed = world
        .plane
        .manifest(|m| m["intent"]["statement"] = "another".into())
        .await;
    for (envelope, reason) in [
        (other_policy, "policy_mismatch"),
        (no_tools, "catalog_mismatch"),
        (renewed, "manifest_mismatch"),
    ] {
        let nonce = connection.nonce().await;
        let mut presentation = agent.presentation(&root, &chain, &nonce);
        presentation.manifest = base64url::encode(envelope);
        assert_eq!(connection.open(&presentation).await.reason(), reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_needs_a_chain_of_the_session() {
    let world = World::start().await;
    let opened = world.open(&tools()).await;
    let other = world.open(&tools()).await;
    let worker = Agent::launch(&world.plane).await;
    let mut connection = worker.connect(world.address).await;
    let chain = other.agent.delegate(&other.chain, &worker, &[tool("read")]);
    let nonce = connection.nonce().await;
    let presentation = worker.presentation(&other.root, &chain, &nonce);
    let foreign = connection.join(&opened.session, &presentation).await;
    assert_eq!(foreign.reason(), "wrong_session");
    let unknown = connection
        .join("ses_00000000000000000000000000", &presentation)
        .await;
    assert_eq!(unknown.reason(), "challenge_unknown");
    assert_eq!(
        connection.control("GET", &other.session, "").await.reason(),
        "session_unknown"
    );
    assert_eq!(
        connection
            .control("POST", &other.session, "/end")
            .await
            .reason(),
        "session_unknown"
    );
    let mut joined = world.join(&opened, &[tool("read")]).await;
    let nonce = joined.connection.nonce().await;
    let again = joined
        .agent
        .presentation(&joined.root, &joined.chain, &nonce);
    let reply = joined.connection.join(&opened.session, &again).await;
    assert_eq!(reply.reason(), "already_joined");
    assert_eq!(
        joined
            .connection
            .control("POST", &opened.session, "/end")
            .await
            .reason(),
        "end_not_yours"
    );
    let view = joined.connection.control("GET", &opened.session, "").await;
    assert_eq!(view.body["servers"], json!(["fs"]));
    assert_eq!(
        joined
            .connection
            .control("POST", &opened.session, "/leave")
            .await
            .reason(),
        "ok"
    );
    let gone = joined
        .connection
        .call(&joined.agent, &joined.chain, "read", json!({"path": "/a"}))
        .await;
    assert_eq!(gone.reason(), "not_joined");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_nobodys_instance() {
    let world = World::start().await;
    let mut agent = Agent::launch(&world.plane).await;
    let root = agent.root(&world.plane, &tools(), 600).await;
    let chain = vec![root.root.clone()];
    // Even with the agent's key, credential and delegation.
    for service in ["node", "node/nod_7zzzzzzzzzzzzzzzzzzzzzzzzz"] {
        agent.behind(&world.plane, service).await;
        let mut connection = agent.connect(world.address).await;
        let nonce = connection.nonce().await;
        let presentation = agent.presentation(&root, &chain, &nonce);
        let refused = connection.open(&presentation).await;
        assert_eq!(refused.reason(), "holder_mismatch");
        let path = json!({"path": "/a"});
        let called = connection.call(&agent, &chain, "read", path).await;
        assert_ne!(called.reason(), "ok");
    }
    assert_eq!(world.forwarded(), Vec::<String>::new());
}
