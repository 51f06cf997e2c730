//! WIT-SVIDs, as anybody's and as ours.

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::incubating::WIT_SVID_REVISION;
use chancery_identity::wit::{Confirmation, WitBundle};
use chancery_identity::{
    AttestationLevel, BundleDocument, Incubating, Isolation, JwtBundles, JwtSvidError, Leeway,
    UnprovenWitSvid, WitClaims, WitError, WitSvidBundle, WitSvidError as E, verify_wit,
    verify_wit_svid,
};
use chancery_types::id::CredentialId;
use chancery_types::jws::assemble;
use chancery_types::{Digest, SvidAlgorithm, Timestamp};
use serde_json::{Value, json};

use crate::support::{Domain, NOW, es256, judge_jwt, now, signed, svid_key, with};

pub(crate) struct Issued {
    pub(crate) domain: Domain,
    pub(crate) holder: SigningKey,
}

impl Issued {
    pub(crate) fn new() -> Self {
        Self {
            domain: Domain::new("td"),
            holder: es256(),
        }
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "wit+jwt", "kid": self.domain.wit.public().kid()})
    }

    pub(crate) fn claims(&self) -> Value {
        json!({
            "sub": "spiffe://td/agent/a",
            "cnf": {"jwk": self.holder.public()},
            "exp": NOW + 300,
        })
    }

    pub(crate) fn judge(&self, header: &Value, claims: &Value) -> Result<UnprovenWitSvid, E> {
        let token = signed(&self.domain.wit, header, claims);
        judge(&token, &self.domain.wit_bundle(), 0)
    }
}

pub(crate) fn judge(
    token: &str,
    bundle: &WitSvidBundle,
    leeway: u64,
) -> Result<UnprovenWitSvid, E> {
    verify_wit_svid(
        token,
        bundle,
        now(),
        Leeway::try_from(leeway).unwrap(),
        &AwsLc,
    )
}

#[track_caller]
fn header(name: &str, value: Option<Value>, expected: Result<(), E>) {
    let issued = Issued::new();
    let header = with(&issued.header(), name, value);
    let judged = issued.judge(&header, &issued.claims()).map(|_| ());
    assert_eq!(judged, expected, "{header}");
}

/// A token as we issue them.
pub(crate) fn own(domain: &Domain, holder: &SigningKey) -> (WitClaims, String) {
    let claims = WitClaims {
        sub: "spiffe://td/agent/a/instance/ins_00000000000000000000000000"
            .parse()
            .unwrap(),
        cnf: Confirmation {
            jwk: *holder.public(),
        },
        iat: NOW,
        exp: NOW + 300,
        jti: CredentialId::from_random([1; 16]),
        manifest_digest: Digest::of("manifest"),
        attestation_level: AttestationLevel::Launch,
        isolation: Isolation::Isolated,
    };
    let input = claims.signing_input(domain.wit.public()).unwrap();
    let token = assemble(&input, &domain.wit.sign(input.as_bytes()).unwrap());
    (claims, token)
}

#[test]
fn w_01_the_key_is_named_case_sensitively() {
    let kid = Issued::new().domain.wit.public().kid();
    header("kid", None, Err(E::NoKeyId));
    for none in [json!(""), json!(null), json!(1)] {
        header("kid", Some(none), Err(E::NoKeyId));
    }
    header("kid", Some(json!(kid)), Err(E::UnknownKey));
    let issued = Issued::new();
    let swapped: String = issued.domain.wit.public().kid();
    let swapped: String = swapped
        .chars()
        .map(|char| match char {
            lower if lower.is_ascii_lowercase() => lower.to_ascii_uppercase(),
            other => other.to_ascii_lowercase(),
        })
        .collect();
    let header = with(&issued.header(), "kid", Some(json!(swapped)));
    let judged = issued.judge(&header, &issued.claims());
    assert_eq!(judged, Err(E::UnknownKey));
    assert!(issued.judge(&issued.header(), &issued.claims()).is_ok());
}

#[test]
fn w_02_the_type_is_wit_jwt() {
    header("typ", None, Err(E::WrongTyp));
    for typ in [
        "JWT",
        "JOSE",
        "WIT+JWT",
        "wit+jwt ",
        "application/wit+jwt",
        "at+jwt",
        "",
    ] {
        header("typ", Some(json!(typ)), Err(E::WrongTyp));
    }
    header("typ", Some(json!(["wit+jwt"])), Err(E::WrongTyp));
}

