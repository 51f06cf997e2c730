use chancery_delegation::{
    ChainContext, Reason, Refusal, RevocationSet, TrustAnchor, verify_chain,
};
use chancery_types::jws::Compact;
use chancery_types::{Digest, base64url};
use serde_json::{Map, Value, json};

use crate::support::*;

fn refused(chain: &[String]) -> (Option<usize>, Reason) {
    let Refusal { reason, link, .. } = verify(chain).unwrap_err();
    (link, reason)
}

/// Sets a member, addressed by a pointer, of the claims of one link of a chain of two links.
fn with(at: usize, pointer: &str, value: Value) -> Vec<String> {
    altered(&chain(2), at, |members| {
        let mut claims = Value::Object(std::mem::take(members));
        match claims.pointer_mut(pointer) {
            Some(member) => *member = value,
            None => {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                claims.pointer_mut(parent).unwrap()[name] = value;
            }
        }
        *members = claims.as_object().unwrap().clone();
    })
}

#[test]
fn what_was_made_is_verified() {
    for links in 0..=4 {
        let made = chain(links);
        let verified = verify(&made).unwrap();
        assert_eq!(verified.links().len(), links + 1);
        assert_eq!(verified.leaf_subject().as_str(), subject(links));
        assert_eq!(verified.leaf_key(), holder(links).public());
        assert_eq!(verified.digest(), Digest::of(made.join(",")));
        assert_eq!(verified.sid(), "ses_1");
        assert_eq!(verified.expires_at(), terms(links, Vec::new()).expires_at);
        for (at, link) in verified.links().enumerate() {
            assert_eq!(link.token(), made[at]);
            assert_eq!(
                (link.depth(), link.jti()),
                (at as u64, &*format!("jti-{at}"))
            );
        }
    }
}

