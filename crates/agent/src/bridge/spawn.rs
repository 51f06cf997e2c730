use chancery_api::server::{LaunchTerms, Roster, RosterFilter, Task};
use serde::{Deserialize, Serialize};

use crate::identity::Answer;

/// Most children that one call starts.
pub const MAX_CHILDREN: usize = 1_000;

/// Starts child instances, outside of the sandbox of the one who asks.
pub trait Spawner: Send + Sync + 'static {
    /// Starts a child, passes authority on to it and waits for its end. When the answer is dropped
    /// before, the one who asked is gone, and the child is to be ended.
    fn spawn(&self, request: SpawnRequest) -> Answer<'_, Result<SpawnEnd, SpawnError>>;

    /// Starts many children, each with a part of the own authority, and answers once each of them has
    /// begun or was refused: what was refused has left nothing behind. They go on when whoever asked is
    /// gone. Not offered by default.
    fn spawn_many(&self, request: SpawnMany) -> Answer<'_, Result<Spawned, SpawnError>> {
        let _ = request;
        Box::pin(async { Err(SpawnError::not_offered()) })
    }

    /// Waits for the ends of children that [`Spawner::spawn_many`] started: of those by their SPIFFE IDs.
    /// Each end is handed out once. Not offered by default.
    fn ends(&self, instances: Vec<String>) -> Answer<'_, Result<SpawnEnds, SpawnError>> {
        let _ = instances;
        Box::pin(async { Err(SpawnError::not_offered()) })
    }

    /// Those of the own descendants that are asked for, living and dead. Not offered by default.
    fn roster(&self, filter: RosterFilter) -> Answer<'_, Result<Roster, SpawnError>> {
        let _ = filter;
        Box::pin(async { Err(SpawnError::not_offered()) })
    }
}

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnRequest {
    /// The agent that the child is to be an instance of.
    pub agent: String,
    /// What is passed on, each in a form that the spawner knows.
    pub allow: Vec<String>,
    /// The command. Of several children it may be empty: then it is the one that all of them share.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub argv: Vec<String>,
    /// What it is to do: a text, or JSON that a person can read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<Task>,
    /// How long it lives at most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifetime_seconds: Option<u64>,
    /// Whether it goes on when the one that started it has ended.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub outlive: bool,
    /// Whether it may pass its authority on in turn, as far as this one may.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub may_delegate: bool,
}

impl SpawnRequest {
    /// What is said of it where it is registered.
    pub fn terms(&self) -> LaunchTerms {
        LaunchTerms {
            task: self.task.clone(),
            lifetime_seconds: self.lifetime_seconds,
            outlive: self.outlive,
        }
    }
}

/// Children to be started by one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnMany {
    /// The command of those that name none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub argv: Vec<String>,
    /// The children: 1 to [`MAX_CHILDREN`].
    pub children: Vec<SpawnRequest>,
}

/// What became of the children of one call, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawned {
    /// One for each child.
    pub children: Vec<SpawnedChild>,
}

/// A child that has begun, or why it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SpawnedChild {
    /// Its SPIFFE ID.
    Instance(String),
    /// Why nothing was started.
    Refused(SpawnError),
}

/// Most ends that are asked for at once: an answer holds them with what each child wrote.
pub const MAX_ENDS: usize = 100;

/// Children that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnEnds {
    /// In the order in which they were asked for.
    pub ends: Vec<SpawnEnd>,
}

/// A child that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnEnd {
    /// The child's SPIFFE ID.
    pub instance: String,
    /// Its exit code.
    pub exit_code: i32,
    /// What it wrote to its standard output; of one of many the first 64 KiB.
    pub stdout: String,
}

/// Why no child was started, or none ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
#[serde(deny_unknown_fields)]
pub struct SpawnError {
    /// A stable code, one for each cause.
    pub reason: String,
    /// What went wrong, without secrets: the one inside the sandbox reads it.
    pub message: String,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
}

impl SpawnError {
    fn not_offered() -> Self {
        Self {
            reason: "no_spawner".to_owned(),
            message: "this bridge does not offer that".to_owned(),
            remedy: None,
        }
    }
}
