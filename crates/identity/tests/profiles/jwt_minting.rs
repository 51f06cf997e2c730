//! What JWT-SVIDs of ours look like, and which are not made.

use chancery_identity::jwt_svid::{
    JwtAudienceError, JwtSvidDraftError as E, MAX_AUDIENCE_BYTES, MAX_JWT_AUDIENCES,
    MAX_JWT_SVID_SECONDS,
};
use chancery_identity::{JwtAudience, JwtBundles, JwtSvidClaims};
use chancery_types::id::CredentialId;
use chancery_types::jws::assemble;
use chancery_types::limits::MAX_JWS_BYTES;
use chancery_types::{Algorithm, base64url};

use crate::support::{Domain, NOW, judge_jwt};

fn claims() -> JwtSvidClaims {
    JwtSvidClaims {
        aud: vec!["audience".parse().unwrap(), "other".parse().unwrap()],
        exp: NOW + 300,
        iat: NOW,
        iss: None,
        jti: CredentialId::from_random([1; 16]),
        sub: "spiffe://td/agent/a".parse().unwrap(),
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut JwtSvidClaims), expected: &str) {
    let domain = Domain::new("td");
    let mut claims = claims();
    change(&mut claims);
    let refusal = claims.signing_input(domain.jwt.public()).unwrap_err();
    assert_eq!(refusal.to_string(), expected);
}

#[test]
fn j_02_a_header_of_ours_has_three_members() {
    let domain = Domain::new("td");
    let input = claims().signing_input(domain.jwt.public()).unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let text = |part: &str| String::from_utf8(base64url::decode(part).unwrap()).unwrap();
    let kid = domain.jwt.public().kid();
    assert_eq!(
        text(header),
        format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#)
    );
    let jti = claims().jti;
    assert_eq!(
        text(payload),
        format!(
            r#"{{"aud":["audience","other"],"exp":{},"iat":{NOW},"jti":"{jti}","sub":"spiffe://td/agent/a"}}"#,
            NOW + 300
        )
    );
    let token = assemble(&input, &domain.jwt.sign(input.as_bytes()).unwrap());
    let bundles: JwtBundles = [domain.jwt_bundle()].into_iter().collect();
    let judged = judge_jwt(&token, &bundles, 0).unwrap();
    assert_eq!(judged.spiffe_id(), &claims().sub);
    assert_eq!(judged.audiences(), ["audience", "other"]);
    let read: JwtSvidClaims = serde_json::from_str(&text(payload)).unwrap();
    assert_eq!(read, claims());
}

#[test]
fn j_03_only_es256_signs_tokens_of_ours() {
    let ed25519 = chancery_crypto::SigningKey::generate(Algorithm::Ed25519).unwrap();
    let refusal = claims().signing_input(ed25519.public());
    assert!(matches!(refusal, Err(E::Authority)));
}

#[test]
fn j_05_no_token_for_what_is_no_workload() {
    refused(
        |claims| claims.sub = "spiffe://td".parse().unwrap(),
        "sub names a trust domain, not a workload",
    );
    let long = format!("spiffe://td/{}", "a".repeat(2_048 - 11));
    refused(
        |claims| claims.sub = long.parse().unwrap(),
        "sub is longer than 2048 bytes",
    );
}

#[test]
fn j_06_no_token_without_audience_or_for_many() {
    refused(|claims| claims.aud.clear(), "a jwt-svid needs an audience");
    let twice = "other".parse().unwrap();
    refused(|claims| claims.aud.push(twice), "an audience stands twice");
    let named = |number: usize| -> JwtAudience { format!("a{number}").parse().unwrap() };
    refused(
        |claims| claims.aud = (0..=MAX_JWT_AUDIENCES).map(named).collect(),
        "a jwt-svid has 8 audiences at most",
    );
    let long = "a".repeat(MAX_AUDIENCE_BYTES + 1);
    for (text, error) in [
        ("", JwtAudienceError::Empty),
        (long.as_str(), JwtAudienceError::TooLong),
        ("a\nb", JwtAudienceError::Control),
        ("a\0", JwtAudienceError::Control),
        ("a\u{85}", JwtAudienceError::Control),
    ] {
        assert_eq!(text.parse::<JwtAudience>(), Err(error), "{text:?}");
        assert!(serde_json::from_value::<JwtAudience>(text.into()).is_err());
    }
}

#[test]
fn j_07_no_token_for_longer_than_an_hour() {
    refused(
        |claims| claims.exp = claims.iat,
        "exp is not later than iat",
    );
    refused(|claims| claims.exp = 0, "exp is not later than iat");
    refused(
        |claims| claims.exp = claims.iat + MAX_JWT_SVID_SECONDS + 1,
        "a jwt-svid lives 3600 seconds at most",
    );
    refused(
        |claims| claims.exp = u64::MAX,
        "a jwt-svid lives 3600 seconds at most",
    );
}

#[test]
fn j_06_the_longest_token_that_is_made_is_read_and_a_longer_one_is_not_made() {
    let domain = Domain::new("td");
    let bundles: JwtBundles = [domain.jwt_bundle()].into_iter().collect();
    let with = |bytes: usize| {
        let mut claims = claims();
        let first = "audience".parse().unwrap();
        let long = (0..6).map(|n| format!("{n}{}", "a".repeat(MAX_AUDIENCE_BYTES - 1)));
        let long = long.map(|text| text.parse().unwrap());
        let last = "b".repeat(bytes).parse().unwrap();
        claims.aud = [first]
            .into_iter()
            .chain(long.take(5))
            .chain([last])
            .collect();
        claims
    };
    let made = |bytes| with(bytes).signing_input(domain.jwt.public());
    let longest = (1..MAX_AUDIENCE_BYTES)
        .rfind(|bytes| made(*bytes).is_ok())
        .unwrap();
    assert!(longest < MAX_AUDIENCE_BYTES - 1);
    let input = made(longest).unwrap();
    let token = assemble(&input, &domain.jwt.sign(input.as_bytes()).unwrap());
    assert!(
        (MAX_JWS_BYTES - 2..=MAX_JWS_BYTES).contains(&token.len()),
        "{}",
        token.len()
    );
    assert!(judge_jwt(&token, &bundles, 0).is_ok());
    assert!(matches!(made(longest + 1), Err(E::TooLarge)));
    let most = with(MAX_AUDIENCE_BYTES);
    assert!(matches!(
        most.signing_input(domain.jwt.public()),
        Err(E::TooLarge)
    ));
}