#[test]
fn each_claim_has_its_reason() {
    let wide = json!([{"type": "mcp_tool", "server": "fs", "tool": "read_file"}]);
    let none_such = json!([{"type": "mcp_tool", "server": "fs", "tool": "*"}]);
    for (at, pointer, value, reason) in [
        (
            0,
            "/iss",
            json!("https://other.example"),
            Reason::UntrustedRoot,
        ),
        (
            0,
            "/sub",
            json!("https://acme.example/a"),
            Reason::Malformed,
        ),
        (0, "/sub", json!("spiffe://acme.example"), Reason::Malformed),
        (
            0,
            "/sub",
            json!("spiffe://ACME.example/a"),
            Reason::Malformed,
        ),
        (
            0,
            "/aud",
            json!(["spiffe://acme.example/other"]),
            Reason::WrongAudience,
        ),
        (0, "/aud", json!([]), Reason::WrongAudience),
        (0, "/aud", json!(GATEWAY), Reason::Malformed),
        (0, "/exp", json!(NOW.as_seconds()), Reason::Expired),
        (0, "/exp", json!(1.9e9), Reason::Malformed),
        (0, "/exp", json!(-1), Reason::Malformed),
        (0, "/exp", json!(true), Reason::Malformed),
        (0, "/exp", json!("1900000000"), Reason::Malformed),
        (0, "/exp", json!(u64::MAX), Reason::Malformed),
        (0, "/nbf", json!(NOW.as_seconds() + 1), Reason::NotYetValid),
        (0, "/jti", json!(""), Reason::Malformed),
        (0, "/jti", json!("a b"), Reason::Malformed),
        (0, "/jti", json!("j".repeat(129)), Reason::Malformed),
        (0, "/ep", json!(6), Reason::StaleEpoch),
        (0, "/ep", json!(8), Reason::StaleEpoch),
        (0, "/prn/role", json!("admin"), Reason::Malformed),
        (0, "/prn/apr", json!("AA"), Reason::Malformed),
        (0, "/mission_s256", json!("AA"), Reason::Malformed),
        (0, "/del_depth", json!(1), Reason::BadDepth),
        (0, "/par_hash", json!("AA"), Reason::Malformed),
        (
            0,
            "/cnf/jwk/x",
            json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            Reason::BadKey,
        ),
        (0, "/cnf/jwk/d", json!("AA"), Reason::BadKey),
        (0, "/cnf/kid", json!("a"), Reason::Malformed),
        (0, "/admin", json!(true), Reason::Malformed),
        (0, "/authorization_details", json!({}), Reason::Malformed),
        (1, "/iss", json!(subject(5)), Reason::BrokenLink),
        (
            1,
            "/par_hash",
            json!(Digest::of("x").to_base64url()),
            Reason::BrokenLink,
        ),
        (1, "/del_depth", json!(2), Reason::BadDepth),
        (1, "/del_depth", json!(0), Reason::BadDepth),
        (1, "/del_max_depth", json!(8), Reason::DepthEscalation),
        (1, "/del_max_depth", json!(0), Reason::DepthExceeded),
        (
            1,
            "/exp",
            json!(NOW.as_seconds() + 3_601),
            Reason::TtlEscalation,
        ),
        (
            1,
            "/nbf",
            json!(NOW.as_seconds() - 61),
            Reason::TtlEscalation,
        ),
        (1, "/nbf", json!(NOW.as_seconds() + 1), Reason::NotYetValid),
        (1, "/exp", json!(NOW.as_seconds()), Reason::Expired),
        (
            1,
            "/aud",
            json!([GATEWAY, "spiffe://evil.example/gw"]),
            Reason::AudienceEscalation,
        ),
        (1, "/aud", json!([]), Reason::WrongAudience),
        (1, "/sid", json!("ses_1"), Reason::InheritedClaimRestated),
        (1, "/ep", json!(EPOCH), Reason::InheritedClaimRestated),
        (1, "/prn", json!({}), Reason::InheritedClaimRestated),
        (
            1,
            "/mission_s256",
            json!(""),
            Reason::InheritedClaimRestated,
        ),
        (1, "/authorization_details", wide, Reason::ScopeEscalation),
        (
            1,
            "/authorization_details",
            none_such,
            Reason::ConstraintUnknown,
        ),
        (
            1,
            "/forbid",
            json!([{"type": "shell"}]),
            Reason::ConstraintUnknown,
        ),
        (1, "/ask", json!({}), Reason::Malformed),
        (2, "/sub", json!(subject(0)), Reason::Cycle),
        (2, "/cnf/jwk", json!(holder(0).public()), Reason::Cycle),
        (
            2,
            "/cnf/jwk",
            json!(PARTIES.authority.public()),
            Reason::Cycle,
        ),
    ] {
        let found = refused(&with(at, pointer, value.clone()));
        assert_eq!(found, (Some(at), reason), "link {at} {pointer} {value}");
    }
}

#[test]
fn a_p256_key_off_its_curve_is_no_holder() {
    let coordinate = base64url::encode([1; 32]);
    let key =
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": coordinate, "y": coordinate});
    assert_eq!(
        refused(&with(1, "/cnf/jwk", key)),
        (Some(1), Reason::BadKey)
    );
}

#[test]
fn no_claim_may_be_left_out() {
    let made = chain(1);
    for at in 0..=1 {
        for name in claims(&made[at]).keys() {
            let without = altered(&made, at, |members| drop(members.remove(name)));
            assert!(verify(&without).is_err(), "link {at} without {name}");
        }
    }
    for name in claims(&made[0])["prn"].as_object().unwrap().keys() {
        let without = altered(&made, 0, |members| {
            members["prn"].as_object_mut().unwrap().remove(name);
        });
        assert_eq!(
            refused(&without),
            (Some(0), Reason::Malformed),
            "prn without {name}"
        );
    }
}

#[test]
fn limits_hold_before_anything_is_read() {
    assert_eq!(refused(&[]), (None, Reason::Malformed));
    let nine: Vec<_> = (0..9).map(|_| "x".to_owned()).collect();
    assert_eq!(refused(&nine), (None, Reason::TooLong));
    assert_eq!(refused(&nine[..8]), (Some(0), Reason::Malformed));
    assert_eq!(refused(&["x".repeat(16_385)]), (None, Reason::TooLong));
    let two = ["x".repeat(8_192), "x".repeat(8_192)];
    assert_eq!(refused(&two), (None, Reason::TooLong));
}

