//! JWT-SVIDs: what the signer makes of them, and what not.

use chancery_api::signer::SignJwt;
use chancery_crypto::AwsLc;
use chancery_identity::{JwtBundle, JwtSvidContext, Leeway, verify_jwt_svid};
use chancery_types::{RevocationKind, SvidKey, to_canonical};

use super::{Bench, INSTANCE, NOW, reason, revocation};

#[tokio::test]
async fn a_jwt_svid_is_for_an_own_instance_and_an_hour_at_most() {
    let bench = Bench::new(&[]).await;
    let kid = bench.trust.jwt_authorities[0].kid();
    let asked = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut claims = serde_json::json!({
            "aud": ["audience"], "exp": 1_800_000_300_u64, "iat": 1_800_000_000_u64,
            "jti": "crd_7zzzzzzzzzzzzzzzzzzzzzzzzz", "sub": INSTANCE,
        });
        change(&mut claims);
        SignJwt {
            claims: String::from_utf8(to_canonical(&claims).unwrap()).unwrap(),
            kid: kid.clone(),
        }
    };
    let good = asked(&|_| {});
    let token = bench.client.jwt(&good).await.unwrap().token;
    let keys = bench.trust.jwt_authorities.iter();
    let keys = keys.map(|key| SvidKey::try_from(key).unwrap());
    let bundle = JwtBundle::new("example.org".parse().unwrap(), keys);
    let context = JwtSvidContext {
        audience: &"audience".parse().unwrap(),
        bundles: &[bundle].into_iter().collect(),
        now: NOW,
        leeway: Leeway::NONE,
        verifier: &AwsLc,
    };
    let svid = verify_jwt_svid(&token, &context).unwrap();
    assert_eq!(svid.spiffe_id().as_str(), INSTANCE);
    let with_issuer = asked(&|claims| claims["iss"] = "https://td.example/a".into());
    let token = bench.client.jwt(&with_issuer).await.unwrap().token;
    let svid = verify_jwt_svid(&token, &context).unwrap();
    assert_eq!(svid.claims()["iss"], "https://td.example/a");
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 13] = [
        (
            |claims| claims["sub"] = "spiffe://example.org/agent/clerk".into(),
            "sub",
        ),
        (
            |claims| claims["sub"] = "spiffe://example.org/service/gateway".into(),
            "sub",
        ),
        (
            |claims| claims["sub"] = INSTANCE.replace(".org", ".com").into(),
            "sub",
        ),
        (
            |claims| claims["iat"] = 1_799_999_000_u64.into(),
            "clock_skew",
        ),
        (|claims| claims["exp"] = 1_800_003_601_u64.into(), "claims"),
        (|claims| claims["exp"] = 1_800_000_000_u64.into(), "claims"),
        (|claims| claims["aud"] = serde_json::json!([]), "claims"),
        (|claims| claims["aud"] = "audience".into(), "claims"),
        (|claims| claims["aud"] = serde_json::json!([""]), "claims"),
        (
            |claims| claims["iss"] = "http://td.example".into(),
            "claims",
        ),
        (
            |claims| claims["iss"] = "https://td.example/".into(),
            "claims",
        ),
        (
            |claims| claims["act"] = serde_json::json!({"sub": "spiffe://a/b"}),
            "claims",
        ),
        (
            |claims| *claims = serde_json::json!([["audience"], 1, 2, "crd_1", "spiffe://a/b"]),
            "claims",
        ),
    ];
    for (change, code) in cases {
        let asked = asked(&change);
        let refused = reason(bench.client.jwt(&asked).await).unwrap_err();
        assert_eq!(refused, code, "{}", asked.claims);
    }
    for other in ["", "other", &bench.trust.token_authorities[0].kid()] {
        let kid = other.to_owned();
        let asked = SignJwt {
            kid,
            ..good.clone()
        };
        let refused = reason(bench.client.jwt(&asked).await).unwrap_err();
        assert_eq!(refused, "authority", "{other}");
    }
    let spaced = SignJwt {
        claims: good.claims.replacen('{', "{ ", 1),
        ..good
    };
    assert_eq!(
        reason(bench.client.jwt(&spaced).await).unwrap_err(),
        "claims"
    );
}

#[tokio::test]
async fn no_jwt_svid_is_signed_for_what_is_revoked() {
    let bench = Bench::new(&[]).await;
    let claims = serde_json::json!({
        "aud": ["audience"], "exp": 1_800_000_300_u64, "iat": 1_800_000_000_u64,
        "jti": "crd_7zzzzzzzzzzzzzzzzzzzzzzzzz", "sub": INSTANCE,
    });
    let asked = SignJwt {
        claims: String::from_utf8(to_canonical(&claims).unwrap()).unwrap(),
        kid: bench.trust.jwt_authorities[0].kid(),
    };
    bench.client.jwt(&asked).await.unwrap();
    let instance = revocation(RevocationKind::Instance, INSTANCE, NOW);
    bench.snapshot(1, 1, &[instance]).await.unwrap();
    let refused = reason(bench.client.jwt(&asked).await).unwrap_err();
    assert_eq!(refused, "revoked");
}
