use chancery_types::StrictJsonError;

use super::{MAX_MISSION_BYTES, MISSION_FORM};
use crate::Reason;

/// Why bytes are not a mission document: which field, and what helps.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct MissionError {
    field: String,
    problem: MissionProblem,
}

/// What is wrong with a field of a mission document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MissionProblem {
    /// Too many bytes, or none.
    #[error("a mission document has 1 to {MAX_MISSION_BYTES} bytes")]
    Size,
    /// Not strict JSON.
    #[error("{0}; integers only, no member twice, nothing after the document")]
    Json(StrictJsonError),
    /// Another form.
    #[error("expected \"{MISSION_FORM}\"")]
    Form,
    /// The member is not there.
    #[error("the member is missing; `chancery mission new` writes a document with all of them")]
    Missing,
    /// The member is not known.
    #[error("no such member is known here; take it out, or put it into `outcome`")]
    Unknown,
    /// The value is of another type.
    #[error("expected {0}")]
    Type(&'static str),
    /// The text is empty, too long or holds what people do not see.
    #[error(
        "expected 1 to {0} bytes of text without control characters and without characters that \
         change the direction of text"
    )]
    Text(usize),
    /// The list is empty or too long.
    #[error("expected {least} to {most} of them")]
    Count {
        /// Least.
        least: usize,
        /// Most.
        most: usize,
    },
    /// Not the identifier of a step.
    #[error("expected 1 to 64 letters, digits, `-`, `_` or `.`")]
    Id,
    /// Another step has the same identifier.
    #[error("another step has the id {0:?}; calls name a step by it")]
    Twice(String),
    /// Not an entry.
    #[error(
        "not an entry of authorization_details ({0}); for instance {{\"type\": \"mcp_tool\", \
         \"server\": \"ledger\", \"tool\": \"read\"}}"
    )]
    Entry(Reason),
    /// An entry with limits.
    #[error("limits stand in `budget` and in what is delegated, not here")]
    Limits,
    /// Not an amount.
    #[error("expected an integer from {0} to 9007199254740991")]
    Amount(u64),
    /// Not an instant.
    #[error("expected an instant in UTC such as 2030-06-30T18:00:00Z")]
    Instant,
    /// Not a stop condition.
    #[error(
        "expected {{\"when\": \"budget-used\"}}, {{\"when\": \"elapsed\", \"seconds\": N}}, \
         {{\"when\": \"denials-in-a-row\", \"count\": N}} or {{\"when\": \"escalations\", \
         \"count\": N}}"
    )]
    Stop,
    /// Not an approver.
    #[error("expected {{\"role\": \"approver\"}} or {{\"person\": \"per_...\"}}")]
    Approver,
}

impl MissionError {
    pub(super) fn new(field: impl Into<String>, problem: MissionProblem) -> Self {
        Self {
            field: field.into(),
            problem,
        }
    }

    /// Which field, as a path from the document: `steps[1].means[0]`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it.
    pub const fn problem(&self) -> &MissionProblem {
        &self.problem
    }
}
