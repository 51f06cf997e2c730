//! The handshake: what it makes, and what it refuses. The attacker below holds a valid SVID and
//! credential of its own, sees every message, and says whatever it likes.

mod handed_over;

use std::sync::LazyLock;

use chancery_crypto::AwsLc;
use chancery_delegation::handshake::{
    Accept, Accepting, Agreed, ChannelBinding, Conclusion, HANDSHAKE_TYP, HandshakeRefusal as R,
    Nonce, Offer, OfferedTerms, Offering, OpenHandshakes, OwnEnd, PeerContext, Taken,
};
use chancery_delegation::{ChainTip, Reason, RevocationSet};
use chancery_identity::{SpiffeId, WitError};
use chancery_types::jws::{Compact, Header, assemble, signing_input};
use chancery_types::{Digest, Timestamp, base64url};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{
    NOW, chain, context, entry, holder, make_link, make_root, read_src, revoked_token, root_draft,
    terms as link_terms,
};
use crate::wits::{WITS, id, wit};

const CHANNEL: ChannelBinding = ChannelBinding::new([9; 32]);
const OTHER_CHANNEL: ChannelBinding = ChannelBinding::new([8; 32]);
const FROM: usize = 0;
const TO: usize = 1;
const MALLORY: usize = 5;

fn nonce(byte: u8) -> Nonce {
    Nonce::from_random([byte; 32])
}

static CREDENTIALS: LazyLock<Vec<String>> = LazyLock::new(|| {
    (0..9)
        .map(|at| wit(at, at, NOW.plus_seconds(600)))
        .collect()
});

fn end(at: usize, name: &SpiffeId, channel: ChannelBinding) -> OwnEnd<'_> {
    OwnEnd {
        spiffe_id: name,
        key: holder(at).public(),
        wit: &CREDENTIALS[at],
        channel,
    }
}

fn sees(peer: &SpiffeId, now: Timestamp) -> PeerContext<'_> {
    PeerContext {
        now,
        peer,
        wits: &WITS,
        verifier: &AwsLc,
    }
}

fn terms() -> OfferedTerms {
    OfferedTerms {
        entries: vec![entry(read_src())],
        forbid: Vec::new(),
        ask: Vec::new(),
        expires_at: NOW.plus_seconds(300),
        max_depth: 3,
    }
}

fn offering(to: usize) -> Offering {
    let links = chain(0);
    let tip = ChainTip::read(&[links[0].as_str()]).unwrap();
    let own = id(FROM);
    let own = end(FROM, &own, CHANNEL);
    Offering::start(&own, &id(to), tip, terms(), nonce(1), NOW).unwrap()
}

fn hear(offer: Offer, by: usize) -> Result<Accepting, R> {
    let (own, peer) = (id(by), id(FROM));
    let own = end(by, &own, CHANNEL);
    Accepting::hear(&own, offer, nonce(2), &sees(&peer, NOW))
}

fn accept(accepting: &Accepting, by: usize) -> Accept {
    accepting
        .accept(NOW, &|message| holder(by).sign(message))
        .unwrap()
}

fn agree(to: usize) -> (Agreed, Accepting) {
    let offering = offering(to);
    let accepting = hear(offering.offer().clone(), to).unwrap();
    let answer = accept(&accepting, to);
    let agreed = offering.accepted(&answer, &sees(&id(to), NOW)).unwrap();
    (agreed, accepting)
}

fn conclude(agreed: Agreed) -> Conclusion {
    let sign = |message: &[u8]| holder(FROM).sign(message);
    let made = agreed.conclude(&chain(0), "jti-new".to_owned(), NOW, &AwsLc, &sign);
    made.unwrap().conclusion
}

fn take(accepting: Accepting, conclusion: &Conclusion) -> Result<Taken, R> {
    let peer = id(FROM);
    accepting.conclude(
        conclusion,
        CHANNEL,
        &sees(&peer, NOW),
        &context(RevocationSet::none()),
    )
}

/// A proof of any claims, signed by that holder.
fn forge(by: usize, typ: &str, claims: &Map<String, Value>) -> String {
    let key = holder(by);
    let header = Header {
        algorithm: key.public().algorithm(),
        typ: typ.to_owned(),
        kid: None,
    };
    let claims = Value::Object(claims.clone()).to_string();
    let input = signing_input(&header, claims.as_bytes());
    assemble(&input, &key.sign(input.as_bytes()).unwrap())
}

