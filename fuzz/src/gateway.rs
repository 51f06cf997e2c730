//! What clients, tool servers and instances send to a gateway, and the snapshots that it works
//! from.

use chancery_api::gateway::Presentation;
use chancery_api::snapshot::SignedSnapshot;
use chancery_gateway::{Message, ServerName};
use chancery_types::parse_strict_with_floats;

use crate::types::round_trips;
use crate::world::{Credulous, trust};

/// What is forwarded has one reading and carries no authority.
pub(crate) fn client(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        round_trips::<ServerName>(text);
    }
    let Ok(message) = Message::from_client(input.to_vec()) else {
        return;
    };
    assert_eq!(message.text().as_bytes(), input);
    let forwarded = message.forwarded().into_owned();
    let again = Message::from_client(forwarded.clone().into_bytes());
    assert!(again.is_ok(), "{forwarded}");
    if let Ok(again) = again {
        assert_eq!(again.kind(), message.kind());
        assert_eq!(again.delegation(), None);
        assert_eq!(again.proof(), None);
        assert_eq!(again.param("name"), message.param("name"));
        assert_eq!(again.param("arguments"), message.param("arguments"));
        assert_eq!(again.forwarded(), forwarded);
    }
    if message.delegation().is_none() && message.proof().is_none() {
        assert_eq!(forwarded.as_bytes(), input);
    }
    // No reader of ours sees another message in the same bytes.
    if let Ok(value) = parse_strict_with_floats(input) {
        let method = value.get("method").and_then(|method| method.as_str());
        assert_eq!(method, message.method());
    }
}

/// A server's message is passed on as it is.
pub(crate) fn server(input: &[u8]) {
    if let Ok(message) = Message::from_server(input.to_vec()) {
        assert_eq!(message.text().as_bytes(), input);
        let _ = message.body();
        let _ = message.protocol_version();
        let _ = message.forwarded();
    }
}

/// A presentation that is read is written and read the same.
pub(crate) fn presentation(input: &[u8]) {
    let Ok(presentation) = serde_json::from_slice::<Presentation>(input) else {
        return;
    };
    let written = serde_json::to_value(&presentation).ok();
    let again = written.clone().and_then(|value| serde_json::from_value::<Presentation>(value).ok());
    assert_eq!(again.and_then(|again| serde_json::to_value(again).ok()), written);
}

/// A snapshot needs a signer that the trust document names.
pub(crate) fn snapshot(input: &[u8]) {
    if let Ok(signed) = serde_json::from_slice::<SignedSnapshot>(input)
        && let Some(trust) = trust()
    {
        let named = trust.snapshot_signers.iter().any(|key| key.kid() == signed.kid);
        assert_eq!(signed.verify(trust, &Credulous).is_ok(), named);
    }
}
