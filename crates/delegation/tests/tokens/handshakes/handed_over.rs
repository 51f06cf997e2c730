//! What changes hands, and the handshakes that are open: the link, its chain, and how often.

use super::*;

#[test]
fn the_link_is_the_one_that_was_offered() {
    let sign = |message: &[u8]| holder(FROM).sign(message);
    // Wider, narrower, longer or deeper than offered: the end of a handshake about other terms.
    type Change = fn(&mut OfferedTerms);
    let changes: [Change; 5] = [
        |terms| terms.entries.clear(),
        |terms| terms.expires_at = terms.expires_at.plus_seconds(1),
        |terms| terms.max_depth = 2,
        |terms| terms.forbid = terms.entries.clone(),
        |terms| terms.ask = terms.entries.clone(),
    ];
    for change in changes {
        let links = chain(0);
        let tip = ChainTip::read(&[links[0].as_str()]).unwrap();
        let mut other = terms();
        change(&mut other);
        let own = id(FROM);
        let own = end(FROM, &own, CHANNEL);
        let offering = Offering::start(&own, &id(TO), tip, other, nonce(1), NOW).unwrap();
        let answer = accept(&hear(offering.offer().clone(), TO).unwrap(), TO);
        let agreed = offering.accepted(&answer, &sees(&id(TO), NOW)).unwrap();
        let made = agreed.conclude(&links, "jti-x".to_owned(), NOW, &AwsLc, &sign);
        let other = made.unwrap().conclusion;
        let (agreed, accepting) = agree(TO);
        let mut conclusion = conclude(agreed);
        conclusion.chain = other.chain;
        let refused = take(accepting, &conclusion).map(drop);
        assert_eq!(refused, Err(R::WrongTerms));
    }
    // A link for somebody else.
    let (agreed, _) = agree(3);
    let other = conclude(agreed);
    let (agreed, accepting) = agree(TO);
    let mut conclusion = conclude(agreed);
    conclusion.chain = other.chain;
    assert_eq!(take(accepting, &conclusion).map(drop), Err(R::OtherHolder));
}

#[test]
fn the_whole_chain_is_verified_before_it_is_taken() {
    let with = |change: fn(&mut Vec<String>)| {
        let (agreed, accepting) = agree(TO);
        let mut conclusion = conclude(agreed);
        change(&mut conclusion.chain);
        take(accepting, &conclusion).expect_err("taken")
    };
    let refused = |refusal: R| match refusal {
        R::Chain(refusal) => refusal.reason,
        other => panic!("{other:?}"),
    };
    // Without the link it is the peer's own chain.
    assert_eq!(with(|chain| drop(chain.pop())), R::WrongChain);
    assert_eq!(refused(with(Vec::clear)), Reason::Malformed);
    assert_eq!(
        refused(with(|chain| drop(chain.remove(0)))),
        Reason::UntrustedRoot
    );
    assert_eq!(
        refused(with(|chain| chain.swap(0, 1))),
        Reason::UntrustedRoot
    );
    // Out of another chain of the same peer.
    let other = with(|links| {
        let mut draft = root_draft(vec![entry(read_src())]);
        draft.mission = Digest::of("another mission");
        links[0] = make_root(&draft).unwrap();
    });
    assert_eq!(refused(other), Reason::BrokenLink);
    let (agreed, accepting) = agree(TO);
    let conclusion = conclude(agreed);
    let peer = id(FROM);
    let revoked = accepting.conclude(
        &conclusion,
        CHANNEL,
        &sees(&peer, NOW),
        &context(&revoked_token("jti-0")),
    );
    assert_eq!(refused(revoked.expect_err("taken")), Reason::Revoked);
}

