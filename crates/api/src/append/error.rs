use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why an entry is not acknowledged. It may be in the log all the same: the same sequence with the same
/// bytes says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log refused.
    #[error("{message} ({reason})")]
    Refused {
        /// The reason code.
        reason: String,
        /// The sentence.
        message: String,
    },
    /// The log was not there, or did not acknowledge, for as long as was waited.
    #[error("{log}: nothing was acknowledged for {} s: {message}", patience.as_secs())]
    Unreachable {
        /// Where it should be.
        log: String,
        /// How long was waited.
        patience: Duration,
        /// What was seen last.
        message: String,
    },
    /// The log lost what it had acknowledged.
    #[error(
        "the log expects sequence {found} and had acknowledged {expected} entries: it was rolled back"
    )]
    RolledBack {
        /// The sequence that it expects.
        found: u64,
        /// How many it had acknowledged.
        expected: u64,
    },
    /// The first sequence is beyond what the log has.
    #[error("the log expects sequence {next}, and {first} is to be the first one")]
    Gap {
        /// The sequence that was to be the first.
        first: u64,
        /// The one that is due.
        next: u64,
    },
    /// The entry is empty or too large. It was not sent.
    #[error("an entry has 1 to 32768 bytes")]
    Size,
    /// What was answered is not of the protocol.
    #[error("the answer is not one of a log's")]
    Protocol,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// What became of a connection.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is worth another try.
    Again(String),
    /// It is not.
    For(AppendError),
}

impl From<AppendError> for Broken {
    fn from(error: AppendError) -> Self {
        Self::For(error)
    }
}

impl From<Status> for Broken {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        let details = status.get_details_error_info();
        let Some(details) = details.filter(|details| details.domain == "chancery") else {
            return Self::Again(format!("{}: {message}", status.code()));
        };
        match status.code() {
            // Of a certificate that has a successor, or of a log that is started again.
            Code::Unavailable | Code::Unauthenticated => {
                Self::Again(format!("{message} ({})", details.reason))
            }
            _ => Self::For(AppendError::Refused {
                reason: details.reason,
                message,
            }),
        }
    }
}
