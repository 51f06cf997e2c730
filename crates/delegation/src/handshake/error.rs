use chancery_identity::WitError;

use crate::Refusal;

/// Why a handshake is refused: one code each. Exhaustive on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeRefusal {
    /// Not the JSON and members of the message that is due.
    #[error("the handshake's message is malformed")]
    Malformed,
    /// A message or a part of it is longer than any that is due.
    #[error("the handshake's message is too long")]
    TooLong,
    /// Another protocol or version.
    #[error("the message is of another protocol or version")]
    Protocol,
    /// The proof is a token of another type.
    #[error("the proof is a token of another type")]
    WrongTyp,
    /// The proof's algorithm is not one of ours, or not that of the credential's key.
    #[error("the proof's algorithm is not that of the peer's key")]
    AlgNotAllowed,
    /// The peer's credential has expired.
    #[error("the peer's credential has expired; it gets a new one from its node")]
    CredentialExpired,
    /// The peer's credential does not verify.
    #[error("the peer's credential is refused")]
    Credential(#[source] WitError),
    /// The peer's trust domain is not one whose credentials are believed.
    #[error("nobody of the peer's trust domain is believed")]
    UnknownTrustDomain,
    /// The credential, the transport and the transcript do not name one and the same peer.
    #[error("the credential, the transport and the transcript name different peers")]
    WrongPeer,
    /// The message is the own one, sent back.
    #[error("the message is the own one, sent back")]
    Reflection,
    /// The proof is not signed by the key of the peer's credential.
    #[error("the proof is not signed by the peer's agent key")]
    BadSignature,
    /// The proof was made in the other role.
    #[error("the proof was made in the other role")]
    WrongRole,
    /// The proof binds another key than the credential's or the own one.
    #[error("the proof binds another agent key")]
    WrongKey,
    /// The proof answers a nonce that was not given, or names a handshake that is not open.
    #[error("the proof answers a nonce that was not given")]
    UnknownNonce,
    /// The nonce is too old.
    #[error("the nonce is too old; start the handshake again")]
    StaleNonce,
    /// The message was seen before.
    #[error("the message was seen before")]
    Replay,
    /// The message is dated too long ago or in the future.
    #[error("the message is dated too long ago or in the future")]
    StaleTime,
    /// The proof was made on another channel: somebody stands between.
    #[error("the proof was made on another channel: somebody stands between")]
    WrongChannel,
    /// The proof is meant for somebody else.
    #[error("the proof is meant for somebody else")]
    WrongAudience,
    /// The proof or the link is for another chain than the one that is to be narrowed.
    #[error("the proof or the link is for another chain")]
    WrongChain,
    /// The proof or the link is for other terms than those offered.
    #[error("the proof or the link is for other terms than those offered")]
    WrongTerms,
    /// The offer reaches further than the offering side's own authority, or ends too soon.
    #[error("the offer is not one that the offering side can make")]
    Offer(#[source] Refusal),
    /// The chain does not verify.
    #[error("the chain is refused")]
    Chain(#[source] Refusal),
    /// The chain's leaf is for another holder or key.
    #[error("the link is for another holder")]
    OtherHolder,
    /// The peer has as many handshakes open as it may, or there are too many peers.
    #[error("too many open handshakes; wait a minute")]
    TooMany,
}

impl HandshakeRefusal {
    /// A stable code, one for each cause.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "handshake_malformed",
            Self::TooLong => "handshake_too_long",
            Self::Protocol => "handshake_protocol",
            Self::WrongTyp => "handshake_wrong_typ",
            Self::AlgNotAllowed => "handshake_alg_not_allowed",
            Self::CredentialExpired => "handshake_credential_expired",
            Self::Credential(_) => "handshake_credential_refused",
            Self::UnknownTrustDomain => "handshake_unknown_trust_domain",
            Self::WrongPeer => "handshake_wrong_peer",
            Self::Reflection => "handshake_reflection",
            Self::BadSignature => "handshake_bad_signature",
            Self::WrongRole => "handshake_wrong_role",
            Self::WrongKey => "handshake_wrong_key",
            Self::UnknownNonce => "handshake_unknown_nonce",
            Self::StaleNonce => "handshake_stale_nonce",
            Self::Replay => "handshake_replay",
            Self::StaleTime => "handshake_stale_time",
            Self::WrongChannel => "handshake_wrong_channel",
            Self::WrongAudience => "handshake_wrong_audience",
            Self::WrongChain => "handshake_wrong_chain",
            Self::WrongTerms => "handshake_wrong_terms",
            Self::Offer(_) => "handshake_bad_offer",
            Self::Chain(_) => "handshake_chain_refused",
            Self::OtherHolder => "handshake_other_holder",
            Self::TooMany => "handshake_too_many",
        }
    }
}
