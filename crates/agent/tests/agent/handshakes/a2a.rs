//! The same messages inside of A2A, and the card that names them.

use chancery_agent::handshake::{A2A_EXTENSION, from_a2a_answer, to_a2a_request};
use chancery_crypto::AwsLc;
use chancery_delegation::handshake::{Accept, PeerContext};
use http::StatusCode;
use serde_json::json;

use super::stranger::{Stranger, wits};
use super::{Taker, card};
use crate::domain::{Domain, now};

#[tokio::test]
async fn a_card_of_the_kind_that_clients_read_names_the_extension() {
    let card = card().to_json(&["https://example.org/authority"]);
    for name in [
        "protocolVersion",
        "name",
        "description",
        "url",
        "version",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ] {
        assert!(card.get(name).is_some(), "{name}");
    }
    let extension = &card["capabilities"]["extensions"][0];
    assert_eq!(extension["uri"], A2A_EXTENSION);
    assert_eq!(extension["required"], false);
    assert_eq!(
        extension["params"]["authorities"][0],
        "https://example.org/authority"
    );
}

#[tokio::test]
async fn messages_travel_inside_of_a2a_messages() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut peer = Stranger::connect(&domain, &to).await;
    let offering = peer.offering(&to, "read");
    let request = to_a2a_request("m-1", offering.offer().to_json());
    assert_eq!(request["method"], "message/send");
    let (status, answer) = peer.say("/a2a", &request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["result"]["role"], "agent");
    assert_eq!(answer["result"]["parts"][0]["kind"], "data");
    let accept = from_a2a_answer(answer.to_string().as_bytes(), "m-1").unwrap();
    let wits = [wits(&domain)];
    let context = PeerContext {
        now: now(),
        peer: &to.spiffe_id,
        wits: &wits,
        verifier: &AwsLc,
    };
    let accept = Accept::parse(accept).unwrap();
    let agreed = offering.accepted(&accept, &context).unwrap();
    let end = to_a2a_request("m-2", peer.conclusion(agreed));
    let (_, answer) = peer.say("/a2a", &end).await;
    let taken = from_a2a_answer(answer.to_string().as_bytes(), "m-2").unwrap();
    let held = taker.held().await.unwrap();
    assert_eq!(taken["taken"], held.digest().to_base64url());
    // What is no message of ours is answered as JSON-RPC answers.
    let mut other = to_a2a_request("m-3", json!({}));
    other["method"] = "tasks/get".into();
    let (_, answer) = peer.say("/a2a", &other).await;
    assert_eq!(answer["error"]["code"], -32601);
    let (_, answer) = peer.say("/a2a", &json!([])).await;
    assert_eq!(answer["error"]["code"], -32600);
}