#[test]
fn w_03_an_algorithm_of_the_nine() {
    for alg in [
        json!("none"),
        json!("HS256"),
        json!("EdDSA"),
        json!("Ed25519"),
        json!("es256"),
        json!(""),
        json!(null),
        json!(["ES256"]),
    ] {
        header("alg", Some(alg), Err(E::AlgorithmNotAllowed));
    }
    header("alg", None, Err(E::AlgorithmNotAllowed));
    for alg in ["RS256", "PS384", "ES384", "ES512"] {
        header("alg", Some(json!(alg)), Err(E::WrongAlgorithm));
    }
}

#[test]
fn w_04_unknown_header_members_are_ignored_unless_critical() {
    for name in ["x5u", "jku", "cty", "extra"] {
        header(name, Some(json!({"a": [1]})), Ok(()));
    }
    for critical in [json!(["extra"]), json!([]), json!(null), json!("typ")] {
        header("crit", Some(critical), Err(E::Critical));
    }
    // Ours has three, and of others' tokens our own profile takes no more.
    let issued = Issued::new();
    let (claims, token) = own(&issued.domain, &issued.holder);
    let bundle = WitBundle::new(issued.domain.name.clone(), [*issued.domain.wit.public()]);
    assert!(verify_wit(&token, &bundle, now(), &AwsLc).is_ok());
    let header = with(&issued.header(), "extra", Some(json!(1)));
    let claims = serde_json::to_value(claims).unwrap();
    let token = signed(&issued.domain.wit, &header, &claims);
    assert_eq!(
        verify_wit(&token, &bundle, now(), &AwsLc),
        Err(WitError::Malformed)
    );
}

#[test]
fn w_13_nobody_is_believed_without_a_proof_of_the_key() {
    let issued = Issued::new();
    let unproven = issued.judge(&issued.header(), &issued.claims()).unwrap();
    let challenge = b"nonce of this connection";
    let proof = issued.holder.sign(challenge).unwrap();
    let stranger = es256().sign(challenge).unwrap();
    let prove = |challenge: &[u8], proof: &[u8]| {
        let proven = unproven.clone().prove(challenge, proof, &AwsLc);
        proven.map(|svid| svid.spiffe_id().to_string())
    };
    assert_eq!(prove(challenge, &proof).unwrap(), "spiffe://td/agent/a");
    assert_eq!(prove(challenge, &stranger), Err(E::Unproven));
    assert_eq!(prove(challenge, b""), Err(E::Unproven));
    assert_eq!(prove(b"another nonce", &proof), Err(E::Unproven));
    let issuers = issued.domain.wit.sign(challenge).unwrap();
    assert_eq!(prove(challenge, &issuers), Err(E::Unproven));
    let proven = unproven.prove(challenge, &proof, &AwsLc).unwrap();
    assert_eq!(proven.expires(), now().plus_seconds(300));
    assert!(proven.key().is_same_key(&svid_key(&issued.holder)));
}

#[test]
fn w_14_it_is_no_bearer_token() {
    let issued = Issued::new();
    // Signed by the key for JWT-SVIDs, for the right audience: still no JWT-SVID.
    let claims = with(&issued.domain.jwt_claims(), "cnf", Some(json!({})));
    let header = with(&issued.domain.jwt_header(), "typ", Some(json!("wit+jwt")));
    let token = issued.domain.jwt_svid(&header, &claims);
    let bundles: JwtBundles = [issued.domain.jwt_bundle()].into_iter().collect();
    assert_eq!(judge_jwt(&token, &bundles, 0), Err(JwtSvidError::WrongTyp));
    let (_, token) = own(&issued.domain, &issued.holder);
    assert_eq!(judge_jwt(&token, &bundles, 0), Err(JwtSvidError::WrongTyp));
    // Nor the other way round.
    let token = issued
        .domain
        .jwt_svid(&issued.domain.jwt_header(), &issued.domain.jwt_claims());
    let judged = judge(&token, &issued.domain.wit_bundle(), 0);
    assert_eq!(judged, Err(E::WrongTyp));
}

#[test]
fn w_17_a_key_is_published_with_a_name_that_no_other_key_has() {
    let domain = Domain::new("td");
    let served = domain.served(1);
    let elements = served["keys"].as_array().unwrap();
    let wit = elements
        .iter()
        .find(|one| one["use"] == "wit-svid")
        .unwrap();
    assert_eq!(wit["kid"], domain.wit.public().kid());
    let mut jwt = elements
        .iter()
        .find(|one| one["use"] == "jwt-svid")
        .unwrap()
        .clone();
    jwt["kid"] = wit["kid"].clone();
    let document = crate::support::read(&domain, &json!({"keys": [wit, jwt]})).unwrap();
    assert!(document.keys().is_empty(), "neither is taken");
    let nameless = with(wit, "kid", None);
    let document = crate::support::read(&domain, &json!({"keys": [nameless]})).unwrap();
    assert!(document.keys().is_empty());
}

