//! What a JWT-SVID says, and who takes it.

use chancery_crypto::AwsLc;
use chancery_identity::jwt_svid::{JwtSvidContext, bearer_token};
use chancery_identity::{
    BundleDocument, Incubating, JwtBundle, JwtBundles, JwtSvidError as E, Leeway, SpiffeIdError,
    verify_jwt_svid,
};
use chancery_types::Timestamp;
use serde_json::{Value, json};

use crate::support::{Domain, NOW, es256, judge_jwt, now, signed, svid_key, with};

fn bundles(domain: &Domain) -> JwtBundles {
    [domain.jwt_bundle()].into_iter().collect()
}

#[track_caller]
fn claim(name: &str, value: Option<Value>, expected: Result<(), E>) {
    let domain = Domain::new("td");
    let claims = with(&domain.jwt_claims(), name, value);
    let token = domain.jwt_svid(&domain.jwt_header(), &claims);
    let judged = judge_jwt(&token, &bundles(&domain), 0).map(|_| ());
    assert_eq!(judged, expected, "{claims}");
}

#[test]
fn j_05_the_subject_is_a_spiffe_id() {
    claim("sub", None, Err(E::NoSubject));
    for sub in [json!(null), json!(1), json!(["spiffe://td/a"]), json!({})] {
        claim("sub", Some(sub), Err(E::NoSubject));
    }
    for (sub, error) in [
        ("", SpiffeIdError::Scheme),
        ("td/a", SpiffeIdError::Scheme),
        ("https://td/a", SpiffeIdError::Scheme),
        ("SPIFFE://td/a", SpiffeIdError::Scheme),
        ("spiffe://TD/a", SpiffeIdError::TrustDomainCharacter),
        ("spiffe://td/a/", SpiffeIdError::EmptySegment),
        ("spiffe://td/../a", SpiffeIdError::DotSegment),
        ("spiffe://td/a\n", SpiffeIdError::PathCharacter),
        ("spiffe:///a", SpiffeIdError::EmptyTrustDomain),
    ] {
        claim("sub", Some(json!(sub)), Err(E::Subject(error)));
    }
}

#[test]
fn j_06_the_validator_is_among_the_audiences() {
    claim("aud", Some(json!("audience")), Ok(()));
    claim("aud", Some(json!(["other", "audience"])), Ok(()));
    for none in [
        json!([]),
        json!(null),
        json!(1),
        json!({}),
        json!(["audience", 1]),
        json!([null]),
    ] {
        claim("aud", Some(none), Err(E::NoAudience));
    }
    claim("aud", None, Err(E::NoAudience));
    for other in [
        json!("other"),
        json!(""),
        json!("Audience"),
        json!("audience "),
        json!(["audience/"]),
        json!("aud"),
        json!(["a", "b"]),
        json!("*"),
    ] {
        claim("aud", Some(other), Err(E::WrongAudience));
    }
}

#[test]
fn j_07_it_says_when_it_expires() {
    claim("exp", None, Err(E::NoExpiry));
    for none in [
        json!(null),
        json!("1900000000"),
        json!(-1),
        json!(1_900_000_000.5),
        json!([]),
        json!(u64::MAX),
        json!(1e300),
    ] {
        claim("exp", Some(none), Err(E::NoExpiry));
    }
    claim("exp", Some(json!(NOW)), Err(E::Expired));
    claim("exp", Some(json!(NOW - 1)), Err(E::Expired));
    claim("exp", Some(json!(0)), Err(E::Expired));
    claim("exp", Some(json!(NOW + 1)), Ok(()));
}

#[test]
fn j_07_leeway_is_the_validators_and_small() {
    let domain = Domain::new("td");
    let bundles = bundles(&domain);
    let judge = |exp: u64, leeway: u64| {
        let claims = with(&domain.jwt_claims(), "exp", Some(json!(exp)));
        let token = domain.jwt_svid(&domain.jwt_header(), &claims);
        judge_jwt(&token, &bundles, leeway).map(|svid| svid.expires())
    };
    assert_eq!(judge(NOW - 29, 30), Ok(now().minus_seconds(29)));
    assert_eq!(judge(NOW - 30, 30), Err(E::Expired));
    assert_eq!(judge(NOW - 31, 30), Err(E::Expired));
    assert_eq!(Leeway::default(), Leeway::NONE);
    assert!(Leeway::try_from(120).is_ok() && Leeway::try_from(121).is_err());
}

#[test]
fn j_07_not_before_its_time() {
    claim("nbf", Some(json!(NOW)), Ok(()));
    claim("nbf", Some(json!(NOW + 1)), Err(E::NotYetValid));
    for bad in [
        json!(null),
        json!("0"),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
    ] {
        claim("nbf", Some(bad), Err(E::NotBefore));
    }
    // When it was issued limits nothing.
    claim("iat", Some(json!(NOW + 1_000)), Ok(()));
}

