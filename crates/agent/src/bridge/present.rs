use chancery_evidence::presentation::{Challenge, Presentation};

use crate::identity::Answer;

/// Puts presentations together, outside of the sandbox of the one who asks: it reads logs, which the
/// sandbox does not show.
pub trait Presenter: Send + Sync + 'static {
    /// Answers a relying party's challenge with everything that the instance is and may do.
    fn present(&self, challenge: Challenge) -> Answer<'_, Result<Presentation, PresentError>>;
}

/// Why nothing was presented.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PresentError {
    /// A stable code, one for each cause.
    pub reason: String,
    /// What went wrong, without secrets: the one inside the sandbox reads it.
    pub message: String,
    /// What would help.
    pub remedy: Option<String>,
}
