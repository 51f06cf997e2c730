use std::net::SocketAddr;
use std::sync::Arc;

use chancery_crypto::{AwsLc, random_bytes, random_id};
use chancery_delegation::Entry;
use chancery_delegation::handshake::{
    Accept, Agreed, HandshakeRefusal, Nonce, OfferedTerms, Offering, OwnEnd, PeerContext,
};
use chancery_identity::SpiffeId;
use chancery_types::id::DelegationKind;
use chancery_types::{Digest, Timestamp, base64url};
use serde_json::Value;

use super::a2a::{from_a2a_answer, to_a2a_request};
use super::error::HandshakeError;
use super::exchange::Exchange;
use super::routes::HandshakeRoute;
use super::trust::PeerTrust;
use super::wire::{Answered, Concluding, read};
use crate::clock::now;
use crate::held::Held;
use crate::key::AgentKeyError;
use crate::session::Instance;
use crate::svid::OwnSvid;

/// An agent that serves handshakes, and who it must prove to be.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Its SPIFFE ID: the instance's, by its X.509-SVID.
    pub spiffe_id: SpiffeId,
}

/// How the messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// As JSON, each to its own path.
    Json,
    /// Inside of A2A messages.
    A2a,
}

/// What is delegated.
#[derive(Debug, Clone)]
pub struct HandshakeGrant {
    /// What the peer may do: never more than the one who delegates.
    pub entries: Vec<Entry>,
    /// What nobody below may do.
    pub forbid: Vec<Entry>,
    /// What nobody below may do without an approval.
    pub ask: Vec<Entry>,
    /// How long, where less than the own authority's time.
    pub lifetime_seconds: Option<u64>,
    /// Whether the peer may delegate further, as far as the one who delegates may.
    pub may_delegate: bool,
}

/// Authority that was passed on, and that the peer has verified and taken.
#[derive(Debug, Clone)]
pub struct Delegated {
    /// The peer.
    pub peer: SpiffeId,
    /// The manifest of the peer's credential.
    pub manifest: Digest,
    /// The link's `jti`: revoking it ends the peer's authority.
    pub jti: String,
    /// The digest of the peer's chain.
    pub chain: Digest,
}

/// Passes an instance's authority on to other agents.
#[derive(Debug, Clone)]
pub struct HandshakeClient {
    instance: Arc<Instance>,
    svid: OwnSvid,
    trust: PeerTrust,
    wire: Wire,
}

impl HandshakeClient {
    /// A client of that instance, which connects with that SVID.
    pub fn new(instance: Arc<Instance>, svid: OwnSvid, trust: PeerTrust, wire: Wire) -> Self {
        Self {
            instance,
            svid,
            trust,
            wire,
        }
    }

    /// Shakes hands with the peer and delegates a part of `held` to it. Signs no link before the
    /// peer has proven its agent key on this very connection.
    pub async fn delegate(
        &self,
        held: &Held,
        peer: &Peer,
        grant: HandshakeGrant,
    ) -> Result<Delegated, HandshakeError> {
        let credential = self.instance.credential().await?;
        let key = self.instance.key();
        let mut exchange = Exchange::open(peer, &self.svid, key, &credential.wit).await?;
        let own = OwnEnd {
            spiffe_id: &credential.spiffe_id,
            key: key.public(),
            wit: &credential.wit,
            channel: exchange.channel.binding(),
        };
        let nonce = Nonce::from_random(random_bytes().map_err(AgentKeyError::from)?);
        let terms = terms(held, grant, now())?;
        let tip = held.tip().clone();
        let offering = Offering::start(&own, &peer.spiffe_id, tip, terms, nonce, now())?;
        let offer = offering.offer().to_json();
        let path = HandshakeRoute::Offer;
        let answer = self.say(&mut exchange, path, offer, held).await?;
        let agreed = self.agree(offering, &exchange, answer)?;
        let manifest = agreed.peer().claims().manifest_digest;
        let jti = random_id::<DelegationKind>().map_err(AgentKeyError::from)?;
        let made = key.conclude(agreed, held.chain(), jti.to_string(), now())?;
        let chain = Digest::of(made.conclusion.chain.join(","));
        let concluding = Concluding::new(made.conclusion, held).to_json();
        let path = HandshakeRoute::Conclusion;
        let answer = self.say(&mut exchange, path, concluding, held).await?;
        if Answered::taken(&answer) != Some(chain) {
            return Err(HandshakeError::Answer);
        }
        Ok(Delegated {
            peer: peer.spiffe_id.clone(),
            manifest,
            jti: made.jti,
            chain,
        })
    }

    fn agree(
        &self,
        offering: Offering,
        exchange: &Exchange<'_>,
        answer: Value,
    ) -> Result<Agreed, HandshakeError> {
        let believed = self.trust.believed();
        let context = PeerContext {
            now: now(),
            peer: exchange.channel.peer(),
            wits: &believed.wits,
            verifier: &AwsLc,
        };
        if !exchange.channel.is_valid_at(context.now) {
            return Err(HandshakeRefusal::WrongPeer.into());
        }
        let accept = Accept::parse(answer)?;
        Ok(offering.accepted(&accept, &context)?)
    }

    async fn say(
        &self,
        exchange: &mut Exchange<'_>,
        route: HandshakeRoute,
        message: Value,
        held: &Held,
    ) -> Result<Value, HandshakeError> {
        let chain = held.chain();
        match self.wire {
            Wire::Json => Ok(read(&exchange.say(route.path(), &message, chain).await?)?),
            Wire::A2a => {
                let id = base64url::encode(random_bytes::<16>().map_err(AgentKeyError::from)?);
                let request = to_a2a_request(&id, message);
                let path = HandshakeRoute::A2a.path();
                let answer = exchange.say(path, &request, chain).await?;
                Ok(from_a2a_answer(&answer, &id)?)
            }
        }
    }
}

fn terms(
    held: &Held,
    grant: HandshakeGrant,
    now: Timestamp,
) -> Result<OfferedTerms, HandshakeError> {
    let own = held.tip().grant();
    let end = grant.lifetime_seconds.map_or(own.expires_at, |seconds| {
        let end = now.plus_seconds(seconds).as_seconds();
        own.expires_at.min(Timestamp::from_seconds(end))
    });
    if now.as_seconds() >= end.as_seconds() {
        return Err(HandshakeError::Expired);
    }
    Ok(OfferedTerms {
        entries: grant.entries,
        forbid: grant.forbid,
        ask: grant.ask,
        expires_at: end,
        max_depth: if grant.may_delegate {
            own.max_depth
        } else {
            own.depth.saturating_add(1)
        },
    })
}
