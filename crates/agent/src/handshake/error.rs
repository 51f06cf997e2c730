use std::net::SocketAddr;

use chancery_api::Problem;
use chancery_api::tls::TlsError;
use chancery_delegation::handshake::HandshakeRefusal;
use chancery_delegation::http_signature::HttpRefusal;

use super::a2a::A2aError;
use super::channel::ChannelError;
use crate::held::HeldError;
use crate::identity::NodeError;
use crate::key::AgentKeyError;
use crate::session::SessionError;

/// Why no authority changed hands. One reason each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Nobody listens there.
    #[error("agent {address} cannot be reached; does it serve handshakes?")]
    Unreachable {
        /// The peer's address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The peer is not the one that was expected, or does not take our SVID.
    #[error("agent {address} and this instance do not recognise each other")]
    Tls {
        /// The peer's address.
        address: SocketAddr,
        /// What TLS said.
        source: std::io::Error,
    },
    /// The connection is no channel.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The own SVID cannot be used.
    #[error(transparent)]
    OwnSvid(#[from] TlsError),
    /// The connection broke or was silent for too long.
    #[error("agent {address}: the connection broke or was silent for too long")]
    Broken {
        /// The peer's address.
        address: SocketAddr,
    },
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[from] http::Error),
    /// The handshake is refused on this side.
    #[error(transparent)]
    Refused(#[from] HandshakeRefusal),
    /// The signed request is refused on this side.
    #[error(transparent)]
    Presentation(#[from] HttpRefusal),
    /// The peer refused; this is its reason.
    #[error("the peer refused: {0}")]
    Peer(Problem),
    /// The peer's answer is none of ours.
    #[error("the peer's answer is not one of a handshake")]
    Answer,
    /// The A2A message is not one that carries a handshake.
    #[error(transparent)]
    A2a(#[from] A2aError),
    /// This agent does not take what was offered.
    #[error("this agent does not take what was offered")]
    NotAdmitted,
    /// The person's consent to the chain's root does not verify.
    #[error("the consent to the chain's root is refused")]
    Consent,
    /// What was passed on beside the chain does not belong to it.
    #[error("what was passed on beside the chain does not belong to it")]
    Held(#[from] HeldError),
    /// The instance does not take it: it holds a delegation for another session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The own delegation is over, or too short to be passed on.
    #[error("the own delegation is over")]
    Expired,
    /// The node gave no credential.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The agent key failed, or a verifier would refuse what it was to sign.
    #[error(transparent)]
    Key(#[from] AgentKeyError),
}

impl HandshakeError {
    /// A stable code, one for each cause.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "peer_unreachable",
            Self::Tls { .. } => "peer_not_recognised",
            Self::Channel(_) => "no_channel",
            Self::OwnSvid(_) => "svid_unusable",
            Self::Broken { .. } => "peer_broke_off",
            Self::Request(_) => "bad_request",
            Self::Refused(refusal) => refusal.code(),
            Self::Presentation(refusal) => refusal.code(),
            Self::Peer(problem) => &problem.reason,
            Self::Answer => "peer_answer",
            Self::A2a(error) => error.reason(),
            Self::NotAdmitted => "offer_not_admitted",
            Self::Consent => "consent_invalid",
            Self::Held(_) => "bad_link",
            Self::Session(error) => error.reason(),
            Self::Expired => "expired",
            Self::Node(_) => "no_credential",
            Self::Key(_) => "agent_key",
        }
    }
}
