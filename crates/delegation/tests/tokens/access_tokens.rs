use std::sync::LazyLock;

use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::access_token::{
    AccessToken, AccessTokenContext, AccessTokenDraft, AccessTokenError, Audience,
    access_token_prefix, carried, check_carried, verify_access_token,
};
use chancery_delegation::{DraftError, Entry, Reason, VerifiedChain};
use chancery_identity::trust::AccessTokenAuthority;
use chancery_types::id::ExecutionId;
use chancery_types::{Algorithm, Timestamp};
use serde_json::{Map, Value, json};

use crate::support::*;

const API: &str = "https://api.example";
const OAUTH: &str = "https://acme.example/oauth";

static AUTHORITY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());

fn invoice(year: Value) -> Value {
    json!({"type": "mcp_tool", "server": "crm", "tool": "invoice", "args": {"year": year}})
}

fn named(server: &str, name: &str) -> Value {
    json!({"type": "mcp_tool", "server": server, "tool": name})
}

/// A chain of two links below the root; the first one forbids and asks.
fn made() -> VerifiedChain {
    let entries = vec![
        entry(invoice(json!({"int_range": [2020, 2026]}))),
        entry(read_src()),
        entry(named("crm", "delete")),
        entry(named("crm", "refund")),
        entry(named("erp", "post")),
        entry(named("token-exchange", API)),
    ];
    let mut made = vec![make_root(&root_draft(entries.clone())).unwrap()];
    for at in 1..=2 {
        let mut link = terms(at, entries.clone());
        if at == 1 {
            link.forbid = vec![entry(json!({
                "type": "mcp_tool", "server": "crm", "tool": "delete", "args": {"year": {"exact": 1999}}
            }))];
            link.ask = vec![entry(named("crm", "refund"))];
        }
        made.push(make_link(&made, link).unwrap());
    }
    verify(&made).unwrap()
}

