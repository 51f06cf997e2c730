//! The WIT profile of the Workload API, where it was opted in to.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::wit::WitBundle;
use chancery_identity::{Leeway, ProvenWitSvid, WitError, verify_wit, verify_wit_svid};
use chancery_types::{Algorithm, Secret, base64url};
use serde_json::Value;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::issuer::Mood;
use super::workload_api::request;
use super::{AGENT, Serving, Sleeper};
use crate::clock::now;
use crate::jwt_rate::MAX_TOKENS;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{
    WitBundlesRequest, WitBundlesResponse, Witsvid, WitsvidRequest, WitsvidResponse,
};

const SOON: Duration = Duration::from_secs(10);

fn opted_in() -> Serving {
    let serving = Serving::start();
    serving.issuer.serves_wits.store(true, Ordering::SeqCst);
    serving
}

async fn stream(serving: &Serving, id: &str) -> Result<Streaming<WitsvidResponse>, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let asked = WitsvidRequest {
        spiffe_id: id.to_owned(),
    };
    let stream = client.fetch_witsvid(request(asked)).await?;
    Ok(stream.into_inner())
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let message = timeout(SOON, stream.message()).await.unwrap()?;
    message.ok_or_else(|| Status::ok("stream ended"))
}

async fn fetch(serving: &Serving, id: &str) -> Result<Vec<Witsvid>, Status> {
    Ok(next(&mut stream(serving, id).await?).await?.svids)
}

async fn bundles(serving: &Serving) -> Result<Streaming<WitBundlesResponse>, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let stream = client
        .fetch_wit_bundles(request(WitBundlesRequest {}))
        .await?;
    Ok(stream.into_inner())
}

/// The private key of a WIT-SVID, as the reader of a JSON web key sees it.
fn private(svid: &Witsvid) -> SigningKey {
    let jwk: Value = serde_json::from_str(&svid.wit_svid_key).unwrap();
    let part = |name: &str| base64url::decode(jwk[name].as_str().unwrap()).unwrap();
    assert_eq!(
        (&jwk["kty"], &jwk["crv"], &jwk["alg"]),
        (
            &Value::from("EC"),
            &Value::from("P-256"),
            &Value::from("ES256"),
        )
    );
    // SEC 1 within PKCS#8, as others write it.
    let point = [&[4][..], &part("x"), &part("y")].concat();
    let inner = [
        &[0x30, 0x6b, 2, 1, 1, 4, 32][..],
        &part("d"),
        &[0xa1, 0x44, 3, 0x42, 0],
        &point,
    ]
    .concat();
    let head = [
        0x30, 0x81, 0x87, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 4, 0x6d,
    ];
    let pkcs8 = [&head[..], &inner].concat();
    SigningKey::from_pkcs8(Algorithm::Es256, Secret::new(pkcs8)).unwrap()
}

/// What a relying party makes of it that has the bundle and a proof.
fn judged(serving: &Serving, svid: &Witsvid) -> ProvenWitSvid {
    let bundle = serving.issuer.wit_svid_bundle.borrow().clone().unwrap();
    let unproven = verify_wit_svid(&svid.wit_svid, &bundle, now(), Leeway::NONE, &AwsLc);
    let proof = private(svid).sign(b"challenge").unwrap();
    unproven
        .unwrap()
        .prove(b"challenge", &proof, &AwsLc)
        .unwrap()
}

#[tokio::test]
async fn a_18_each_identity_has_a_wit_svid_with_a_key_of_its_own() {
    let serving = opted_in();
    let first = serving.launch_as(AGENT).await;
    let second = serving.launch_as("spiffe://td/agent/writer").await;
    let svids = fetch(&serving, "").await.unwrap();
    let ids: Vec<_> = svids.iter().map(|svid| svid.spiffe_id.as_str()).collect();
    assert_eq!(
        ids,
        [first.spiffe_id.to_string(), second.spiffe_id.to_string()]
    );
    let hints: Vec<_> = svids.iter().map(|svid| svid.hint.as_str()).collect();
    assert_eq!(hints, [AGENT, "spiffe://td/agent/writer"]);
    for svid in &svids {
        let judged = judged(&serving, svid);
        assert_eq!(judged.spiffe_id().as_str(), svid.spiffe_id);
        assert!(judged.expires() <= now().plus_seconds(300));
    }
    assert_ne!(svids[0].wit_svid_key, svids[1].wit_svid_key);
    // Another stream has keys of its own.
    let again = fetch(&serving, "").await.unwrap();
    assert_ne!(again[0].wit_svid_key, svids[0].wit_svid_key);
    assert_ne!(again[0].wit_svid, svids[0].wit_svid);
    // One may be asked for.
    let one = fetch(&serving, &svids[1].spiffe_id).await.unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].spiffe_id, svids[1].spiffe_id);
}