#[test]
fn j_08_the_keys_of_the_subjects_trust_domain_alone() {
    let (td, other) = (Domain::new("td"), Domain::new("other"));
    let both: JwtBundles = [td.jwt_bundle(), other.jwt_bundle()].into_iter().collect();
    let claims = |domain: &Domain| domain.jwt_claims();
    for domain in [&td, &other] {
        let token = domain.jwt_svid(&domain.jwt_header(), &claims(domain));
        let judged = judge_jwt(&token, &both, 0).unwrap();
        assert_eq!(judged.spiffe_id().trust_domain(), &domain.name);
    }
    let forged = other.jwt_svid(&other.jwt_header(), &claims(&td));
    assert_eq!(judge_jwt(&forged, &both, 0), Err(E::UnknownKey));
    let named_as_theirs = other.jwt_svid(&td.jwt_header(), &claims(&td));
    assert_eq!(judge_jwt(&named_as_theirs, &both, 0), Err(E::BadSignature));
    let token = other.jwt_svid(&other.jwt_header(), &claims(&other));
    let judged = judge_jwt(&token, &bundles(&td), 0);
    assert_eq!(judged, Err(E::UnknownTrustDomain));
    // A bundle that is put in the place of another is not added to it.
    let mut replaced = both;
    let next = es256();
    replaced.replace(JwtBundle::new(other.name.clone(), [svid_key(&next)]));
    assert_eq!(judge_jwt(&token, &replaced, 0), Err(E::UnknownKey));
    let header = json!({"alg": "ES256", "kid": next.public().kid()});
    let token = signed(&next, &header, &claims(&other));
    assert!(judge_jwt(&token, &replaced, 0).is_ok());
}

#[test]
fn j_10_only_keys_for_jwt_svids() {
    let domain = Domain::new("td");
    let key = svid_key(&domain.jwt);
    let judge = |named_use: Value| {
        let mut jwk = key.to_members();
        jwk.insert("kid".to_owned(), key.kid().into());
        jwk.insert("use".to_owned(), named_use);
        let text = json!({"keys": [jwk]}).to_string();
        let document =
            BundleDocument::parse(domain.name.clone(), text.as_bytes(), Incubating::WIT_SVID);
        let bundles = [document.unwrap().keys().jwt.clone()].into_iter().collect();
        let token = domain.jwt_svid(&domain.jwt_header(), &domain.jwt_claims());
        judge_jwt(&token, &bundles, 0).map(|_| ())
    };
    assert_eq!(judge(json!("jwt-svid")), Ok(()));
    for other in ["wit-svid", "x509-svid", "JWT-SVID", "sig", "jwt-svid\n", ""] {
        assert_eq!(judge(json!(other)), Err(E::UnknownKey), "{other:?}");
    }
}

#[test]
fn j_11_further_claims_are_kept_as_they_are() {
    let domain = Domain::new("td");
    let mut claims = domain.jwt_claims();
    let more = [
        ("act", json!({"sub": "spiffe://td/agent/b"})),
        ("jti", json!("t-1")),
        ("cnf", json!({"jkt": "AA"})),
        ("https://td.example/x", json!([1.5, null, {"a": true}])),
        ("iss", json!("https://td.example")),
    ];
    for (name, value) in &more {
        claims[*name] = value.clone();
    }
    let token = domain.jwt_svid(&domain.jwt_header(), &claims);
    let judged = judge_jwt(&token, &bundles(&domain), 0).unwrap();
    assert_eq!(Value::Object(judged.claims().clone()), claims);
    assert_eq!(judged.audiences(), ["audience"]);
    assert_eq!(judged.key_id(), domain.jwt.public().kid());
    assert_eq!(judged.digest(), chancery_types::Digest::of(&token));
}

#[test]
fn j_12_one_bearer_token() {
    for good in [
        "Bearer a.b.c",
        "bearer a.b.c",
        "BEARER a.b.c",
        "Bearer   a.b.c",
    ] {
        assert_eq!(bearer_token(good), Some("a.b.c"), "{good}");
    }
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "a.b.c",
        "Basic a.b.c",
        "Bearer a.b.c d.e.f",
        "Bearer a.b.c,d.e.f",
        "Bearer \"a.b.c\"",
        "Bearer a.b.c\n",
        " Bearer a.b.c",
        "Bearer\ta.b.c",
        "DPoP a.b.c",
        "Bearer a.b.c ",
    ] {
        assert_eq!(bearer_token(bad), None, "{bad:?}");
    }
}

#[test]
fn j_06_nobody_else_takes_a_token() {
    let domain = Domain::new("td");
    let token = domain.jwt_svid(&domain.jwt_header(), &domain.jwt_claims());
    let bundles = bundles(&domain);
    let judge = |audience: &str, now: Timestamp| {
        let context = JwtSvidContext {
            audience: &audience.parse().unwrap(),
            bundles: &bundles,
            now,
            leeway: Leeway::NONE,
            verifier: &AwsLc,
        };
        verify_jwt_svid(&token, &context).map(|_| ())
    };
    assert_eq!(judge("audience", now()), Ok(()));
    assert_eq!(judge("spiffe://td/service", now()), Err(E::WrongAudience));
    let end = now().plus_seconds(300);
    assert_eq!(judge("audience", end.minus_seconds(1)), Ok(()));
    assert_eq!(judge("audience", end), Err(E::Expired));
}
