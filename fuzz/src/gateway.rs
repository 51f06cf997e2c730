//! What clients, tool servers and instances send to a gateway, and the snapshots that it works
//! from.

use chancery_api::gateway::Presentation;
use chancery_api::snapshot::SignedSnapshot;
use chancery_delegation::access_token::{Audience, EXCHANGE_SERVER};
use chancery_gateway::{ExchangeForm, Message, ServerName};
use chancery_types::parse_strict_with_floats;
use serde_json::Value;

use crate::types::round_trips;
use crate::world::{Credulous, trust};

/// What is forwarded has one reading and carries no authority.
pub(crate) fn client(input: &[u8]) -> bool {
    if let Ok(text) = str::from_utf8(input) {
        round_trips::<ServerName>(text);
    }
    let Ok(message) = Message::from_client(input.to_vec()) else {
        return false;
    };
    assert_eq!(message.text().as_bytes(), input);
    // Another reader sees the same method.
    if let Ok(value) = parse_strict_with_floats(input) {
        let method = value.get("method").and_then(Value::as_str);
        assert_eq!(method, message.method());
    }
    let forwarded = message.forwarded().into_owned();
    if !message.text().contains("io.chancery") && !message.text().contains('\\') {
        assert_eq!(forwarded.as_bytes(), input);
    }
    let again = Message::from_client(forwarded.clone().into_bytes());
    assert!(again.is_ok(), "{forwarded}");
    let Ok(again) = again else {
        return false;
    };
    assert_eq!(again.kind(), message.kind());
    assert_eq!((again.delegation(), again.proof()), (None, None));
    for name in ["name", "uri", "arguments"] {
        assert_eq!(again.param(name), message.param(name));
    }
    assert_eq!(again.forwarded(), forwarded);
    true
}

/// A server's message is passed on as it is.
pub(crate) fn server(input: &[u8]) -> bool {
    let Ok(message) = Message::from_server(input.to_vec()) else {
        return false;
    };
    assert_eq!(message.text().as_bytes(), input);
    let _ = message.body();
    let _ = message.protocol_version();
    let _ = message.forwarded();
    true
}

/// A presentation that is read is written and read the same.
pub(crate) fn presentation(input: &[u8]) -> bool {
    let Ok(presentation) = serde_json::from_slice::<Presentation>(input) else {
        return false;
    };
    let written = serde_json::to_value(&presentation);
    assert!(written.is_ok());
    if let Ok(written) = written {
        let again = serde_json::from_value::<Presentation>(written.clone());
        let again = again
            .ok()
            .and_then(|again| serde_json::to_value(again).ok());
        assert_eq!(again, Some(written));
    }
    true
}

/// A form is one call of the built-in server, of its one audience, that carries no authority further.
pub(crate) fn exchange(input: &[u8]) -> bool {
    let Ok(form) = ExchangeForm::parse(input) else {
        return false;
    };
    let audience = form.audience().as_str();
    round_trips::<Audience>(audience);
    let Ok(call) = form.to_call() else {
        return false;
    };
    assert_eq!(call.visit().server().as_str(), EXCHANGE_SERVER);
    assert_eq!(call.target(), audience);
    assert!(call.delegation().is_some() && call.proof().is_some());
    assert!(!call.visit().message().forwarded().contains("io.chancery/"));
    true
}

/// A snapshot needs a signer that the trust document names.
pub(crate) fn snapshot(input: &[u8]) -> bool {
    let (Some(trust), Ok(signed)) = (trust(), serde_json::from_slice::<SignedSnapshot>(input))
    else {
        return false;
    };
    let mut signers = trust.snapshot_signers.iter();
    let named = signers.any(|key| key.kid() == signed.kid);
    let taken = signed.verify(trust, &Credulous).is_ok();
    assert!(named || !taken);
    taken
}
