use std::sync::LazyLock;

use chancery_crypto::{AwsLc, KeyError, SigningKey};
use chancery_delegation::{
    ChainContext, ChainTip, DraftError, Entry, LinkDraft, PersonDraft, Refusal, Revocable,
    Revocation, RevocationSet, RootDraft, Terms, TrustAnchor, VerifiedChain, verify_chain,
};
use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::{Algorithm, Digest, RevocationKind, Timestamp};
use serde_json::{Map, Value, json};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(crate) const GATEWAY: &str = "spiffe://acme.example/service/gateway";
pub(crate) const ISSUER: &str = "https://authority.acme.example";
pub(crate) const EPOCH: u64 = 7;

/// The parties: the authority and a row of holders, one of them with a P-256 key.
pub(crate) struct Parties {
    pub(crate) authority: SigningKey,
    pub(crate) holders: Vec<SigningKey>,
    pub(crate) anchors: Vec<TrustAnchor>,
}

pub(crate) static PARTIES: LazyLock<Parties> = LazyLock::new(|| {
    let authority = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let algorithm = |at| match at {
        2 => Algorithm::Es256,
        _ => Algorithm::Ed25519,
    };
    let anchors = vec![TrustAnchor {
        issuer: ISSUER.to_owned(),
        key: *authority.public(),
    }];
    Parties {
        authority,
        holders: (0..9)
            .map(|at| SigningKey::generate(algorithm(at)).unwrap())
            .collect(),
        anchors,
    }
});

pub(crate) fn holder(at: usize) -> &'static SigningKey {
    &PARTIES.holders[at]
}

pub(crate) fn subject(at: usize) -> String {
    format!("spiffe://acme.example/agent/worker/instance/{at}")
}

pub(crate) fn entry(value: Value) -> Entry {
    Entry::parse(&value).unwrap()
}

pub(crate) fn read_src() -> Value {
    json!({
        "type": "mcp_tool", "server": "fs", "tool": "read_file",
        "args": {"path": {"path_prefix": "/src"}}, "limits": {"max_calls": 50}
    })
}

pub(crate) fn terms(at: usize, entries: Vec<Entry>) -> Terms {
    let seconds = 60 * at as u64;
    Terms {
        subject: subject(at).parse().unwrap(),
        key: *holder(at).public(),
        audience: (at == 0).then(|| vec![GATEWAY.to_owned()]),
        issued_at: NOW.minus_seconds(60),
        not_before: NOW.minus_seconds(60),
        expires_at: NOW.plus_seconds(3_600 - seconds),
        jti: format!("jti-{at}"),
        max_depth: 7,
        entries,
        forbid: Vec::new(),
        ask: Vec::new(),
    }
}

pub(crate) fn root_draft(entries: Vec<Entry>) -> RootDraft {
    RootDraft {
        issuer: ISSUER.to_owned(),
        terms: terms(0, entries),
        sid: "ses_1".to_owned(),
        epoch: EPOCH,
        person: PersonDraft {
            issuer: "https://idp.acme.example".to_owned(),
            subject: "00u1abcd".to_owned(),
            acr: "phr".to_owned(),
            authenticated_at: NOW.minus_seconds(600),
            standing: None,
        },
        mission: Digest::of("mission"),
    }
}

pub(crate) type Made = Result<String, DraftError<KeyError>>;

pub(crate) fn make_root(draft: &RootDraft) -> Made {
    let key = &PARTIES.authority;
    draft.sign(Digest::of("consent"), key.public(), &AwsLc, &|message| {
        key.sign(message)
    })
}

pub(crate) fn make_link(chain: &[String], terms: Terms) -> Made {
    let links: Vec<_> = chain.iter().map(String::as_str).collect();
    let tip = ChainTip::read(&links).unwrap();
    let key = PARTIES
        .holders
        .iter()
        .find(|key| key.public() == tip.key())
        .unwrap();
    LinkDraft { terms }.sign(&tip, &AwsLc, &|message| key.sign(message))
}

/// A root and `links` links that all grant the same.
pub(crate) fn chain(links: usize) -> Vec<String> {
    let entries = vec![entry(read_src())];
    let mut made = vec![make_root(&root_draft(entries.clone())).unwrap()];
    for at in 1..=links {
        made.push(make_link(&made, terms(at, entries.clone())).unwrap());
    }
    made
}

pub(crate) fn context(revoked: &RevocationSet) -> ChainContext<'_> {
    ChainContext {
        now: NOW,
        audience: GATEWAY,
        anchors: &PARTIES.anchors,
        epoch: EPOCH,
        revoked,
        verifier: &AwsLc,
    }
}

pub(crate) fn verify(chain: &[String]) -> Result<VerifiedChain, Refusal> {
    let links: Vec<_> = chain.iter().map(String::as_str).collect();
    verify_chain(&links, &context(RevocationSet::none()))
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Map<String, Value> {
    chancery_types::jws::Compact::parse(token).unwrap().claims
}

/// A token of any claims and type, signed without judging them.
pub(crate) fn forge(key: &SigningKey, typ: &str, claims: &Map<String, Value>) -> String {
    let header = Header {
        algorithm: key.public().algorithm(),
        typ: typ.to_owned(),
        kid: (typ != "adt-pop+jwt").then(|| key.public().kid()),
    };
    let input = signing_input(
        &header,
        Value::Object(claims.clone()).to_string().as_bytes(),
    );
    assemble(&input, &key.sign(input.as_bytes()).unwrap())
}

/// A root or link whose claims are changed before its rightful signer signs them.
pub(crate) fn altered(
    chain: &[String],
    at: usize,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Vec<String> {
    let mut chain = chain[..=at].to_vec();
    let mut members = claims(&chain[at]);
    change(&mut members);
    let key = match at {
        0 => &PARTIES.authority,
        at => holder(at - 1),
    };
    chain[at] = forge(key, "adt+jwt", &members);
    chain
}

/// One token is revoked, and nothing else.
pub(crate) fn revoked_token(jti: &str) -> RevocationSet {
    let what = Revocable::new(RevocationKind::Token, jti).unwrap();
    let mut set = RevocationSet::default();
    set.revoke(&Revocation { what, at: NOW }).unwrap();
    set
}
