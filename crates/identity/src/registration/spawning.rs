use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::AgentId;

/// What an instance of an agent may start: the operator's word, not the agent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaySpawn {
    /// Instances of which agents.
    pub agents: BTreeSet<AgentId>,
    /// How many that live at once, for each instance that starts them: 1 to 10,000.
    pub at_once: u64,
    /// Whether they may go on when the one that started them has ended.
    #[serde(default)]
    pub outlive: bool,
}
