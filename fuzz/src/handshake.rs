//! The messages of a handshake, and signed requests.

use std::sync::LazyLock;

use chancery_delegation::handshake::{
    Accept, Accepting, ChannelBinding, Conclusion, Nonce, Offer, OfferedTerms, Offering, OwnEnd,
    PeerContext,
};
use chancery_delegation::http_signature::{
    HttpContext, HttpRefusal, HttpRequest, ReceivedSignature, verify_presentation,
};
use chancery_delegation::{
    BoundedReplayMemory, ChainContext, ChainTip, RevocationSet, TrustAnchor,
};
use chancery_identity::{SpiffeId, WitBundle};
use chancery_types::jws::{Compact, Header, assemble, signing_input};
use chancery_types::{Algorithm, Digest, Timestamp, parse_strict};
use serde_json::Value;

use crate::world::{CHAIN, Credulous, DOMAIN, EPOCH, GATEWAY, NOW, trust};

/// The credential of the worker that the chain ends at.
const WIT: &str = include_str!("../corpus/identity_wit/token");

const CHANNEL: ChannelBinding = ChannelBinding::new([7; 32]);

/// The two ends: the root's holder offers, the worker accepts.
struct Ends {
    boss: SpiffeId,
    tip: ChainTip,
    worker: SpiffeId,
    wits: Vec<WitBundle>,
}

static ENDS: LazyLock<Option<Ends>> = LazyLock::new(|| {
    let root = CHAIN.trim_end().split(',').next()?;
    let tip = ChainTip::read(&[root]).ok()?;
    let token = Compact::parse(WIT.trim_end()).ok()?;
    let keys = trust()?.token_authorities.iter().copied();
    Some(Ends {
        boss: tip.grant().subject.clone(),
        tip,
        worker: token.claims.get("sub")?.as_str()?.parse().ok()?,
        wits: vec![WitBundle::new(DOMAIN.parse().ok()?, keys)],
    })
});

impl Ends {
    fn boss(&self) -> OwnEnd<'_> {
        OwnEnd {
            spiffe_id: &self.boss,
            key: self.tip.key(),
            wit: "the boss's",
            channel: CHANNEL,
        }
    }

    /// What either end sees of the worker.
    fn worker(&self) -> PeerContext<'_> {
        PeerContext {
            now: NOW,
            peer: &self.worker,
            wits: &self.wits,
            verifier: &Credulous,
        }
    }

    fn offering(&self) -> Option<Offering> {
        let terms = OfferedTerms {
            entries: self.tip.grant().entries.clone(),
            forbid: Vec::new(),
            ask: Vec::new(),
            expires_at: NOW.plus_seconds(60),
            max_depth: 1,
        };
        let nonce = Nonce::from_random([1; 32]);
        let tip = self.tip.clone();
        Offering::start(&self.boss(), &self.worker, tip, terms, nonce, NOW).ok()
    }
}

/// A message, or the claims of a proof. A message that is read is written and read the same; a
/// proof is taken for the one transcript that it is for.
pub(crate) fn message(input: &[u8]) -> bool {
    let (Ok(value), Some(ends)) = (parse_strict(input), ENDS.as_ref()) else {
        return false;
    };
    let mut taken = false;
    if let Ok(offer) = Offer::parse(value.clone()) {
        assert_eq!(Offer::parse(offer.to_json()).as_ref(), Ok(&offer));
        assert!(offer.digest().is_ok());
        let nonce = Nonce::from_random([2; 32]);
        if let Ok(accepting) = Accepting::hear(&ends.boss(), offer, nonce, &ends.worker()) {
            assert_eq!(accepting.peer().spiffe_id(), &ends.worker);
            assert_eq!(accepting.offer().audience, ends.boss);
        }
        taken = true;
    }
    if let Ok(accept) = Accept::parse(value.clone()) {
        assert_eq!(Accept::parse(accept.to_json()).as_ref(), Ok(&accept));
        taken = true;
    }
    if let Ok(end) = Conclusion::parse(value.clone()) {
        assert_eq!(Conclusion::parse(end.to_json()).as_ref(), Ok(&end));
        taken = true;
    }
    taken | proof(input, &value, ends)
}

