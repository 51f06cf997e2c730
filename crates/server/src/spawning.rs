//! Instances that others started: by whom, for what, until when, and how they end.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use chancery_api::Problem;
use chancery_api::server::{IssuedRoot, LaunchTerms, Task};
use chancery_audit::{Disclosure, IdentityEnd};
use chancery_crypto::random_bytes;
use chancery_delegation::ChainReading;
use chancery_identity::AgentId;
use chancery_store::{InstanceRow, Kept};
use chancery_types::Timestamp;
use chancery_types::id::{InstanceId, NodeId};

use crate::Server;
use crate::endpoints::{check_evidence, label, may_spawn, random, stored};

/// Under which name the log commits to a task.
const TASK: &str = "instance-task";

/// Why an instance ended whose parent did, and one whose time was over.
pub(crate) const PARENT_ENDED: &str = "parent-ended";
pub(crate) const LIFETIME_OVER: &str = "lifetime-over";

/// How often it is looked for instances that run although they may not.
const SWEEP: Duration = Duration::from_secs(10);

/// Why an instance is not started by another one.
pub const SPAWN_REASONS: &[(&str, &str)] = &[
    (
        "parent_mismatch",
        "the process was not started by the instance that it says: the node looks at who started it",
    ),
    (
        "parent_unknown",
        "the server knows no such instance as the one that started the process",
    ),
    (
        "parent_elsewhere",
        "the instance that started the process is on another host, which its own node alone attests",
    ),
    (
        "parent_ended",
        "the instance that started the process has ended, or its time is over",
    ),
    (
        "parent_revoked",
        "the instance that started the process is revoked, itself or with its agent",
    ),
    (
        "parent_unregistered",
        "the agent of the instance that started the process is not registered",
    ),
    (
        "parent_manifest_expired",
        "the manifest of the agent that started the process has expired; register a new one",
    ),
    (
        "spawn_not_allowed",
        "the agent's registration does not let its instances start that agent; `chancery agent register --may-spawn`",
    ),
    (
        "spawn_outlive_not_allowed",
        "the agent's registration does not let what its instances start outlive them; `--spawn-outlive`",
    ),
    (
        "spawn_limit",
        "as many children of the instance live as its registration allows; `--spawn-at-once`",
    ),
    (
        "launch_lifetime",
        "an instance lives 1 second to 30 days, or as long as its process",
    ),
    (
        "outlive_without_parent",
        "nothing started the instance that it could outlive",
    ),
    (
        "instance_over",
        "the time that the instance was started for is over: it is given nothing any more",
    ),
    (
        "not_launched",
        "who asks the node for its descendants is no instance",
    ),
    (
        "spawn_too_many",
        "one call starts 1 to 1,000 children, and one asks for the ends of 100 at most",
    ),
    (
        "not_spawned",
        "the child did not start; its own output says why",
    ),
    (
        "child_unknown",
        "this launch started no such instance, or what it wrote was collected already",
    ),
];

/// On whose behalf an instance acts, as far as the server made the root of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behalf {
    /// Which instance holds the root: this one or one above it.
    pub(crate) held_by: InstanceId,
    /// The person, unless they were erased.
    pub(crate) person: Option<String>,
    /// When the root ends.
    pub(crate) until: Option<Timestamp>,
}

impl Behalf {
    /// On whose behalf that instance acts: by the nearest root at or above it.
    pub(crate) async fn of(server: &Server, id: InstanceId) -> Result<Option<Self>, Problem> {
        let mut next = Some(id);
        while let Some(at) = next {
            match server.store.root_kept_of(at).await.map_err(stored)? {
                Some(kept) => return Self::read(at, kept).map(Some),
                // A parent was there before its child: this ends.
                None => next = server.store.parent_of(at).await.map_err(stored)?,
            }
        }
        Ok(None)
    }

    /// What the root says that an instance holds.
    pub(crate) fn read(held_by: InstanceId, kept: Kept) -> Result<Self, Problem> {
        let Kept::Value(document) = kept else {
            return Ok(Self {
                held_by,
                person: None,
                until: None,
            });
        };
        let issued: IssuedRoot =
            serde_json::from_value(document).map_err(|error| Problem::internal("root", &error))?;
        let reading = ChainReading::read(&[issued.root.as_str()]).ok();
        let principal = reading.as_ref().map(|reading| reading.principal());
        let root = reading
            .as_ref()
            .and_then(|reading| reading.grants().first());
        Ok(Self {
            held_by,
            person: principal.map(|principal| principal.subject.clone()),
            until: root.map(|root| root.expires_at),
        })
    }
}

