//! What stands in front of a JWT-SVID, and who signed it.

use chancery_identity::{BundleDocument, Incubating, JwtBundle, JwtBundles, JwtSvidError as E};
use chancery_types::{SvidAlgorithm, SvidKey, base64url};
use serde_json::{Value, json};

use crate::support::{Domain, es256, judge_jwt, signed_text, svid_key, with};

/// Tokens that PyJWT signed, one for each algorithm, with the bundle that verifies them.
const FOREIGN: &str = include_str!("foreign_tokens.json");

fn bundles(domain: &Domain) -> JwtBundles {
    [domain.jwt_bundle()].into_iter().collect()
}

#[track_caller]
fn header(change: &str, value: Option<Value>, expected: Result<(), E>) {
    let domain = Domain::new("td");
    let header = with(&domain.jwt_header(), change, value);
    let token = domain.jwt_svid(&header, &domain.jwt_claims());
    let judged = judge_jwt(&token, &bundles(&domain), 0).map(|_| ());
    assert_eq!(judged, expected, "{header}");
}

#[test]
fn j_01_compact_and_nothing_else() {
    let domain = Domain::new("td");
    let token = domain.jwt_svid(&domain.jwt_header(), &domain.jwt_claims());
    let bundles = bundles(&domain);
    let judge = |token: &str| judge_jwt(token, &bundles, 0).map(|_| ());
    assert_eq!(judge(&token), Ok(()));
    let parts: Vec<_> = token.split('.').collect();
    let [protected, payload, signature] = parts[..] else {
        panic!("{token}");
    };
    let flattened = json!({"protected": protected, "payload": payload, "signature": signature});
    let one = json!({"protected": protected, "signature": signature, "header": {"x": 1}});
    let general = json!({"payload": payload, "signatures": [one]});
    for bad in [
        flattened.to_string(),
        general.to_string(),
        format!("{protected}.{payload}"),
        format!("{protected}..{signature}"),
        format!("{protected}.{payload}.{signature}.{signature}"),
        format!("{protected}.{payload}.{signature}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("Bearer {token}"),
        String::new(),
        "..".to_owned(),
    ] {
        assert_eq!(judge(&bad), Err(E::Malformed), "{bad}");
    }
    assert_eq!(
        judge(&format!("{protected}.{payload}.")),
        Err(E::BadSignature)
    );
    assert_eq!(judge(&"a".repeat(20_000)), Err(E::TooLong));
    let header = domain.jwt_header().to_string();
    for (header, claims) in [
        (header.as_str(), "[]"),
        (
            header.as_str(),
            r#"{"sub":"spiffe://td/a","sub":"spiffe://td/b"}"#,
        ),
        (r#"{"alg":"ES256","alg":"ES256"}"#, "{}"),
        ("null", "{}"),
    ] {
        let token = signed_text(&domain.jwt, header, claims);
        assert_eq!(judge(&token), Err(E::Malformed), "{header} {claims}");
    }
}

#[test]
fn j_02_no_header_member_besides_three() {
    for name in [
        "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty", "crit", "b64", "zip", "enc", "epk",
        "iss", "KID", "Alg", "",
    ] {
        header(name, Some(json!("x")), Err(E::HeaderMember));
        header(name, Some(Value::Null), Err(E::HeaderMember));
    }
}

#[test]
fn j_03_an_algorithm_of_the_nine() {
    for alg in [
        json!("none"),
        json!("None"),
        json!(""),
        json!("HS256"),
        json!("HS384"),
        json!("HS512"),
        json!("EdDSA"),
        json!("Ed25519"),
        json!("ES256K"),
        json!("es256"),
        json!("RS1"),
        json!("ML-DSA-44"),
        json!("dir"),
        json!(["ES256"]),
        json!(null),
        json!(1),
    ] {
        header("alg", Some(alg), Err(E::AlgorithmNotAllowed));
    }
    header("alg", None, Err(E::AlgorithmNotAllowed));
    // Before anything else is looked at.
    let domain = Domain::new("td");
    let token = signed_text(&domain.jwt, r#"{"alg":"none","jwk":{}}"#, "neither JSON");
    let judged = judge_jwt(&token, &JwtBundles::default(), 0);
    assert_eq!(judged, Err(E::AlgorithmNotAllowed));
    // An algorithm of the nine that is not the key's.
    for alg in ["ES384", "ES512", "RS256", "PS512"] {
        header("alg", Some(json!(alg)), Err(E::WrongAlgorithm));
    }
}

#[test]
fn j_03_each_of_the_nine_as_others_sign_it() {
    let foreign: Value = serde_json::from_str(FOREIGN).unwrap();
    let domain = "example.org".parse().unwrap();
    let bundle = foreign["bundle"].to_string();
    let document = BundleDocument::parse(domain, bundle.as_bytes(), Incubating::NONE).unwrap();
    assert!(document.ignored().is_empty(), "{:?}", document.ignored());
    let bundles: JwtBundles = [document.keys().jwt.clone()].into_iter().collect();
    for algorithm in SvidAlgorithm::ALL {
        let token = foreign["tokens"][algorithm.name()].as_str().unwrap();
        let judged = judge_jwt(token, &bundles, 0).unwrap();
        assert_eq!(judged.spiffe_id().as_str(), "spiffe://example.org/service");
        assert_eq!(judged.claims()["https://example.org/float"], 1.5);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = base64url::decode(signature).unwrap();
        bytes[9] ^= 1;
        let forged = format!("{input}.{}", base64url::encode(bytes));
        let judged = judge_jwt(&forged, &bundles, 0).map(|_| ());
        assert_eq!(judged, Err(E::BadSignature), "{}", algorithm.name());
    }
}

#[test]
fn j_03_a_key_is_for_the_one_algorithm_that_it_says() {
    let domain = Domain::new("td");
    let mut jwk = svid_key(&domain.jwt).to_members();
    jwk.insert("alg".to_owned(), "ES256".into());
    let bound = SvidKey::from_jwk(&jwk).unwrap();
    let bundles: JwtBundles = [JwtBundle::new(domain.name.clone(), [bound])]
        .into_iter()
        .collect();
    let token = domain.jwt_svid(&domain.jwt_header(), &domain.jwt_claims());
    assert!(judge_jwt(&token, &bundles, 0).is_ok());
    let other = with(&domain.jwt_header(), "alg", Some(json!("ES512")));
    let token = domain.jwt_svid(&other, &domain.jwt_claims());
    assert_eq!(judge_jwt(&token, &bundles, 0), Err(E::WrongAlgorithm));
}

#[test]
fn j_04_the_type_is_absent_jwt_or_jose() {
    header("typ", None, Ok(()));
    header("typ", Some(json!("JWT")), Ok(()));
    header("typ", Some(json!("JOSE")), Ok(()));
    for typ in [
        json!("wit+jwt"),
        json!("at+jwt"),
        json!("dpop+jwt"),
        json!("jwt"),
        json!("Jwt"),
        json!("jose"),
        json!("application/jwt"),
        json!(""),
        json!(null),
        json!(["JWT"]),
        json!(1),
    ] {
        header("typ", Some(typ), Err(E::WrongTyp));
    }
}

#[test]
fn j_09_a_token_names_its_key() {
    header("kid", None, Err(E::NoKeyId));
    for none in [json!(""), json!(null), json!(1), json!(["a"])] {
        header("kid", Some(none), Err(E::NoKeyId));
    }
    let kid = es256().public().kid();
    for other in [
        kid.clone(),
        kid.to_lowercase(),
        format!("{kid} "),
        "x".to_owned(),
    ] {
        header("kid", Some(json!(other)), Err(E::UnknownKey));
    }
    let domain = Domain::new("td");
    let bundle = domain.jwt_bundle();
    let set: Value = serde_json::from_str(&bundle.to_jwks()).unwrap();
    let members = set["keys"][0].as_object().unwrap();
    assert_eq!(members["kid"], domain.jwt.public().kid());
    assert_eq!(members["use"], "jwt-svid");
}
