use chancery_agent::{AgentKey, LocalClient};
use chancery_crypto::AwsLc;
use chancery_delegation::{
    BoundedReplayMemory, Call, ChainContext, ProofContext, RevocationSet, Target, verify_chain,
    verify_proof,
};
use chancery_types::jws::Compact;
use chancery_types::{Digest, Timestamp};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::Serving;
use crate::support::gateway::Say;
use crate::support::world::{GATEWAY, instance, now};

fn ok(id: &str) -> Say {
    Say::Json(
        200,
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{ "n":1.50 }}}}"#),
    )
}

#[tokio::test]
async fn a_call_gets_authority_and_keeps_its_bytes() {
    let serving = Serving::start(|_, _| ok("7")).await;
    let mut client = serving.connect().await;
    let call = r#" {"jsonrpc":"2.0", "future":[1.0],"id":7,"method":"tools/call","params":{ "name":"read","arguments":{"n":1.50,"t":"\u00e9"} }} "#;
    client.send(call).await;
    assert_eq!(
        client.line().await,
        r#"{"jsonrpc":"2.0","id":7,"result":{ "n":1.50 }}"#
    );
    let seen = &serving.gateway.seen("/mcp/files")[0];
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    let meta = &body["params"]["_meta"];
    let added = format!(
        r#""_meta":{{"io.chancery/delegation":{},"io.chancery/proof":{}}},"#,
        meta["io.chancery/delegation"], meta["io.chancery/proof"]
    );
    assert_eq!(seen.body.replace(&added, ""), call);

    let chain: Vec<String> =
        serde_json::from_value(meta["io.chancery/delegation"].clone()).unwrap();
    let links: Vec<&str> = chain.iter().map(String::as_str).collect();
    let world = &serving.node.world;
    let context = ChainContext {
        now: now(),
        audience: GATEWAY,
        anchors: &world.anchors(),
        epoch: 1,
        revoked: RevocationSet::none(),
        verifier: &AwsLc,
    };
    let chain = verify_chain(&links, &context).unwrap();
    let args = json!({"n": 1.5, "t": "é"});
    let context = ProofContext {
        now: now(),
        audience: GATEWAY,
        verifier: &AwsLc,
        started_at: Timestamp::from_seconds(0),
        peer: &serving.node.name,
        call: Call {
            server: "files",
            target: Target::Tool("read"),
            args: args.as_object().unwrap(),
        },
    };
    let proof = meta["io.chancery/proof"].as_str();
    let mut memory = BoundedReplayMemory::new(8, 8);
    let proof = verify_proof(proof, &chain, &context, &mut memory).unwrap();
    assert!(proof.execution().is_some());
}

#[tokio::test]
async fn what_needs_no_authority_passes_as_it_is() {
    let serving = Serving::start(|_, _| ok("1")).await;
    let mut client = serving.connect().await;
    for message in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"a","x":1.0}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}"#,
    ] {
        client.ask(message).await;
        assert_eq!(
            serving.gateway.seen("/mcp/files").last().unwrap().body,
            message
        );
    }
}

#[tokio::test]
async fn authority_is_the_bridges_to_add() {
    let serving = Serving::start(|_, _| ok("1")).await;
    let mut client = serving.connect().await;
    for name in [
        "io.chancery/delegation",
        "io.chancery/proof",
        r"io.chancery\/proof",
    ] {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"read","_meta":{{"{name}":"x"}}}}}}"#
        );
        let answer = client.ask(&call).await;
        assert_eq!(answer["error"]["data"]["reason"], "reserved_meta", "{name}");
    }
    assert!(serving.gateway.seen("/mcp/files").is_empty());
}

#[tokio::test]
async fn what_no_proof_can_be_made_for_is_refused() {
    let serving = Serving::start(|_, _| ok("1")).await;
    let mut client = serving.connect().await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"n":9007199254740993}}}"#;
    let answer = client.ask(call).await;
    assert_eq!(answer["error"]["data"]["reason"], "bad_arguments");
    assert!(serving.gateway.seen("/mcp/files").is_empty());
}

#[tokio::test]
async fn another_chain_is_presented_with_a_proof_for_it() {
    let serving = Serving::start(|_, _| ok("1")).await;
    let stranger = instance("other", 8);
    let key = AgentKey::generate().unwrap();
    let foreign = serving.node.world.root(&stranger, &key);
    for links in [vec![foreign], vec!["a\"],\"b".to_owned()], Vec::new()] {
        let local = LocalClient::new(&serving.socket);
        let (_reader, mut writer) = local.mcp_with_chain("files", &links).await.unwrap();
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read"}}"#;
        let before = serving.gateway.seen("/mcp/files").len();
        writer
            .write_all(format!("{call}\n").as_bytes())
            .await
            .unwrap();
        let seen = serving.gateway.wait_seen("/mcp/files", before + 1).await;
        let body: Value = serde_json::from_str(&seen[before].body).unwrap();
        let meta = &body["params"]["_meta"];
        assert_eq!(meta["io.chancery/delegation"], json!(links));
        let proof = meta["io.chancery/proof"].as_str().unwrap();
        let proof = Compact::parse(proof).unwrap();
        assert_eq!(
            proof.claims["cth"],
            Digest::of(links.join(",")).to_base64url()
        );
        assert!(proof.verify(serving.instance.key().public(), &AwsLc));
        assert!(!proof.verify(key.public(), &AwsLc));
    }
}

/// Once a call under a chain was answered, a reference is enough; where the gateway does not know it,
/// the chain is sent again in full.
#[tokio::test]
async fn a_chain_is_presented_in_full_until_the_gateway_knows_it() {
    let serving = Serving::start(|at, seen| {
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        let id = body["id"].to_string();
        // The third request is the gateway's that started again.
        if at == 2 {
            let data = r#"{"reason":"delegation_reference_unknown"}"#;
            return Say::Json(
                403,
                format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":4403,"message":"no","data":{data}}}}}"#
                ),
            );
        }
        ok(&id)
    })
    .await;
    let mut client = serving.connect().await;
    for id in 1..=4 {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"read"}}}}"#
        );
        let answer = client.ask(&call).await;
        assert!(answer.get("error").is_none(), "{answer}");
    }
    let seen = serving.gateway.seen("/mcp/files");
    let presented: Vec<_> = seen
        .iter()
        .map(|seen| {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            body["params"]["_meta"]["io.chancery/delegation"].clone()
        })
        .collect();
    let full = &presented[0];
    let links: Vec<String> = serde_json::from_value(full.clone()).unwrap();
    let reference = json!(Digest::of(links.join(",")).to_string());
    // In full, by reference, refused by reference, in full, in full again, by reference no sooner
    // than a call was answered that was not repeated.
    let expected = [full, &reference, &reference, full, full];
    assert_eq!(presented.iter().collect::<Vec<_>>(), expected);
}
