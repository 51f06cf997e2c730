use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Assertion, AssertionError, ConsentArtefact, ConsentError, Credential, Reason, Revocable,
    Revocation, RevocationSet, RootDraft, SignedStanding, SoftwareAuthenticator, StandingError,
    StandingForm, StandingReason, StandingStatement, StandingUse, verify_chain, verify_consent,
};
use chancery_types::id::{ConsentId, PersonId};
use chancery_types::{Algorithm, Digest, RevocationKind, parse_strict};
use serde_json::{Value, json};

use crate::support::*;

fn person() -> PersonId {
    PersonId::from_random([3; 16])
}

fn statement() -> StandingStatement {
    StandingStatement {
        standing: StandingForm::V1,
        id: ConsentId::from_random([4; 16]),
        issuer: ISSUER.to_owned(),
        person: person(),
        signed_at: NOW.minus_seconds(600),
        epoch: EPOCH,
        mission: Digest::of("mission"),
        agent: "spiffe://acme.example/agent/worker".parse().unwrap(),
        gateway: GATEWAY.to_owned(),
        entries: vec![read_src()],
        max_uses: 3,
        max_seconds: 3_600,
        max_depth: 7,
        expires_at: NOW.plus_seconds(86_400),
    }
}

fn assertion(key: &SigningKey, challenge: &Digest) -> Assertion {
    let mut device = SoftwareAuthenticator::new("cred", "localhost", "http://localhost", 0);
    device
        .assert(challenge, |bytes| key.sign_der(bytes))
        .unwrap()
}

fn signed(key: &SigningKey, statement: StandingStatement) -> ConsentArtefact {
    let assertion = assertion(key, &statement.challenge().unwrap());
    SignedStanding {
        statement,
        assertion,
    }
    .into()
}

const fn used(consent: ConsentId, number: u64) -> Option<StandingUse> {
    Some(StandingUse { consent, number })
}

/// A root that is the second use of the standing consent, and lives as long as that lets one.
fn draft() -> RootDraft {
    let mut draft = root_draft(vec![entry(read_src())]);
    draft.terms.expires_at = NOW.plus_seconds(3_540);
    draft.person.issuer = ISSUER.to_owned();
    draft.person.subject = person().to_string();
    draft.person.standing = used(statement().id, 2);
    draft
}

fn token(draft: &RootDraft, artefact: &[u8]) -> String {
    let authority = &PARTIES.authority;
    let consent = Digest::of(artefact);
    let signed = draft.sign(consent, authority.public(), &AwsLc, &|message| {
        authority.sign(message)
    });
    signed.unwrap()
}