#[tokio::test]
async fn a_18_nobody_is_handed_anothers() {
    let serving = opted_in();
    let refused = fetch(&serving, "").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.message(), "no identity issued");
    serving.launch_own().await;
    for other in ["spiffe://td/agent/other", "spiffe://td", "spiffe://other/a"] {
        let refused = fetch(&serving, other).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{other}");
    }
    for bad in ["td/a", "SPIFFE://td/a", "spiffe://td/a/", "https://td/a"] {
        let refused = fetch(&serving, bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
    }
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let refused = client.fetch_witsvid(WitsvidRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_17_who_did_not_opt_in_serves_no_wit_svids() {
    let serving = Serving::start();
    serving.launch_own().await;
    let refused = fetch(&serving, "").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let refused = bundles(&serving).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_18_an_agents_credential_it_is_not() {
    let serving = opted_in();
    serving.launch_own().await;
    let svid = fetch(&serving, "").await.unwrap().remove(0);
    let authority = *serving.issuer.wit_key.lock().unwrap().public();
    let bundle = WitBundle::new("td".parse().unwrap(), [authority]);
    let refused = verify_wit(&svid.wit_svid, &bundle, now(), &AwsLc);
    assert_eq!(refused, Err(WitError::Claims));
}

#[tokio::test]
async fn a_18_another_one_is_sent_before_it_ends_and_when_its_authority_goes() {
    let serving = opted_in();
    *serving.issuer.lifetime_seconds.lock().unwrap() = 4;
    serving.launch_own().await;
    let mut stream = stream(&serving, "").await.unwrap();
    let first = next(&mut stream).await.unwrap().svids.remove(0);
    let second = next(&mut stream).await.unwrap().svids.remove(0);
    assert!(judged(&serving, &first).expires() > now());
    assert_ne!(first.wit_svid_key, second.wit_svid_key);
    *serving.issuer.lifetime_seconds.lock().unwrap() = 300;
    let third = next(&mut stream).await.unwrap().svids.remove(0);
    // An issuer that is away takes nothing away that is good still.
    serving.issuer.replace_wit_key();
    let fourth = next(&mut stream).await.unwrap().svids.remove(0);
    assert_ne!(third.wit_svid, fourth.wit_svid);
    judged(&serving, &fourth);
}

#[tokio::test]
async fn a_18_the_end_of_a_launch_ends_its_stream() {
    let serving = opted_in();
    let mut child = Sleeper::plain();
    serving.register(Some(child.0.id()), false).await.unwrap();
    let mut stream = stream(&serving, "").await.unwrap();
    next(&mut stream).await.unwrap();
    child.end();
    let ended = next(&mut stream).await.unwrap_err();
    assert_eq!(ended.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_18_what_an_issuer_hands_out_is_judged_before_it_is_handed_on() {
    for (mood, code) in [
        (Mood::Away, Code::Unavailable),
        (Mood::Refusing, Code::PermissionDenied),
        (Mood::WrongKey, Code::Unavailable),
        (Mood::WrongInstance, Code::Unavailable),
    ] {
        let serving = opted_in();
        serving.launch_own().await;
        serving.issuer.feel(mood);
        let refused = fetch(&serving, "").await.unwrap_err();
        assert_eq!(refused.code(), code, "{mood:?}");
        serving.issuer.feel(Mood::Willing);
        assert!(fetch(&serving, "").await.is_ok());
    }
    let serving = opted_in();
    serving.launch_own().await;
    serving.issuer.wit_svid_bundle.send_replace(None);
    assert_eq!(
        fetch(&serving, "").await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(
        bundles(&serving).await.unwrap_err().code(),
        Code::Unavailable
    );
}

#[tokio::test]
async fn a_18_one_launch_does_not_fill_the_log() {
    let serving = opted_in();
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let mut refused = 0;
    for _ in 0..=MAX_TOKENS {
        let asked = request(WitsvidRequest::default());
        if let Err(status) = client.fetch_witsvid(asked).await {
            assert_eq!(status.code(), Code::ResourceExhausted);
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_19_the_own_keys_are_there_each_with_its_name() {
    let serving = opted_in();
    let refused = bundles(&serving).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    serving.launch_own().await;
    let mut stream = bundles(&serving).await.unwrap();
    let mut kids = Vec::new();
    for _ in 0..2 {
        let sent = next(&mut stream).await.unwrap().bundles;
        assert_eq!(sent.len(), 1);
        let set: Value = serde_json::from_str(&sent["spiffe://td"]).unwrap();
        let keys = set["keys"].as_array().unwrap().clone();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0]["use"], "wit-svid");
        assert!(keys[0].get("d").is_none());
        kids.push(keys[0]["kid"].as_str().unwrap().to_owned());
        serving.issuer.replace_wit_key();
    }
    assert_ne!(kids[0], kids[1]);
}
