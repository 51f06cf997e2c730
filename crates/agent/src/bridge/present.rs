use chancery_evidence::presentation::{Challenge, Presentation};

use crate::identity::Answer;
use crate::key::AgentKeyError;
use crate::session::SessionError;

/// Puts presentations together, outside of the sandbox of the one who asks: it reads logs, which the
/// sandbox does not show.
pub trait Presenter: Send + Sync + 'static {
    /// Answers a relying party's challenge with everything that the instance is and may do.
    fn present(&self, challenge: Challenge) -> Answer<'_, Result<Presentation, PresentError>>;
}

/// Why nothing was presented. Nothing of the host is in it: the one inside the sandbox reads it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresentError {
    /// The instance has no authority, or its gateway is away.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The agent key did not sign.
    #[error("the agent key did not sign")]
    Key(#[from] AgentKeyError),
    /// The control plane did not answer.
    #[error("the control plane did not answer")]
    ControlPlane,
    /// The logs are not on this host, or cannot be read.
    #[error("the logs cannot be read on this host")]
    Logs,
    /// No checkpoint covers what was enrolled.
    #[error("no checkpoint covers yet what was enrolled")]
    NotPublished,
    /// What the deployment says of the instance does not fit together.
    #[error("what the deployment says of this instance does not fit together")]
    Inconsistent,
}

impl PresentError {
    /// A stable code, one for each cause.
    pub fn reason(&self) -> &str {
        match self {
            Self::Session(error) => error.reason(),
            Self::Key(_) => "agent_key",
            Self::ControlPlane => "control_plane_away",
            Self::Logs => "logs_away",
            Self::NotPublished => "not_published",
            Self::Inconsistent => "presentation_inconsistent",
        }
    }

    /// What helps, where something is known to.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Session(error) => error.remedy(),
            Self::Key(_) | Self::Inconsistent => None,
            Self::ControlPlane => Some("see that `chancery up` is running, then ask again"),
            Self::Logs => Some("run the instance on the deployment's own machine"),
            Self::NotPublished => Some("ask again; where witnesses must cosign, see that they do"),
        }
    }
}

/// What the own codes mean, and what helps.
pub const PRESENT_REASONS: &[(&str, &str)] = &[
    (
        "no_presenter",
        "nothing is presented outside of `chancery run`",
    ),
    (
        "control_plane_away",
        "the control plane did not answer; see that `chancery up` is running",
    ),
    (
        "logs_away",
        "the logs are not on this host; run the instance on the deployment's own machine",
    ),
    (
        "not_published",
        "no checkpoint covers yet what was enrolled; ask again",
    ),
    (
        "presentation_inconsistent",
        "what the deployment says of the instance does not fit together",
    ),
];
