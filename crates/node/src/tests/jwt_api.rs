//! The JWT profile of the Workload API, as clients that we did not write use it.

use std::time::Duration;

use chancery_identity::jwt_svid::MAX_JWT_AUDIENCES;
use prost_types::value::Kind;
use spiffe::{JwtSource, TrustDomain, WorkloadApiClient};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::Serving;
use super::issuer::Mood;
use super::workload_api::request;
use crate::jwt_rate::MAX_TOKENS;
use crate::pb::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::pb::workload::{
    JwtBundlesRequest, Jwtsvid, JwtsvidRequest, ValidateJwtsvidRequest, ValidateJwtsvidResponse,
};

const SOON: Duration = Duration::from_secs(10);

async fn fetch(serving: &Serving, audience: &[&str], id: &str) -> Result<Vec<Jwtsvid>, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let asked = JwtsvidRequest {
        audience: audience.iter().map(|one| (*one).to_owned()).collect(),
        spiffe_id: id.to_owned(),
    };
    let answer = client.fetch_jwtsvid(request(asked)).await?;
    Ok(answer.into_inner().svids)
}

async fn validate(
    serving: &Serving,
    audience: &str,
    svid: &str,
) -> Result<ValidateJwtsvidResponse, Status> {
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let asked = ValidateJwtsvidRequest {
        audience: audience.to_owned(),
        svid: svid.to_owned(),
    };
    let answer = client.validate_jwtsvid(request(asked)).await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn an_ordinary_client_gets_a_token_its_keys_and_a_judgement() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    let client = WorkloadApiClient::connect_to(serving.endpoint())
        .await
        .unwrap();
    let svid = client.fetch_jwt_svid(["reports"], None).await.unwrap();
    assert_eq!(svid.spiffe_id().to_string(), launch.spiffe_id.to_string());
    assert_eq!(svid.audience(), ["reports"]);
    let judged = client.validate_jwt_token("reports", svid.token()).await;
    assert_eq!(judged.unwrap().spiffe_id(), svid.spiffe_id());
    assert!(
        client
            .validate_jwt_token("other", svid.token())
            .await
            .is_err()
    );
    let bundles = client.fetch_jwt_bundles().await.unwrap();
    let domain = TrustDomain::new("td").unwrap();
    let bundle = bundles.get(&domain).unwrap();
    assert!(bundle.find_jwt_authority(svid.key_id()).is_some());
    let source = JwtSource::builder()
        .endpoint(serving.endpoint())
        .build()
        .await
        .unwrap();
    let again = source.fetch_jwt_svid(["reports"]).await.unwrap();
    assert_ne!(again.token(), svid.token(), "each token has its own name");
    source.shutdown().await;
}

#[tokio::test]
async fn a_token_is_for_who_was_asked_for_and_of_who_asks() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    let own = launch.spiffe_id.to_string();
    let svids = fetch(&serving, &["a", "b", "a"], "").await.unwrap();
    assert_eq!(svids.len(), 1);
    assert_eq!(
        (svids[0].spiffe_id.as_str(), svids[0].hint.as_str()),
        (own.as_str(), "")
    );
    for audience in ["a", "b"] {
        let judged = validate(&serving, audience, &svids[0].svid).await.unwrap();
        assert_eq!(judged.spiffe_id, own);
    }
    assert_eq!(fetch(&serving, &["a"], &own).await.unwrap().len(), 1);
    for other in [
        "spiffe://td/agent/other",
        "spiffe://td",
        "spiffe://other/agent/a",
    ] {
        let refused = fetch(&serving, &["a"], other).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{other}");
        assert_eq!(refused.message(), "no identity issued");
    }
    for bad in ["td/a", "SPIFFE://td/a", "spiffe://td/a/", "https://td/a"] {
        let refused = fetch(&serving, &["a"], bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad}");
        let said = refused.message();
        assert!(said.starts_with("invalid requested SPIFFE ID: "), "{said}");
    }
}

#[tokio::test]
async fn mandatory_fields_are_asked_for() {
    let serving = Serving::start();
    serving.launch_own().await;
    let many: Vec<String> = (0..=MAX_JWT_AUDIENCES)
        .map(|number| format!("a{number}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for bad in [&[][..], &[""], &["a", ""], &["a\n"], &many] {
        let refused = fetch(&serving, bad, "").await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
    }
    let token = fetch(&serving, &["a"], "").await.unwrap().remove(0).svid;
    for (audience, svid, said) in [
        ("", token.as_str(), "audience must be specified"),
        ("a", "", "svid must be specified"),
        ("", "", "audience must be specified"),
    ] {
        let refused = validate(&serving, audience, svid).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.message()),
            (Code::InvalidArgument, said)
        );
    }
}

