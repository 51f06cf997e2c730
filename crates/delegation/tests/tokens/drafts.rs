use chancery_crypto::{AwsLc, KeyError};
use chancery_delegation::{ChainTip, DraftError, Entry, LinkDraft, Reason, Terms};
use chancery_types::{Digest, Jwk};
use serde_json::json;

use crate::support::*;

fn reason(made: Made) -> Reason {
    match made.unwrap_err() {
        DraftError::Refused(refusal) => refusal.reason,
        other => panic!("{other}"),
    }
}

fn src() -> Vec<Entry> {
    vec![entry(read_src())]
}

fn many() -> Vec<Entry> {
    vec![entry(read_src()); 200]
}

#[test]
fn a_root_that_no_verifier_takes_is_not_signed() {
    let draft = root_draft(src());
    let mut bad = draft.clone();
    bad.terms.expires_at = bad.terms.not_before;
    assert_eq!(reason(make_root(&bad)), Reason::Expired);
    let mut bad = draft.clone();
    bad.terms.audience = Some(Vec::new());
    assert_eq!(reason(make_root(&bad)), Reason::WrongAudience);
    let mut bad = draft.clone();
    bad.terms.audience = None;
    assert_eq!(reason(make_root(&bad)), Reason::Malformed);
    let mut bad = draft.clone();
    bad.terms.jti = "a b".to_owned();
    assert_eq!(reason(make_root(&bad)), Reason::Malformed);
    let mut bad = draft.clone();
    bad.sid = String::new();
    assert_eq!(reason(make_root(&bad)), Reason::Malformed);
    let mut bad = draft.clone();
    bad.terms.key = *PARTIES.authority.public();
    assert_eq!(reason(make_root(&bad)), Reason::Cycle);
    let mut bad = draft.clone();
    bad.terms.key = Jwk::p256([1; 32], [1; 32]);
    assert_eq!(reason(make_root(&bad)), Reason::BadKey);
    let mut bad = draft;
    bad.terms.entries = many();
    assert_eq!(reason(make_root(&bad)), Reason::TooLong);
}

#[test]
fn a_link_that_no_verifier_takes_is_not_signed() {
    let made = chain(1);
    let link = |change: &dyn Fn(&mut Terms)| {
        let mut terms = terms(2, src());
        change(&mut terms);
        reason(make_link(&made, terms))
    };
    let wide = entry(json!({"type": "mcp_tool", "server": "fs", "tool": "read_file"}));
    assert_eq!(
        link(&|t| t.entries = vec![wide.clone()]),
        Reason::ScopeEscalation
    );
    assert_eq!(
        link(&|t| t.expires_at = NOW.plus_seconds(3_541)),
        Reason::TtlEscalation
    );
    assert_eq!(
        link(&|t| t.not_before = NOW.minus_seconds(61)),
        Reason::TtlEscalation
    );
    assert_eq!(link(&|t| t.max_depth = 8), Reason::DepthEscalation);
    assert_eq!(link(&|t| t.max_depth = 1), Reason::DepthExceeded);
    assert_eq!(
        link(&|t| t.audience = Some(vec!["x".to_owned()])),
        Reason::AudienceEscalation
    );
    assert_eq!(
        link(&|t| t.subject = subject(0).parse().unwrap()),
        Reason::Cycle
    );
    assert_eq!(link(&|t| t.key = *holder(1).public()), Reason::Cycle);
    assert_eq!(
        link(&|t| t.key = Jwk::p256([1; 32], [1; 32])),
        Reason::BadKey
    );
    assert_eq!(link(&|t| t.jti = String::new()), Reason::Malformed);
    assert_eq!(link(&|t| t.forbid = many()), Reason::TooLong);
}

#[test]
fn the_ninth_link_is_not_made() {
    let made = chain(7);
    assert!(verify(&made).is_ok());
    let mut deeper = terms(8, src());
    deeper.max_depth = 7;
    assert_eq!(reason(make_link(&made, deeper)), Reason::DepthExceeded);
}

#[test]
fn a_signer_with_another_key_shows() {
    let made = chain(0);
    let tip = ChainTip::read(&[&made[0]]).unwrap();
    let draft = LinkDraft {
        terms: terms(1, src()),
    };
    let other = holder(5);
    let made = draft.sign::<KeyError>(&tip, &AwsLc, &|message| other.sign(message));
    assert_eq!(reason(made), Reason::BadSignature);
    let failed = draft.sign::<KeyError>(&tip, &AwsLc, &|_| Err(KeyError::Sign));
    assert!(matches!(failed, Err(DraftError::Sign(KeyError::Sign))));
}

#[test]
fn a_tip_is_the_same_read_or_verified() {
    let made = chain(2);
    let links: Vec<_> = made.iter().map(String::as_str).collect();
    let read = ChainTip::read(&links).unwrap();
    let verified = ChainTip::from(&verify(&made).unwrap());
    assert_eq!(read.digest(), verified.digest());
    assert_eq!(read.grant(), verified.grant());
    assert_eq!(read.audience(), verified.audience());
    assert_eq!(format!("{read:?}"), format!("{verified:?}"));
    assert_eq!(ChainTip::read(&[]).unwrap_err().reason, Reason::Malformed);
    let swapped = ChainTip::read(&[links[0], links[2]]).unwrap_err();
    assert_eq!(
        (swapped.link, swapped.reason),
        (Some(1), Reason::BrokenLink)
    );
}

#[test]
fn the_challenge_binds_every_claim_but_the_consents_digest() {
    let draft = root_draft(src());
    let challenge = draft.challenge().unwrap();
    let verified = verify(&[make_root(&draft).unwrap()]).unwrap();
    assert_eq!(verified.consent_challenge().unwrap(), challenge);
    assert_eq!(verified.principal().consent, Digest::of("consent"));
    let mut other = draft.clone();
    other.sid = "ses_2".to_owned();
    assert_ne!(other.challenge().unwrap(), challenge);
    let mut other = draft;
    other.terms.entries.clear();
    assert_ne!(other.challenge().unwrap(), challenge);
}
