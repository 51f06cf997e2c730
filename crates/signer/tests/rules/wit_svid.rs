//! WIT-SVIDs that workloads are handed: what the signer makes of them, and what not.

use chancery_api::signer::SignWitSvid;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::{Leeway, WitSvidBundle, verify_wit_svid};
use chancery_types::{Algorithm, RevocationKind, SvidKey, to_canonical};

use super::{Bench, INSTANCE, NOW, reason, revocation};

type Change = fn(&mut serde_json::Value);

fn asked(bench: &Bench, holder: &SigningKey, change: Change) -> SignWitSvid {
    let authority = bench.trust.token_authorities.first().unwrap();
    let mut claims = serde_json::json!({
        "cnf": {"jwk": holder.public()}, "exp": 1_800_000_300_u64, "iat": 1_800_000_000_u64,
        "jti": "crd_7zzzzzzzzzzzzzzzzzzzzzzzzz", "sub": INSTANCE,
    });
    change(&mut claims);
    SignWitSvid {
        claims: String::from_utf8(to_canonical(&claims).unwrap()).unwrap(),
        kid: authority.kid(),
    }
}

#[tokio::test]
async fn a_wit_svid_is_for_an_own_instance_and_says_nothing_of_an_agent() {
    let bench = Bench::new(&[]).await;
    let holder = SigningKey::generate(Algorithm::Es256).unwrap();
    let good = asked(&bench, &holder, |_| {});
    let token = bench.client.wit_svid(&good).await.unwrap().token;
    let keys = bench.trust.token_authorities.iter();
    let keys = keys.map(|key| SvidKey::try_from(key).unwrap());
    let bundle = WitSvidBundle::new("example.org".parse().unwrap(), keys);
    let svid = verify_wit_svid(&token, &bundle, NOW, Leeway::NONE, &AwsLc).unwrap();
    let proof = holder.sign(b"challenge").unwrap();
    let svid = svid.prove(b"challenge", &proof, &AwsLc).unwrap();
    assert_eq!(svid.spiffe_id().as_str(), INSTANCE);
    let cases: [(Change, &str); 11] = [
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
        (|claims| claims["aud"] = "audience".into(), "claims"),
        // Nothing that an agent key's credential says is signed here.
        (|claims| claims["isolation"] = "isolated".into(), "claims"),
        (
            |claims| claims["attestation_level"] = "software-only/launch".into(),
            "claims",
        ),
        (|claims| claims["cnf"] = serde_json::json!({}), "claims"),
        (|claims| *claims = serde_json::json!([1, 2]), "claims"),
    ];
    for (change, code) in cases {
        let asked = asked(&bench, &holder, change);
        let refused = reason(bench.client.wit_svid(&asked).await).unwrap_err();
        assert_eq!(refused, code, "{}", asked.claims);
    }
    let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let asked = asked(&bench, &ed25519, |_| {});
    let refused = reason(bench.client.wit_svid(&asked).await).unwrap_err();
    assert_eq!(refused, "claims");
    for other in ["", "other", &bench.trust.jwt_authorities[0].kid()] {
        let kid = other.to_owned();
        let asked = SignWitSvid {
            kid,
            ..good.clone()
        };
        let refused = reason(bench.client.wit_svid(&asked).await).unwrap_err();
        assert_eq!(refused, "authority", "{other}");
    }
    let spaced = SignWitSvid {
        claims: good.claims.replacen('{', "{ ", 1),
        ..good
    };
    let refused = reason(bench.client.wit_svid(&spaced).await).unwrap_err();
    assert_eq!(refused, "claims");
}

#[tokio::test]
async fn no_wit_svid_is_signed_for_what_is_revoked() {
    let bench = Bench::new(&[]).await;
    let holder = SigningKey::generate(Algorithm::Es256).unwrap();
    let asked = asked(&bench, &holder, |_| {});
    bench.client.wit_svid(&asked).await.unwrap();
    let instance = revocation(RevocationKind::Instance, INSTANCE, NOW);
    bench.snapshot(1, 1, &[instance]).await.unwrap();
    let refused = reason(bench.client.wit_svid(&asked).await).unwrap_err();
    assert_eq!(refused, "revoked");
}
