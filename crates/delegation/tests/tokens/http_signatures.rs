//! Signed requests: what is made is taken once, and nothing else is.

use std::cell::RefCell;

use chancery_crypto::AwsLc;
use chancery_delegation::http_signature::{
    DelegationField, DelegationFieldError, HttpContext, HttpRefusal as R, HttpRequest,
    PresentedRequest, ReceivedSignature, RequestSignature, SignedFields, verify_presentation,
};
use chancery_delegation::{BoundedReplayMemory, Reason, Refusal, ReplayMemory, RevocationSet};
use chancery_identity::{SpiffeId, WitError};
use chancery_types::{Digest, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use sfv::{BareItem, Dictionary, FieldType as _, Item, KeyRef, ListEntry};

use crate::support::{NOW, chain, context, entry, holder, make_link, read_src, terms};
use crate::wits::{WITS, id, wit};

const TO: &str = "spiffe://acme.example/agent/worker/instance/7";
const BODY: &[u8] = br#"{"hello":1}"#;
const HOLDER: usize = 1;

/// A request in the hands of whoever changes it.
#[derive(Debug, Clone)]
struct Message {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    fn plain(holder: usize) -> Self {
        let fields = [
            ("content-type", "application/json".to_owned()),
            (
                "workload-identity-token",
                wit(holder, holder, NOW.plus_seconds(600)),
            ),
            ("agent-delegation", chain(holder).join(",")),
        ];
        Self {
            method: "POST".to_owned(),
            target: "/v1/handshake/offer?x=1".to_owned(),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            body: BODY.to_vec(),
        }
    }

    fn signed(by: usize) -> Self {
        let mut message = Self::plain(by);
        let fields = message.sign(by, TO, NOW, "nonce-1").unwrap();
        message.add(&fields);
        message
    }

    fn sign(
        &self,
        by: usize,
        audience: &str,
        created: Timestamp,
        nonce: &str,
    ) -> Option<SignedFields> {
        let signature = RequestSignature {
            audience,
            created,
            nonce,
        };
        let fields = self.fields();
        let made = signature.sign(&self.request(&fields), &|base| holder(by).sign(base));
        made.ok()
    }

    fn add(&mut self, fields: &SignedFields) {
        let digest = fields.content_digest.clone();
        self.fields
            .extend(digest.map(|value| ("content-digest".to_owned(), value)));
        for (name, value) in [
            ("signature-input", &fields.signature_input),
            ("signature", &fields.signature),
        ] {
            self.fields.push((name.to_owned(), value.clone()));
        }
    }

    fn fields(&self) -> Vec<(&str, &str)> {
        let pairs = self.fields.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    fn request<'a>(&'a self, fields: &'a [(&'a str, &'a str)]) -> HttpRequest<'a> {
        HttpRequest {
            method: &self.method,
            target: &self.target,
            fields,
            body: &self.body,
        }
    }

    fn field(&mut self, name: &str) -> &mut String {
        let found = self.fields.iter_mut().find(|(known, _)| known == name);
        &mut found.unwrap().1
    }

    fn set(mut self, name: &str, change: impl FnOnce(&str) -> String) -> Self {
        let value = self.field(name);
        *value = change(value);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }
}

struct Verifier {
    now: Timestamp,
    audience: &'static str,
    started_at: Timestamp,
    peer: SpiffeId,
    referenced: Vec<String>,
    replay: RefCell<BoundedReplayMemory>,
}

impl Verifier {
    fn new() -> Self {
        Self {
            now: NOW,
            audience: TO,
            started_at: NOW.minus_seconds(1_000),
            peer: id(HOLDER),
            referenced: Vec::new(),
            replay: RefCell::new(BoundedReplayMemory::new(8, 8)),
        }
    }

    fn verify(&self, message: &Message) -> Result<PresentedRequest, R> {
        let chains = context(RevocationSet::none());
        let referenced = |digest: &Digest| {
            let known = Digest::of(self.referenced.join(","));
            (*digest == known).then(|| self.referenced.clone())
        };
        let context = HttpContext {
            now: self.now,
            audience: self.audience,
            started_at: self.started_at,
            peer: &self.peer,
            wits: &WITS,
            chains: &chains,
            referenced: &referenced,
            verifier: &AwsLc,
        };
        let fields = message.fields();
        let mut replay = self.replay.borrow_mut();
        verify_presentation(&message.request(&fields), &context, &mut *replay)
    }
}

fn refusal(message: &Message) -> R {
    Verifier::new().verify(message).expect_err("taken")
}

#[test]
fn a_signed_request_is_taken_once() {
    for by in [HOLDER, 2] {
        let mut verifier = Verifier::new();
        verifier.peer = id(by);
        let message = Message::signed(by);
        let taken = verifier.verify(&message).unwrap();
        assert_eq!(taken.credential().agent_key(), holder(by).public());
        assert_eq!(taken.delegation().unwrap().leaf_subject(), &id(by));
        assert_eq!(taken.nonce(), "nonce-1");
        assert_eq!(verifier.verify(&message).map(drop), Err(R::Replay));
    }
}

#[test]
fn nothing_of_it_can_be_changed() {
    let signed = || Message::signed(HOLDER);
    let mut method = signed();
    method.method = "PUT".to_owned();
    let mut target = signed();
    target.target = "/v1/handshake/offer?x=2".to_owned();
    let mut body = signed();
    body.body.push(b' ');
    let mut cut = signed();
    cut.body.clear();
    for (message, expected) in [
        (method, R::BadSignature),
        (target, R::BadSignature),
        (body, R::ContentDigest),
        (cut, R::ContentDigest),
        (
            signed().set("content-type", |_| "text/plain".into()),
            R::BadSignature,
        ),
        (
            signed().set("content-digest", |value| {
                value.replacen("sha-256=:", "sha-256=:A", 1)
            }),
            R::BadSignature,
        ),
        (
            signed().set("agent-delegation", |_| chain(0).join(",")),
            R::BadSignature,
        ),
        (
            signed().set("workload-identity-token", |_| {
                wit(HOLDER, HOLDER, NOW.plus_seconds(5))
            }),
            R::BadSignature,
        ),
        (
            signed().set("signature-input", |v| v.replace("nonce-1", "nonce-2")),
            R::BadSignature,
        ),
        (
            signed().set("signature-input", |v| v.replace("instance/7", "instance/8")),
            R::BadSignature,
        ),
        (signed().without("content-type"), R::Uncovered),
        (signed().without("content-digest"), R::Uncovered),
        (signed().without("agent-delegation"), R::Uncovered),
        (
            signed().without("workload-identity-token"),
            R::CredentialMissing,
        ),
        (signed().without("signature"), R::Missing),
        (signed().without("signature-input"), R::Missing),
    ] {
        assert_eq!(refusal(&message), expected, "{:?}", message.fields.last());
    }
}

#[test]
fn what_must_be_covered_is_covered() {
    let stripped = |name: &str| {
        let part = format!("\"{name}\"");
        Message::signed(HOLDER).set("signature-input", |value| {
            assert!(value.contains(&part));
            let last = value.replace(&format!(" {part}"), "");
            last.replace(&format!("{part} "), "")
        })
    };
    for name in [
        "@method",
        "@request-target",
        "content-type",
        "content-digest",
        "workload-identity-token",
        "agent-delegation",
    ] {
        assert_eq!(refusal(&stripped(name)), R::Uncovered, "{name}");
    }
    for name in ["authorization", "txn-token"] {
        let mut message = Message::signed(HOLDER);
        message.fields.push((name.to_owned(), "x".to_owned()));
        assert_eq!(refusal(&message), R::Uncovered, "{name}");
    }
    // Signed by its holder all the same: a request whose delegation or body no signature covers.
    let mut bare = Message::plain(HOLDER).without("agent-delegation");
    let fields = bare.sign(HOLDER, TO, NOW, "n").unwrap();
    bare.add(&fields);
    let chain = chain(HOLDER).join(",");
    bare.fields.push(("agent-delegation".to_owned(), chain));
    assert_eq!(refusal(&bare), R::Uncovered);
    let mut empty = Message::plain(HOLDER);
    empty.body.clear();
    let fields = empty.sign(HOLDER, TO, NOW, "n").unwrap();
    empty.add(&fields);
    empty.body = BODY.to_vec();
    assert_eq!(refusal(&empty), R::ContentDigest);
    let mut anonymous = Message::plain(HOLDER).without("workload-identity-token");
    let fields = anonymous.sign(HOLDER, TO, NOW, "n").unwrap();
    anonymous.add(&fields);
    assert_eq!(refusal(&anonymous), R::CredentialMissing);
}

#[test]
fn fields_come_once() {
    for name in [
        "signature",
        "signature-input",
        "agent-delegation",
        "workload-identity-token",
        "content-digest",
        "content-type",
    ] {
        let mut message = Message::signed(HOLDER);
        let again = message.field(name).clone();
        message.fields.push((name.to_ascii_uppercase(), again));
        assert_eq!(refusal(&message), R::DuplicateField, "{name}");
    }
    let folded = Message::signed(HOLDER).set("content-type", |value| format!("{value}\r\n x"));
    assert_eq!(refusal(&folded), R::Malformed);
}

#[test]
fn one_spelling_and_one_signature_are_read() {
    let input = |change: fn(&str) -> String| {
        refusal(&Message::signed(HOLDER).set("signature-input", change))
    };
    for change in [
        (|v| v.replace("(\"@method\" ", "(\"@method\"  ")) as fn(&str) -> String,
        |v| v.replace(";created", "; created"),
        |v| format!("{v};nonce=\"nonce-1\""),
        |v| format!("{v}, other=(\"@method\")"),
        |v| v.replace("wimse=", "other="),
        |v| v.replace("\"@method\"", "\"@method\" \"@method\""),
        |v| v.replace("\"@method\"", "\"@method\";req"),
        |v| v.replace("\"content-type\"", "\"Content-Type\""),
        |v| v.replace("wimse=(", "wimse=[("),
        |v| v.replace("nonce=\"nonce-1\"", "nonce=nonce-1"),
        |v| v.replace(";nonce=\"nonce-1\"", ""),
        |v| {
            v.replace(";wimse-aud=\"", ";x=\"")
                .replace(";x=", ";nonce=")
        },
        |_| String::new(),
        |_| "wimse".to_owned(),
        |_| "wimse=1".to_owned(),
    ] {
        assert_eq!(input(change), R::Malformed);
    }
    for change in [
        (|v| format!("{v};keyid=\"k\"")) as fn(&str) -> String,
        |v| format!("{v};alg=\"ed25519\""),
        |v| format!("{v};wimse-sign-response=?0"),
        |v| format!("{v};x"),
    ] {
        assert_eq!(input(change), R::Parameter);
    }
    assert_eq!(
        input(|v| v.replace("wimse-workload-to-workload", "web-bot-auth")),
        R::WrongTag
    );
    assert_eq!(
        input(|v| v.replace("\"@method\"", "\"@authority\" \"@method\"")),
        R::Uncovered
    );
    assert_eq!(
        input(|v| v.replace("\"@method\"", "\"x-other\" \"@method\"")),
        R::Uncovered
    );
    assert_eq!(input(|v| format!("{v}{}", "x".repeat(3_000))), R::TooLong);
    let signature =
        |change: fn(&str) -> String| refusal(&Message::signed(HOLDER).set("signature", change));
    for change in [
        (|_| "wimse=1".to_owned()) as fn(&str) -> String,
        |v| format!("{v};x"),
        |v| format!("{v}, other=:AAAA:"),
        |v| v.replace("=:", "=\""),
    ] {
        assert_eq!(signature(change), R::Malformed);
    }
    assert_eq!(signature(|_| "wimse=:AAAA:".to_owned()), R::BadSignature);
    assert_eq!(
        signature(|v| v.replace("wimse", &"w".repeat(600))),
        R::TooLong
    );
}

#[test]
fn another_audience_peer_or_time_is_refused() {
    let mut elsewhere = Verifier::new();
    elsewhere.audience = "spiffe://acme.example/agent/worker/instance/8";
    let message = Message::signed(HOLDER);
    assert_eq!(elsewhere.verify(&message).map(drop), Err(R::WrongAudience));
    let mut stranger = Verifier::new();
    stranger.peer = id(5);
    assert_eq!(stranger.verify(&message).map(drop), Err(R::HolderMismatch));
    // Nor without a delegation that would name the holder.
    let mut bare = Message::plain(HOLDER).without("agent-delegation");
    let fields = bare.sign(HOLDER, TO, NOW, "n").unwrap();
    bare.add(&fields);
    assert_eq!(stranger.verify(&bare).map(drop), Err(R::HolderMismatch));
    assert!(Verifier::new().verify(&bare).is_ok());
    let mut foreign = Verifier::new();
    foreign.peer = "spiffe://other.example/a".parse().unwrap();
    let expected = R::Credential(WitError::WrongTrustDomain);
    assert_eq!(foreign.verify(&message).map(drop), Err(expected));
    for (now, started_at, expected) in [
        (NOW.plus_seconds(61), NOW.minus_seconds(9), Some(R::Stale)),
        // `expires` is the first moment at which it is over.
        (NOW.plus_seconds(60), NOW.minus_seconds(9), Some(R::Stale)),
        (NOW.plus_seconds(59), NOW.minus_seconds(9), None),
        (NOW.minus_seconds(6), NOW.minus_seconds(9), Some(R::Stale)),
        (NOW.minus_seconds(5), NOW.minus_seconds(9), None),
        (NOW, NOW.plus_seconds(1), Some(R::Stale)),
    ] {
        let mut verifier = Verifier::new();
        (verifier.now, verifier.started_at) = (now, started_at);
        let taken = verifier.verify(&message).map(drop);
        assert_eq!(taken.err(), expected, "{now:?}");
    }
}

/// Signed by its holder over parameters of its own choice.
fn with_parameters(change: impl FnOnce(&str) -> String) -> Message {
    let message = Message::signed(HOLDER).set("signature-input", change);
    let base = {
        let fields = message.fields();
        let request = message.request(&fields);
        let received = ReceivedSignature::parse(&request).unwrap();
        received.base(&request).unwrap()
    };
    let signature = holder(HOLDER).sign(base.as_bytes()).unwrap();
    let signature = ListEntry::Item(Item::new(BareItem::ByteSequence(signature)));
    let key = KeyRef::from_str("wimse").unwrap().to_owned();
    let field = Dictionary::from_iter([(key, signature)]);
    message.set("signature", |_| field.serialize().unwrap())
}

#[test]
fn a_signature_lives_minutes_at_most() {
    let created = NOW.as_seconds();
    let expires = |seconds: u64| {
        let (own, other) = (created + 60, created + seconds);
        let (own, other) = (format!("expires={own}"), format!("expires={other}"));
        with_parameters(move |value| value.replace(&own, &other))
    };
    let judged = |message: &Message, after: u64| {
        let mut verifier = Verifier::new();
        verifier.now = NOW.plus_seconds(after);
        verifier.verify(message).map(drop)
    };
    assert_eq!(judged(&expires(300), 0), Ok(()));
    assert_eq!(judged(&expires(300), 60), Ok(()));
    // Whatever its maker says, it is over a minute after it was made.
    assert_eq!(judged(&expires(300), 61), Err(R::Stale));
    assert_eq!(judged(&expires(301), 0), Err(R::Stale));
    assert_eq!(judged(&expires(10), 9), Ok(()));
    assert_eq!(judged(&expires(10), 10), Err(R::Stale));
}

#[test]
fn a_key_that_is_not_the_credentials_is_refused() {
    let mut message = Message::plain(HOLDER);
    let fields = message.sign(5, TO, NOW, "n").unwrap();
    message.add(&fields);
    assert_eq!(refusal(&message), R::BadSignature);
    for (token, expected) in [
        (wit(HOLDER, HOLDER, NOW), R::CredentialExpired),
        (wit(5, HOLDER, NOW.plus_seconds(9)), R::HolderMismatch),
        ("a.b.c".to_owned(), R::Credential(WitError::Malformed)),
    ] {
        let mut message = Message::plain(HOLDER).set("workload-identity-token", |_| token);
        let fields = message.sign(HOLDER, TO, NOW, "n").unwrap();
        message.add(&fields);
        assert_eq!(refusal(&message), expected);
    }
}

#[test]
fn the_delegation_is_the_holders() {
    let presented = |field: String| {
        let mut message = Message::plain(HOLDER).set("agent-delegation", |_| field);
        let fields = message.sign(HOLDER, TO, NOW, "n").unwrap();
        message.add(&fields);
        message
    };
    // Another's chain, and the parent's, are not this holder's.
    assert_eq!(refusal(&presented(chain(2).join(","))), R::HolderMismatch);
    assert_eq!(refusal(&presented(chain(0).join(","))), R::HolderMismatch);
    let own = chain(HOLDER);
    assert_eq!(
        refusal(&presented(own[1].clone())),
        R::Chain(Refusal {
            reason: Reason::UntrustedRoot,
            link: Some(0),
            revoked: None,
        })
    );
    for field in [
        "x,y z",
        ",",
        "sha256:00",
        "sha512:aa",
        &format!("{},", own[0]),
    ] {
        assert_eq!(
            refusal(&presented(field.to_owned())),
            R::Delegation,
            "{field}"
        );
    }
    assert_eq!(refusal(&presented(["a"; 9].join(","))), R::TooLong);
}

#[test]
fn the_delegation_is_the_holders_and_the_keys() {
    let root = chain(0);
    // The peer's name with a key that signs nothing here, and the peer's key under another name.
    let mut named = terms(HOLDER, vec![entry(read_src())]);
    named.key = *holder(5).public();
    let mut keyed = terms(HOLDER, vec![entry(read_src())]);
    keyed.subject = id(5);
    for terms in [named, keyed] {
        let link = make_link(&root, terms).unwrap();
        let field = [root[0].clone(), link].join(",");
        let mut message = Message::plain(HOLDER).set("agent-delegation", |_| field);
        let fields = message.sign(HOLDER, TO, NOW, "n").unwrap();
        message.add(&fields);
        assert_eq!(refusal(&message), R::HolderMismatch);
    }
}

#[test]
fn a_reference_is_good_where_its_chain_was_presented() {
    let reference = DelegationField::Reference(Digest::of(chain(HOLDER).join(",")));
    let mut message = Message::plain(HOLDER).set("agent-delegation", |_| reference.to_string());
    let fields = message.sign(HOLDER, TO, NOW, "n").unwrap();
    message.add(&fields);
    assert_eq!(refusal(&message), R::UnknownReference);
    let mut verifier = Verifier::new();
    verifier.referenced = chain(HOLDER);
    let taken = verifier.verify(&message).unwrap();
    assert_eq!(taken.delegation().unwrap().leaf_subject(), &id(HOLDER));
    // What is referred to is verified again, and is the holder's.
    let reference = DelegationField::Reference(Digest::of(chain(2).join(",")));
    let mut message = Message::plain(HOLDER).set("agent-delegation", |_| reference.to_string());
    let fields = message.sign(HOLDER, TO, NOW, "n2").unwrap();
    message.add(&fields);
    verifier.referenced = chain(2);
    assert_eq!(verifier.verify(&message).map(drop), Err(R::HolderMismatch));
}

#[test]
fn a_nonce_is_used_up_by_its_holder_alone() {
    let verifier = Verifier::new();
    // Seen on the way, sent first with another signature: refused, and not remembered.
    let forged = Message::signed(HOLDER).set("signature", |_| "wimse=:AAAA:".to_owned());
    assert_eq!(verifier.verify(&forged).map(drop), Err(R::BadSignature));
    assert!(verifier.verify(&Message::signed(HOLDER)).is_ok());
}

#[test]
fn an_instance_that_fills_its_memory_harms_nobody_else() {
    let mut verifier = Verifier::new();
    verifier.peer = id(2);
    for at in 0..8 {
        let mut message = Message::plain(2);
        let fields = message.sign(2, TO, NOW, &format!("flood-{at}")).unwrap();
        message.add(&fields);
        assert!(verifier.verify(&message).is_ok());
    }
    let mut message = Message::plain(2);
    let fields = message.sign(2, TO, NOW, "one-more").unwrap();
    message.add(&fields);
    assert_eq!(verifier.verify(&message).map(drop), Err(R::Replay));
    verifier.peer = id(HOLDER);
    assert!(verifier.verify(&Message::signed(HOLDER)).is_ok());
    // What it filled is not forgotten while it could be sent again.
    let mut replay = verifier.replay.borrow_mut();
    let flooder = Digest::of(id(2).as_str());
    let until = NOW.plus_seconds(60);
    assert!(
        replay
            .remember(&flooder, "flood-0", until, NOW.plus_seconds(59))
            .is_err()
    );
}

#[test]
fn what_is_signed_already_is_not_signed_again() {
    assert!(Message::signed(HOLDER).sign(HOLDER, TO, NOW, "n").is_none());
    let plain = Message::plain(HOLDER);
    assert!(plain.sign(HOLDER, TO, NOW, "n\u{e9}").is_none());
    assert!(plain.sign(HOLDER, "sp\u{fc}ffe", NOW, "n").is_none());
    let mut target = plain.clone();
    target.target = "/a\n\"@method\": GET".to_owned();
    assert!(target.sign(HOLDER, TO, NOW, "n").is_none());
}

#[test]
fn the_json_form_is_a_chain_or_a_reference() {
    let digest = Digest::of("x");
    for (value, expected) in [
        (
            json!(["a.b.c"]),
            Ok(DelegationField::Chain(vec!["a.b.c".to_owned()])),
        ),
        (
            json!(digest.to_string()),
            Ok(DelegationField::Reference(digest)),
        ),
        (json!([]), Err(DelegationFieldError::Malformed)),
        (json!([1]), Err(DelegationFieldError::Malformed)),
        (json!(["a,b"]), Err(DelegationFieldError::Malformed)),
        (json!({}), Err(DelegationFieldError::Malformed)),
        (json!("sha256:AA"), Err(DelegationFieldError::Malformed)),
        (json!(vec!["a"; 9]), Err(DelegationFieldError::TooLong)),
        (
            json!(["a".repeat(16_385)]),
            Err(DelegationFieldError::TooLong),
        ),
    ] {
        assert_eq!(DelegationField::from_json(&value), expected, "{value}");
        if let Ok(field) = expected {
            assert_eq!(field.to_json(), value);
            assert_eq!(field.to_string().parse(), Ok(field));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No byte of what is covered can change, and none of what covers it.
    #[test]
    fn no_byte_can_change(which in 0_usize..6, at: usize, bit in 0_u8..7) {
        let mut message = Message::signed(HOLDER);
        let flip = |text: &mut String| {
            let mut bytes = std::mem::take(text).into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            *text = String::from_utf8(bytes).unwrap();
        };
        match which {
            0 => flip(&mut message.method),
            1 => flip(&mut message.target),
            2 => flip(message.field("content-digest")),
            3 => flip(message.field("signature-input")),
            4 => flip(message.field("signature")),
            _ => {
                let at = at % message.body.len();
                message.body[at] ^= 1 << bit;
            }
        }
        prop_assert!(Verifier::new().verify(&message).is_err());
    }
}