fn claims(proof: &str) -> Map<String, Value> {
    Compact::parse(proof).unwrap().claims
}

/// What the offerer says of an answer whose claims its rightful signer changed.
fn answered(by: usize, change: impl FnOnce(&mut Map<String, Value>)) -> R {
    let offering = offering(TO);
    let accepting = hear(offering.offer().clone(), TO).unwrap();
    let mut answer = accept(&accepting, TO);
    let mut members = claims(&answer.proof);
    change(&mut members);
    answer.proof = forge(by, HANDSHAKE_TYP, &members);
    offering
        .accepted(&answer, &sees(&id(TO), NOW))
        .expect_err("taken")
}

/// What the accepter says of an end whose claims its rightful signer changed.
fn ended(by: usize, change: impl FnOnce(&mut Map<String, Value>)) -> R {
    let (agreed, accepting) = agree(TO);
    let mut conclusion = conclude(agreed);
    let mut members = claims(&conclusion.proof);
    change(&mut members);
    conclusion.proof = forge(by, HANDSHAKE_TYP, &members);
    take(accepting, &conclusion).expect_err("taken")
}

#[test]
fn authority_changes_hands_by_keys_of_either_algorithm() {
    for to in [TO, 2] {
        let (agreed, accepting) = agree(to);
        assert_eq!(agreed.peer().spiffe_id(), &id(to));
        assert_eq!(agreed.peer().agent_key(), holder(to).public());
        let conclusion = conclude(agreed);
        let taken = take(accepting, &conclusion).unwrap();
        assert_eq!(taken.chain().leaf_subject(), &id(to));
        assert_eq!(taken.chain().leaf_key(), holder(to).public());
        assert_eq!(taken.chain().leaf().entries(), terms().entries);
        assert_eq!(taken.links().len(), 2);
    }
}

#[test]
fn messages_are_read_as_they_are_written() {
    let offering = offering(TO);
    let offer = offering.offer().clone();
    assert_eq!(Offer::parse(offer.to_json()), Ok(offer.clone()));
    let accepting = hear(offer, TO).unwrap();
    let answer = accept(&accepting, TO);
    assert_eq!(Accept::parse(answer.to_json()), Ok(answer.clone()));
    let agreed = offering.accepted(&answer, &sees(&id(TO), NOW)).unwrap();
    let end = conclude(agreed);
    assert_eq!(Conclusion::parse(end.to_json()), Ok(end.clone()));
    for (message, written) in [
        (
            "offer",
            hear(offering_json(), TO).unwrap().offer().to_json(),
        ),
        ("accept", answer.to_json()),
        ("conclusion", end.to_json()),
    ] {
        let read = |value: Value| match message {
            "offer" => Offer::parse(value).map(drop),
            "accept" => Accept::parse(value).map(drop),
            _ => Conclusion::parse(value).map(drop),
        };
        for name in written.as_object().unwrap().keys() {
            let mut without = written.clone();
            without.as_object_mut().unwrap().remove(name);
            let refusal = read(without).unwrap_err();
            let expected = [R::Malformed, R::Protocol];
            assert!(expected.contains(&refusal), "{message} without {name}");
        }
        let mut more = written.clone();
        more["score"] = 1000.into();
        assert_eq!(read(more), Err(R::Malformed), "{message} with a score");
        let mut other = written.clone();
        other["protocol"] = "chancery/handshake/v0".into();
        assert_eq!(read(other), Err(R::Protocol), "{message}: downgrade");
        let mut mixed = written.clone();
        mixed["message"] = "link".into();
        assert_eq!(read(mixed), Err(R::Malformed));
        assert_eq!(read(Value::Array(vec![written])), Err(R::Malformed));
    }
}

/// A time that is shortened to what can be held would be signed as another than was offered.
#[test]
fn an_offer_says_times_that_can_be_held() {
    let good = offering(TO).offer().to_json();
    for name in ["exp", "iat"] {
        for beyond in [1_795_232_555_555_760_u64, (1 << 53) - 1] {
            let mut offer = good.clone();
            offer[name] = beyond.into();
            assert_eq!(Offer::parse(offer), Err(R::Malformed), "{name} {beyond}");
        }
    }
}

