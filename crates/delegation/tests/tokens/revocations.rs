use chancery_delegation::{
    ChainContext, Examination, LinkStanding, Reason, Refusal, Revocable, Revocation, RevocationSet,
    RevocationSetError, Standing, VerifiedChain, examine_chain, verify_chain,
};
use chancery_types::limits::MAX_REVOCATIONS;
use chancery_types::{Digest, RevocationKind, Timestamp, parse_strict, to_canonical};
use serde_json::{Value, json};

use crate::support::*;

/// The link, the kind and the identifier.
type Case = (usize, RevocationKind, String);

fn revoked(kind: RevocationKind, id: &str) -> Revocation {
    let what = Revocable::new(kind, id).unwrap();
    Revocation { what, at: NOW }
}

fn set(all: &[Revocation]) -> RevocationSet {
    let mut set = RevocationSet::default();
    for one in all {
        set.revoke(one).unwrap();
    }
    set
}

/// Everything that can be revoked of a root and two links.
fn cases() -> Vec<Case> {
    let person = "00u1abcd";
    assert!(Revocable::new(RevocationKind::Person, person).is_err());
    let mission = Digest::of("mission").to_string();
    let mut all = vec![(0, RevocationKind::Mission, mission)];
    for at in 0..=2 {
        let key = holder(at).public().thumbprint().to_string();
        all.extend([
            (at, RevocationKind::Token, format!("jti-{at}")),
            (at, RevocationKind::Instance, subject(at)),
            (at, RevocationKind::Key, key),
        ]);
    }
    all
}

fn judge(made: &[String], revoked: &RevocationSet) -> Result<VerifiedChain, Refusal> {
    let links: Vec<_> = made.iter().map(String::as_str).collect();
    verify_chain(&links, &context(revoked))
}

#[test]
fn every_kind_ends_the_chain_at_the_link_that_names_it() {
    let made = chain(2);
    let verified = verify(&made).unwrap();
    for (at, kind, id) in cases() {
        let gone = set(&[revoked(kind, &id)]);
        let refusal = judge(&made, &gone).unwrap_err();
        let expected = (Some(at), Reason::Revoked, Some(kind));
        assert_eq!((refusal.link, refusal.reason, refusal.revoked), expected);
        assert_eq!(
            refusal.to_string(),
            format!("refused at link {at}: revoked ({kind})")
        );
        let again = verified.recheck(&context(&gone).standing()).unwrap_err();
        assert_eq!(again, refusal);
    }
}

#[test]
fn an_agent_takes_all_its_instances_along() {
    let made = chain(2);
    let agent = "spiffe://acme.example/agent/worker";
    let refusal = judge(&made, &set(&[revoked(RevocationKind::Agent, agent)])).unwrap_err();
    assert_eq!(refusal.revoked, Some(RevocationKind::Agent));
    assert_eq!(refusal.link, Some(0));
    for other in [
        "spiffe://acme.example/agent/work",
        "spiffe://acme.example/agent/worker/instance0",
        "spiffe://acme.example/agent",
        "spiffe://other.example/agent/worker",
    ] {
        let others = set(&[revoked(RevocationKind::Agent, other)]);
        assert!(judge(&made, &others).is_ok(), "{other}");
    }
}

#[test]
fn sessions_and_people_end_what_is_rooted_in_them() {
    let (session, person) = (
        "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "per_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    );
    let mut draft = root_draft(vec![entry(read_src())]);
    draft.sid = session.to_owned();
    draft.person.subject = person.to_owned();
    let mut made = vec![make_root(&draft).unwrap()];
    made.push(make_link(&made, terms(1, vec![entry(read_src())])).unwrap());
    let verified = verify(&made).unwrap();
    for (kind, id) in [
        (RevocationKind::Session, session),
        (RevocationKind::Person, person),
    ] {
        let gone = set(&[revoked(kind, id)]);
        let refusal = judge(&made, &gone).unwrap_err();
        assert_eq!((refusal.link, refusal.revoked), (Some(0), Some(kind)));
        let again = verified.recheck(&context(&gone).standing());
        assert_eq!(again.unwrap_err(), refusal);
        let other = id.replace("7z", "6z");
        assert!(judge(&made, &set(&[revoked(kind, &other)])).is_ok());
    }
}

#[test]
fn an_identifier_is_of_its_kind_only() {
    let made = chain(2);
    for (_, kind, id) in cases() {
        for other in RevocationKind::ALL {
            if other != kind
                && let Ok(what) = Revocable::new(other, &id)
            {
                let elsewhere = set(&[Revocation { what, at: NOW }]);
                assert!(judge(&made, &elsewhere).is_ok(), "{kind} {id} as {other}");
            }
        }
    }
}

