//! Launches: processes that are instances of agents.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chancery_api::server::LaunchTerms;
use chancery_attestation::{Evidence, LaunchEvidence};
use chancery_identity::{AgentId, InstanceSpiffeId, Isolation};
use chancery_types::id::LaunchId;
use chancery_types::{Jwk, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

use crate::clock::now;
use crate::executable::{Executable, LastSeen};
use crate::jwt_rate::JwtRate;
use crate::process::{Known, Process};
use crate::procfs::PidNamespace;
use crate::reads::Reads;
use crate::record::LaunchRecord;
use crate::x509_source::X509Source;

/// How long at most a launch sleeps until it looks at its clock again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the node attested of a launch, from the kernel alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchFacts {
    pub(crate) launch: LaunchId,
    pub(crate) agent: AgentId,
    pub(crate) isolation: Isolation,
    pub(crate) executable: Executable,
    pub(crate) uid: u32,
    /// The instance that started it.
    pub(crate) parent: Option<InstanceSpiffeId>,
    /// What the caller says that it is for.
    pub(crate) terms: LaunchTerms,
}

/// A process that is an instance of an agent, with the bridge that speaks for it. Ends when either
/// of the two exits or when it is withdrawn, and never begins again.
#[derive(Debug)]
pub struct Launch {
    pub(crate) facts: LaunchFacts,
    pub(crate) instance: InstanceSpiffeId,
    pub(crate) started: Timestamp,
    pub(crate) bridge: Process,
    pub(crate) init: Option<Process>,
    /// Present where the launch is isolated.
    pub(crate) namespace: Option<PidNamespace>,
    pub(crate) ended: watch::Sender<Option<EndReason>>,
    pub(crate) x509: X509Source,
    pub(crate) jwt_rate: JwtRate,
    /// Rises when who speaks as whom may have changed: the same process is launched as an instance of
    /// another agent too, or this instance is revoked.
    pub(crate) siblings: watch::Sender<u64>,
    /// Whether the instance is revoked, itself or with its agent.
    pub(crate) withdrawn: AtomicBool,
    /// What the launched process was seen to execute last.
    pub(crate) seen: LastSeen,
    /// The first agent key that was proven and certified; no other one ever is.
    pub(crate) agent_key: Mutex<Option<Jwk>>,
    /// When it is to end in any case.
    pub(crate) until: Option<Timestamp>,
}

/// Why a launch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The launched process exited.
    ProcessExited,
    /// The bridge exited, and with it the agent key.
    BridgeExited,
    /// The operator withdrew it.
    Withdrawn,
    /// The node stopped: nobody attests the process any more.
    NodeStopped,
    /// The instance that started it has ended, and it may not outlive it.
    ParentEnded,
    /// The time that it was started for is over.
    LifetimeOver,
}

impl EndReason {
    /// Whether the processes are ended along: they run still, and what they run for is over.
    const fn kills(self) -> bool {
        matches!(self, Self::ParentEnded | Self::LifetimeOver)
    }

    /// Whether what the instance started ends with it. A node that stops vouches for nobody any more, and
    /// ends every launch by itself.
    pub(crate) const fn ends_descendants(self) -> bool {
        !matches!(self, Self::NodeStopped)
    }
}

impl LaunchFacts {
    /// The launch.
    pub const fn launch(&self) -> LaunchId {
        self.launch
    }

    /// The agent that the operator says the process is an instance of.
    pub const fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Whether the process has namespaces of its own.
    pub const fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The file that the process executed when it was registered.
    pub const fn executable(&self) -> &Executable {
        &self.executable
    }

    /// The user that the process runs as.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The instance that started it: the nearest launch above it.
    pub const fn parent(&self) -> Option<&InstanceSpiffeId> {
        self.parent.as_ref()
    }

    /// What the one who started it says that it is for, and until when.
    pub const fn terms(&self) -> &LaunchTerms {
        &self.terms
    }

    /// These facts as evidence.
    pub fn to_evidence(&self) -> Evidence {
        Evidence::Launch(LaunchEvidence {
            launch: self.launch,
            isolation: self.isolation,
            executable: self.executable.digest(),
            uid: self.uid,
        })
    }
}

impl Launch {
    /// What the node attested.
    pub const fn facts(&self) -> &LaunchFacts {
        &self.facts
    }

    /// The launch.
    pub const fn id(&self) -> LaunchId {
        self.facts.launch
    }

    /// The instance.
    pub const fn instance(&self) -> &InstanceSpiffeId {
        &self.instance
    }

    /// When it was registered.
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// The process id of the bridge.
    pub const fn bridge_pid(&self) -> i32 {
        self.bridge.pid()
    }

    /// The process id of the launched process, where it is not the bridge itself.
    pub fn init_pid(&self) -> Option<i32> {
        self.init.as_ref().map(Process::pid)
    }

    /// The inode of the launch's pid namespace, where it is isolated.
    pub fn namespace_inode(&self) -> Option<u64> {
        self.namespace.map(PidNamespace::inode)
    }