/// What did not happen yet is shown as nothing.
pub(crate) fn show_nothing_yet() {
    metrics::counter!("chancery_instances_spawned_total").increment(0);
    for reason in ["spawn_not_allowed", "spawn_limit", "parent_ended"] {
        metrics::counter!("chancery_spawns_refused_total", "reason" => reason).increment(0);
    }
}

/// What opens the commitment to a task.
pub(crate) fn disclosure(task: &Task) -> Result<Disclosure, Problem> {
    Ok(Disclosure {
        name: label(TASK)?,
        salt: random_bytes().map_err(random)?,
        value: task.to_string(),
    })
}

/// When an instance is to end in any case.
pub(crate) fn until(terms: &LaunchTerms, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let Some(seconds) = terms.lifetime_seconds else {
        return Ok(None);
    };
    if !(1..=LaunchTerms::MAX_LIFETIME_SECONDS).contains(&seconds) {
        return Err(Problem::bad_request(
            "launch_lifetime",
            format!(
                "lifetime_seconds is 1 to {}; leave it out for as long as the process runs",
                LaunchTerms::MAX_LIFETIME_SECONDS
            ),
        ));
    }
    Ok(Some(now.plus_seconds(seconds)))
}

/// How many instances start others, or end, at a time.
const TURNS: usize = 64;

/// Whose turn it is to start another one, or to end: by the instance.
#[derive(Debug)]
pub(crate) struct Turns([tokio::sync::Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| tokio::sync::Mutex::default()))
    }
}

impl Turns {
    /// Waits until nobody else starts one in the name of that instance, or ends it. Whoever has one turn asks
    /// for no second one, which may be the same.
    pub(crate) async fn of(&self, id: InstanceId) -> tokio::sync::MutexGuard<'_, ()> {
        let turn = BuildHasherDefault::<DefaultHasher>::default().hash_one(id) % TURNS as u64;
        let turn = usize::try_from(turn).ok();
        let [first, ..] = &self.0;
        let turn = turn.and_then(|turn| self.0.get(turn)).unwrap_or(first);
        turn.lock().await
    }
}

impl Server {
    /// Whether that instance may start one of that agent now. Asked while it is its turn, so that no
    /// two are counted as one and none begins once its parent has ended.
    pub(crate) async fn check_parent(
        &self,
        parent: InstanceId,
        child: &AgentId,
        terms: &LaunchTerms,
        node: Option<NodeId>,
    ) -> Result<InstanceRow, Problem> {
        let checked = self.parent(parent, child, terms, node).await;
        if let Err(problem) = &checked {
            let reason = problem.reason.clone();
            metrics::counter!("chancery_spawns_refused_total", "reason" => reason).increment(1);
        }
        checked
    }

