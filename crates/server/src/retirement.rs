use chancery_api::Problem;
use chancery_api::server::{AgentRetired, ExpectedRegistration, RetireAgent};
use chancery_audit::AgentRetire;
use chancery_delegation::Revocable;
use chancery_identity::AgentId;
use chancery_store::InstanceRow;
use chancery_types::RevocationKind;

use crate::Server;
use crate::endpoints::revocations::end_instance;
use crate::endpoints::{check_expected, label, stored};
use crate::withdrawn::opened;

/// Under which names the log commits to who retired an agent and why.
const BY: &str = "agent-retirer";
const REASON: &str = "agent-retirement-reason";

/// Why instances are revoked whose agent was retired before a server was killed.
const AFTERWARDS: &str = "the agent was retired";

impl Server {
    /// Takes an agent out: enrolled first, registered no more from then on, then every instance of it that
    /// runs is revoked and ended, which takes it from open streams and sessions. What is retired already is
    /// gone on with, so that a repeat ends what a crash left.
    pub(crate) async fn retire_agent(
        &self,
        request: &RetireAgent,
    ) -> Result<AgentRetired, Problem> {
        let opened = opened(&request.reason, [BY, REASON])?;
        let agent_id: AgentId = request.agent_id.parse().map_err(|_| {
            Problem::bad_request("agent_id", "agent_id is not the SPIFFE ID of an agent")
        })?;
        let agent_id = agent_id.as_str();
        let alone = self.registering.write().await;
        let row = self.store.agent(agent_id).await.map_err(stored)?;
        let running = self.store.running_of(agent_id).await.map_err(stored)?;
        let log_index = match row {
            Some(row) => {
                check_expected(request.expected, Some(&row), agent_id)?;
                let event = AgentRetire {
                    agent: label(agent_id)?,
                    manifest: row.manifest_digest,
                    instances: running.len() as u64,
                    by: opened.by.commitment(),
                    reason: opened.reason.commitment(),
                };
                let log_index = self.enrol(event).await?;
                let retired = self.store.retire_agent(agent_id, log_index).await;
                retired.map_err(stored)?;
                self.tell_nodes();
                log_index
            }
            None => self.retired_before(agent_id, request.expected).await?,
        };
        // Whoever is registered again by now has other instances.
        drop(alone);
        let instances = self.revoke_all(running, &request.reason).await?;
        Ok(AgentRetired {
            agent_id: agent_id.to_owned(),
            instances,
            log_index,
        })
    }

    /// The entry that an agent was retired by.
    async fn retired_before(
        &self,
        agent_id: &str,
        expected: Option<ExpectedRegistration>,
    ) -> Result<u64, Problem> {
        let known = self.store.retirement(agent_id).await.map_err(stored)?;
        let known = known.ok_or_else(|| {
            Problem::not_found("agent_unknown", format!("{agent_id} is not registered"))
                .with_remedy("chancery agent list")
        })?;
        // Whoever repeats a retirement goes by the registration that it took out.
        let is_later = |entry| matches!(entry, ExpectedRegistration::Entry(entry) if entry > known);
        if expected.is_some_and(is_later) {
            check_expected(expected, None, agent_id)?;
        }
        Ok(known)
    }

    async fn revoke_all(
        &self,
        running: Vec<InstanceRow>,
        reason: &str,
    ) -> Result<Vec<String>, Problem> {
        let (mut instances, mut failed) = (Vec::new(), None);
        for instance in running {
            match self.revoke_instance(&instance.spiffe_id, reason).await {
                Ok(()) => instances.push(instance.spiffe_id),
                // The others are revoked nevertheless.
                Err(problem) => {
                    let instance = instance.spiffe_id;
                    tracing::error!(%instance, %problem, "an instance of a retired agent is not revoked");
                    failed.get_or_insert(problem);
                }
            }
        }
        match failed {
            Some(problem) => Err(problem.with_remedy("retire the agent once more")),
            None => Ok(instances),
        }
    }

    /// Revokes one instance and ends it; ended it is also where it cannot be revoked.
    async fn revoke_instance(&self, spiffe_id: &str, reason: &str) -> Result<(), Problem> {
        let what = Revocable::new(RevocationKind::Instance, spiffe_id)
            .map_err(|error| Problem::internal("instance", &error))?;
        let revoked = self.revoke(what.clone(), reason).await;
        end_instance(self, &what).await?;
        revoked.map(drop)
    }

    /// Revokes and ends what runs still of agents that were retired when the server was killed.
    pub(crate) async fn finish_retirements(&self) -> Result<(), Problem> {
        for agent_id in self.store.retired().await.map_err(stored)? {
            let running = self.store.running_of(&agent_id).await.map_err(stored)?;
            self.revoke_all(running, AFTERWARDS).await?;
        }
        Ok(())
    }
}