    /// Those of these launches that `caller` speaks as: it is the bridge, the launched process itself, or,
    /// where the launch is isolated, lives in its pid namespace. Never after the end. What several have in
    /// common is looked at once.
    pub(crate) fn covering(launches: &[Arc<Self>], caller: &Process) -> Vec<Arc<Self>> {
        let alike = launches.chunk_by(|one, other| one.is_like(other));
        let covering = alike.filter(|alike| {
            let first = alike.first();
            first.is_some_and(|launch| launch.has_caller(caller))
        });
        let running = |launch: &&Arc<Self>| launch.end_reason().is_none();
        covering.flatten().filter(running).cloned().collect()
    }

    /// Whether what is seen of the processes and the program of one is seen of the other: a process that
    /// is an instance of several agents is looked at once for all of them.
    fn is_like(&self, other: &Self) -> bool {
        let same_init = match (&self.init, &other.init) {
            (Some(one), Some(other)) => one.is_held_with(other),
            (None, None) => true,
            _ => false,
        };
        self.bridge.is_held_with(&other.bridge)
            && same_init
            && self.namespace == other.namespace
            && self.facts.executable == other.facts.executable
    }

    fn has_caller(&self, caller: &Process) -> bool {
        if !self.is_running() {
            return false;
        }
        self.processes().any(|process| process.is_same(caller))
            || self.namespace.is_some_and(|namespace| {
                caller.namespace().is_ok_and(|callers| callers == namespace)
            })
    }

    /// Whether `caller` speaks as this instance and is what was launched: where the launch is one
    /// process that executes a program of its own, it executes that program still. In a pid namespace
    /// of its own, where an interpreter or a script was launched, and for the bridge, nothing is said
    /// about what is executed. Nobody is, while the instance is revoked.
    pub(crate) async fn vouches_for(&self, caller: &Process) -> bool {
        !self.is_over() && self.attests(caller).await && !self.is_over()
    }

    /// Which of these launches vouch for `caller`, in their order: what several have in common is looked
    /// at once.
    pub(crate) async fn vouching(launches: &[Arc<Self>], caller: &Process) -> Vec<bool> {
        let mut vouching = Vec::with_capacity(launches.len());
        for alike in launches.chunk_by(|one, other| one.is_like(other)) {
            // Of one that is over nothing is read.
            let attests = match alike.iter().find(|launch| !launch.is_over()) {
                Some(launch) => launch.attests(caller).await,
                None => false,
            };
            vouching.extend(alike.iter().map(|_| attests));
        }
        // A revocation may have come while a file was read.
        let vouching = launches.iter().zip(vouching);
        vouching
            .map(|(launch, attests)| attests && !launch.is_over())
            .collect()
    }

