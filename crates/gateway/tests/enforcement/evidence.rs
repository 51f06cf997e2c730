use chancery_crypto::AwsLc;
use chancery_delegation::Verdict;
use chancery_evidence::verify;
use serde_json::json;

use super::plane::now;
use super::world::{World, reasons, tool, tools};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_keeps_convinces_a_stranger() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    let path = json!({"path": "/a"});
    let (agent, chain) = (&worker.agent, &worker.chain);
    let connection = &mut worker.connection;
    assert_eq!(
        connection
            .call(agent, chain, "read", path.clone())
            .await
            .reason(),
        "ok"
    );
    let proof = agent.proof(chain, "read", &path);
    for (proof, arguments) in [(&proof, json!({"path": "/b"})), (&proof, path.clone())] {
        connection.call_with(chain, proof, "read", &arguments).await;
    }
    connection.call_with(chain, &proof, "read", &path).await;
    connection.call_with(chain, "nonsense", "read", &path).await;
    connection.call(agent, chain, "note", json!({})).await;
    connection
        .call(agent, chain, "read", json!({"path": "/a", "x": 1}))
        .await;
    connection
        .call(agent, &opened.chain, "read", path.clone())
        .await;
    connection
        .call(agent, &["a.b.c".to_owned()], "read", path.clone())
        .await;
    connection.call(agent, &[], "read", path.clone()).await;
    let meta = json!({"io.chancery/delegation": {"no": "chain"}, "io.chancery/proof": 7});
    let params = json!({"name": "read", "arguments": path, "_meta": meta});
    connection.request("tools/call", Some("read"), params).await;
    let meta = json!({"io.chancery/delegation": chain, "io.chancery/proof": 7});
    let params = json!({"name": "read", "arguments": path, "_meta": meta});
    connection.request("tools/call", Some("read"), params).await;
    let proof = agent.proof(chain, "read", &path);
    let meta = json!({"io.chancery/delegation": chain, "io.chancery/proof": proof});
    let params = json!({"name": "read", "arguments": path, "task": {}, "_meta": meta});
    connection.request("tools/call", Some("read"), params).await;
    connection.call_with(chain, &proof, "read", &path).await;

    let (agent, chain) = (&opened.agent, &opened.chain);
    let connection = &mut opened.connection;
    connection.call(agent, chain, "wipe", json!({})).await;
    connection.call(agent, chain, "absent", json!({})).await;
    for (amount, verdict, last) in [
        (5, Verdict::Approve, "ok"),
        (6, Verdict::Deny, "approval_denied"),
    ] {
        let amount = json!({"amount": amount});
        let asked = connection.call(agent, chain, "pay", amount.clone()).await;
        assert_eq!(asked.reason(), "approval-pending");
        let question = world.plane.question().await;
        world.plane.answer(&question, verdict).await;
        let settled = connection.call(agent, chain, "pay", amount).await;
        assert_eq!(settled.reason(), last);
    }
    let ended = connection.control("POST", &opened.session, "/end").await;
    assert!(ended.body["record"].is_string(), "{ended:?}");
    assert_eq!(
        reasons(&world.log().await),
        [
            "permit",
            "pop_mismatch",
            "permit",
            "replay",
            "malformed",
            "not_in_scope",
            "unknown_argument",
            "holder_mismatch",
            "malformed",
            "delegation_missing",
            "delegation_missing",
            "pop_missing",
            "ungoverned_parameter",
            "replay",
            "policy_forbid",
            "not_in_catalog",
            "ask",
            "approved",
            "ask",
            "approval_denied",
        ]
    );

    let files = world.evidence(&opened.session).await;
    let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
    assert!(report.is_verified(), "{:#?}", report.findings);
    assert!(!verify(&files, None, &AwsLc, now()).is_verified());
    for (path, content) in files.iter() {
        let mut altered = files.clone();
        let mut content = content.to_vec();
        match content.last_mut() {
            Some(byte) => *byte ^= 1,
            None => content.push(0),
        }
        altered.insert(path, content);
        let report = verify(&altered, Some(&world.plane.trust), &AwsLc, now());
        assert!(!report.is_verified(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_once_is_one_history() {
    let world = World::start().await;
    let mut opened = world.open(&tools()).await;
    let other = world.open(&tools()).await;
    let workers = [
        world.join(&opened, &[tool("read")]).await,
        world.join(&opened, &[tool("read")]).await,
        world.join(&opened, &[tool("read")]).await,
        other,
    ];
    let mut running = tokio::task::JoinSet::new();
    for mut worker in workers {
        running.spawn(async move {
            for round in 0..20 {
                let path = json!({"path": format!("/{round}")});
                let (agent, chain) = (&worker.agent, &worker.chain);
                let reply = worker.connection.call(agent, chain, "read", path).await;
                assert_eq!(reply.reason(), "ok");
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert!(ended.body["record"].is_string(), "{ended:?}");
    let files = world.evidence(&opened.session).await;
    let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
    assert!(report.is_verified(), "{:#?}", report.findings);
    assert_eq!(world.forwarded().len(), 80);
}