fn sign_with(
    chain: &VerifiedChain,
    details: &[Entry],
    change: impl FnOnce(&mut AccessTokenDraft<'_>),
) -> Result<String, DraftError<chancery_crypto::KeyError>> {
    let audience: Audience = API.parse().unwrap();
    let mut draft = AccessTokenDraft {
        issuer: OAUTH,
        audience: &audience,
        chain,
        execution: ExecutionId::from_random([7; 16]),
        details,
        issued_at: NOW,
        expires_at: NOW.plus_seconds(86_400),
    };
    change(&mut draft);
    draft.sign(AUTHORITY.public(), &|input| AUTHORITY.sign(input))
}

fn sign(
    chain: &VerifiedChain,
    change: impl FnOnce(&mut AccessTokenDraft<'_>),
) -> Result<String, DraftError<chancery_crypto::KeyError>> {
    sign_with(chain, &[entry(invoice(json!({"exact": 2026})))], change)
}

fn read_at(token: &str, audience: &str, now: Timestamp) -> Result<AccessToken, AccessTokenError> {
    let authorities = [AccessTokenAuthority {
        issuer: OAUTH.to_owned(),
        key: *AUTHORITY.public(),
    }];
    let context = AccessTokenContext {
        now,
        authorities: &authorities,
        audience,
        verifier: &AwsLc,
    };
    verify_access_token(token, &context)
}

fn read(token: &str) -> Result<AccessToken, AccessTokenError> {
    read_at(token, API, NOW)
}

#[test]
fn a_token_says_who_acts_for_whom() {
    let chain = made();
    let token = sign(&chain, |_| {}).unwrap();
    assert!(token.starts_with(&access_token_prefix(AUTHORITY.public())));
    let said = claims(&token);
    assert_eq!(
        (&said["iss"], &said["sub"], &said["aud"]),
        (&json!(OAUTH), &json!("00u1abcd"), &json!(API))
    );
    assert_eq!(
        said["act"],
        json!({"sub": subject(2), "act": {"sub": subject(1), "act": {"sub": subject(0)}}})
    );
    assert_eq!(said["client_id"], json!(subject(2)));
    assert_eq!(said["cnf"], json!({"jkt": chain.leaf_key().kid()}));
    assert_eq!(
        (&said["iat"], &said["exp"]),
        (&json!(1_800_000_000), &json!(1_800_000_300))
    );
    assert_eq!(
        said["authorization_details"],
        json!([invoice(json!({"exact": 2026}))])
    );
    let token = read(&token).unwrap();
    let actors: Vec<_> = token.actors().iter().map(ToString::to_string).collect();
    assert_eq!(actors, [subject(2), subject(1), subject(0)]);
    assert_eq!(
        (token.chain(), token.mission()),
        (chain.digest(), chain.mission())
    );
    assert_eq!(token.key(), chain.leaf_key().thumbprint());
}

#[test]
fn what_a_relying_party_cannot_judge_is_not_carried() {
    let chain = made();
    let of = |servers: &[&str]| -> Vec<Value> {
        let carried = carried(&chain, |server| servers.contains(&server));
        carried.iter().map(Entry::to_json).collect()
    };
    let invoices = invoice(json!({"int_range": [2020, 2026]}));
    let shown = of(&["crm", "fs", "token-exchange"]);
    assert_eq!(shown, std::slice::from_ref(&invoices));
    assert_eq!(of(&["erp", "crm"]), [invoices, named("erp", "post")]);
    assert_eq!(of(&[]), Vec::<Value>::new());
    let check = |asked: Value| check_carried(&chain, |server| server == "crm", &[entry(asked)]);
    assert_eq!(check(invoice(json!({"int_range": [2021, 2022]}))), Ok(()));
    let mut limited = invoice(json!({"exact": 2026}));
    limited["limits"] = json!({"max_calls": 1});
    for wide in [
        invoice(json!({"int_range": [2019, 2022]})),
        named("crm", "invoice"),
        named("crm", "delete"),
        named("crm", "refund"),
        named("erp", "post"),
        named("token-exchange", API),
        read_src(),
        limited,
        json!({"type": "mcp_prompt", "server": "crm", "prompt": "invoice"}),
    ] {
        assert_eq!(check(wide.clone()), Err(Reason::ScopeEscalation), "{wide}");
        let details = [entry(wide)];
        let drafted = sign_with(&chain, &details, |_| {});
        let is_of_other_server = details[0].server() == "erp";
        assert_eq!(drafted.is_ok(), is_of_other_server, "{details:?}");
    }
}

#[test]
fn a_token_outlives_neither_its_chain_nor_its_bound() {
    let chain = made();
    let ends = |change: &dyn Fn(&mut AccessTokenDraft<'_>)| {
        sign(&chain, |draft| change(draft))
            .ok()
            .map(|token| claims(&token)["exp"].as_u64().unwrap())
    };
    let at = |seconds: u64| NOW.plus_seconds(seconds);
    assert_eq!(ends(&|_| {}), Some(at(300).as_seconds()));
    assert_eq!(
        ends(&|draft| draft.expires_at = at(40)),
        Some(at(40).as_seconds())
    );
    // The leaf ends at 3,480 seconds.
    assert_eq!(
        ends(&|draft| draft.issued_at = at(3_400)),
        Some(at(3_480).as_seconds())
    );
    assert_eq!(ends(&|draft| draft.issued_at = at(3_480)), None);
    assert_eq!(ends(&|draft| draft.expires_at = NOW), None);
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let audience: Audience = API.parse().unwrap();
    let other = AccessTokenDraft {
        issuer: OAUTH,
        audience: &audience,
        chain: &chain,
        execution: ExecutionId::from_random([7; 16]),
        details: &[],
        issued_at: NOW,
        expires_at: at(60),
    };
    assert!(other.sign(key.public(), &|input| key.sign(input)).is_err());
}

/// The claims of a good token, changed and signed by `key`.
fn altered_token(
    key: &SigningKey,
    typ: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> String {
    let mut members = claims(&sign(&made(), |_| {}).unwrap());
    change(&mut members);
    forge(key, typ, &members)
}

#[test]
fn each_defect_has_its_error() {
    use AccessTokenError as Error;
    let good = sign(&made(), |_| {}).unwrap();
    assert_eq!(
        read_at(&good, "https://other.example", NOW),
        Err(Error::WrongAudience)
    );
    for (now, is_good) in [
        (NOW.minus_seconds(1), false),
        (NOW.plus_seconds(299), true),
        (NOW.plus_seconds(300), false),
    ] {
        let expected = if is_good {
            None
        } else {
            Some(Error::NotInForce)
        };
        assert_eq!(read_at(&good, API, now).err(), expected);
    }
    let (signed, _) = good.rsplit_once('.').unwrap();
    let chain = chain(1);
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let ours = |change: &dyn Fn(&mut Map<String, Value>)| {
        altered_token(&AUTHORITY, "at+jwt", |members| change(members))
    };
    let set = |name: &'static str, value: Value| {
        altered_token(&AUTHORITY, "at+jwt", |members| {
            members.insert(name.to_owned(), value);
        })
    };
    for (token, error) in [
        (String::new(), Error::Malformed),
        ("a.b.c".to_owned(), Error::Malformed),
        ("a".repeat(20_000), Error::Malformed),
        (chain[0].clone(), Error::WrongTyp),
        (altered_token(&AUTHORITY, "JWT", |_| {}), Error::WrongTyp),
        (
            altered_token(&AUTHORITY, "wit+jwt", |_| {}),
            Error::WrongTyp,
        ),
        (
            altered_token(holder(0), "at+jwt", |_| {}),
            Error::AlgorithmNotAllowed,
        ),
        (
            altered_token(&stranger, "at+jwt", |_| {}),
            Error::UnknownKey,
        ),
        (
            set("iss", json!("https://elsewhere.example")),
            Error::UnknownKey,
        ),
        (format!("{signed}.AAAA"), Error::BadSignature),
        (set("aud", json!([API])), Error::Claims),
        (
            set("aud", json!([API, "https://other.example"])),
            Error::Claims,
        ),
        (set("scope", json!("all")), Error::Claims),
        (set("may_act", json!({"sub": subject(3)})), Error::Claims),
        (set("client_id", json!(subject(1))), Error::Claims),
        (set("exp", json!(NOW.as_seconds() + 301)), Error::Claims),
        (set("cnf", json!({"jkt": "x"})), Error::Claims),
        (set("cnf", json!({"jwk": {}})), Error::Claims),
        (
            set("act", json!({"sub": subject(2), "iss": "x"})),
            Error::Claims,
        ),
        (set("act", json!({})), Error::Claims),
        (
            set("authorization_details", json!([{"type": "x"}])),
            Error::Claims,
        ),
        (ours(&|members| drop(members.remove("act"))), Error::Claims),
        (ours(&|members| drop(members.remove("cnf"))), Error::Claims),
        (ours(&|members| drop(members.remove("jti"))), Error::Claims),
    ] {
        assert_eq!(read(&token).err(), Some(error), "{token}");
    }
    let mut deep = json!({"sub": subject(9)});
    for at in (0..9).rev() {
        deep = json!({"sub": subject(at), "act": deep});
    }
    let deep = altered_token(&AUTHORITY, "at+jwt", |members| {
        members.insert("client_id".to_owned(), json!(subject(0)));
        members.insert("act".to_owned(), deep);
    });
    assert_eq!(read(&deep).err(), Some(Error::Claims));
}

#[test]
fn an_access_token_is_no_link_and_no_proof() {
    let made = chain(1);
    let chain = verify(&made).unwrap();
    let token = sign_with(&chain, &[], |_| {}).unwrap();
    for links in [
        vec![token.clone()],
        vec![made[0].clone(), token.clone()],
        vec![token.clone(), made[1].clone()],
    ] {
        assert_eq!(verify(&links).unwrap_err().reason, Reason::WrongTyp);
    }
}