    /// Whether it ended, or its instance is revoked.
    fn is_over(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire) || self.end_reason().is_some()
    }

    async fn attests(&self, caller: &Process) -> bool {
        if !self.has_caller(caller) {
            return false;
        }
        if self.namespace.is_some() || !self.subject().is_same(caller) {
            return true;
        }
        self.facts
            .executable
            .is_executed_by(caller, &self.seen)
            .await
    }

    /// Notes whether the instance is revoked; says whether that changed.
    pub(crate) fn set_withdrawn(&self, withdrawn: bool) -> bool {
        let changed = self.withdrawn.swap(withdrawn, Ordering::AcqRel) != withdrawn;
        if changed {
            tracing::warn!(launch = %self.id(), instance = %self.instance, withdrawn, "revocation");
        }
        changed
    }

    /// Has who holds its SVIDs look again at who they speak as.
    pub(crate) fn wake(&self) {
        self.siblings
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The process that is the instance: the launched one, or the bridge where that is it.
    pub(crate) fn subject(&self) -> &Process {
        self.init.as_ref().unwrap_or(&self.bridge)
    }

    /// The process that holds the agent key, and the one that it launched, where that is another one.
    fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(&self.bridge).chain(&self.init)
    }

    /// Whether one of its processes runs.
    pub(crate) fn has_left_a_process(&self) -> bool {
        self.processes().any(Process::is_alive)
    }

    /// Whether the instance is revoked, itself or with its agent.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.withdrawn.load(Ordering::Acquire)
    }

    /// The numbers of its processes.
    pub(crate) fn pids(&self) -> impl Iterator<Item = i32> {
        self.processes().map(Process::pid)
    }

    /// Whether one of its processes has that number, and runs.
    pub(crate) fn has_process(&self, pid: i32) -> bool {
        let mut mine = self.processes();
        mine.any(|process| process.pid() == pid && process.is_alive())
    }

    /// Why it ended, when it has.
    pub fn end_reason(&self) -> Option<EndReason> {
        *self.ended.borrow()
    }

    /// Waits for the end.
    pub async fn ended(&self) -> EndReason {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            _ => EndReason::NodeStopped,
        }
    }

    /// What a later run of the node finds the launch by.
    pub(crate) fn record(&self, boot: &str, ended: Option<EndReason>) -> LaunchRecord {
        LaunchRecord {
            boot: boot.to_owned(),
            launch: self.facts.launch,
            instance: self.instance.clone(),
            isolation: self.facts.isolation,
            executable: self.facts.executable.clone(),
            uid: self.facts.uid,
            started: self.started,
            bridge: self.bridge.record(),
            init: self.init.as_ref().map(Process::record),
            namespace: self.namespace,
            ended,
            parent: self.facts.parent.clone(),
            outlive: self.facts.terms.outlive,
            until: self.until,
        }
    }

    /// The launch of a record, if all of its processes run still; otherwise why it has ended. Its
    /// agent key is proven anew: the issuer takes no other one than the first.
    pub(crate) fn again(
        record: &LaunchRecord,
        boot: &str,
        reads: &Arc<Reads>,
        known: &mut Known,
    ) -> Result<Self, EndReason> {
        if let Some(reason) = record.ended {
            return Err(reason);
        }
        if record.boot != boot {
            return Err(EndReason::ProcessExited);
        }
        let init = record.init.map(|init| known.again(init)).transpose();
        Ok(Self {
            facts: LaunchFacts {
                launch: record.launch,
                agent: record.instance.agent().clone(),
                isolation: record.isolation,
                executable: record.executable.clone(),
                uid: record.uid,
                parent: record.parent.clone(),
                terms: LaunchTerms {
                    outlive: record.outlive,
                    ..LaunchTerms::default()
                },
            },
            instance: record.instance.clone(),
            started: record.started,
            init: init.map_err(|_| EndReason::ProcessExited)?,
            bridge: known
                .again(record.bridge)
                .map_err(|_| EndReason::BridgeExited)?,
            namespace: record.namespace,
            ended: watch::Sender::new(None),
            x509: X509Source::default(),
            jwt_rate: JwtRate::default(),
            siblings: watch::Sender::default(),
            withdrawn: AtomicBool::default(),
            seen: LastSeen::new(reads),
            agent_key: Mutex::default(),
            until: record.until,
        })
    }

    /// Whether all of its processes run.
    pub(crate) fn is_running(&self) -> bool {
        self.processes().all(Process::is_alive)
    }

    /// Whether this launch and one of these processes would be one and the same to a caller.
    pub(crate) fn overlaps(
        &self,
        bridge: &Process,
        init: Option<&Process>,
        namespace: Option<PidNamespace>,
    ) -> bool {
        let theirs = [Some(bridge), init];
        let one_of_theirs = |mine: &Process| {
            let mut theirs = theirs.into_iter().flatten();
            theirs.any(|theirs| mine.is_same(theirs))
        };
        let shared = self.processes().any(one_of_theirs);
        shared || (namespace.is_some() && namespace == self.namespace)
    }

    /// Whether this launch has exactly these processes.
    pub(crate) fn is_of(
        &self,
        bridge: &Process,
        init: Option<&Process>,
        namespace: Option<PidNamespace>,
    ) -> bool {
        let same_init = match (&self.init, init) {
            (Some(mine), Some(theirs)) => mine.is_same(theirs),
            (None, None) => true,
            _ => false,
        };
        self.bridge.is_same(bridge) && same_init && self.namespace == namespace
    }

    /// Marks the end; the first reason stays.
    pub(crate) fn end(&self, reason: EndReason) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(reason);
            first
        });
    }

    /// Waits until a process of the launch exits or the end is marked; marks it and says why.
    pub(crate) async fn watch(&self) -> EndReason {
        let init = async {
            match &self.init {
                Some(init) => init.exited().await,
                None => std::future::pending().await,
            }
        };
        let reason = tokio::select! {
            () = init => EndReason::ProcessExited,
            () = self.bridge.exited() => EndReason::BridgeExited,
            () = self.over() => EndReason::LifetimeOver,
            reason = self.ended() => reason,
        };
        self.end(reason);
        let reason = self.end_reason().unwrap_or(reason);
        if reason.kills() {
            self.kill();
        }
        reason
    }

    /// Waits until its time is over.
    async fn over(&self) {
        let Some(until) = self.until else {
            return std::future::pending().await;
        };
        // A clock that is set meanwhile is looked at again.
        loop {
            let left = until.micros_since(now());
            if left == 0 {
                return;
            }
            let left = Duration::from_micros(left).min(LOOK_AGAIN);
            tokio::time::sleep(left).await;
        }
    }

    /// Whether it is to end with that instance.
    pub(crate) fn ends_with(&self, parent: &InstanceSpiffeId) -> bool {
        !self.facts.terms.outlive && self.facts.parent.as_ref() == Some(parent)
    }

    /// Kills its processes: the one that holds the agent key first, then what it launched, which in a pid
    /// namespace of its own takes all others along.
    pub(crate) fn kill(&self) {
        for process in self.processes() {
            if let Err(error) = process.kill() {
                tracing::error!(launch = %self.id(), pid = process.pid(), %error, "not killed");
            }
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProcessExited => "process-exited",
            Self::BridgeExited => "bridge-exited",
            Self::Withdrawn => "withdrawn",
            Self::NodeStopped => "node-stopped",
            Self::ParentEnded => "parent-ended",
            Self::LifetimeOver => "lifetime-over",
        })
    }
}