    async fn parent(
        &self,
        parent: InstanceId,
        child: &AgentId,
        terms: &LaunchTerms,
        node: Option<NodeId>,
    ) -> Result<InstanceRow, Problem> {
        let mut found = self.store.placed(&[parent]).await.map_err(stored)?;
        let placed = found.pop().ok_or_else(|| {
            Problem::not_found("parent_unknown", format!("there is no instance {parent}"))
        })?;
        let row = placed.instance;
        let refused = |reason: &str, text: String| Problem::forbidden(reason, text);
        if placed.node != node {
            let text = format!("{parent} is not on the node that attests its child");
            return Err(refused("parent_elsewhere", text));
        }
        if self.check_instance(&row.spiffe_id).is_err() {
            let text = format!("{} is revoked and starts nothing", row.spiffe_id);
            return Err(refused("parent_revoked", text));
        }
        let now = self.now()?;
        if !row.running || placed.until.is_some_and(|until| until <= now) {
            let text = format!("{parent} has ended and starts nothing");
            return Err(refused("parent_ended", text));
        }
        let agent = self.store.agent(&row.agent_id).await.map_err(stored)?;
        let agent = agent.ok_or_else(|| {
            let text = format!("{} is not registered", row.agent_id);
            refused("parent_unregistered", text).with_remedy("chancery agent register MANIFEST")
        })?;
        if agent.expires_at <= now {
            let text = format!("the manifest of {} has expired", row.agent_id);
            return Err(refused("parent_manifest_expired", text)
                .with_remedy("make, sign and register a new manifest"));
        }
        // As whatever it asks for itself.
        check_evidence(&agent, &row)?;
        let may = may_spawn(&agent).filter(|may| may.agents.contains(child));
        let may = may.ok_or_else(|| {
            let text = format!(
                "the registration of {} lets it start no {child}",
                row.agent_id
            );
            refused("spawn_not_allowed", text)
                .with_remedy("chancery agent register MANIFEST --may-spawn AGENT")
        })?;
        if terms.outlive {
            self.check_outlive(parent).await?;
        }
        let living = self.store.count_running_children(parent).await;
        if living.map_err(stored)? >= may.at_once {
            let text = format!("{} children of {parent} live already", may.at_once);
            return Err(Problem::conflict("spawn_limit", text)
                .with_remedy("wait for one to end, or register with a larger --spawn-at-once"));
        }
        Ok(row)
    }

    /// Refuses what would outlive an instance, or one above that, whose registration lets nothing outlive it:
    /// what ends with the first of them would else not.
    async fn check_outlive(&self, parent: InstanceId) -> Result<(), Problem> {
        let mut next = Some(parent);
        while let Some(id) = next {
            let row = self.store.instance(id).await.map_err(stored)?;
            let agent_id = row.map(|row| row.agent_id).unwrap_or_default();
            let agent = self.store.agent(&agent_id).await.map_err(stored)?;
            let may = agent.as_ref().and_then(may_spawn);
            if !may.is_some_and(|may| may.outlive) {
                let text = format!("what an instance of {agent_id} starts ends with it");
                return Err(Problem::forbidden("spawn_outlive_not_allowed", text)
                    .with_remedy("register the agent with --spawn-outlive as well"));
            }
            // A parent was there before its child: this ends.
            next = self.store.parent_of(id).await.map_err(stored)?;
        }
        Ok(())
    }

    /// Ends an instance that runs, and with it what it started that may not outlive it, and so on: each
    /// enrolled before it is in force.
    pub(crate) async fn end_with_descendants(
        &self,
        instance: InstanceRow,
        reason: &str,
    ) -> Result<(), Problem> {
        let mut ending = vec![(instance, reason.to_owned())];
        while let Some((instance, reason)) = ending.pop() {
            let id = instance.instance_id;
            // INVARIANT: whoever opens a child holds this from the look at its parent on, and of two who end
            // the same one the second finds it ended.
            let turn = self.spawning.of(id).await;
            let row = self.store.instance(id).await.map_err(stored)?;
            if !row.is_some_and(|row| row.running) {
                continue;
            }
            let event = IdentityEnd {
                instance: label(&instance.spiffe_id)?,
                reason: label(&reason)?,
                credentials: Vec::new(),
                launch: None,
            };
            self.enrol(event).await?;
            let ended = self.store.end_instance(id, self.now()?, &reason).await;
            ended.map_err(stored)?;
            let children = self.store.children_to_end(id).await.map_err(stored)?;
            drop(turn);
            let children = children.into_iter();
            ending.extend(children.map(|child| (child, PARENT_ENDED.to_owned())));
        }
        self.changed();
        Ok(())
    }

    /// Ends what runs although its time is over or its parent has ended, as after a crash in between, or
    /// where a node is away.
    pub(crate) async fn end_overdue(&self) -> Result<(), Problem> {
        let now = self.now()?;
        // One that an earlier one of these ended along is found ended.
        for (instance, until) in self.store.overdue(now).await.map_err(stored)? {
            let reason = match until {
                Some(until) if until <= now => LIFETIME_OVER,
                _ => PARENT_ENDED,
            };
            self.end_with_descendants(instance, reason).await?;
        }
        Ok(())
    }

    /// The same again and again, until the future is dropped.
    pub(crate) async fn follow_overdue(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            if let Err(error) = self.end_overdue().await {
                tracing::warn!(%error, "what is to end is not ended yet");
            }
        }
    }
}
