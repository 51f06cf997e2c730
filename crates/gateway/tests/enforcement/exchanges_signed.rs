//! What the signer says to a gateway or server that was taken over.

use chancery_api::ClientError;
use chancery_api::server::Revoke;
use chancery_api::signer::{SignAccess, SignerClient};
use chancery_delegation::Revocable;
use chancery_types::{Digest, RevocationKind};
use serde_json::json;

use super::agent::{Agent, GATEWAY};
use super::exchanges::{API, exchange, invoice, mission, proof};
use super::plane::now;
use super::world::{World, tool};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_that_no_holder_proved_to_ask_for() {
    let world = World::exchanging().await;
    let rights = [exchange(API), tool("read"), invoice()];
    let opened = world.open_for(&rights, &mission()).await;
    let worker = world.join(&opened, &[exchange(API), tool("read")]).await;
    let (agent, chain) = (&worker.agent, &worker.chain);
    let signer = SignerClient::new(world.folder.path().join("signer.sock"));
    let good = || SignAccess {
        chain: chain.clone(),
        proof: proof(agent, chain, API, None, |_| {}),
        arguments: "{}".to_owned(),
        gateway: GATEWAY.to_owned(),
        audience: API.to_owned(),
        authorization_details: vec![tool("read")],
        expires_at: now().plus_seconds(86_400),
    };
    assert!(signer.access(&good()).await.is_ok());
    let thief = Agent::launch(&world.plane).await;
    let narrowed = json!([]);
    let asked = r#"{"authorization_details":[]}"#.to_owned();
    let gateway = "spiffe://acme.example/service/gateway/other";
    let cases: Vec<(&str, SignAccess)> = vec![
        (
            "gateway",
            SignAccess {
                gateway: gateway.to_owned(),
                ..good()
            },
        ),
        (
            "gateway",
            SignAccess {
                gateway: agent.spiffe_id.clone(),
                ..good()
            },
        ),
        (
            "audience",
            SignAccess {
                audience: "api".to_owned(),
                ..good()
            },
        ),
        (
            "not_in_scope",
            SignAccess {
                audience: "https://other.example".to_owned(),
                ..good()
            },
        ),
        (
            "access_token",
            SignAccess {
                authorization_details: vec![invoice()],
                ..good()
            },
        ),
        (
            "access_token",
            SignAccess {
                authorization_details: vec![tool("wipe")],
                ..good()
            },
        ),
        (
            "access_token",
            SignAccess {
                authorization_details: vec![exchange(API)],
                ..good()
            },
        ),
        (
            "access_token",
            SignAccess {
                expires_at: now(),
                ..good()
            },
        ),
        (
            "authorization_details",
            SignAccess {
                authorization_details: vec![json!("x")],
                ..good()
            },
        ),
        (
            "authorization_details",
            SignAccess {
                proof: proof(agent, chain, API, Some(&narrowed), |_| {}),
                arguments: asked.clone(),
                ..good()
            },
        ),
        (
            "pop_mismatch",
            SignAccess {
                arguments: asked,
                ..good()
            },
        ),
        (
            "malformed",
            SignAccess {
                arguments: "[]".to_owned(),
                ..good()
            },
        ),
        (
            "pop_bad_signature",
            SignAccess {
                proof: proof(&thief, chain, API, None, |_| {}),
                ..good()
            },
        ),
        (
            "pop_stale",
            SignAccess {
                proof: proof(agent, chain, API, None, |draft| {
                    draft.issued_at = now().minus_seconds(61);
                }),
                ..good()
            },
        ),
        (
            "pop_mismatch",
            SignAccess {
                proof: proof(agent, chain, API, None, |draft| draft.execution = None),
                ..good()
            },
        ),
        (
            "pop_mismatch",
            SignAccess {
                proof: proof(agent, chain, API, None, |draft| {
                    draft.chain = Digest::of("x")
                }),
                ..good()
            },
        ),
        (
            "pop_mismatch",
            SignAccess {
                proof: proof(agent, chain, API, None, |draft| draft.audience = gateway),
                ..good()
            },
        ),
        (
            "pop_bad_signature",
            SignAccess {
                chain: opened.chain.clone(),
                ..good()
            },
        ),
        (
            "untrusted_root",
            SignAccess {
                chain: vec![chain[1].clone()],
                ..good()
            },
        ),
        (
            "too_long",
            SignAccess {
                chain: vec![chain[0].clone(); 9],
                ..good()
            },
        ),
    ];
    for (number, (expected, request)) in cases.into_iter().enumerate() {
        match signer.access(&request).await {
            Err(ClientError::Refused(problem)) => {
                assert_eq!(problem.reason, expected, "{number}: {problem}");
            }
            other => panic!("{number}, {expected}: {other:?}"),
        }
    }
    // What the signer signed a snapshot with, it signs nothing more for.
    let request = Revoke {
        what: Revocable::new(RevocationKind::Instance, &opened.agent.spiffe_id).unwrap(),
        reason: "a test".to_owned(),
    };
    world.plane.client().revoke(&request).await.unwrap();
    let refused = signer.access(&good()).await;
    let Err(ClientError::Refused(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.reason, "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_the_trust_document_does_not_name_signs_nothing() {
    let world = World::exchanging().await;
    let opened = world.open_for(&[exchange(API)], &mission()).await;
    world
        .plane
        .change_trust(|trust| trust.access_token_authorities.clear())
        .await;
    let signer = SignerClient::new(world.folder.path().join("signer.sock"));
    let request = SignAccess {
        chain: opened.chain.clone(),
        proof: proof(&opened.agent, &opened.chain, API, None, |_| {}),
        arguments: "{}".to_owned(),
        gateway: GATEWAY.to_owned(),
        audience: API.to_owned(),
        authorization_details: Vec::new(),
        expires_at: now().plus_seconds(60),
    };
    let Err(ClientError::Refused(problem)) = signer.access(&request).await else {
        panic!("signed");
    };
    assert_eq!(problem.reason, "authority");
}
