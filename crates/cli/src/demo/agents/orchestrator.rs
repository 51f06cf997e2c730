//! The orchestrator: holds the root, spawns workers with narrower authority, ends the mission.

use anyhow::Context as _;
use chancery_agent::{LocalClient, SpawnRequest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tools::Tools;
use super::worker::{Task, Told};
use super::{bridge_socket, tell};

/// What the orchestrator is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The tool server.
    pub(crate) server: String,
    /// The agent that workers are instances of.
    pub(crate) agent: String,
    /// The program of the workers.
    pub(crate) program: String,
    /// The workers.
    pub(crate) workers: Vec<PlannedWorker>,
}

/// One worker to be spawned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlannedWorker {
    /// What it may do: `authorization_details`.
    pub(crate) allow: Vec<Value>,
    /// What it does.
    pub(crate) task: Task,
    /// Presents the chain that this earlier worker told, in its calls marked `foreign-chain`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) foreign_chain_of: Option<usize>,
}

/// What the orchestrator tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event", deny_unknown_fields)]
pub(crate) enum Report {
    /// What it may call.
    Tools {
        /// The names.
        names: Vec<String>,
    },
    /// A worker has ended.
    Worker {
        /// Its place in the plan.
        worker: usize,
        /// The instance.
        instance: String,
        /// How it ended.
        exit_code: i32,
        /// What it told.
        told: Vec<Told>,
    },
    /// The session has ended.
    Ended {
        /// The session.
        session: String,
    },
}

/// The purpose of a call that presents another worker's chain.
pub(crate) const FOREIGN_CHAIN: &str = "foreign-chain";

pub(super) async fn run(plan: &str) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan).context("plan")?;
    let bridge = LocalClient::new(bridge_socket()?);
    let tools = Tools::connect(&bridge, &plan.server).await?;
    tell(&Report::Tools {
        names: tools.names().await?,
    })?;
    let mut chains: Vec<Option<Vec<String>>> = Vec::new();
    for (place, worker) in plan.workers.iter().enumerate() {
        let mut task = worker.task.clone();
        if let Some(other) = worker.foreign_chain_of {
            let chain = chains
                .get(other)
                .cloned()
                .flatten()
                .context("no chain was told")?;
            for call in task
                .calls
                .iter_mut()
                .filter(|call| call.purpose == FOREIGN_CHAIN)
            {
                call.chain = Some(chain.clone());
            }
        }
        let request = SpawnRequest {
            agent: plan.agent.clone(),
            allow: worker.allow.iter().map(Value::to_string).collect(),
            argv: vec![
                plan.program.clone(),
                "demo-agent".to_owned(),
                "worker".to_owned(),
                serde_json::to_string(&task)?,
            ],
            task: None,
            lifetime_seconds: None,
            outlive: false,
            may_delegate: false,
        };
        let ended = bridge.spawn(&request).await.context("spawn")?;
        let told: Vec<Told> = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).context("what a worker told"))
            .collect::<anyhow::Result<_>>()?;
        chains.push(told.iter().find_map(|told| match told {
            Told::Chain { chain } => Some(chain.clone()),
            _ => None,
        }));
        tell(&Report::Worker {
            worker: place,
            instance: ended.instance,
            exit_code: ended.exit_code,
            told,
        })?;
    }
    tools.close().await;
    let session = bridge.end_session().await.context("end")?;
    tell(&Report::Ended {
        session: session.session.to_string(),
    })
}
