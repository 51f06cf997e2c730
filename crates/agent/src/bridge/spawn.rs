use serde::{Deserialize, Serialize};

use crate::identity::Answer;

/// Starts child instances, outside of the sandbox of the one who asks.
pub trait Spawner: Send + Sync + 'static {
    /// Starts a child, passes authority on to it and waits for its end. When the answer is dropped
    /// before, the one who asked is gone, and the child is to be ended.
    fn spawn(&self, request: SpawnRequest) -> Answer<'_, Result<SpawnEnd, SpawnError>>;
}

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnRequest {
    /// The agent that the child is to be an instance of.
    pub agent: String,
    /// What is passed on, each in a form that the spawner knows.
    pub allow: Vec<String>,
    /// The command.
    pub argv: Vec<String>,
}

/// A child that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnEnd {
    /// The child's SPIFFE ID.
    pub instance: String,
    /// Its exit code.
    pub exit_code: i32,
    /// What it wrote to its standard output.
    pub stdout: String,
}

/// Why no child was started, or none ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpawnError {
    /// A stable code, one for each cause.
    pub reason: String,
    /// What went wrong, without secrets: the one inside the sandbox reads it.
    pub message: String,
    /// What would help.
    pub remedy: Option<String>,
}