/// What a verifier makes of a root and what it comes with.
fn verdict(
    key: &SigningKey,
    draft: &RootDraft,
    artefact: &ConsentArtefact,
) -> Result<Option<StandingUse>, ConsentError> {
    let bytes = artefact.to_bytes().unwrap();
    let chain = verify(&[token(draft, &bytes)]).unwrap();
    let credential = Credential {
        credential_id: "cred",
        key: key.public(),
        rp_id: "localhost",
        origin: "http://localhost",
        last_counter: None,
    };
    let consent = verify_consent(&chain, &bytes, &credential, &AwsLc)?;
    Ok(consent.standing())
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

#[test]
fn a_root_within_a_standing_consent_names_it_and_its_use() {
    let key = key();
    let artefact = signed(&key, statement());
    let found = verdict(&key, &draft(), &artefact).unwrap();
    assert_eq!(found, used(statement().id, 2));
    assert_eq!(draft().check_standing(&statement()), Ok(()));
    let bytes = artefact.to_bytes().unwrap();
    assert_eq!(ConsentArtefact::parse(&bytes).unwrap(), artefact);
    // A draft round-trips with its use, and the use is part of what is signed.
    let claims = draft().to_claims().unwrap();
    let read = RootDraft::from_claims(claims.as_bytes()).unwrap();
    assert_eq!(read.person.standing, draft().person.standing);
    let mut other = draft();
    other.person.standing = used(statement().id, 1);
    assert_ne!(draft().challenge(), other.challenge());
    // The last use, and one by a root with less depth, a shorter life and less to do below.
    let mut last = draft();
    last.person.standing = used(statement().id, 3);
    last.terms.max_depth = 0;
    last.terms.expires_at = NOW.plus_seconds(1);
    last.terms.forbid = vec![entry(read_src())];
    assert!(verdict(&key, &last, &artefact).is_ok());
}

type Change = fn(&mut RootDraft);

const BEYOND: [(Change, StandingReason); 19] = [
    (
        |d| d.person.standing = used(ConsentId::from_random([5; 16]), 2),
        StandingReason::Other,
    ),
    (
        |d| d.person.subject = PersonId::from_random([9; 16]).to_string(),
        StandingReason::Person,
    ),
    (
        |d| d.person.issuer = "https://other.example".to_owned(),
        StandingReason::Person,
    ),
    (
        |d| d.person.authenticated_at = NOW.minus_seconds(60),
        StandingReason::Person,
    ),
    (|d| d.mission = Digest::of("other"), StandingReason::Mission),
    (
        |d| {
            d.terms.subject = "spiffe://acme.example/agent/workers/instance/1"
                .parse()
                .unwrap()
        },
        StandingReason::Agent,
    ),
    (
        |d| {
            d.terms.subject = "spiffe://acme.example/agent/worker/sub/instance/1"
                .parse()
                .unwrap()
        },
        StandingReason::Agent,
    ),
    (
        |d| d.terms.subject = "spiffe://acme.example/agent/worker".parse().unwrap(),
        StandingReason::Agent,
    ),
    (
        |d| {
            let other = "spiffe://acme.example/service/gateway/other".to_owned();
            d.terms.audience = Some(vec![GATEWAY.to_owned(), other]);
        },
        StandingReason::Gateway,
    ),
    (
        |d| {
            let wider = json!({"type": "mcp_tool", "server": "fs", "tool": "read_file"});
            d.terms.entries = vec![entry(wider)];
        },
        StandingReason::Scope,
    ),
    // The same twice would have its limits twice.
    (
        |d| d.terms.entries.push(entry(read_src())),
        StandingReason::Scope,
    ),
    (|d| d.terms.entries.clear(), StandingReason::Scope),
    (
        |d| d.terms.expires_at = d.terms.expires_at.plus_seconds(1),
        StandingReason::Lifetime,
    ),
    // A life is counted from the earlier of both beginnings.
    (
        |d| d.terms.issued_at = d.terms.issued_at.minus_seconds(1),
        StandingReason::Lifetime,
    ),
    (
        |d| d.terms.not_before = d.terms.not_before.minus_seconds(1),
        StandingReason::Lifetime,
    ),
    (|d| d.terms.max_depth = 8, StandingReason::Depth),
    (
        |d| d.person.standing = used(statement().id, 4),
        StandingReason::UsedUp,
    ),
    (
        |d| d.person.standing = used(statement().id, (1 << 53) - 1),
        StandingReason::UsedUp,
    ),
    (|d| d.epoch = EPOCH + 1, StandingReason::Epoch),
];

#[test]
fn each_term_beyond_the_consent_is_refused_with_its_reason() {
    let key = key();
    let mut narrow = statement();
    narrow.max_depth = 7;
    let artefact = signed(&key, narrow.clone());
    for (at, (change, reason)) in BEYOND.into_iter().enumerate() {
        let mut changed = draft();
        change(&mut changed);
        assert_eq!(changed.check_standing(&narrow), Err(reason), "{at}");
        if reason == StandingReason::Depth || reason == StandingReason::Epoch {
            // No verifier takes such a chain anyway; what the consent says is asked before.
            continue;
        }
        let refused = verdict(&key, &changed, &artefact).unwrap_err();
        let same = matches!(refused, ConsentError::Uncovered(found) if found == reason);
        assert!(same, "{at}: {refused}");
    }
    // What the statement lets less than the draft has.
    type Edit = fn(&mut StandingStatement);
    let edits: [(Edit, StandingReason); 4] = [
        (|s| s.max_depth = 6, StandingReason::Depth),
        (|s| s.epoch = EPOCH + 1, StandingReason::Epoch),
        (|s| s.max_uses = 1, StandingReason::UsedUp),
        (
            |s| s.expires_at = NOW.plus_seconds(3_539),
            StandingReason::Expired,
        ),
    ];
    for (edit, reason) in edits {
        let mut short = statement();
        edit(&mut short);
        let artefact = signed(&key, short);
        let refused = verdict(&key, &draft(), &artefact).unwrap_err();
        let same = matches!(refused, ConsentError::Uncovered(found) if found == reason);
        assert!(same, "{reason}: {refused}");
    }
}

#[test]
fn each_reason_has_a_code_of_its_own() {
    let mut codes = StandingReason::ALL.map(StandingReason::code).to_vec();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), StandingReason::ALL.len());
    for (_, reason) in BEYOND {
        assert!(StandingReason::ALL.contains(&reason));
    }
}