#[test]
fn another_type_or_header_is_no_link() {
    let made = chain(1);
    let root = claims(&made[0]);
    let typed = |typ| vec![forge(&PARTIES.authority, typ, &root)];
    assert_eq!(refused(&typed("JWT")), (Some(0), Reason::WrongTyp));
    assert_eq!(refused(&typed("ADT+JWT")), (Some(0), Reason::WrongTyp));
    assert_eq!(refused(&typed("adt-pop+jwt")), (Some(0), Reason::WrongTyp));
    let with_header = |header: Value| {
        let (_, rest) = made[0].split_once('.').unwrap();
        vec![format!("{}.{rest}", base64url::encode(header.to_string()))]
    };
    let kid = PARTIES.authority.public().kid();
    for (header, reason) in [
        (
            json!({"alg": "none", "typ": "adt+jwt", "kid": kid}),
            Reason::AlgNotAllowed,
        ),
        (
            json!({"alg": "HS256", "typ": "adt+jwt", "kid": kid}),
            Reason::AlgNotAllowed,
        ),
        (
            json!({"alg": "EdDSA", "typ": "adt+jwt", "kid": kid}),
            Reason::AlgNotAllowed,
        ),
        (
            json!({"alg": "ES256", "typ": "adt+jwt", "kid": kid}),
            Reason::AlgNotAllowed,
        ),
        (
            json!({"alg": "Ed25519", "typ": "adt+jwt"}),
            Reason::Malformed,
        ),
        (
            json!({"alg": "Ed25519", "typ": "adt+jwt", "kid": kid, "jwk": {}}),
            Reason::Malformed,
        ),
        (
            json!({"alg": "Ed25519", "typ": "adt+jwt", "kid": "other"}),
            Reason::UntrustedRoot,
        ),
    ] {
        assert_eq!(
            refused(&with_header(header.clone())),
            (Some(0), reason),
            "{header}"
        );
    }
}

#[test]
fn only_the_parents_key_signs() {
    let made = chain(2);
    let mallory = forge(holder(7), "adt+jwt", &claims(&made[1]));
    assert_eq!(
        refused(&[made[0].clone(), mallory]),
        (Some(1), Reason::BadSignature)
    );
    let root = forge(holder(7), "adt+jwt", &claims(&made[0]));
    assert_eq!(refused(&[root]), (Some(0), Reason::UntrustedRoot));
    // Under the name of the key that should have signed.
    let named = |at: usize| {
        let (input, _) = made[at].rsplit_once('.').unwrap();
        let signature = holder(7).sign(input.as_bytes()).unwrap();
        let mut chain = made[..=at].to_vec();
        chain[at] = chancery_types::jws::assemble(input, &signature);
        chain
    };
    for at in 0..=2 {
        assert_eq!(refused(&named(at)), (Some(at), Reason::BadSignature));
    }
    assert_eq!(
        refused(&[made[0].clone(), made[2].clone()]),
        (Some(1), Reason::BadSignature)
    );
    assert_eq!(
        refused(&[made[0].clone(), made[0].clone()]),
        (Some(1), Reason::BadSignature)
    );
    assert_eq!(refused(&made[1..]), (Some(0), Reason::UntrustedRoot));
}

#[test]
fn a_link_belongs_to_one_parent() {
    let made = chain(1);
    let mut other = root_draft(vec![entry(read_src())]);
    other.sid = "ses_2".to_owned();
    let other = make_root(&other).unwrap();
    assert_eq!(
        refused(&[other, made[1].clone()]),
        (Some(1), Reason::BrokenLink)
    );
}

#[test]
fn every_flipped_character_is_refused() {
    let made = chain(1);
    for at in 0..=1 {
        for position in 0..made[at].len() {
            let mut bytes = made[at].clone().into_bytes();
            bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
            let mut bad = made.clone();
            bad[at] = String::from_utf8(bytes).unwrap();
            assert!(verify(&bad).is_err(), "link {at} character {position}");
        }
    }
}

