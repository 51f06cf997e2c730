//! What strangers, cheats and floods meet.

use std::sync::Arc;

use bytes::Bytes;
use chancery_agent::handshake::{
    A2A_EXTENSION, HANDSHAKE_ROUTES, HandshakeRoute, Wire, to_a2a_request,
};
use chancery_api::tls::client_config;
use chancery_crypto::SigningKey;
use chancery_types::{Algorithm, Digest, base64url};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stranger::{CONCLUSION, OFFER, Stranger, dial, reason, send};
use super::{Taker, client, grant, planner, read};
use crate::domain::{Domain, gateway, instance};

#[tokio::test]
async fn every_endpoint_is_closed_to_strangers() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    // Without an SVID nobody is heard, whatever the endpoint.
    let mut plain = TcpStream::connect(taker.peer.address).await.unwrap();
    plain
        .write_all(b"GET /.well-known/agent-card.json HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard).await;
    assert!(!heard.starts_with(b"HTTP"));
    let name = instance("stranger").unwrap();
    let (mut sender, _) = dial(&domain.svid(&name).unwrap(), &taker.peer).await;
    for (method, path, route) in HANDSHAKE_ROUTES {
        let request = |method: &Method| {
            Request::builder()
                .method(method)
                .uri(*path)
                .header("host", "a")
                .body(Full::new(Bytes::new()))
                .unwrap()
        };
        let (status, answer) = send(&mut sender, request(method)).await;
        if *route == HandshakeRoute::Card {
            assert_eq!(status, StatusCode::OK);
            let extensions = &answer["capabilities"]["extensions"];
            assert_eq!(extensions[0]["uri"], A2A_EXTENSION);
            assert_eq!(extensions[0]["params"]["offer"], OFFER);
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN);
            assert_eq!(reason(&answer), "http_signature_missing", "{path}");
        }
        let (status, _) = send(&mut sender, request(&Method::DELETE)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    // Signed, but meant for somebody else; and heard before.
    let mut stranger = Stranger::connect(&domain, &taker.peer).await;
    let offer = stranger.offering(&taker.peer, "read").offer().to_json();
    for path in [OFFER, CONCLUSION, "/a2a"] {
        stranger.audience = gateway().unwrap().spiffe_id.to_string();
        assert_eq!(stranger.refused(path, &offer).await, "http_wrong_audience");
        stranger.audience = taker.peer.spiffe_id.to_string();
        let chain = stranger.held.chain().join(",");
        let first = stranger.request(path, &offer.to_string(), &chain);
        let (head, body) = first.into_parts();
        let again = Request::from_parts(head.clone(), body.clone());
        stranger.send(Request::from_parts(head, body)).await;
        let (_, answer) = stranger.send(again).await;
        assert_eq!(reason(&answer), "http_replay", "{path}");
    }
}

#[tokio::test]
async fn what_a_cheating_peer_says_is_refused() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut peer = Stranger::connect(&domain, &to).await;
    let offer = peer.offering(&to, "read").offer().to_json();
    for (change, expected) in [
        (
            json!({"aud": "spiffe://example.org/agent/x"}),
            "handshake_wrong_audience",
        ),
        (
            json!({"protocol": "chancery/handshake/v0"}),
            "handshake_protocol",
        ),
        (
            json!({"par_hash": Digest::of("x").to_base64url()}),
            "handshake_wrong_chain",
        ),
        (json!({"iat": 1}), "handshake_stale_time"),
        (json!({"exp": 1}), "handshake_bad_offer"),
        (json!({"wit": "a.b.c"}), "handshake_credential_refused"),
        (json!({"score": 1000}), "handshake_malformed"),
        (json!({"nonce": "AA"}), "handshake_malformed"),
        (json!({"authorization_details": "*"}), "handshake_malformed"),
    ] {
        let mut changed = offer.clone();
        for (name, value) in change.as_object().unwrap() {
            changed[name] = value.clone();
        }
        assert_eq!(peer.refused(OFFER, &changed).await, expected);
        let carried = to_a2a_request("m", changed);
        assert_eq!(peer.refused("/a2a", &carried).await, expected);
    }
    // The credential of a key that did not sign the request, and of another instance.
    let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let mut changed = offer.clone();
    changed["wit"] = domain.wit(&peer.name, other.public()).unwrap().into();
    assert_eq!(peer.refused(OFFER, &changed).await, "handshake_wrong_key");
    let elsewhere = instance("planner").unwrap();
    changed["wit"] = domain.wit(&elsewhere, peer.key.public()).unwrap().into();
    assert_eq!(peer.refused(OFFER, &changed).await, "handshake_wrong_peer");
    // An end where an offer is due, the other way round, and an end of nothing.
    let nothing = json!({
        "conclusion": {"protocol": "chancery/handshake/v1", "message": "conclusion",
            "nonce": base64url::encode([0_u8; 32]), "proof": "a.b.c", "chain": ["a.b.c"]},
        "consent": peer.held.consent(), "mission": "AA", "principal": peer.held.principal(),
    });
    assert_eq!(peer.refused(OFFER, &nothing).await, "handshake_malformed");
    assert_eq!(
        peer.refused(CONCLUSION, &offer).await,
        "handshake_malformed"
    );
    assert_eq!(
        peer.refused(CONCLUSION, &nothing).await,
        "handshake_unknown_nonce"
    );
    // Nobody offers out of a chain that it has not shown, or by a reference that nobody knows.
    let mut fresh = Stranger::connect(&domain, &to).await;
    let reference = fresh.held.digest().to_string();
    let offer = fresh.offering(&to, "read").offer().to_json();
    let request = fresh.request(OFFER, &offer.to_string(), &reference);
    let (_, answer) = fresh.send(request).await;
    assert_eq!(reason(&answer), "delegation_reference_unknown");
    let theirs = peer.held.chain().join(",");
    let request = fresh.request(OFFER, &offer.to_string(), &theirs);
    let (_, answer) = fresh.send(request).await;
    assert_eq!(reason(&answer), "http_holder_mismatch");
    let (_, answer) = {
        let body = "x".repeat(300_000);
        let request = fresh.request(OFFER, &body, &reference);
        fresh.send(request).await
    };
    assert_eq!(reason(&answer), "too_large");
    assert!(taker.held().await.is_none());
}