#[test]
fn neither_kind_of_consent_stands_in_for_the_other() {
    let key = key();
    let standing = signed(&key, statement());
    let mut plain = draft();
    plain.person.standing = None;
    assert!(matches!(
        verdict(&key, &plain, &standing).unwrap_err(),
        ConsentError::Kind
    ));
    let own: ConsentArtefact = assertion(&key, &draft().challenge().unwrap()).into();
    assert!(matches!(
        verdict(&key, &draft(), &own).unwrap_err(),
        ConsentError::Kind
    ));
}

#[test]
fn only_the_persons_own_signature_over_the_statement_counts() {
    let key = key();
    let root = draft().challenge().unwrap();
    let untagged = Digest::of(statement().to_bytes().unwrap());
    let own = statement().challenge().unwrap();
    for (signer, challenge, flaw) in [
        (&key, root, AssertionError::Challenge),
        (&key, untagged, AssertionError::Challenge),
        (&self::key(), own, AssertionError::Signature),
    ] {
        let artefact = SignedStanding {
            statement: statement(),
            assertion: assertion(signer, &challenge),
        };
        let refused = verdict(&key, &draft(), &artefact.into()).unwrap_err();
        let same = matches!(refused, ConsentError::Assertion(found) if found == flaw);
        assert!(same, "{refused}");
    }
    // Every term is signed: whoever has the artefact gives himself no more.
    let edits: [fn(&mut StandingStatement); 7] = [
        |s| s.max_uses = 9,
        |s| s.max_seconds = 3_000,
        |s| s.expires_at = s.expires_at.plus_seconds(1),
        |s| s.signed_at = s.signed_at.minus_seconds(1),
        |s| s.gateway.push('2'),
        |s| s.epoch += 1,
        |s| s.agent = "spiffe://acme.example/agent/other".parse().unwrap(),
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let ConsentArtefact::Standing(mut forged) = signed(&key, statement()) else {
            panic!("no standing consent");
        };
        edit(&mut forged.statement);
        let refused = verdict(&key, &draft(), &ConsentArtefact::Standing(forged)).unwrap_err();
        let flaw = AssertionError::Challenge;
        let same = matches!(refused, ConsentError::Assertion(found) if found == flaw);
        assert!(same, "{at}: {refused}");
    }
}

#[test]
fn a_statement_has_amounts_entries_and_time() {
    assert_eq!(statement().check(), Ok(()));
    type Edit = fn(&mut StandingStatement);
    let edits: [(Edit, StandingError); 8] = [
        (|s| s.max_uses = 0, StandingError::Amounts),
        (|s| s.max_uses = 10_001, StandingError::Amounts),
        (|s| s.max_seconds = 0, StandingError::Amounts),
        (|s| s.max_seconds = 3_601, StandingError::Amounts),
        (|s| s.entries.clear(), StandingError::Amounts),
        (|s| s.entries = vec![read_src(); 65], StandingError::Amounts),
        (|s| s.expires_at = s.signed_at, StandingError::Ended),
        (
            |s| s.entries[0] = json!({"type": "mcp_tool", "server": "*", "tool": "t"}),
            StandingError::Entry {
                place: 0,
                reason: Reason::ConstraintUnknown,
            },
        ),
    ];
    let key = key();
    for (at, (edit, error)) in edits.into_iter().enumerate() {
        let mut changed = statement();
        edit(&mut changed);
        assert_eq!(changed.check(), Err(error.clone()), "{at}");
        // Also where the person has signed it.
        let refused = verdict(&key, &draft(), &signed(&key, changed)).unwrap_err();
        let same = matches!(&refused, ConsentError::Statement(found) if *found == error);
        assert!(same, "{at}: {refused}");
    }
}