fn offering_json() -> Offer {
    Offer::parse(offering(TO).offer().to_json()).unwrap()
}

/// The code of each member of the transcript, when the rightful signer binds another value.
const MEMBERS: [(&str, R); 14] = [
    ("protocol", R::Protocol),
    ("role", R::WrongRole),
    ("offerer_nonce", R::UnknownNonce),
    ("accepter_nonce", R::UnknownNonce),
    ("offerer", R::WrongPeer),
    ("accepter", R::WrongPeer),
    ("offerer_jkt", R::WrongKey),
    ("accepter_jkt", R::WrongKey),
    ("par_hash", R::WrongChain),
    ("entries", R::WrongTerms),
    ("offer", R::WrongTerms),
    ("aud", R::WrongAudience),
    ("cb", R::WrongChannel),
    ("iat", R::StaleTime),
];

/// Another value of the same form.
fn another(value: &Value, bytes: [u8; 32], number: u64) -> Value {
    match value {
        Value::Number(_) => NOW.minus_seconds(61 + number).as_seconds().into(),
        Value::String(text) if text.starts_with("spiffe:") => format!("{text}x{number}").into(),
        Value::String(text) if text.len() == 43 => base64url::encode(bytes).into(),
        other => format!("{}{number}", other.as_str().unwrap()).into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No member of the transcript can differ, in either role, whoever signs.
    #[test]
    fn a_transcript_that_differs_in_any_member_is_refused(
        member in 0..MEMBERS.len(),
        bytes: [u8; 32],
        number in 0_u64..100_000,
        of_offerer: bool,
    ) {
        let (name, expected) = MEMBERS[member];
        let change = |claims: &mut Map<String, Value>| {
            let changed = another(&claims[name], bytes, number);
            prop_assert_ne!(&claims[name], &changed);
            claims.insert(name.to_owned(), changed);
            Ok(())
        };
        let mut changed = Ok(());
        let refusal = if of_offerer {
            ended(FROM, |claims| changed = change(claims))
        } else {
            answered(TO, |claims| changed = change(claims))
        };
        changed?;
        prop_assert_eq!(refusal, expected, "{}", name);
    }

    /// Nobody but the signer can change a byte.
    #[test]
    fn a_proof_that_was_altered_on_the_way_is_refused(at in 0_usize..600, bit in 0_u8..7) {
        let offering = offering(TO);
        let accepting = hear(offering.offer().clone(), TO).unwrap();
        let mut answer = accept(&accepting, TO);
        let mut bytes = answer.proof.into_bytes();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        answer.proof = String::from_utf8(bytes).unwrap();
        let refused = offering.accepted(&answer, &sees(&id(TO), NOW));
        prop_assert!(refused.is_err());
    }
}

#[test]
fn the_transcript_has_no_member_that_is_not_held() {
    let (agreed, accepting) = agree(TO);
    let conclusion = conclude(agreed);
    let answer = accept(&accepting, TO);
    for proof in [&conclusion.proof, &answer.proof] {
        let members = claims(proof);
        let mut names: Vec<_> = members.keys().map(String::as_str).collect();
        let mut held: Vec<_> = MEMBERS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        held.sort_unstable();
        assert_eq!(names, held);
        for name in held {
            let without = |claims: &mut Map<String, Value>| drop(claims.remove(name));
            assert_eq!(answered(TO, without), R::Malformed, "{name}");
            assert_eq!(ended(FROM, without), R::Malformed, "{name}");
        }
    }
    let more = |claims: &mut Map<String, Value>| drop(claims.insert("x".into(), 1.into()));
    assert_eq!(answered(TO, more), R::Malformed);
    assert_eq!(ended(FROM, more), R::Malformed);
}

#[test]
fn a_proof_by_another_key_is_refused() {
    assert_eq!(answered(MALLORY, |_| ()), R::BadSignature);
    assert_eq!(ended(MALLORY, |_| ()), R::BadSignature);
}

#[test]
fn an_own_message_that_comes_back_is_refused() {
    // The own proof, back at its maker, under the credential of the one who sends it back.
    assert_eq!(answered(FROM, |_| ()), R::Reflection);
    assert_eq!(ended(TO, |_| ()), R::Reflection);
    // The own offer or its parts, back at its maker.
    let own = id(FROM);
    let end = end(FROM, &own, CHANNEL);
    let mut offer = offering_json();
    offer.audience = own.clone();
    let heard = |offer: Offer, peer: &SpiffeId| {
        Accepting::hear(&end, offer, nonce(2), &sees(peer, NOW)).map(drop)
    };
    assert_eq!(heard(offer.clone(), &own), Err(R::Reflection));
    assert_eq!(heard(offer, &id(MALLORY)), Err(R::Reflection));
    let offering = offering(TO);
    let accepting = hear(offering.offer().clone(), TO).unwrap();
    let mut answer = accept(&accepting, TO);
    answer.nonce = nonce(1);
    let refused = offering.clone().accepted(&answer, &sees(&id(TO), NOW));
    assert_eq!(refused.map(drop), Err(R::Reflection));
    answer.nonce = nonce(2);
    answer.wit.clone_from(&CREDENTIALS[FROM]);
    let refused = offering.accepted(&answer, &sees(&id(TO), NOW));
    assert_eq!(refused.map(drop), Err(R::Reflection));
}

#[test]
fn nobody_shakes_hands_with_oneself() {
    let links = chain(0);
    let tip = ChainTip::read(&[links[0].as_str()]).unwrap();
    let own = id(FROM);
    let own_end = end(FROM, &own, CHANNEL);
    let started = Offering::start(&own_end, &own, tip, terms(), nonce(1), NOW);
    assert_eq!(started.map(drop), Err(R::Reflection));
    // Another name with the same key is the same agent.
    let wit = wit(TO, FROM, NOW.plus_seconds(600));
    let offering = offering(TO);
    let mut answer = accept(&hear(offering.offer().clone(), TO).unwrap(), TO);
    answer.wit = wit;
    let refused = offering.accepted(&answer, &sees(&id(TO), NOW));
    assert_eq!(refused.map(drop), Err(R::Reflection));
}

#[test]
fn roles_cannot_be_swapped() {
    // The accepter's own role, by the accepter, where the offerer's end is due; and the other way.
    let (agreed, accepting) = agree(TO);
    let answer = accept(&accepting, TO);
    let mut conclusion = conclude(agreed);
    conclusion.proof.clone_from(&answer.proof);
    assert_eq!(take(accepting, &conclusion).map(drop), Err(R::Reflection));
    let swap = |claims: &mut Map<String, Value>| {
        for (one, two) in [
            ("offerer", "accepter"),
            ("offerer_jkt", "accepter_jkt"),
            ("offerer_nonce", "accepter_nonce"),
        ] {
            let (a, b) = (claims[one].clone(), claims[two].clone());
            claims.insert(one.into(), b);
            claims.insert(two.into(), a);
        }
    };
    assert_eq!(answered(TO, swap), R::UnknownNonce);
    let role = |name: &'static str| {
        move |claims: &mut Map<String, Value>| drop(claims.insert("role".into(), name.into()))
    };
    assert_eq!(answered(TO, role("offerer")), R::WrongRole);
    assert_eq!(ended(FROM, role("accepter")), R::WrongRole);
}

