use std::io;

use chancery_identity::WitError;

use crate::held::HeldError;
use crate::key::AgentKeyError;

/// Why no authority changed hands. One reason each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// The socket failed.
    #[error("the hand-over's socket failed")]
    Io(#[from] io::Error),
    /// The other side hung up.
    #[error("the other side hung up before the hand-over was complete")]
    Closed,
    /// The other side took too long.
    #[error("the other side took too long")]
    Timeout,
    /// A line is longer than any of the hand-over's.
    #[error("a line of the hand-over is too long")]
    TooLong,
    /// A line is not the document that is due.
    #[error("a line of the hand-over is not the document that is due")]
    Malformed,
    /// The child's credential does not verify.
    #[error("the child's credential is refused")]
    Credential(#[source] WitError),
    /// The child is an instance of another agent than the one that was started.
    #[error("the child is an instance of another agent")]
    WrongAgent,
    /// The acceptance is not signed by the key of the credential.
    #[error("the acceptance is not signed by the child's agent key")]
    BadSignature,
    /// The acceptance answers another offer: it was made before, or for somebody else.
    #[error("the acceptance answers another offer")]
    WrongNonce,
    /// The acceptance is for another chain.
    #[error("the acceptance is for another chain")]
    WrongChain,
    /// The acceptance is for another parent.
    #[error("the acceptance is for another parent")]
    WrongAudience,
    /// The parent's delegation is over, or too short to be passed on.
    #[error("the parent's delegation is over")]
    Expired,
    /// The link was not made, for instance because it would grant more than the parent has.
    #[error("the link was not made")]
    Link(#[source] AgentKeyError),
    /// The agent key or the randomness failed.
    #[error(transparent)]
    Key(#[from] AgentKeyError),
    /// The parent refused; this is its reason.
    #[error("the parent refused: {reason}")]
    Refused {
        /// The parent's reason code.
        reason: String,
    },
    /// What the parent gave is not a delegation.
    #[error("what the parent gave is not usable")]
    Held(#[from] HeldError),
    /// What the parent gave does not continue the chain that it offered.
    #[error("what the parent gave is not what it offered")]
    OtherChain,
    /// What the parent gave is for another instance or key.
    #[error("what the parent gave is for another instance")]
    OtherHolder,
}

impl HandoverError {
    /// A stable code, one for each cause.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Credential(_) => "bad_credential",
            Self::WrongAgent => "wrong_agent",
            Self::BadSignature => "bad_signature",
            Self::WrongNonce => "wrong_nonce",
            Self::WrongChain => "wrong_chain",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::Link(_) => "link_refused",
            Self::Key(_) => "agent_key",
            Self::Refused { .. } => "refused",
            Self::Held(_) => "bad_link",
            Self::OtherChain => "other_chain",
            Self::OtherHolder => "other_holder",
        }
    }
}