#[test]
fn an_artefact_is_read_strictly() {
    let bytes = signed(&key(), statement()).to_bytes().unwrap();
    let known: Value = parse_strict(&bytes).unwrap();
    let edits: [fn(&mut Value); 8] = [
        |it| it["more"] = json!(1),
        |it| it["statement"]["more"] = json!(1),
        |it| it["statement"]["standing"] = json!("chancery/standing/v2"),
        |it| it["statement"]["id"] = json!("ses_00000000000000000000000001"),
        |it| it["statement"]["max_uses"] = json!(-1),
        |it| it["statement"] = json!([]),
        |it| it["assertion"] = json!(["a", "b", "c", "d"]),
        |it| {
            it.as_object_mut().unwrap().remove("assertion");
        },
    ];
    for (at, edit) in edits.into_iter().enumerate() {
        let mut changed = known.clone();
        edit(&mut changed);
        let read = ConsentArtefact::parse(changed.to_string().as_bytes());
        assert_eq!(read, Err(AssertionError::Malformed), "{at}");
    }
    for bad in ["", "[]", "{}", "null"] {
        assert!(ConsentArtefact::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let twice = String::from_utf8(bytes).unwrap();
    let twice = twice.replacen(r#""max_uses":3"#, r#""max_uses":3,"max_uses":9"#, 1);
    assert!(ConsentArtefact::parse(twice.as_bytes()).is_err());
    assert!(ConsentArtefact::parse(&vec![b' '; 32_769]).is_err());
}

#[test]
fn the_claim_of_a_use_has_one_form() {
    let artefact = signed(&key(), statement()).to_bytes().unwrap();
    let chain = [token(&draft(), &artefact)];
    assert!(verify(&chain).is_ok());
    let id = statement().id.to_string();
    for bad in [
        json!({"consent": id, "use": 0}),
        json!({"consent": id, "use": "2"}),
        json!({"consent": id}),
        json!({"use": 2}),
        json!({"consent": "ses_00000000000000000000000001", "use": 2}),
        json!({"consent": id.to_uppercase(), "use": 2}),
        json!({"consent": id, "use": 2, "of": 3}),
        json!(2),
        json!(null),
    ] {
        let changed = altered(&chain, 0, |claims| claims["prn"]["standing"] = bad.clone());
        let refusal = verify(&changed).unwrap_err();
        assert_eq!(refusal.reason, Reason::Malformed, "{bad}");
    }
}

#[test]
fn what_rests_on_a_revoked_consent_is_dead_with_its_descendants() {
    let artefact = signed(&key(), statement()).to_bytes().unwrap();
    let mut made = vec![token(&draft(), &artefact)];
    let mut terms = terms(1, vec![entry(read_src())]);
    terms.expires_at = NOW.plus_seconds(60);
    made.push(make_link(&made, terms).unwrap());
    let links: Vec<_> = made.iter().map(String::as_str).collect();
    let set = |id: ConsentId| {
        let what = Revocable::new(RevocationKind::Consent, &id.to_string()).unwrap();
        let at = NOW.minus_seconds(100_000);
        let one = Revocation { what, at };
        // It stays until it is lifted, and no epoch takes its place.
        assert!(one.matters(NOW) && !one.dies_with_epoch());
        RevocationSet::try_from(vec![one]).unwrap()
    };
    let chain = verify(&made).unwrap();
    let gone = set(statement().id);
    let refusal = verify_chain(&links, &context(&gone)).unwrap_err();
    assert_eq!(refusal.reason, Reason::Revoked);
    assert_eq!(
        (refusal.link, refusal.revoked),
        (Some(0), Some(RevocationKind::Consent))
    );
    assert!(chain.recheck(&context(&gone).standing()).is_err());
    let other = set(ConsentId::from_random([6; 16]));
    assert!(verify_chain(&links, &context(&other)).is_ok());
    assert!(chain.recheck(&context(&other).standing()).is_ok());
    assert!(Revocable::new(RevocationKind::Consent, "per_00000000000000000000000001").is_err());
}