#[tokio::test]
async fn a_judgement_says_everything_or_why_not() {
    let serving = Serving::start();
    let launch = serving.launch_own().await;
    let token = fetch(&serving, &["a"], "").await.unwrap().remove(0).svid;
    let judged = validate(&serving, "a", &token).await.unwrap();
    let claims = judged.claims.unwrap().fields;
    let names: Vec<_> = claims.keys().map(String::as_str).collect();
    assert_eq!(names, ["aud", "exp", "iat", "jti", "sub"]);
    let kind = |name: &str| claims[name].kind.clone().unwrap();
    assert_eq!(kind("sub"), Kind::StringValue(launch.spiffe_id.to_string()));
    assert!(matches!(kind("aud"), Kind::ListValue(list) if list.values.len() == 1));
    assert!(matches!(kind("exp"), Kind::NumberValue(exp) if exp > 1.7e9));

    let other = Serving::start();
    other.launch_own().await;
    let forged = fetch(&other, &["a"], "").await.unwrap().remove(0).svid;
    let (input, _) = token.rsplit_once('.').unwrap();
    for (bad, said) in [
        (format!("{input}.AA"), "bad signature"),
        (input.to_owned(), "no compact JWS"),
        (forged, "names no key of its trust domain"),
        ("x".repeat(20_000), "too long"),
    ] {
        let refused = validate(&serving, "a", &bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(said), "{}", refused.message());
    }
    let refused = validate(&serving, "b", &token).await.unwrap_err();
    assert_eq!(refused.message(), "jwt-svid is for another audience");
}

#[tokio::test]
async fn a_new_key_reaches_open_streams() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let stream = client
        .fetch_jwt_bundles(request(JwtBundlesRequest {}))
        .await;
    let mut stream = stream.unwrap().into_inner();
    let first = timeout(SOON, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let old = fetch(&serving, &["a"], "").await.unwrap().remove(0).svid;
    serving.issuer.rotate_jwt_key();
    let second = timeout(SOON, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let keys = |response: &crate::pb::workload::JwtBundlesResponse| {
        assert_eq!(response.bundles.len(), 1);
        let set: serde_json::Value =
            serde_json::from_slice(&response.bundles["spiffe://td"]).unwrap();
        let keys = set["keys"].as_array().unwrap().clone();
        for key in &keys {
            assert_eq!(key["use"], "jwt-svid");
            assert!(key["kid"].is_string() && key.get("d").is_none());
        }
        keys.len()
    };
    assert_eq!((keys(&first), keys(&second)), (1, 2));
    let new = fetch(&serving, &["a"], "").await.unwrap().remove(0).svid;
    for token in [old, new] {
        assert!(validate(&serving, "a", &token).await.is_ok());
    }
}

#[tokio::test]
async fn nobody_else_is_issued_a_token() {
    let serving = Serving::start();
    let refused = fetch(&serving, &["a"], "").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(refused.message(), "no identity issued");
    let refused = validate(&serving, "a", "a.b.c").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let refused = client
        .fetch_jwt_bundles(request(JwtBundlesRequest {}))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn what_an_issuer_hands_out_is_judged_before_it_is_handed_on() {
    for (mood, code) in [
        (Mood::Away, Code::Unavailable),
        (Mood::Refusing, Code::PermissionDenied),
        (Mood::WrongKey, Code::Unavailable),
        (Mood::WrongInstance, Code::Unavailable),
    ] {
        let serving = Serving::start();
        serving.launch_own().await;
        serving.issuer.feel(mood);
        let refused = fetch(&serving, &["a"], "").await.unwrap_err();
        assert_eq!(refused.code(), code, "{mood:?}");
        serving.issuer.feel(Mood::Willing);
        assert!(fetch(&serving, &["a"], "").await.is_ok());
    }
    let serving = Serving::start();
    serving.launch_own().await;
    serving.issuer.jwt_bundle.send_replace(None);
    let refused = fetch(&serving, &["a"], "").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
}

#[tokio::test]
async fn one_launch_does_not_fill_the_log() {
    let serving = Serving::start();
    serving.launch_own().await;
    let mut client = SpiffeWorkloadApiClient::new(serving.channel().await);
    let mut refused = 0;
    for _ in 0..=MAX_TOKENS {
        let asked = JwtsvidRequest {
            audience: vec!["a".to_owned()],
            spiffe_id: String::new(),
        };
        if let Err(status) = client.fetch_jwtsvid(request(asked)).await {
            assert_eq!(status.code(), Code::ResourceExhausted);
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
}
