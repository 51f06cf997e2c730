use std::path::PathBuf;

use chancery_api::server::LaunchTerms;
use chancery_identity::{AgentId, InstanceSpiffeId, Isolation};
use chancery_types::Timestamp;
use chancery_types::id::{InstanceId, LaunchId};
use serde::{Deserialize, Serialize};

use crate::executable::Executable;
use crate::launch::Launch;
use crate::launches::LaunchRequest;

/// Registers a launch. The caller of the request is its bridge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterLaunch {
    /// The agent that the process is an instance of.
    pub agent_id: AgentId,
    /// The launched process; absent where the caller itself is the instance.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init_pid: Option<i32>,
    /// Whether the process has a pid namespace of its own.
    pub isolated: bool,
    /// The file that is the agent's code, which the launched process is about to execute. Absent
    /// where the process executes it already.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub program: Option<PathBuf>,
    /// The instance that the caller says started it. The launch is refused where the node sees another
    /// one above the caller, or none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<InstanceSpiffeId>,
    /// What it is for, and until when.
    #[serde(skip_serializing_if = "LaunchTerms::is_empty", default)]
    pub terms: LaunchTerms,
}

/// A launch that was registered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredLaunch {
    /// The launch.
    pub launch_id: LaunchId,
    /// The instance.
    pub instance_id: InstanceId,
    /// The instance's SPIFFE ID.
    pub spiffe_id: InstanceSpiffeId,
}

/// A launch, as the operator sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchView {
    /// The launch.
    pub launch_id: LaunchId,
    /// The instance's SPIFFE ID.
    pub spiffe_id: InstanceSpiffeId,
    /// When it was registered.
    pub started: Timestamp,
    /// The bridge's process id.
    pub bridge_pid: i32,
    /// The launched process's id, where it is not the bridge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init_pid: Option<i32>,
    /// Whether it is isolated.
    pub isolation: Isolation,
    /// The inode of its pid namespace, where it is isolated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid_namespace: Option<u64>,
    /// The file that it executed when it was registered.
    pub executable: Executable,
    /// Its user.
    pub uid: u32,
}

/// The launches that run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchList {
    /// By id.
    pub launches: Vec<LaunchView>,
}

impl LaunchView {
    pub(super) fn of(launch: &Launch) -> Self {
        let facts = launch.facts();
        Self {
            launch_id: launch.id(),
            spiffe_id: launch.instance().clone(),
            started: launch.started(),
            bridge_pid: launch.bridge_pid(),
            init_pid: launch.init_pid(),
            isolation: facts.isolation(),
            pid_namespace: launch.namespace_inode(),
            executable: facts.executable().clone(),
            uid: facts.uid(),
        }
    }
}

impl From<RegisterLaunch> for LaunchRequest {
    fn from(request: RegisterLaunch) -> Self {
        Self {
            agent: request.agent_id,
            init_pid: request.init_pid,
            program: request.program,
            parent: request.parent,
            terms: request.terms,
            isolation: if request.isolated {
                Isolation::Isolated
            } else {
                Isolation::Unisolated
            },
        }
    }
}