#[test]
fn the_epoch_ends_every_older_chain() {
    let verified = verify(&chain(2)).unwrap();
    let standing = |now, epoch| Standing {
        now,
        epoch,
        revoked: RevocationSet::none(),
    };
    assert_eq!(verified.recheck(&standing(NOW, EPOCH)), Ok(()));
    for (now, epoch, reason) in [
        (NOW, EPOCH + 1, Reason::StaleEpoch),
        (NOW, EPOCH - 1, Reason::StaleEpoch),
        (verified.expires_at(), EPOCH, Reason::Expired),
        (NOW.minus_seconds(61), EPOCH, Reason::NotYetValid),
    ] {
        let refusal = verified.recheck(&standing(now, epoch)).unwrap_err();
        assert_eq!(refusal.reason, reason);
    }
}

#[test]
fn identifiers_have_one_spelling() {
    use RevocationKind::{Agent, Consent, Instance, Key, Mission, Person, Session, Token};
    let long = "x".repeat(129);
    let upper = Digest::of("k").to_string().to_uppercase();
    for (kind, id) in [
        (Token, ""),
        (Token, "a b"),
        (Token, "é"),
        (Token, &long),
        (Session, "ses_1"),
        (Session, "SES_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        (Session, "per_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        (Mission, "sha256:00"),
        (Mission, &upper),
        (Agent, "acme.example/agent/worker"),
        (Agent, "spiffe://acme.example/agent/worker/instance/1"),
        (Agent, "SPIFFE://acme.example/agent/worker"),
        (Instance, "spiffe://ACME.example/agent/worker/instance/1"),
        (Person, "alice"),
        (Key, "kid"),
        (Consent, "cns_1"),
        (Consent, "CNS_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        (Consent, "per_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
    ] {
        let refused = Revocable::new(kind, id).unwrap_err();
        assert_eq!(refused.kind, kind, "{id}");
        let said = refused.to_string();
        let begin: String = id.chars().take(64).collect();
        assert!(
            said.starts_with(&format!("{begin:?} names no {kind}: ")),
            "{said}"
        );
    }
    // A whole token in the place of its id is not said again.
    let token = format!("eyJ{}.secret", "a".repeat(200));
    let said = Revocable::new(Token, &token).unwrap_err().to_string();
    assert!(!said.contains("secret"), "{said}");
}

fn read(value: &Value) -> Result<RevocationSet, serde_json::Error> {
    serde_json::from_value(value.clone())
}

#[test]
fn a_set_is_written_one_way_and_read_strictly() {
    let all = set(&[
        revoked(RevocationKind::Token, "b"),
        revoked(RevocationKind::Person, "per_7zzzzzzzzzzzzzzzzzzzzzzzzz"),
        revoked(RevocationKind::Token, "a"),
    ]);
    let bytes = to_canonical(&all).unwrap();
    let value = parse_strict(&bytes).unwrap();
    let at = NOW.as_micros();
    assert_eq!(
        value,
        json!([
            {"kind": "token", "id": "a", "at": at},
            {"kind": "token", "id": "b", "at": at},
            {"kind": "person", "id": "per_7zzzzzzzzzzzzzzzzzzzzzzzzz", "at": at}
        ])
    );
    assert_eq!(read(&value).unwrap(), all);
    assert_eq!(all.digest().unwrap(), Digest::of(&bytes));
    let items = value.as_array().unwrap();
    let reversed: Value = items.iter().rev().cloned().collect();
    let twice = json!([items[0], items[0]]);
    let mut unknown = value.clone();
    unknown[0]["why"] = json!("x");
    let mut kind = value.clone();
    kind[0]["kind"] = json!("epoch");
    let mut id = value.clone();
    id[2]["id"] = json!("bob");
    let mut missing = value.clone();
    missing[0].as_object_mut().unwrap().remove("at");
    for bad in [reversed, twice, unknown, kind, id, missing, json!({})] {
        assert!(read(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_set_is_bounded() {
    let one = |number: usize| revoked(RevocationKind::Token, &format!("t{number:05}"));
    let mut full = set(&(0..MAX_REVOCATIONS).map(one).collect::<Vec<_>>());
    assert_eq!(full.len(), MAX_REVOCATIONS);
    let more = one(MAX_REVOCATIONS);
    assert_eq!(full.revoke(&more), Err(RevocationSetError::TooMany));
    assert_eq!(full.revoke(&one(0)), Ok(()));
    let all: Vec<_> = full.iter().chain([more]).collect();
    assert_eq!(
        RevocationSet::try_from(all),
        Err(RevocationSetError::TooMany)
    );
}

#[test]
fn only_what_ends_within_the_hour_is_dropped() {
    for kind in RevocationKind::ALL {
        let id = match kind {
            RevocationKind::Token => "t".to_owned(),
            RevocationKind::Session => "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
            RevocationKind::Person => "per_7zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
            RevocationKind::Consent => "cns_7zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
            RevocationKind::Mission | RevocationKind::Key => Digest::of("x").to_string(),
            RevocationKind::Agent => "spiffe://acme.example/agent/worker".to_owned(),
            RevocationKind::Instance => subject(0),
        };
        let short = matches!(
            kind,
            RevocationKind::Token | RevocationKind::Session | RevocationKind::Instance
        );
        let one = revoked(kind, &id);
        let last = NOW.plus_seconds(3_899);
        let over = NOW.plus_seconds(3_900);
        assert!(one.matters(NOW) && one.matters(last), "{kind}");
        assert_eq!(one.matters(over), !short, "{kind}");
        let mut kept = set(std::slice::from_ref(&one));
        kept.settle(last);
        assert_eq!(kept.len(), 1);
        kept.settle(over);
        assert_eq!(kept.is_empty(), short, "{kind}");
        let mut next = set(std::slice::from_ref(&one));
        next.begin_epoch();
        let ends = matches!(kind, RevocationKind::Token | RevocationKind::Session);
        assert_eq!(next.is_empty(), ends, "{kind}");
    }
}

#[test]
fn a_lift_names_the_very_revocation() {
    let early = revoked(RevocationKind::Token, "t");
    let late = Revocation {
        at: NOW.plus_seconds(1),
        ..early.clone()
    };
    let mut known = set(&[early.clone(), late.clone(), early.clone()]);
    assert_eq!(known.since(RevocationKind::Token, "t"), Some(late.at));
    assert!(!known.lift(&early));
    assert!(known.has_token("t"));
    assert!(known.lift(&late));
    assert!(!known.lift(&late));
    assert!(known.is_empty());
    assert_eq!(known, RevocationSet::default());
}

fn stands(made: &[String], revoked: &RevocationSet, now: Timestamp) -> Examination {
    let links: Vec<_> = made.iter().map(String::as_str).collect();
    let context = ChainContext {
        now,
        ..context(revoked)
    };
    let found = examine_chain(&links, &context);
    // What is said of the whole is what verification says.
    let verified = verify_chain(&links, &context).err();
    assert_eq!(found.refusal.is_some(), verified.is_some());
    found
}

#[test]
fn each_link_is_told_where_it_stands() {
    use LinkStanding::{ParentGone, Refused, Stands};
    let made = chain(2);
    let none = RevocationSet::none();
    let whole = stands(&made, none, NOW);
    assert_eq!((whole.links, whole.refusal), (vec![Stands; 3], None));
    let middle = set(&[revoked(RevocationKind::Token, "jti-1")]);
    let refused = |reason, revoked| Refused { reason, revoked };
    let gone = refused(Reason::Revoked, Some(RevocationKind::Token));
    let told = stands(&made, &middle, NOW);
    assert_eq!(told.links, [Stands, gone, ParentGone]);
    assert_eq!(told.refusal.unwrap().link, Some(1));
    // The leaf is over a minute before its parent.
    let late = NOW.plus_seconds(3_600 - 120);
    let over = refused(Reason::Expired, None);
    assert_eq!(stands(&made, none, late).links, [Stands, Stands, over]);
    let told = stands(&made, &middle, late);
    assert_eq!(told.links, [Stands, gone, over]);
    assert_eq!(told.refusal.unwrap().link, Some(1));
    let reading = told.reading.unwrap();
    assert_eq!(reading.digest(), Digest::of(made.join(",")));
    let found = reading.withdrawn(EPOCH, &middle).unwrap();
    assert_eq!((found.link, found.reason), (Some(1), Reason::Revoked));
    let found = reading.withdrawn(EPOCH + 1, none).unwrap();
    assert_eq!((found.link, found.reason), (Some(0), Reason::StaleEpoch));
    assert_eq!(reading.withdrawn(EPOCH, none), None);
}

#[test]
fn nothing_stands_that_nobody_made() {
    use LinkStanding::{ParentGone, Refused, Stands};
    let none = RevocationSet::none();
    let forged = altered(&chain(2), 1, |claims| {
        claims.insert("exp".into(), json!(NOW.plus_seconds(9_999).as_seconds()));
    });
    let told = stands(&forged, none, NOW);
    let escalated = Refused {
        reason: Reason::TtlEscalation,
        revoked: None,
    };
    assert_eq!(told.links, [Stands, escalated]);
    let mut swapped = chain(2);
    swapped[0].push('A');
    let told = stands(&swapped, none, NOW);
    assert!(told.refusal.is_some());
    assert!(!told.links.contains(&Stands));
    let mut foreign = chain(1);
    let key = holder(5);
    foreign[0] = forge(key, "adt+jwt", &claims(&foreign[0]));
    let told = stands(&foreign, none, NOW);
    assert_eq!(told.refusal.unwrap().reason, Reason::UntrustedRoot);
    assert_eq!(told.links[1], ParentGone);
    assert!(stands(&["x".to_owned()], none, NOW).links.is_empty());
}
