use chancery_delegation::Verdict;
use serde_json::{Value, json};

use super::agent::{Agent, GATEWAY, MISSION, Reply};
use super::plane::now;
use super::world::{Opened, World, reasons, tool, tools};

/// A mission with a step for reading and one for notes; nobody may pay.
fn mission() -> Value {
    let mut mission: Value = serde_json::from_str(MISSION).unwrap();
    mission["steps"] = json!([
        {"id": "look", "text": "Look.", "means": [tool("read"), tool("pay")]},
        {"id": "write", "text": "Write.", "means": [tool("note"), tool("read")]},
    ]);
    mission["forbid"] = json!([tool("pay")]);
    mission
}

pub(crate) async fn call(
    opened: &mut Opened,
    (name, arguments): (&str, Value),
    step: Option<&str>,
    opinion: Option<Value>,
) -> Reply {
    let when = (now(), GATEWAY);
    let proof = opened
        .agent
        .proof_of(&opened.chain, name, &arguments, when, step);
    let mut meta = json!({"io.chancery/delegation": opened.chain, "io.chancery/proof": proof});
    if let Some(opinion) = opinion {
        meta["io.chancery/opinion"] = opinion;
    }
    let params = json!({"name": name, "arguments": arguments, "_meta": meta});
    opened
        .connection
        .request("tools/call", Some(name), params)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_forbids_asks_and_is_replayed_from_its_bytes() {
    let mut world = World::start().await;
    let mut opened = world.open_for(&tools(), &mission().to_string()).await;
    let read = || ("read", json!({"path": "/a"}));
    let reply = call(&mut opened, read(), Some("look"), None).await;
    assert_eq!(reply.reason(), "ok");
    let reply = call(
        &mut opened,
        ("pay", json!({"amount": 5})),
        Some("look"),
        None,
    )
    .await;
    assert_eq!(reply.reason(), "mission_forbid");

    // A step that does not list the means waits for a person, and passes with the answer.
    let note = || ("note", json!({"text": "x"}));
    let reply = call(&mut opened, note(), Some("look"), None).await;
    assert_eq!(reply.reason(), "approval-pending");
    let question = world.plane.question().await;
    assert_eq!(question.request.subject.policies, ["mission:unlisted:look"]);
    assert_eq!(question.request.subject.step, "look");
    assert_eq!(world.forwarded().len(), 1);
    // The gateway forgets nothing of the mission when it starts anew.
    world.stop_gateway().await;
    world.start_gateway(|_| {}).await;
    opened.connection = opened.agent.connect(world.address).await;
    world.plane.answer(&question, Verdict::Approve).await;
    let reply = call(&mut opened, note(), Some("look"), None).await;
    assert_eq!(reply.reason(), "ok", "{reply:?}");
    let reply = call(&mut opened, note(), Some("write"), None).await;
    assert_eq!(reply.reason(), "ok");
    let reply = call(&mut opened, read(), None, None).await;
    assert_eq!(reply.reason(), "approval-pending");

    let ended = opened.end().await;
    assert_eq!(ended.reason(), "ok", "{ended:?}");
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:#?}");
    let log = world.log().await;
    assert_eq!(
        reasons(&log),
        [
            "permit",
            "mission_forbid",
            "ask",
            "approved",
            "permit",
            "ask"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opinion_only_lowers_and_never_leaves_the_gateway() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let read = || ("read", json!({"path": "/a"}));
    for (opinion, expected) in [
        (json!({"verdict": "deny", "model": "m"}), "opinion"),
        (json!({"verdict": "perhaps"}), "opinion"),
        (json!("allow"), "opinion"),
        (json!({"verdict": "allow", "model": "m"}), "ok"),
        (json!({"verdict": "escalate"}), "approval-pending"),
    ] {
        let reply = call(&mut opened, read(), Some("keep"), Some(opinion.clone())).await;
        assert_eq!(reply.reason(), expected, "{opinion}");
    }
    let good = json!({"verdict": "allow"});
    let reply = call(&mut opened, ("wipe", json!({})), Some("keep"), Some(good)).await;
    assert_eq!(reply.reason(), "policy_forbid");
    let forwarded = world.forwarded();
    assert_eq!(forwarded.len(), 1);
    assert!(!forwarded[0].contains("io.chancery"), "{}", forwarded[0]);

    let ended = opened.end().await;
    assert_eq!(ended.reason(), "ok", "{ended:?}");
    let report = world.report(&opened.session).await;
    assert_eq!(report.findings, [], "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mission_that_is_over_or_none_roots_nothing() {
    let world = World::start().await;
    let agent = Agent::launch(&world.plane).await;
    let mut short = mission();
    short["expires"] = json!(now().plus_seconds(300).to_string());
    let server = world.plane.client();
    for (mission, expected) in [
        (short.to_string(), "mission_expiry"),
        ("# Keep the books".to_owned(), "mission_invalid"),
    ] {
        let request = chancery_api::server::DraftRoot {
            instance_id: agent.id,
            person_id: world.plane.principal.id,
            mission: chancery_types::base64url::encode(mission),
            authorization_details: tools(),
            lifetime_seconds: Some(600),
            max_depth: 1,
            gateway: None,
        };
        let Err(chancery_api::ClientError::Refused(problem)) = server.draft_root(&request).await
        else {
            panic!("{expected}");
        };
        assert_eq!(problem.reason, expected, "{}", problem.message);
    }
}
