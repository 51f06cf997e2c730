use chancery_identity::SpiffeId;
use chancery_types::jws::{Compact, Header, JwsError, assemble, signing_input};
use chancery_types::{Digest, Jwk, SignatureVerifier, Timestamp, to_canonical};
use serde_json::{Map, Value, json};

use super::message::object;
use super::{ChannelBinding, HANDSHAKE_PROTOCOL, HandshakeRefusal, Nonce, PeerContext};
use crate::Reason;
use crate::draft::{DraftError, Signer};
use crate::token::Members;

/// `typ` of a proof of either side.
pub const HANDSHAKE_TYP: &str = "agent-handshake+jwt";

/// Which end of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one who delegates.
    Offerer,
    /// The one who takes.
    Accepter,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Offerer => "offerer",
            Self::Accepter => "accepter",
        }
    }
}

/// One end, as the transcript names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) spiffe_id: SpiffeId,
    pub(super) key: Jwk,
    pub(super) nonce: Nonce,
}

/// What both ends know of one handshake, and what each signs in its role. Every member is signed;
/// a verifier compares each with what it knows itself and takes nothing from the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    pub(super) offerer: End,
    pub(super) accepter: End,
    pub(super) parent: Digest,
    pub(super) entries: Digest,
    pub(super) offer: Digest,
    pub(super) channel: ChannelBinding,
}

impl Transcript {
    const fn end(&self, role: Role) -> &End {
        match role {
            Role::Offerer => &self.offerer,
            Role::Accepter => &self.accepter,
        }
    }

    /// The one that a proof in this role is meant for.
    const fn audience(&self, role: Role) -> &SpiffeId {
        match role {
            Role::Offerer => &self.accepter.spiffe_id,
            Role::Accepter => &self.offerer.spiffe_id,
        }
    }

    /// The claims of a proof in that role.
    pub fn claims(&self, role: Role, now: Timestamp) -> Map<String, Value> {
        object(json!({
            "protocol": HANDSHAKE_PROTOCOL,
            "role": role.name(),
            "offerer_nonce": self.offerer.nonce.to_string(),
            "accepter_nonce": self.accepter.nonce.to_string(),
            "offerer": self.offerer.spiffe_id.as_str(),
            "accepter": self.accepter.spiffe_id.as_str(),
            "offerer_jkt": self.offerer.key.kid(),
            "accepter_jkt": self.accepter.key.kid(),
            "par_hash": self.parent.to_base64url(),
            "entries": self.entries.to_base64url(),
            "offer": self.offer.to_base64url(),
            "aud": self.audience(role).as_str(),
            "cb": self.channel.to_base64url(),
            "iat": now.as_seconds(),
        }))
    }

    /// Makes the proof of the end in that role; `sign` signs with that end's agent key.
    pub(super) fn prove<E: std::error::Error + 'static>(
        &self,
        role: Role,
        now: Timestamp,
        sign: Signer<'_, E>,
    ) -> Result<String, DraftError<E>> {
        let claims = Value::Object(self.claims(role, now));
        let claims = to_canonical(&claims).map_err(DraftError::Canonical)?;
        let header = Header {
            algorithm: self.end(role).key.algorithm(),
            typ: HANDSHAKE_TYP.to_owned(),
            kid: None,
        };
        let input = signing_input(&header, &claims);
        let signature = sign(input.as_bytes()).map_err(DraftError::Sign)?;
        Ok(assemble(&input, &signature))
    }

    /// Verifies the proof of the end in that role, the other one being the own.
    pub(super) fn verify(
        &self,
        proof: &str,
        role: Role,
        context: &PeerContext<'_>,
    ) -> Result<(), HandshakeRefusal> {
        let proof = Compact::parse(proof).map_err(|error| match error {
            JwsError::TooLong => HandshakeRefusal::TooLong,
            JwsError::Malformed => HandshakeRefusal::Malformed,
            JwsError::AlgorithmNotAllowed => HandshakeRefusal::AlgNotAllowed,
        })?;
        if proof.header.typ != HANDSHAKE_TYP {
            return Err(HandshakeRefusal::WrongTyp);
        }
        if proof.header.kid.is_some() {
            return Err(HandshakeRefusal::Malformed);
        }
        self.check_signature(&proof, role, context.verifier)?;
        let claims = Claims::parse(&proof.claims).map_err(|_| HandshakeRefusal::Malformed)?;
        self.check_claims(&claims, role)?;
        context.check_time(claims.issued_at)
    }

    fn check_signature(
        &self,
        proof: &Compact<'_>,
        role: Role,
        verifier: &dyn SignatureVerifier,
    ) -> Result<(), HandshakeRefusal> {
        let own = match role {
            Role::Offerer => &self.accepter.key,
            Role::Accepter => &self.offerer.key,
        };
        let key = &self.end(role).key;
        if proof.header.algorithm == key.algorithm() && proof.verify(key, verifier) {
            return Ok(());
        }
        Err(if proof.verify(own, verifier) {
            HandshakeRefusal::Reflection
        } else if proof.header.algorithm == key.algorithm() {
            HandshakeRefusal::BadSignature
        } else {
            HandshakeRefusal::AlgNotAllowed
        })
    }

    fn check_claims(&self, claims: &Claims, role: Role) -> Result<(), HandshakeRefusal> {
        use HandshakeRefusal as R;
        let require = |holds: bool, refusal| if holds { Ok(()) } else { Err(refusal) };
        require(claims.protocol == HANDSHAKE_PROTOCOL, R::Protocol)?;
        require(claims.role == role.name(), R::WrongRole)?;
        let ends = [
            (&claims.offerer, &self.offerer),
            (&claims.accepter, &self.accepter),
        ];
        for (claimed, end) in ends {
            require(claimed.nonce == end.nonce.to_string(), R::UnknownNonce)?;
            require(claimed.spiffe_id == end.spiffe_id.as_str(), R::WrongPeer)?;
            require(claimed.jkt == end.key.kid(), R::WrongKey)?;
        }
        require(
            claims.audience == self.audience(role).as_str(),
            R::WrongAudience,
        )?;
        require(self.channel.is(&claims.channel), R::WrongChannel)?;
        require(claims.parent == self.parent, R::WrongChain)?;
        require(
            claims.entries == self.entries && claims.offer == self.offer,
            R::WrongTerms,
        )
    }
}

#[derive(Debug)]
struct ClaimedEnd {
    spiffe_id: String,
    jkt: String,
    nonce: String,
}

#[derive(Debug)]
struct Claims {
    protocol: String,
    role: String,
    offerer: ClaimedEnd,
    accepter: ClaimedEnd,
    parent: Digest,
    entries: Digest,
    offer: Digest,
    audience: String,
    channel: Digest,
    issued_at: Timestamp,
}

impl Claims {
    fn parse(members: &Map<String, Value>) -> Result<Self, Reason> {
        let mut members = Members::of(members);
        let claims = Self {
            protocol: members.text("protocol")?,
            role: members.text("role")?,
            offerer: ClaimedEnd {
                spiffe_id: members.text("offerer")?,
                jkt: members.text("offerer_jkt")?,
                nonce: members.text("offerer_nonce")?,
            },
            accepter: ClaimedEnd {
                spiffe_id: members.text("accepter")?,
                jkt: members.text("accepter_jkt")?,
                nonce: members.text("accepter_nonce")?,
            },
            parent: members.digest("par_hash")?,
            entries: members.digest("entries")?,
            offer: members.digest("offer")?,
            audience: members.text("aud")?,
            channel: members.digest("cb")?,
            issued_at: members.time("iat")?,
        };
        members.finish()?;
        Ok(claims)
    }
}
