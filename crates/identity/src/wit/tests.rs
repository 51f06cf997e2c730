use chancery_crypto::{AwsLc, SigningKey};
use chancery_types::base64url;
use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

fn claims(agent: &SigningKey) -> WitClaims {
    WitClaims {
        sub: "spiffe://td/agent/a/instance/ins_00000000000000000000000000"
            .parse()
            .unwrap(),
        cnf: Confirmation {
            jwk: *agent.public(),
        },
        iat: NOW,
        exp: NOW + 300,
        jti: CredentialId::from_random([1; 16]),
        manifest_digest: Digest::of("manifest"),
        attestation_level: AttestationLevel::Launch,
        isolation: Isolation::Isolated,
    }
}

struct Issuer {
    authority: SigningKey,
    agent: SigningKey,
    bundle: WitBundle,
}

impl Issuer {
    fn new() -> Self {
        let authority = SigningKey::generate(Algorithm::Es256).unwrap();
        let agent = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let bundle = WitBundle::new("td".parse().unwrap(), [*authority.public()]);
        Self {
            authority,
            agent,
            bundle,
        }
    }

    fn sign(&self, input: &str) -> String {
        jws::assemble(input, &self.authority.sign(input.as_bytes()).unwrap())
    }

    fn token(&self, typ: &str, kid: Option<String>, claims: &Value) -> String {
        let header = Header {
            algorithm: Algorithm::Es256,
            typ: typ.to_owned(),
            kid,
        };
        let bytes = serde_json::to_vec(claims).unwrap();
        self.sign(&jws::signing_input(&header, &bytes))
    }

    fn changed(&self, change: impl FnOnce(&mut Value)) -> Result<VerifiedWit, WitError> {
        let mut value = serde_json::to_value(claims(&self.agent)).unwrap();
        change(&mut value);
        let token = self.token(WIT_TYP, Some(self.authority.public().kid()), &value);
        verify_wit(&token, &self.bundle, now(), &AwsLc)
    }
}

#[test]
fn round_trips() {
    let issuer = Issuer::new();
    let claims = claims(&issuer.agent);
    let input = claims.signing_input(issuer.authority.public()).unwrap();
    let token = issuer.sign(&input);
    let wit = verify_wit(&token, &issuer.bundle, now(), &AwsLc).unwrap();
    assert_eq!(wit.claims(), &claims);
    assert_eq!(wit.agent_key(), issuer.agent.public());
    assert_eq!(wit.expires(), now().plus_seconds(300));
    assert_eq!(wit.digest(), Digest::of(&token));
}

#[test]
fn iat_never_limits() {
    let issuer = Issuer::new();
    assert!(issuer.changed(|c| c["iat"] = json!(NOW + 200)).is_ok());
}

#[test]
fn refuses_other_claims() {
    let issuer = Issuer::new();
    for (name, value, error) in [
        ("aud", json!("spiffe://td/x"), WitError::Claims),
        ("aud", json!([]), WitError::Claims),
        ("iss", json!("https://td"), WitError::Claims),
        ("nbf", json!(NOW + 1), WitError::Claims),
        ("sub", json!("https://td/a"), WitError::Claims),
        ("sub", json!("spiffe://TD/a"), WitError::Claims),
        ("sub", json!("spiffe://other/a"), WitError::WrongTrustDomain),
        ("exp", json!(NOW), WitError::Expired),
        ("exp", json!(NOW - 1), WitError::Expired),
        ("exp", json!("1900000000"), WitError::Claims),
        ("exp", json!(-1), WitError::Claims),
        ("cnf", json!({}), WitError::Claims),
        (
            "cnf",
            json!({"jwk": {"kty": "oct", "k": "AA"}}),
            WitError::Claims,
        ),
        (
            "cnf",
            json!({"jwk": Jwk::p256([1; 32], [1; 32])}),
            WitError::BadKey,
        ),
        ("attestation_level", json!("trusted"), WitError::Claims),
        ("isolation", json!(true), WitError::Claims),
        ("manifest_digest", json!("sha256:00"), WitError::Claims),
    ] {
        let outcome = issuer.changed(|claims| claims[name] = value.clone());
        assert_eq!(outcome, Err(error), "{name}: {value}");
    }
    for name in [
        "sub",
        "cnf",
        "iat",
        "exp",
        "jti",
        "manifest_digest",
        "attestation_level",
    ] {
        let outcome = issuer.changed(|claims| {
            claims.as_object_mut().unwrap().remove(name);
        });
        assert_eq!(outcome, Err(WitError::Claims), "{name}");
    }
}

