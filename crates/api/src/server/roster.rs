use chancery_identity::AgentId;
use chancery_types::Timestamp;
use chancery_types::id::{InstanceId, NodeId};
use serde::{Deserialize, Serialize};

use super::InstanceState;

/// Which instances are asked for; all members together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterFilter {
    /// Those of that agent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<AgentId>,
    /// Those that this instance started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<InstanceId>,
    /// Those in that state.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<InstanceState>,
    /// Most that are answered: 1 to 10,000, and 1,000 without.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u64>,
}

/// Who is there and who was, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The instances.
    pub instances: Vec<RosterEntry>,
    /// Whether there are older ones, which are left out.
    pub more: bool,
}

/// One instance, living or dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RosterEntry {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// Its agent.
    pub agent_id: String,
    /// What it is to do, as the one who started it said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<String>,
    /// The entry of the server's log by which the task was erased, with the person it was about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task_erased: Option<u64>,
    /// The instance that started it; absent where none did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<InstanceId>,
    /// Whether it goes on when its parent has ended.
    pub outlive: bool,
    /// The node that it is on; absent for one on the server's own machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<NodeId>,
    /// Since when.
    pub since: Timestamp,
    /// On whose behalf: the person, by their pseudonymous id, of the nearest root at or above it that was
    /// made here. Absent where there is none, where it was erased, and where the asker was never told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_behalf_of: Option<String>,
    /// When that root ends, and with it whatever was narrowed from it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authority_until: Option<Timestamp>,
    /// When it is to end in any case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<Timestamp>,
    /// When the last of its X.509-SVIDs expires.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub svid_until: Option<Timestamp>,
    /// Where it stands.
    pub state: InstanceState,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end_reason: Option<String>,
}
