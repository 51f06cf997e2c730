use std::time::Duration;

use chancery_api::server::DraftRoot;
use chancery_audit::Event;
use chancery_types::base64url;
use serde_json::{Value, json};

use super::agent::{Agent, MISSION};
use super::plane::POLICIES;
use super::world::{World, tool, tools};

fn rules(members: Value) -> Option<Value> {
    let mut rules = members;
    rules["rules"] = json!("chancery/delegation-rules/v1");
    Some(rules)
}

async fn draft(
    world: &World,
    agent: &Agent,
    seconds: Option<u64>,
    depth: u64,
) -> Result<u64, String> {
    let request = DraftRoot {
        instance_id: agent.id,
        person_id: world.plane.principal.id,
        mission: base64url::encode(MISSION),
        authorization_details: tools(),
        lifetime_seconds: seconds,
        max_depth: depth,
        gateway: None,
    };
    match world.plane.client().draft_root(&request).await {
        Ok(draft) => {
            let claims: Value = serde_json::from_str(&draft.claims).unwrap();
            Ok(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap())
        }
        Err(chancery_api::ClientError::Refused(problem)) => Err(problem.reason),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_when_a_root_is_drafted_a_session_joined_and_a_call_made() {
    let mut world = World::plane().await;
    let limits = rules(json!({
        "root": {"default_seconds": 120, "max_seconds": 600},
        "link": {"max_seconds": 300},
        "max_depth": 3,
        "agents": {"allow": [{"path_prefix": "spiffe://acme.example/agent"}]},
        "min_attestation": "software-only/launch"
    }));
    world.plane.publish_with(2, POLICIES, limits).await;
    let manifest = world.plane.manifest(|_| {}).await;
    world.plane.register(&manifest).await;
    world.start_gateway(|_| {}).await;

    let agent = Agent::launch(&world.plane).await;
    let expected = |code: &str| Err(code.to_owned());
    assert_eq!(
        draft(&world, &agent, Some(601), 3).await,
        expected("rules_lifetime")
    );
    assert_eq!(
        draft(&world, &agent, Some(600), 4).await,
        expected("rules_depth")
    );
    assert_eq!(draft(&world, &agent, Some(600), 3).await, Ok(600));
    assert_eq!(draft(&world, &agent, None, 3).await, Ok(120));

    // The link lives as long as its root: too long for a link.
    let mut opened = world.open(&tools()).await;
    let worker = Agent::launch(&world.plane).await;
    let chain = opened
        .agent
        .delegate(&opened.chain, &worker, &[tool("read")]);
    let mut connection = worker.connect(world.address).await;
    let nonce = connection.nonce().await;
    let presentation = worker.presentation(&opened.root, &chain, &nonce);
    let refused = connection.join(&opened.session, &presentation).await;
    assert_eq!(refused.reason(), "rules_lifetime");
    let log = world.log().await;
    let link = log.iter().find_map(|entry| match &entry.event {
        Event::SessionRefuse(refuse) => refuse.link,
        _ => None,
    });
    assert_eq!(link, Some(1));

    let path = json!({"path": "/a"});
    let (agent, chain) = (&opened.agent, &opened.chain);
    let reply = opened
        .connection
        .call(agent, chain, "read", path.clone())
        .await;
    assert_eq!(reply.reason(), "ok");
    // Stricter rules hold for what runs, from the moment they are in force.
    let strict = rules(json!({"agents": {"block": [{"exact": agent.spiffe_id}]}}));
    world.plane.publish_with(3, POLICIES, strict).await;
    for _ in 0..50 {
        let reply = opened
            .connection
            .call(agent, chain, "read", path.clone())
            .await;
        if reply.reason() == "rules_agent" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("a blocked agent acts");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_attestation_roots_nothing() {
    let world = World::plane().await;
    let agent = Agent::launch(&world.plane).await;
    let tpm = rules(json!({"min_attestation": "tpm"}));
    world.plane.publish_with(2, POLICIES, tpm).await;
    assert_eq!(
        draft(&world, &agent, None, 1).await,
        Err("rules_attestation".to_owned())
    );
}