#[test]
fn an_answer_to_another_offer_is_refused() {
    // Recorded in one handshake, said in the next one on the same channel.
    let first = hear(offering_json(), TO).unwrap();
    let recorded = accept(&first, TO);
    let links = chain(0);
    let tip = ChainTip::read(&[links[0].as_str()]).unwrap();
    let own = id(FROM);
    let own = end(FROM, &own, CHANNEL);
    let second = Offering::start(&own, &id(TO), tip, terms(), nonce(7), NOW).unwrap();
    let refused = second.accepted(&recorded, &sees(&id(TO), NOW));
    assert_eq!(refused.map(drop), Err(R::UnknownNonce));
}

#[test]
fn what_is_said_on_one_channel_is_worth_nothing_on_another() {
    // Mallory ends both channels with SVIDs of his own and passes the messages on.
    let offering = offering(TO);
    let (own, peer) = (id(TO), id(FROM));
    let far = end(TO, &own, OTHER_CHANNEL);
    let accepting =
        Accepting::hear(&far, offering.offer().clone(), nonce(2), &sees(&peer, NOW)).unwrap();
    let answer = accept(&accepting, TO);
    let refused = offering.accepted(&answer, &sees(&id(TO), NOW));
    assert_eq!(refused.map(drop), Err(R::WrongChannel));
    // The end of a handshake on another channel, by the same peer.
    let (agreed, accepting) = agree(TO);
    let conclusion = conclude(agreed);
    let refused = accepting.conclude(
        &conclusion,
        OTHER_CHANNEL,
        &sees(&peer, NOW),
        &context(RevocationSet::none()),
    );
    assert_eq!(refused.map(drop), Err(R::WrongChannel));
}

