use std::collections::BTreeSet;

use chancery_api::Problem;
use chancery_api::server::{AgentRetired, ExpectedRegistration, RetireAgent};
use chancery_audit::AgentRetire;
use chancery_delegation::Revocable;
use chancery_identity::AgentId;
use chancery_store::{InstanceRow, RosterQuery};
use chancery_types::RevocationKind;
use chancery_types::id::InstanceId;

use crate::Server;
use crate::endpoints::revocations::end_instance;
use crate::endpoints::{check_expected, label, stored};
use crate::withdrawn::opened;

/// Under which names the log commits to who retired an agent and why.
const BY: &str = "agent-retirer";
const REASON: &str = "agent-retirement-reason";

/// Why instances are revoked whose agent was retired before a server was killed.
const AFTERWARDS: &str = "the agent was retired";

/// How long what was issued to an instance lasts at most.
const HELD_SECONDS: u64 = 3_600;

/// Most instances that are revoked with their agent: the revocations of a deployment are for all, and one
/// that nobody can add to stops nothing any more.
const MAX_HELD: usize = 2_048;

fn check_share(held: usize, agent_id: &str) -> Result<(), Problem> {
    match held <= MAX_HELD {
        true => Ok(()),
        false => Err(Problem::conflict(
            "retirement_too_many",
            format!("{held} instances of {agent_id} run or are of the last hour, and {MAX_HELD} at most are revoked with it"),
        )
        .with_remedy("revoke the agent (`chancery revoke agent`), end its instances, and retire it an hour later")),
    }
}

impl Server {
    /// Takes an agent out: enrolled first, registered no more from then on, then every instance of it that
    /// runs, or that was opened or has ended within the last hour and may hold something yet, is revoked and
    /// ended, and with it what it started, which takes them from open streams and sessions. What is retired already is
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
        let held = self.held_of(agent_id).await?;
        let log_index = match row {
            Some(row) => {
                check_expected(request.expected, Some(&row), agent_id)?;
                check_share(held.len(), agent_id)?;
                let event = AgentRetire {
                    agent: label(agent_id)?,
                    manifest: row.manifest_digest,
                    instances: held.len() as u64,
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
        // Not held any longer, because whoever revokes waits for those who erase, and those may wait for
        // one who opens. It is registered again once nothing runs of it: see `check_retired`.
        drop(alone);
        let instances = self.revoke_all(held, &request.reason).await?;
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

    /// The instances of an agent that can still hold a credential: those that have ended first, so that
    /// whatever broke off is not done as long as one runs.
    async fn held_of(&self, agent_id: &str) -> Result<Vec<InstanceRow>, Problem> {
        let since = self.now()?.minus_seconds(HELD_SECONDS);
        self.store.recent_of(agent_id, since).await.map_err(stored)
    }

    /// Refuses a registration while instances run that its agent was retired with: they would be taken for
    /// those of the new one.
    pub(crate) async fn check_retired(&self, agent_id: &str) -> Result<(), Problem> {
        if self
            .store
            .retirement(agent_id)
            .await
            .map_err(stored)?
            .is_none()
        {
            return Ok(());
        }
        let running = self.store.running_of(agent_id).await.map_err(stored)?;
        if running.is_empty() {
            return Ok(());
        }
        let text = format!(
            "{agent_id} was retired, and {} of its instances are not revoked yet",
            running.len()
        );
        Err(Problem::conflict("retirement_unfinished", text)
            .with_remedy("chancery agent retire AGENT, once more, then register again"))
    }

    async fn revoke_all(
        &self,
        held: Vec<InstanceRow>,
        reason: &str,
    ) -> Result<Vec<String>, Problem> {
        let (mut instances, mut failed) = (BTreeSet::new(), None);
        for instance in held {
            match self.revoke_with_descendants(&instance, reason).await {
                Ok(revoked) => instances.extend(revoked),
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
            None => Ok(instances.into_iter().collect()),
        }
    }

    /// Revokes one instance and what ends with it, and ends them.
    ///
    /// INVARIANT: what runs is not ended before it is revoked, so that a repeat finds it.
    async fn revoke_with_descendants(
        &self,
        instance: &InstanceRow,
        reason: &str,
    ) -> Result<Vec<String>, Problem> {
        let mut revoked = Vec::new();
        for below in self.ends_with(instance.instance_id).await? {
            self.revoke_one(&below, reason).await?;
            revoked.push(below);
        }
        let what = self.revoke_one(&instance.spiffe_id, reason).await?;
        end_instance(self, &what).await?;
        // What those started that were listed and not revoked yet.
        for below in self.ends_with(instance.instance_id).await? {
            if !revoked.contains(&below) {
                self.revoke_one(&below, reason).await?;
                revoked.push(below);
            }
        }
        revoked.push(instance.spiffe_id.clone());
        Ok(revoked)
    }

    async fn revoke_one(&self, spiffe_id: &str, reason: &str) -> Result<Revocable, Problem> {
        let what = Revocable::new(RevocationKind::Instance, spiffe_id)
            .map_err(|error| Problem::internal("instance", &error))?;
        self.revoke(what.clone(), reason).await?;
        Ok(what)
    }

    /// What an instance started that may not outlive it, and what that started, and so on, as far as it can
    /// hold a credential yet.
    async fn ends_with(&self, id: InstanceId) -> Result<Vec<String>, Problem> {
        let since = self.now()?.minus_seconds(HELD_SECONDS);
        let query = RosterQuery {
            above: Some(id),
            limit: u32::MAX.into(),
            ..RosterQuery::default()
        };
        let rows = self.store.roster(&query).await.map_err(stored)?;
        let (mut along, mut found) = (BTreeSet::from([id]), Vec::new());
        loop {
            let known = along.len();
            for row in rows.iter().filter(|row| !row.outlive) {
                let below = row.parent.is_some_and(|parent| along.contains(&parent));
                if below && along.insert(row.instance.instance_id) {
                    let holds = row.instance.running || row.ended_at.is_none_or(|at| at >= since);
                    found.extend(holds.then(|| row.instance.spiffe_id.clone()));
                }
            }
            if along.len() == known {
                return Ok(found);
            }
        }
    }

    /// Revokes and ends what runs still of agents that were retired when the server was killed.
    pub(crate) async fn finish_retirements(&self) -> Result<(), Problem> {
        let since = self.now()?.minus_seconds(HELD_SECONDS);
        let held = self.store.recent_of_retired(since).await.map_err(stored)?;
        self.revoke_all(held, AFTERWARDS).await.map(drop)
    }
}