#[test]
fn w_18_only_keys_for_wit_svids_and_only_for_who_opted_in() {
    let issued = Issued::new();
    let domain = &issued.domain;
    let token = signed(&domain.wit, &issued.header(), &issued.claims());
    let text = domain.served(1).to_string();
    let of = |incubating| {
        let document = BundleDocument::parse(domain.name.clone(), text.as_bytes(), incubating);
        judge(&token, &document.unwrap().keys().wit, 0).map(|_| ())
    };
    assert_eq!(of(Incubating::WIT_SVID), Ok(()));
    assert_eq!(of(Incubating::NONE), Err(E::UnknownKey));
    assert_eq!(of(Incubating::default()), Err(E::UnknownKey));
    assert_eq!(WIT_SVID_REVISION.len(), 40);
    let with_jwt_key = json!({"alg": "ES256", "typ": "wit+jwt", "kid": domain.jwt.public().kid()});
    let token = signed(&domain.jwt, &with_jwt_key, &issued.claims());
    let judged = judge(&token, &domain.wit_bundle(), 0);
    assert_eq!(judged, Err(E::UnknownKey));
}

/// The example of the specification's appendix A. The issuer's key was never published; the
/// arithmetic is left out.
#[test]
fn w_06_the_specifications_example_has_the_profile() {
    let token = concat!(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImxRU2kzaFpGbmRhMkQtWEprajF6bDdmb0pvdWl3STRuckF5aHk0alppSmci",
        "LCJ0eXAiOiJ3aXQrand0In0.eyJjbmYiOnsiandrIjp7ImFsZyI6IkVTMjU2IiwiY3J2IjoiUC0yNTYiLCJrdHki",
        "OiJFQyIsIngiOiJyelA3bUxDS0FIV21zTTZYMEV3VklTQ19oSTN1amN1OTVmZlVreWVER0dvIiwieSI6InVPcmZE",
        "bGp0WDltM2pZLWhzeWhMSllheHRHa3pEdjVlNWttQ2U1OFo5N2cifX0sImV4cCI6MTc2NTQ1NjUwMywiaWF0Ijox",
        "NzY1NDUyOTAzLCJqdGkiOiIxeWoxOVY0TWNPQXpNY0ZpN3F2c2dfQWdDeGxyWTVFX3g1MDl3bEtLUXRjIiwic3Vi",
        "Ijoic3BpZmZlOi8vZXhhbXBsZS5jb20vbXktd29ya2xvYWQifQ.sfhEvZNdY_kWrICF08lX0u__rn39YnTavnW-V",
        "PBS20zgowDh6-X43v5eOUKZbjZf06yLBQM-Mry5w1g1QFsCkg",
    );
    let kid = "lQSi3hZFnda2D-XJkj1zl7foJouiwI4nrAyhy4jZiJg";
    let mut stand_in = svid_key(&es256()).to_members();
    stand_in.insert("kid".to_owned(), kid.into());
    stand_in.insert("use".to_owned(), "wit-svid".into());
    let text = json!({"keys": [stand_in]}).to_string();
    let domain = "example.com".parse().unwrap();
    let document = BundleDocument::parse(domain, text.as_bytes(), Incubating::WIT_SVID).unwrap();
    let at = |seconds: u64, verifier: &dyn chancery_types::SignatureVerifier| {
        let now = Timestamp::from_seconds(seconds);
        verify_wit_svid(token, &document.keys().wit, now, Leeway::NONE, verifier)
    };
    let read = at(1_765_452_903, &Credulous).unwrap();
    assert_eq!(read.algorithm(), SvidAlgorithm::Es256);
    assert_eq!(at(1_765_456_503, &Credulous), Err(E::Expired));
    assert_eq!(at(1_765_452_903, &AwsLc), Err(E::BadSignature));
}

struct Credulous;

impl chancery_types::SignatureVerifier for Credulous {
    fn verify(&self, _: &chancery_types::Jwk, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn verify_es256_der(&self, _: &chancery_types::Jwk, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn verify_ml_dsa_44(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn verify_svid(
        &self,
        _: SvidAlgorithm,
        _: &chancery_types::SvidKey,
        _: &[u8],
        _: &[u8],
    ) -> bool {
        true
    }

    fn is_valid_key(&self, _: &chancery_types::Jwk) -> bool {
        false
    }
}
