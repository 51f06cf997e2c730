use chancery_identity::VerifiedWit;
use chancery_types::{Digest, Timestamp};

use super::transcript::{End, Role, Transcript};
use super::{
    Accept, ChannelBinding, Conclusion, HANDSHAKE_SECONDS, HandshakeRefusal, Nonce, Offer, OwnEnd,
    PeerContext,
};
use crate::chain::{ChainContext, VerifiedChain, verify_chain};
use crate::draft::{DraftError, Signer};
use crate::{Reason, Refusal};

/// The one who takes, after the offer and before the end.
#[derive(Debug, Clone)]
pub struct Accepting {
    transcript: Transcript,
    offer: Offer,
    peer: VerifiedWit,
    wit: String,
    heard_at: Timestamp,
}

/// Authority that was taken: the whole chain verified, its last link made in this handshake by the
/// peer that proved its key on this channel. Only [`Accepting::conclude`] makes one.
#[derive(Debug, Clone)]
pub struct Taken {
    chain: VerifiedChain,
    links: Vec<String>,
}

impl Accepting {
    /// Takes an offer up for an answer. Believes nothing of it yet but who says it.
    pub fn hear(
        own: &OwnEnd<'_>,
        offer: Offer,
        nonce: Nonce,
        context: &PeerContext<'_>,
    ) -> Result<Self, HandshakeRefusal> {
        if context.peer == own.spiffe_id || offer.wit == own.wit || offer.nonce == nonce {
            return Err(HandshakeRefusal::Reflection);
        }
        if offer.audience != *own.spiffe_id {
            return Err(HandshakeRefusal::WrongAudience);
        }
        context.check_time(offer.issued_at)?;
        let peer = context.credential(&offer.wit)?;
        if peer.agent_key() == own.key {
            return Err(HandshakeRefusal::Reflection);
        }
        check_terms(&offer, context.now)?;
        let transcript = Transcript {
            offerer: end(&peer, offer.nonce),
            accepter: End {
                spiffe_id: own.spiffe_id.clone(),
                key: *own.key,
                nonce,
            },
            parent: offer.parent,
            entries: offer.terms.entries_digest()?,
            offer: offer.digest()?,
            channel: own.channel,
        };
        Ok(Self {
            transcript,
            offer,
            peer,
            wit: own.wit.to_owned(),
            heard_at: context.now,
        })
    }

    /// What was offered.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The credential of the one who offers. It is not proven yet.
    pub const fn peer(&self) -> &VerifiedWit {
        &self.peer
    }

    /// The own nonce: the name of this handshake.
    pub const fn nonce(&self) -> &Nonce {
        &self.transcript.accepter.nonce
    }

    /// The last moment at which the end is taken.
    pub const fn until(&self) -> Timestamp {
        self.heard_at.plus_seconds(HANDSHAKE_SECONDS)
    }

    /// Makes the answer; `sign` signs with the own agent key.
    pub fn accept<E: std::error::Error + 'static>(
        &self,
        now: Timestamp,
        sign: Signer<'_, E>,
    ) -> Result<Accept, DraftError<E>> {
        Ok(Accept {
            nonce: *self.nonce(),
            wit: self.wit.clone(),
            proof: self.transcript.prove(Role::Accepter, now, sign)?,
        })
    }

    /// Verifies the end: who says it and on which channel, the peer's proof, the whole chain, and
    /// that the last link is the one that was offered, made by the peer for the own name and key.
    pub fn conclude(
        self,
        conclusion: &Conclusion,
        channel: ChannelBinding,
        context: &PeerContext<'_>,
        chains: &ChainContext<'_>,
    ) -> Result<Taken, HandshakeRefusal> {
        use HandshakeRefusal as R;
        let require = |holds: bool, refusal| if holds { Ok(()) } else { Err(refusal) };
        let Transcript {
            offerer, accepter, ..
        } = &self.transcript;
        require(context.peer == &offerer.spiffe_id, R::WrongPeer)?;
        require(channel == self.transcript.channel, R::WrongChannel)?;
        require(conclusion.nonce == accepter.nonce, R::UnknownNonce)?;
        require(context.now <= self.until(), R::StaleNonce)?;
        self.transcript
            .verify(&conclusion.proof, Role::Offerer, context)?;
        let links: Vec<_> = conclusion.chain.iter().map(String::as_str).collect();
        let chain = verify_chain(&links, chains).map_err(R::Chain)?;
        self.check_link(&chain)?;
        Ok(Taken {
            chain,
            links: conclusion.chain.clone(),
        })
    }

    /// That the last link was made by the peer, for the own name and key, on the offered terms.
    fn check_link(&self, chain: &VerifiedChain) -> Result<(), HandshakeRefusal> {
        use HandshakeRefusal as R;
        let require = |holds: bool, refusal| if holds { Ok(()) } else { Err(refusal) };
        let Transcript {
            offerer, accepter, ..
        } = &self.transcript;
        let mut ends = chain.links().rev();
        let (leaf, parent) = (ends.next(), ends.next());
        let (Some(leaf), Some(parent)) = (leaf, parent) else {
            return Err(R::WrongChain);
        };
        require(
            parent.hash() == self.transcript.parent
                && parent.subject() == &offerer.spiffe_id
                && *parent.key() == offerer.key,
            R::WrongChain,
        )?;
        require(
            leaf.subject() == &accepter.spiffe_id && *leaf.key() == accepter.key,
            R::OtherHolder,
        )?;
        let (grant, terms) = (leaf.grant(), &self.offer.terms);
        require(
            grant.entries == terms.entries
                && grant.forbid == terms.forbid
                && grant.ask == terms.ask
                && grant.audience.is_none()
                && grant.max_depth == terms.max_depth
                && grant.expires_at.as_seconds() == terms.expires_at.as_seconds(),
            R::WrongTerms,
        )
    }
}

impl Taken {
    /// The chain, as verified at the end of the handshake.
    pub const fn chain(&self) -> &VerifiedChain {
        &self.chain
    }

    /// The links, root first.
    pub fn links(&self) -> &[String] {
        &self.links
    }

    /// `cth` of the chain.
    pub const fn digest(&self) -> Digest {
        self.chain.digest()
    }
}

fn end(peer: &VerifiedWit, nonce: Nonce) -> End {
    End {
        spiffe_id: peer.spiffe_id().clone(),
        key: *peer.agent_key(),
        nonce,
    }
}

/// What is over already is not worth an answer.
fn check_terms(offer: &Offer, now: Timestamp) -> Result<(), HandshakeRefusal> {
    if offer.terms.expires_at <= now {
        return Err(HandshakeRefusal::Offer(Refusal::from(Reason::Expired)));
    }
    Ok(())
}
