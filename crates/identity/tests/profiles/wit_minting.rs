//! What WIT-SVIDs look like that workloads are handed, and which are not made.

use chancery_crypto::{AwsLc, SigningKey};
use chancery_identity::wit::{Confirmation, WitBundle};
use chancery_identity::wit_svid::{MAX_WIT_SVID_SECONDS, WitSvidDraftError as E};
use chancery_identity::{SpiffeId, WitError, WitSvidClaims, verify_wit};
use chancery_types::id::CredentialId;
use chancery_types::jws::assemble;
use chancery_types::{Algorithm, base64url};

use crate::support::{Domain, NOW, es256, now};
use crate::wits::judge;

fn claims(holder: &SigningKey) -> WitSvidClaims {
    WitSvidClaims {
        cnf: Confirmation {
            jwk: *holder.public(),
        },
        exp: NOW + 300,
        iat: NOW,
        jti: CredentialId::from_random([1; 16]),
        sub: "spiffe://td/agent/a/instance/ins_00000000000000000000000000"
            .parse()
            .unwrap(),
    }
}

fn token(domain: &Domain, claims: &WitSvidClaims) -> String {
    let input = claims.signing_input(domain.wit.public()).unwrap();
    assemble(&input, &domain.wit.sign(input.as_bytes()).unwrap())
}

#[test]
fn w_04_a_header_of_ours_has_three_members() {
    let (domain, holder) = (Domain::new("td"), es256());
    let token = token(&domain, &claims(&holder));
    let (header, _) = token.split_once('.').unwrap();
    let header = String::from_utf8(base64url::decode(header).unwrap()).unwrap();
    let kid = domain.wit.public().kid();
    let expected = format!(r#"{{"alg":"ES256","typ":"wit+jwt","kid":"{kid}"}}"#);
    assert_eq!(header, expected);
    let svid = judge(&token, &domain.wit_bundle(), 0).unwrap();
    let proof = holder.sign(b"challenge").unwrap();
    let svid = svid.prove(b"challenge", &proof, &AwsLc).unwrap();
    assert_eq!(*svid.spiffe_id(), claims(&holder).sub);
}

#[test]
fn w_06_a_workloads_own_wit_svid_is_no_agent_credential() {
    let (domain, holder) = (Domain::new("td"), es256());
    let token = token(&domain, &claims(&holder));
    assert!(judge(&token, &domain.wit_bundle(), 0).is_ok());
    // Handshakes and gateways take what the same key signed only where it says what an agent is.
    let bundle = WitBundle::new(domain.name.clone(), [*domain.wit.public()]);
    let refused = verify_wit(&token, &bundle, now(), &AwsLc);
    assert_eq!(refused, Err(WitError::Claims));
}

#[track_caller]
fn refused(change: impl FnOnce(&mut WitSvidClaims)) -> E {
    let mut claims = claims(&es256());
    change(&mut claims);
    claims
        .signing_input(Domain::new("td").wit.public())
        .unwrap_err()
}

#[test]
fn w_06_none_is_bound_to_a_key_that_signs_with_none_of_the_nine() {
    let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let refusal = refused(|claims| claims.cnf.jwk = *ed25519.public());
    assert!(matches!(refusal, E::Holder));
    let refusal = claims(&es256()).signing_input(ed25519.public());
    assert!(matches!(refusal, Err(E::Authority)));
}

#[test]
fn w_08_none_lives_longer_than_an_hour() {
    let refusal = refused(|claims| claims.exp = NOW + MAX_WIT_SVID_SECONDS + 1);
    assert!(matches!(refusal, E::TooLong));
    for exp in [NOW, NOW - 1] {
        let refusal = refused(|claims| claims.exp = exp);
        assert!(matches!(refusal, E::Lifetime));
    }
}

#[test]
fn w_05_none_is_for_what_is_no_workload() {
    let refusal = refused(|claims| claims.sub = "spiffe://td".parse().unwrap());
    assert!(matches!(refusal, E::NoPath));
    let long: SpiffeId = format!("spiffe://td/{}", "a".repeat(2_048))
        .parse()
        .unwrap();
    let refusal = refused(|claims| claims.sub = long);
    assert!(matches!(refusal, E::Subject));
}