#[tokio::test]
async fn a_handshake_ends_once_and_as_it_was_agreed() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut peer = Stranger::connect(&domain, &to).await;
    // The consent, the mission or the proof of something else.
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 5] = [
        (
            |end| end["consent"]["signature"] = "AAAA".into(),
            "consent_invalid",
        ),
        (|end| end["mission"] = "AAAA".into(), "bad_link"),
        (
            |end| end["conclusion"]["proof"] = "a.b.c".into(),
            "handshake_malformed",
        ),
        (
            |end| drop(end["conclusion"]["chain"].as_array_mut().unwrap().pop()),
            "handshake_wrong_chain",
        ),
        (|end| end["more"] = 1.into(), "handshake_malformed"),
    ];
    for (change, expected) in changes {
        let agreed = peer.agree(&domain, &to).await;
        let mut end = peer.conclusion(agreed);
        change(&mut end);
        assert_eq!(peer.refused(CONCLUSION, &end).await, expected);
        assert!(taker.held().await.is_none(), "{expected}");
    }
    // Another peer cannot end it, nor use it up; the peer itself not on another channel.
    let agreed = peer.agree(&domain, &to).await;
    let end = peer.conclusion(agreed);
    let mut other = Stranger::connect(&domain, &to).await;
    assert_eq!(
        other.refused(CONCLUSION, &end).await,
        "handshake_unknown_nonce"
    );
    let (status, answer) = peer.say(CONCLUSION, &end).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(taker.held().await.is_some());
    assert_eq!(peer.refused(CONCLUSION, &end).await, "handshake_replay");
    let agreed = peer.agree(&domain, &to).await;
    let end = peer.conclusion(agreed);
    let key = SigningKey::from_pkcs8(
        Algorithm::Ed25519,
        chancery_types::Secret::new(peer.key.pkcs8().expose().to_vec()),
    );
    let mut again = Stranger::connect_as(&domain, &to, peer.name.clone(), key.unwrap()).await;
    assert_eq!(
        again.refused(CONCLUSION, &end).await,
        "handshake_wrong_channel"
    );
    // An offer is heard once.
    let offer = peer.offering(&to, "read").offer().to_json();
    assert_eq!(peer.say(OFFER, &offer).await.0, StatusCode::OK);
    assert_eq!(peer.refused(OFFER, &offer).await, "handshake_replay");
}

#[tokio::test]
async fn a_peer_that_floods_locks_nobody_else_out() {
    let domain = Domain::new().unwrap();
    let taker = Taker::start(&domain, "reader").await;
    let to = taker.peer.clone();
    let mut flood = Stranger::connect(&domain, &to).await;
    let mut opened = 0;
    let refusal = loop {
        let offer = flood.offering(&to, "read").offer().to_json();
        let (status, answer) = flood.say(OFFER, &offer).await;
        if status != StatusCode::OK {
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
            break reason(&answer);
        }
        opened += 1;
        assert!(opened < 100);
    };
    assert_eq!((opened, refusal.as_str()), (32, "handshake_too_many"));
    // On further connections it stays the same peer, and gets no more of them than eight.
    let identity = domain.svid(&flood.name).unwrap();
    let mut held = Vec::new();
    for _ in 0..12 {
        let config = client_config(&identity, to.spiffe_id.clone()).unwrap();
        let stream = TcpStream::connect(to.address).await.unwrap();
        let name = ServerName::IpAddress(to.address.ip().into());
        let connector = TlsConnector::from(Arc::new(config));
        held.push(connector.connect(name, stream).await);
    }
    let mut alive = 0;
    for stream in held.into_iter().flatten() {
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("/.well-known/agent-card.json")
            .header("host", "a")
            .body(Full::new(Bytes::new()))
            .unwrap();
        alive += usize::from(sender.send_request(request).await.is_ok());
        std::mem::forget(sender);
    }
    assert_eq!(alive, 7);
    let planner = planner(&domain);
    let delegating = client(&domain, &planner, Wire::Json);
    let delegated = delegating.delegate(&planner.2, &to, grant(read()));
    delegated.await.unwrap();
    assert!(taker.held().await.is_some());
}