#[test]
fn who_stands_in_between_is_not_the_peer() {
    let offering = offering(TO);
    let mallory = id(MALLORY);
    // Mallory passes the offer on under his own SVID.
    let own = id(TO);
    let far = end(TO, &own, CHANNEL);
    let offer = offering.offer().clone();
    let heard = Accepting::hear(&far, offer.clone(), nonce(2), &sees(&mallory, NOW));
    assert_eq!(heard.map(drop), Err(R::WrongPeer));
    // And the answer.
    let accepting = hear(offer.clone(), TO).unwrap();
    let answer = accept(&accepting, TO);
    let refused = offering.clone().accepted(&answer, &sees(&mallory, NOW));
    assert_eq!(refused.map(drop), Err(R::WrongPeer));
    // Or answers with a credential and a key of his own what was meant for another.
    let mut own_answer = answer.clone();
    let mut members = claims(&answer.proof);
    members.insert("accepter_jkt".into(), holder(MALLORY).public().kid().into());
    own_answer.proof = forge(MALLORY, HANDSHAKE_TYP, &members);
    own_answer.wit.clone_from(&CREDENTIALS[MALLORY]);
    let refused = offering.clone().accepted(&own_answer, &sees(&mallory, NOW));
    assert_eq!(refused.map(drop), Err(R::WrongPeer));
    // An offer that is meant for somebody else.
    assert_eq!(hear(offer, 3).map(drop), Err(R::WrongAudience));
    // The end.
    let (agreed, accepting) = agree(TO);
    let end = conclude(agreed);
    let refused = accepting.conclude(
        &end,
        CHANNEL,
        &sees(&mallory, NOW),
        &context(RevocationSet::none()),
    );
    assert_eq!(refused.map(drop), Err(R::WrongPeer));
}

#[test]
fn credentials_of_others_are_refused() {
    let later = NOW.plus_seconds(600);
    for (wit, expected) in [
        (wit(3, TO, later), R::WrongPeer),
        // Another key than the one that signed the proof.
        (wit(TO, 3, later), R::BadSignature),
        (wit(TO, TO, NOW), R::CredentialExpired),
        ("a.b.c".to_owned(), R::Credential(WitError::Malformed)),
    ] {
        let offering = offering(TO);
        let mut answer = accept(&hear(offering.offer().clone(), TO).unwrap(), TO);
        answer.wit = wit;
        let refused = offering.accepted(&answer, &sees(&id(TO), NOW));
        assert_eq!(refused.map(drop), Err(expected));
    }
    for (wit, expected) in [
        (wit(3, FROM, later), R::WrongPeer),
        (wit(FROM, FROM, NOW), R::CredentialExpired),
        ("a.b.c".to_owned(), R::Credential(WitError::Malformed)),
    ] {
        let mut offer = offering_json();
        offer.wit = wit;
        assert_eq!(hear(offer, TO).map(drop), Err(expected));
    }
    // A key that the offerer has a credential for and does not hold.
    let mut offer = offering_json();
    offer.wit = wit(FROM, 3, later);
    let accepting = hear(offer, TO).unwrap();
    let (agreed, _) = agree(TO);
    let end = conclude(agreed);
    assert_eq!(take(accepting, &end).map(drop), Err(R::BadSignature));
    // Nobody of another trust domain is believed.
    let stranger: SpiffeId = "spiffe://other.example/agent/a/instance/1".parse().unwrap();
    let own = id(TO);
    let end = end_of(&own);
    let heard = Accepting::hear(&end, offering_json(), nonce(2), &sees(&stranger, NOW));
    assert_eq!(heard.map(drop), Err(R::UnknownTrustDomain));
}