#[test]
fn the_link_is_out_of_the_chain_that_was_offered() {
    // The peer holds another root, of another mission, and ends with a link out of that one.
    let mut draft = root_draft(vec![entry(read_src())]);
    draft.mission = Digest::of("another mission");
    let mut other = vec![make_root(&draft).unwrap()];
    let mut link = link_terms(TO, terms().entries);
    link.expires_at = terms().expires_at;
    link.max_depth = terms().max_depth;
    other.push(make_link(&other, link).unwrap());
    let (agreed, accepting) = agree(TO);
    let mut conclusion = conclude(agreed);
    conclusion.chain = other;
    assert_eq!(take(accepting, &conclusion).map(drop), Err(R::WrongChain));
}

#[test]
fn an_end_answers_its_own_nonce() {
    let (agreed, accepting) = agree(TO);
    let mut conclusion = conclude(agreed);
    conclusion.nonce = nonce(3);
    let refused = take(accepting.clone(), &conclusion);
    assert_eq!(refused.map(drop), Err(R::UnknownNonce));
    conclusion.nonce = nonce(2);
    assert!(take(accepting, &conclusion).is_ok());
}

#[test]
fn an_offer_out_of_anothers_chain_is_not_made() {
    let links = chain(1);
    let links: Vec<_> = links.iter().map(String::as_str).collect();
    let tip = ChainTip::read(&links).unwrap();
    let own = id(FROM);
    let own = end(FROM, &own, CHANNEL);
    let started = Offering::start(&own, &id(TO), tip, terms(), nonce(1), NOW);
    assert_eq!(started.map(drop), Err(R::WrongChain));
}

/// An open handshake of that peer; the offer's and the answer's nonce.
fn opened(open: &mut OpenHandshakes, peer: usize, offer: u8, own: u8) -> Result<(), R> {
    let mut heard = offering_json();
    heard.nonce = nonce(offer);
    let accepting = {
        let (me, from) = (id(TO), id(FROM));
        let me = end(TO, &me, CHANNEL);
        Accepting::hear(&me, heard, nonce(own), &sees(&from, NOW)).unwrap()
    };
    open.open(&id(peer), accepting, NOW)
}

#[test]
fn a_handshake_ends_once_and_in_time_and_by_its_peer() {
    let mut open = OpenHandshakes::new(4, 4);
    opened(&mut open, FROM, 10, 20).unwrap();
    let take = |open: &mut OpenHandshakes, peer, own, now| {
        open.take(&id(peer), &nonce(own), now).map(drop)
    };
    assert_eq!(take(&mut open, FROM, 21, NOW), Err(R::UnknownNonce));
    // Who is not the peer does not even use it up.
    assert_eq!(take(&mut open, MALLORY, 20, NOW), Err(R::UnknownNonce));
    assert_eq!(take(&mut open, FROM, 20, NOW), Ok(()));
    assert_eq!(take(&mut open, FROM, 20, NOW), Err(R::Replay));
    opened(&mut open, FROM, 11, 22).unwrap();
    let late = NOW.plus_seconds(61);
    assert_eq!(take(&mut open, FROM, 22, late), Err(R::StaleNonce));
    assert_eq!(opened(&mut open, FROM, 11, 23), Err(R::Replay));
    // A clock that steps back opens nothing again.
    opened(&mut open, FROM, 12, 24).unwrap();
    assert_eq!(take(&mut open, FROM, 24, NOW), Err(R::StaleNonce));
}

#[test]
fn a_flood_harms_its_own_peer_only() {
    let mut open = OpenHandshakes::new(3, 2);
    for at in 0..3 {
        opened(&mut open, MALLORY, 30 + at, 60 + at).unwrap();
    }
    assert_eq!(opened(&mut open, MALLORY, 40, 70), Err(R::TooMany));
    opened(&mut open, FROM, 41, 71).unwrap();
    assert!(open.take(&id(FROM), &nonce(71), NOW).is_ok());
    // Used ones count until they are too old, so that none is taken twice.
    assert!(open.take(&id(MALLORY), &nonce(60), NOW).is_ok());
    assert_eq!(opened(&mut open, MALLORY, 42, 72), Err(R::TooMany));
    assert_eq!(opened(&mut open, 4, 43, 73), Err(R::TooMany));
}