#[test]
fn an_es256_signature_has_one_encoding() {
    let made = chain(3);
    let token = &made[3];
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = base64url::decode(signature).unwrap();
    assert_eq!(signature.len(), 64);
    for bad in [
        holder(2).sign_der(input.as_bytes()).unwrap(),
        [&signature[..], &[0]].concat(),
        [&[0; 32], &signature[32..]].concat(),
        [&signature[..32], &[0; 32]].concat(),
        Vec::new(),
    ] {
        let mut chain = made.clone();
        chain[3] = format!("{input}.{}", base64url::encode(bad));
        assert_eq!(refused(&chain), (Some(3), Reason::BadSignature));
    }
}

/// The order of the group (RFC 8032 section 5.1), little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn an_ed25519_signature_has_one_encoding() {
    let made = chain(1);
    let (input, signature) = made[1].rsplit_once('.').unwrap();
    let signature = base64url::decode(signature).unwrap();
    let (point, scalar) = signature.split_at(32);
    let mut carry = 0_u16;
    let malleated: Vec<u8> = scalar
        .iter()
        .zip(ORDER)
        .map(|(one, other)| {
            carry += u16::from(*one) + u16::from(other);
            let byte = carry.to_le_bytes()[0];
            carry >>= 8;
            byte
        })
        .collect();
    for bad in [
        [point, &malleated].concat(),
        [&signature[..], &[0]].concat(),
        signature[..63].to_vec(),
        [point, &[0; 32]].concat(),
    ] {
        let mut chain = made.clone();
        chain[1] = format!("{input}.{}", base64url::encode(bad));
        assert_eq!(refused(&chain), (Some(1), Reason::BadSignature));
    }
}

#[test]
fn a_digest_is_no_signature() {
    let made = chain(3);
    for at in [0, 1, 3] {
        let (input, _) = made[at].rsplit_once('.').unwrap();
        let digest = Digest::of(input);
        let doubled = [digest.as_bytes().as_slice(), digest.as_bytes()].concat();
        for bad in [digest.as_bytes().to_vec(), doubled, Vec::new(), vec![0; 64]] {
            let mut chain = made.clone();
            chain[at] = format!("{input}.{}", base64url::encode(bad));
            assert_eq!(refused(&chain), (Some(at), Reason::BadSignature));
        }
    }
}

#[test]
fn duplicate_members_are_refused() {
    let made = chain(0);
    let token = Compact::parse(&made[0]).unwrap();
    let text = Value::Object(token.claims.clone()).to_string();
    let doubled = text.replacen('{', r#"{"exp":9999999999,"#, 1);
    let (header, _) = token.signing_input().split_once('.').unwrap();
    let input = format!("{header}.{}", base64url::encode(doubled));
    let signature = PARTIES.authority.sign(input.as_bytes()).unwrap();
    let token = chancery_types::jws::assemble(&input, &signature);
    assert_eq!(refused(&[token]), (Some(0), Reason::Malformed));
    assert_eq!(
        refused(&[forge(&PARTIES.authority, "adt+jwt", &Map::new())]),
        (Some(0), Reason::Malformed)
    );
}

#[test]
fn one_key_may_speak_for_two_authorities_and_for_no_third() {
    let made = chain(0);
    let anchor = |issuer: &str| TrustAnchor {
        issuer: issuer.to_owned(),
        key: *PARTIES.authority.public(),
    };
    let judged = |anchors: &[TrustAnchor]| {
        let known = ChainContext {
            anchors,
            ..context(RevocationSet::none())
        };
        verify_chain(&[&made[0]], &known).map(drop)
    };
    assert_eq!(
        judged(&[anchor("https://first.example"), anchor(ISSUER)]),
        Ok(())
    );
    let untrusted = Err(Refusal {
        reason: Reason::UntrustedRoot,
        link: Some(0),
        revoked: None,
    });
    assert_eq!(judged(&[anchor("https://first.example")]), untrusted);
    assert_eq!(judged(&[]), untrusted);
}