fn end_of(own: &SpiffeId) -> OwnEnd<'_> {
    end(TO, own, CHANNEL)
}

#[test]
fn the_algorithm_is_that_of_the_credentials_key() {
    let offering = offering(TO);
    let answer = accept(&hear(offering.offer().clone(), TO).unwrap(), TO);
    let parts: Vec<_> = answer.proof.split('.').collect();
    for (algorithm, expected) in [
        ("none", R::AlgNotAllowed),
        ("HS256", R::AlgNotAllowed),
        ("EdDSA", R::AlgNotAllowed),
        ("ES256", R::AlgNotAllowed),
    ] {
        let header = base64url::encode(json!({"alg": algorithm, "typ": HANDSHAKE_TYP}).to_string());
        let mut downgraded = answer.clone();
        downgraded.proof = format!("{header}.{}.{}", parts[1], parts[2]);
        let refused = offering.clone().accepted(&downgraded, &sees(&id(TO), NOW));
        assert_eq!(refused.map(drop), Err(expected), "{algorithm}");
    }
    for typ in ["adt-pop+jwt", "agent-accept+jwt", "adt+jwt"] {
        let mut other = answer.clone();
        other.proof = forge(TO, typ, &claims(&answer.proof));
        let refused = offering.clone().accepted(&other, &sees(&id(TO), NOW));
        assert_eq!(refused.map(drop), Err(R::WrongTyp), "{typ}");
    }
}

#[test]
fn what_is_old_is_refused() {
    let offering = offering(TO);
    let later = NOW.plus_seconds(61);
    let own = id(TO);
    let end = end(TO, &own, CHANNEL);
    let peer = id(FROM);
    let offer = offering.offer().clone();
    let heard = Accepting::hear(&end, offer.clone(), nonce(2), &sees(&peer, later));
    assert_eq!(heard.map(drop), Err(R::StaleTime));
    let heard = Accepting::hear(
        &end,
        offer.clone(),
        nonce(2),
        &sees(&peer, NOW.minus_seconds(6)),
    );
    assert_eq!(heard.map(drop), Err(R::StaleTime));
    let answer = accept(&hear(offer, TO).unwrap(), TO);
    let refused = offering.accepted(&answer, &sees(&id(TO), later));
    assert_eq!(refused.map(drop), Err(R::StaleNonce));
    let (agreed, accepting) = agree(TO);
    let conclusion = conclude(agreed);
    let refused = accepting.conclude(
        &conclusion,
        CHANNEL,
        &sees(&peer, later),
        &context(RevocationSet::none()),
    );
    assert_eq!(refused.map(drop), Err(R::StaleNonce));
    // An offer of what is over already.
    let mut offer = offering_json();
    offer.terms.expires_at = NOW;
    let refusal = hear(offer, TO).map(drop).unwrap_err();
    assert_eq!(refusal, R::Offer(Reason::Expired.into()));
}

#[test]
fn codes_are_one_for_each_cause() {
    let all = [
        R::Malformed,
        R::TooLong,
        R::Protocol,
        R::WrongTyp,
        R::AlgNotAllowed,
        R::CredentialExpired,
        R::Credential(WitError::Claims),
        R::UnknownTrustDomain,
        R::WrongPeer,
        R::Reflection,
        R::BadSignature,
        R::WrongRole,
        R::WrongKey,
        R::UnknownNonce,
        R::StaleNonce,
        R::Replay,
        R::StaleTime,
        R::WrongChannel,
        R::WrongAudience,
        R::WrongChain,
        R::WrongTerms,
        R::Offer(Reason::Expired.into()),
        R::Chain(Reason::Expired.into()),
        R::OtherHolder,
        R::TooMany,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(R::code).collect();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn what_binds_the_channel_is_not_printed() {
    assert_eq!(format!("{CHANNEL:?}"), "ChannelBinding([redacted])");
}