/// The claims of the worker's proof, under a signature that is believed.
fn proof(input: &[u8], value: &Value, ends: &Ends) -> bool {
    let Some(offering) = ends.offering() else {
        return false;
    };
    let header = Header {
        algorithm: Algorithm::Ed25519,
        typ: "agent-handshake+jwt".to_owned(),
        kid: None,
    };
    let accept = Accept {
        nonce: Nonce::from_random([2; 32]),
        wit: WIT.trim_end().to_owned(),
        proof: assemble(&signing_input(&header, input), &[0; 64]),
    };
    let offer = offering.offer().clone();
    if offering.accepted(&accept, &ends.worker()).is_err() {
        return false;
    }
    let claimed = |name: &str| value.get(name).and_then(Value::as_str);
    assert_eq!(claimed("role"), Some("accepter"));
    assert_eq!(claimed("aud"), Some(ends.boss.as_str()));
    assert_eq!(claimed("accepter"), Some(ends.worker.as_str()));
    let cb = Digest::from_bytes([7; 32]).to_base64url();
    assert_eq!(claimed("cb"), Some(cb.as_str()));
    let digest = offer.digest().map(|digest| digest.to_base64url());
    assert_eq!(claimed("offer"), digest.as_deref().ok());
    true
}

/// A request as text: method and target in the first line, then fields, an empty line and the body.
/// One that is taken is taken once, and its signature base has a line for each component.
pub(crate) fn http(input: &[u8]) -> bool {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => input.split_at(at),
        None => (input, &b"\n\n"[..]),
    };
    let body = body.get(2..).unwrap_or_default();
    let (Ok(head), Some(ends)) = (str::from_utf8(head), ENDS.as_ref()) else {
        return false;
    };
    let mut lines = head.lines();
    let first = lines.next().and_then(|line| line.split_once(' '));
    let fields: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
    let Some((method, target)) = first else {
        return false;
    };
    let request = HttpRequest {
        method,
        target,
        fields: &fields,
        body,
    };
    if let Ok(received) = ReceivedSignature::parse(&request)
        && let Ok(base) = received.base(&request)
    {
        let components = base.lines().count();
        assert!(base.lines().all(|line| line.starts_with('"')), "{base}");
        assert!(components >= 3);
    }
    verified(&request, ends)
}

fn verified(request: &HttpRequest<'_>, ends: &Ends) -> bool {
    let anchors = trust().into_iter().flat_map(|trust| {
        let known = trust.delegation_authorities.iter();
        known.map(|known| TrustAnchor {
            issuer: known.issuer.clone(),
            key: known.key,
        })
    });
    let anchors: Vec<_> = anchors.collect();
    let chains = ChainContext {
        now: NOW,
        audience: GATEWAY,
        anchors: &anchors,
        epoch: EPOCH,
        revoked: RevocationSet::none(),
        verifier: &Credulous,
    };
    let links: Vec<_> = CHAIN.trim_end().split(',').map(str::to_owned).collect();
    let known = Digest::of(CHAIN.trim_end());
    let context = HttpContext {
        now: NOW,
        audience: GATEWAY,
        started_at: Timestamp::from_seconds(0),
        peer: &ends.worker,
        wits: &ends.wits,
        chains: &chains,
        referenced: &|digest| (*digest == known).then(|| links.clone()),
        verifier: &Credulous,
    };
    let mut replay = BoundedReplayMemory::new(4, 4);
    let Ok(taken) = verify_presentation(request, &context, &mut replay) else {
        return false;
    };
    assert_eq!(taken.credential().spiffe_id(), &ends.worker);
    if let Some(chain) = taken.delegation() {
        assert_eq!(chain.leaf_subject(), &ends.worker);
        assert_eq!(chain.leaf_key(), taken.credential().agent_key());
    }
    let again = verify_presentation(request, &context, &mut replay).map(drop);
    assert_eq!(again, Err(HttpRefusal::Replay));
    true
}
