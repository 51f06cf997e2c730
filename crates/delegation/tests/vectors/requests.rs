use chancery_crypto::AwsLc;
use chancery_delegation::http_signature::{
    HttpContext, HttpRefusal, HttpRequest, verify_presentation,
};
use chancery_delegation::{BoundedReplayMemory, ChainContext, ReplayMemory as _};
use chancery_identity::{SpiffeId, WitBundle, WitError};
use chancery_types::{Digest, Jwk, Timestamp, base64url};
use serde_json::{Value, json};

use crate::judge::{anchors, revoked, strings};

/// Judges a signed request; `cause` says why its credential or its chain is refused.
pub(crate) fn judge(defaults: &Value, vector: &Value) -> Value {
    let refusal = match present(defaults, vector) {
        Ok(()) => return json!({"expect": "accept", "reason": null}),
        Err(refusal) => refusal,
    };
    let mut verdict = json!({"expect": "reject", "reason": refusal.code()});
    match refusal {
        HttpRefusal::Credential(error) => verdict["cause"] = json!(cause(error)),
        HttpRefusal::Chain(refusal) => {
            verdict["cause"] = json!(refusal.reason.code());
            verdict["link"] = json!(refusal.link);
        }
        _ => {}
    }
    verdict
}

fn present(defaults: &Value, vector: &Value) -> Result<(), HttpRefusal> {
    let context = |name: &str| {
        let own = vector["context"].get(name);
        own.unwrap_or(&defaults[name])
    };
    let seconds = |name: &str| Timestamp::from_seconds(context(name).as_u64().unwrap());
    let now = seconds("now");
    let peer: SpiffeId = vector["peer_spiffe_id"].as_str().unwrap().parse().unwrap();
    let chains = |name: &str| &context("chains")[name];
    let (anchors, revoked) = (anchors(&chains), revoked(&chains));
    let referenced = |digest: &Digest| {
        let mut known = context("referenced")
            .as_array()
            .unwrap()
            .iter()
            .map(strings);
        known.find(|links| Digest::of(links.join(",")) == *digest)
    };
    let mut replay = BoundedReplayMemory::new(64, 64);
    for seen in strings(context("seen_nonces")) {
        let holder = Digest::of(peer.as_str());
        replay
            .remember(&holder, &seen, now.plus_seconds(60), now)
            .unwrap();
    }
    let wits = wits(context("wits"));
    let given = &vector["request"];
    let (fields, body) = (fields(given), body(given));
    let request = request(given, &fields, &body);
    let context = HttpContext {
        now,
        audience: context("audience").as_str().unwrap(),
        started_at: seconds("started_at"),
        peer: &peer,
        wits: &wits,
        chains: &ChainContext {
            now,
            audience: chains("audience").as_str().unwrap(),
            anchors: &anchors,
            epoch: chains("current_epoch").as_u64().unwrap(),
            revoked: &revoked,
            verifier: &AwsLc,
        },
        referenced: &referenced,
        verifier: &AwsLc,
    };
    verify_presentation(&request, &context, &mut replay).map(drop)
}

/// The fields of a request.
pub(crate) fn fields(given: &Value) -> Vec<(&str, &str)> {
    let fields = given["fields"].as_array().unwrap().iter();
    fields
        .map(|field| (field[0].as_str().unwrap(), field[1].as_str().unwrap()))
        .collect()
}

/// Its body.
pub(crate) fn body(given: &Value) -> Vec<u8> {
    base64url::decode(given["body"].as_str().unwrap()).unwrap()
}

/// The request.
pub(crate) fn request<'a>(
    given: &'a Value,
    fields: &'a [(&'a str, &'a str)],
    body: &'a [u8],
) -> HttpRequest<'a> {
    HttpRequest {
        method: given["method"].as_str().unwrap(),
        target: given["target"].as_str().unwrap(),
        fields,
        body,
    }
}

fn wits(bundles: &Value) -> Vec<WitBundle> {
    let bundles = bundles.as_array().unwrap().iter();
    bundles
        .map(|bundle| {
            let keys: Vec<Jwk> = serde_json::from_value(bundle["keys"].clone()).unwrap();
            WitBundle::new(
                bundle["trust_domain"].as_str().unwrap().parse().unwrap(),
                keys,
            )
        })
        .collect()
}

const fn cause(error: WitError) -> &'static str {
    match error {
        WitError::Malformed => "malformed",
        WitError::WrongTyp => "wrong_typ",
        WitError::AlgorithmNotAllowed => "alg_not_allowed",
        WitError::UnknownKey => "unknown_key",
        WitError::BadSignature => "bad_signature",
        WitError::Claims => "claims",
        WitError::BadKey => "bad_key",
        WitError::WrongTrustDomain => "wrong_trust_domain",
        WitError::Expired => "expired",
    }
}
