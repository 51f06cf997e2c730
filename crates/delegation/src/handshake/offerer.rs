use chancery_identity::{SpiffeId, VerifiedWit};
use chancery_types::{Digest, Jwk, SignatureVerifier, Timestamp};

use super::transcript::{End, Role, Transcript};
use super::{
    Accept, ChannelBinding, Conclusion, HANDSHAKE_SECONDS, HandshakeRefusal, Nonce, Offer,
    OfferedTerms, OwnEnd, PeerContext,
};
use crate::chain::ChainTip;
use crate::draft::{DraftError, LinkDraft, Signer, Terms};

/// The one who delegates, after the offer and before the answer.
#[derive(Debug, Clone)]
pub struct Offering {
    own: End,
    channel: ChannelBinding,
    peer: SpiffeId,
    offer: Offer,
    digest: Digest,
    tip: ChainTip,
    started_at: Timestamp,
}

/// The one who delegates, after the peer's answer was verified: the peer holds the key of its
/// credential and stands at the other end of this channel. Only [`Offering::accepted`] makes one.
#[derive(Debug, Clone)]
pub struct Agreed {
    transcript: Transcript,
    terms: OfferedTerms,
    tip: ChainTip,
    peer: VerifiedWit,
    started_at: Timestamp,
}

/// A link that was made, and what ends the handshake.
#[derive(Debug, Clone)]
pub struct Concluded {
    /// The message.
    pub conclusion: Conclusion,
    /// `jti` of the link: revoking it ends the peer's authority.
    pub jti: String,
}

impl Offering {
    /// Makes an offer to `peer`, out of the chain that ends at `tip`. Refuses one whose chain is
    /// another's: the link would verify nowhere.
    pub fn start(
        own: &OwnEnd<'_>,
        peer: &SpiffeId,
        tip: ChainTip,
        terms: OfferedTerms,
        nonce: Nonce,
        now: Timestamp,
    ) -> Result<Self, HandshakeRefusal> {
        if peer == own.spiffe_id {
            return Err(HandshakeRefusal::Reflection);
        }
        if tip.grant().subject != *own.spiffe_id || tip.key() != own.key {
            return Err(HandshakeRefusal::WrongChain);
        }
        let offer = Offer {
            nonce,
            wit: own.wit.to_owned(),
            audience: peer.clone(),
            parent: *tip.hash(),
            terms,
            issued_at: Timestamp::from_seconds(now.as_seconds()),
        };
        Ok(Self {
            own: End {
                spiffe_id: own.spiffe_id.clone(),
                key: *own.key,
                nonce,
            },
            channel: own.channel,
            peer: peer.clone(),
            digest: offer.digest()?,
            offer,
            tip,
            started_at: now,
        })
    }

    /// The message to send.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Verifies the answer. The state is used up: whatever comes of it, this offer is answered once.
    pub fn accepted(
        self,
        accept: &Accept,
        context: &PeerContext<'_>,
    ) -> Result<Agreed, HandshakeRefusal> {
        if context.peer != &self.peer {
            return Err(HandshakeRefusal::WrongPeer);
        }
        if context.now > self.started_at.plus_seconds(HANDSHAKE_SECONDS) {
            return Err(HandshakeRefusal::StaleNonce);
        }
        if accept.nonce == self.own.nonce || accept.wit == self.offer.wit {
            return Err(HandshakeRefusal::Reflection);
        }
        let peer = context.credential(&accept.wit)?;
        if *peer.agent_key() == self.own.key {
            return Err(HandshakeRefusal::Reflection);
        }
        let transcript = Transcript {
            offerer: self.own,
            accepter: End {
                spiffe_id: self.peer,
                key: *peer.agent_key(),
                nonce: accept.nonce,
            },
            parent: self.offer.parent,
            entries: self.offer.terms.entries_digest()?,
            offer: self.digest,
            channel: self.channel,
        };
        transcript.verify(&accept.proof, Role::Accepter, context)?;
        Ok(Agreed {
            transcript,
            terms: self.offer.terms,
            tip: self.tip,
            peer,
            started_at: self.started_at,
        })
    }
}

impl Agreed {
    /// The peer's credential: its name, key, manifest and level.
    pub const fn peer(&self) -> &VerifiedWit {
        &self.peer
    }

    /// Signs the link for the peer's key and the proof that ends the handshake; `chain` is what the
    /// offer was made out of, `sign` signs with the own agent key. Fails with the reason a verifier
    /// would give.
    pub fn conclude<E: std::error::Error + 'static>(
        self,
        chain: &[String],
        jti: String,
        now: Timestamp,
        verifier: &dyn SignatureVerifier,
        sign: Signer<'_, E>,
    ) -> Result<Concluded, DraftError<E>> {
        let started = Timestamp::from_seconds(self.started_at.as_seconds());
        let draft = LinkDraft {
            terms: Terms {
                subject: self.transcript.accepter.spiffe_id.clone(),
                key: self.key(),
                audience: None,
                issued_at: now,
                not_before: self.tip.grant().not_before.max(started),
                expires_at: self.terms.expires_at,
                jti: jti.clone(),
                max_depth: self.terms.max_depth,
                entries: self.terms.entries,
                forbid: self.terms.forbid,
                ask: self.terms.ask,
            },
        };
        let link = draft.sign(&self.tip, verifier, sign)?;
        let proof = self.transcript.prove(Role::Offerer, now, sign)?;
        let conclusion = Conclusion {
            nonce: self.transcript.accepter.nonce,
            proof,
            chain: chain.iter().cloned().chain([link]).collect(),
        };
        Ok(Concluded { conclusion, jti })
    }

    const fn key(&self) -> Jwk {
        self.transcript.accepter.key
    }
}