#[test]
fn refuses_a_key_without_its_alg() {
    let issuer = Issuer::new();
    let outcome = issuer.changed(|claims| {
        claims["cnf"]["jwk"].as_object_mut().unwrap().remove("alg");
    });
    assert_eq!(outcome, Err(WitError::Claims));
}

#[test]
fn refuses_other_headers_and_signers() {
    let issuer = Issuer::new();
    let kid = Some(issuer.authority.public().kid());
    let value = serde_json::to_value(claims(&issuer.agent)).unwrap();
    let verify = |token: &str| verify_wit(token, &issuer.bundle, now(), &AwsLc);
    for typ in ["JWT", "jwt", "WIT+JWT", "at+jwt", "adt+jwt", ""] {
        let token = issuer.token(typ, kid.clone(), &value);
        assert_eq!(verify(&token), Err(WitError::WrongTyp), "{typ}");
    }
    let token = issuer.token(WIT_TYP, None, &value);
    assert_eq!(verify(&token), Err(WitError::UnknownKey));
    let token = issuer.token(WIT_TYP, Some(issuer.authority.public().kid() + "x"), &value);
    assert_eq!(verify(&token), Err(WitError::UnknownKey));

    let other = Issuer::new();
    let forged = other.token(WIT_TYP, kid.clone(), &value);
    assert_eq!(verify(&forged), Err(WitError::BadSignature));
    let good = issuer.token(WIT_TYP, kid, &value);
    assert!(verify(&good).is_ok());
    let unsigned = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(verify(&unsigned), Err(WitError::BadSignature));
    for token in [
        "",
        "a",
        "a.b.c",
        &format!("{good}.{good}"),
        &good.replace('.', ".."),
    ] {
        assert_eq!(verify(token), Err(WitError::Malformed), "{token}");
    }
    assert_eq!(verify(&"a".repeat(20_000)), Err(WitError::Malformed));
    let headers = [
        (
            r#"{"alg":"none","typ":"wit+jwt"}"#,
            WitError::AlgorithmNotAllowed,
        ),
        (
            r#"{"alg":"HS256","typ":"wit+jwt"}"#,
            WitError::AlgorithmNotAllowed,
        ),
        (
            r#"{"alg":"Ed25519","typ":"wit+jwt"}"#,
            WitError::AlgorithmNotAllowed,
        ),
        (
            r#"{"alg":"ES256","typ":"wit+jwt","crit":["x"]}"#,
            WitError::Malformed,
        ),
        (
            r#"{"alg":"ES256","typ":"wit+jwt","jwk":{}}"#,
            WitError::Malformed,
        ),
    ];
    let payload = serde_json::to_vec(&value).unwrap();
    for (header, error) in headers {
        let input = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(&payload)
        );
        assert_eq!(verify(&issuer.sign(&input)), Err(error), "{header}");
    }
}

#[test]
fn an_ed25519_authority_signs_no_token() {
    let issuer = Issuer::new();
    let mut draft = claims(&issuer.agent);
    let refusal = draft.signing_input(issuer.agent.public());
    assert!(matches!(refusal, Err(WitDraftError::Authority)));
    draft.exp = draft.iat;
    let refusal = draft.signing_input(issuer.authority.public());
    assert!(matches!(refusal, Err(WitDraftError::Lifetime)));
}
