//! The launches of this host.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_api::server::LaunchTerms;
use chancery_crypto::{RandomError, random_id};
use chancery_identity::{AgentId, InstanceSpiffeId, Isolation};
use chancery_types::id::LaunchId;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::now;
use crate::executable::{Executable, LastSeen};
use crate::paths::Paths;
use crate::process::{Known, Process, ProcessError};
use crate::procfs::PidNamespace;
use crate::reads::Reads;
use crate::record::{LaunchRecord, LaunchRecords};
use crate::running::Running;
use crate::{EndReason, Issuer, IssuerError, Launch, LaunchFacts, Withdrawn};

/// Before an issuer that is away is told again.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// How many processes register at a time.
const TURNS: usize = 64;

/// All launches that run, and which of them a process belongs to.
pub struct Launches {
    issuer: Arc<dyn Issuer>,
    records: Arc<LaunchRecords>,
    running: Mutex<Running>,
    reads: Arc<Reads>,
    paths: Paths,
    watchers: Mutex<JoinSet<()>>,
    /// One registration of a process at a time, so that no two claim it: by the process's number.
    registering: [tokio::sync::Mutex<()>; TURNS],
    rostering: tokio::sync::Mutex<()>,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchRequest {
    /// The agent.
    pub agent: AgentId,
    /// The process to launch, in the caller's and the node's pid namespace; absent where the
    /// caller itself is the instance.
    pub init_pid: Option<i32>,
    /// What the caller says about its isolation; the node sees for itself.
    pub isolation: Isolation,
    /// The file that is the agent's code, which the launched process is about to execute; the node
    /// reads it. Absent where the process executes it already.
    pub program: Option<PathBuf>,
    /// The instance that the caller says started it. The node sees for itself, and refuses where it sees
    /// another one, or none.
    pub parent: Option<InstanceSpiffeId>,
    /// What the process is for, and until when.
    pub terms: LaunchTerms,
}

/// Why a launch is refused.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The caller cannot be attested.
    #[error("the caller cannot be attested")]
    Caller(#[source] ProcessError),
    /// The launched process cannot be attested.
    #[error("process {pid} cannot be attested")]
    Init {
        /// Its id.
        pid: i32,
        /// Why.
        source: ProcessError,
    },
    /// The caller lives in another pid namespace than the node, so that its ids mean nothing here.
    #[error("the caller is in another pid namespace than the node")]
    CallerNamespace,
    /// The process was not started by the caller.
    #[error("process {0} is not a descendant of the caller")]
    NotADescendant(i32),
    /// An isolated launch needs a process that is not the caller.
    #[error("an isolated launch needs init_pid")]
    NoInit,
    /// The process shares the node's pid namespace.
    #[error("process {0} shares the node's pid namespace: it is not isolated")]
    NotIsolated(i32),
    /// The process is not the first one of its pid namespace, so that others were there before it.
    #[error("process {0} is not the init of its pid namespace")]
    NotInit(i32),
    /// The caller, the process or the namespace is a running launch already: of the same agent, or
    /// together with another process.
    #[error("the process belongs to a running launch already")]
    Taken,
    /// Who started the process is not who the caller says: another instance, or none that runs.
    #[error("the process was not started by {said}")]
    OtherParent {
        /// Whom the caller names.
        said: InstanceSpiffeId,
    },
    /// The instance that started the process has ended.
    #[error("{0}, which started the process, has ended")]
    ParentEnded(InstanceSpiffeId),
    /// The instance that started the process is revoked.
    #[error("{0}, which started the process, is revoked")]
    ParentRevoked(InstanceSpiffeId),
    /// The issuer opened no instance.
    #[error("no instance was opened")]
    Issuer(#[source] IssuerError),
    /// The issuer opened an instance of another agent.
    #[error("the issuer opened an instance of another agent")]
    OtherAgent,
    /// No identifier could be drawn.
    #[error("no identifier could be drawn")]
    Random(#[source] RandomError),
    /// The launch could not be noted, and does not begin.
    #[error("the launch cannot be noted on the node's disk")]
    Record(#[source] std::io::Error),
}

/// The processes of a launch, each attested.
struct Attested {
    bridge: Process,
    init: Option<Process>,
    namespace: Option<PidNamespace>,
}

impl Launches {
    /// No launches yet.
    pub(crate) fn new(issuer: Arc<dyn Issuer>, records: LaunchRecords) -> Self {
        Self {
            issuer,
            records: Arc::new(records),
            running: Mutex::default(),
            reads: Arc::default(),
            paths: Paths::default(),
            watchers: Mutex::default(),
            registering: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            rostering: tokio::sync::Mutex::default(),
        }
    }

    /// Takes up what an earlier run of the node noted: launches whose processes run go on, the
    /// issuer hears of the end of the others.
    pub(crate) fn resume(self: &Arc<Self>) -> std::io::Result<()> {
        let mut again = Vec::new();
        let mut known = Known::default();
        let mut looked_at: HashMap<_, Vec<(Executable, LastSeen)>> = HashMap::new();
        for record in self.records.all()? {
            match Launch::again(&record, self.records.boot(), &self.reads, &mut known) {
                Ok(mut launch) => {
                    // A process that is an instance of several agents is looked at once for all of them.
                    let (subject, executable) =
                        (launch.subject().record(), launch.facts().executable());
                    let siblings = looked_at.entry(subject).or_default();
                    let like = siblings.iter().find(|(other, _)| other == executable);
                    match like {
                        Some((_, seen)) => launch.seen = seen.clone(),
                        None => siblings.push((executable.clone(), launch.seen.clone())),
                    }
                    again.push(Arc::new(launch));
                }
                Err(reason) => self.bury(record, reason),
            }
        }
        let instances = again.iter().map(|launch| launch.instance().clone());
        let parents: HashSet<_> = instances.collect();
        for launch in again {
            tracing::info!(launch = %launch.id(), instance = %launch.instance(), "taken up again");
            let alone = |parent| launch.ends_with(parent) && !parents.contains(parent);
            if launch.facts().parent().is_some_and(alone) {
                launch.end(EndReason::ParentEnded);
            }
            // Its own end takes those along that it started.
            self.begin(launch);
        }
        Ok(())
    }

    /// Registers what `caller` launched: attests it, has an instance opened, and watches it from
    /// then on. The same process may be launched once for each of several agents.
    pub async fn register(
        self: &Arc<Self>,
        caller: Process,
        request: LaunchRequest,
    ) -> Result<Arc<Launch>, LaunchError> {
        let _turns = self.turns(&caller, &request).await;
        let mut attested = attest(caller, &request)?;
        let mut siblings = Vec::new();
        let (bridge, init) = (&attested.bridge, attested.init.as_ref());
        let pids = std::iter::once(bridge).chain(init).map(Process::pid);
        let near = self.running().near(pids, attested.namespace);
        for launch in near {
            if !launch.overlaps(bridge, init, attested.namespace) {
                continue;
            }
            let other = *launch.instance().agent() != request.agent;
            if !other || !launch.is_of(bridge, init, attested.namespace) {
                return Err(LaunchError::Taken);
            }
            siblings.push(launch);
        }
        // They are held once.
        if let Some(sibling) = siblings.first() {
            attested.bridge = sibling.bridge.clone();
            attested.init = sibling.init.clone();
        }
        let parent = self.parent_of(&attested.bridge, request.parent.as_ref())?;
        let subject = attested.init.as_ref().unwrap_or(&attested.bridge);
        let measured = match request.program {
            Some(program) => Executable::at(program)
                .await
                .map(|executable| (executable, LastSeen::new(&self.reads))),
            None => measure(subject, siblings.first(), &self.reads).await,
        };
        let (executable, seen) = measured.map_err(|source| LaunchError::Init {
            pid: subject.pid(),
            source,
        })?;
        let facts = LaunchFacts {
            launch: random_id().map_err(LaunchError::Random)?,
            agent: request.agent,
            isolation: request.isolation,
            executable,
            uid: subject.uid(),
            parent: parent.as_ref().map(|parent| parent.instance().clone()),
            terms: request.terms,
        };
        let opened = self
            .issuer
            .open(&facts)
            .await
            .map_err(LaunchError::Issuer)?;
        let instance = opened.instance;
        if *instance.agent() != facts.agent {
            return Err(LaunchError::OtherAgent);
        }
        let launch = Arc::new(Launch {
            until: opened.until,
            facts,
            instance,
            started: now(),
            bridge: attested.bridge,
            init: attested.init,
            namespace: attested.namespace,
            ended: watch::Sender::new(None),
            x509: Default::default(),
            jwt_rate: Default::default(),
            siblings: watch::Sender::default(),
            withdrawn: Default::default(),
            seen,
            agent_key: Default::default(),
        });
        let record = launch.record(self.records.boot(), None);
        // The disk is waited for on a thread that may wait.
        let (records, noted) = (Arc::clone(&self.records), record.clone());
        let noting = tokio::task::spawn_blocking(move || records.put(&noted));
        let noted = noting.await.unwrap_or_else(|error| Err(error.into()));
        if let Err(error) = noted {
            self.bury(record, EndReason::Withdrawn);
            return Err(LaunchError::Record(error));
        }
        self.begin(Arc::clone(&launch));
        // The parent may have ended since it was looked at: then its end did not find this one.
        if let Some(parent) = parent
            && !launch.facts().terms().outlive
            && (parent.is_withdrawn() || self.running().get(parent.id()).is_none())
        {
            launch.end(EndReason::ParentEnded);
            return Err(LaunchError::ParentEnded(parent.instance().clone()));
        }
        for sibling in siblings {
            sibling.siblings.send_modify(|count| *count += 1);
        }
        tracing::info!(launch = %launch.id(), instance = %launch.instance(), "launched");
        Ok(launch)
    }

    /// Waits until nobody else registers one of these processes. A pid namespace is claimed with its first
    /// process.
    async fn turns(
        &self,
        caller: &Process,
        request: &LaunchRequest,
    ) -> Vec<tokio::sync::MutexGuard<'_, ()>> {
        let pids = std::iter::once(caller.pid()).chain(request.init_pid);
        let turns = pids.filter_map(|pid| usize::try_from(pid).ok());
        // In one order, so that no two wait for each other.
        let turns: BTreeSet<_> = turns.map(|pid| pid % TURNS).collect();
        let mut taken = Vec::with_capacity(turns.len());
        for turn in turns {
            if let Some(turn) = self.registering.get(turn) {
                taken.push(turn.lock().await);
            }
        }
        taken
    }

    /// The launch that started a process: the nearest one above it. Where the nearest has ended, or is
    /// revoked, nothing is started. Of several that are one process, the one that the caller says.
    fn parent_of(
        &self,
        process: &Process,
        said: Option<&InstanceSpiffeId>,
    ) -> Result<Option<Arc<Launch>>, LaunchError> {
        let above = process.ancestors().map_err(LaunchError::Caller)?;
        let mut launches = self.running().above(&above);
        // Of several that are one process one that runs speaks for it.
        let ended = |launch: &Launch| launch.end_reason().is_some();
        launches.sort_by_key(|launch| (ended(launch), launch.started(), launch.id()));
        let nearest = above.into_iter().find_map(|pid| {
            let mut here = launches.iter().filter(|launch| launch.has_process(pid));
            let first = here.clone().next()?;
            let said = here.find(|launch| Some(launch.instance()) == said);
            Some(Arc::clone(said.unwrap_or(first)))
        });
        // The numbers meant its ancestors all along, if it still runs.
        let nearest = process.while_alive(nearest);
        let nearest = nearest.ok_or(LaunchError::Caller(ProcessError::Gone))?;
        if let Some(said) = said
            && nearest
                .as_ref()
                .is_none_or(|launch| launch.instance() != said)
        {
            return Err(LaunchError::OtherParent { said: said.clone() });
        }
        let Some(parent) = nearest else {
            return Ok(None);
        };
        if parent.end_reason().is_some() || !parent.is_running() {
            return Err(LaunchError::ParentEnded(parent.instance().clone()));
        }
        if parent.is_withdrawn() {
            return Err(LaunchError::ParentRevoked(parent.instance().clone()));
        }
        Ok(Some(parent))
    }

    /// Ends what an instance that has ended started, and may not outlive it.
    fn end_descendants(&self, parent: &InstanceSpiffeId) {
        for launch in self.list() {
            if launch.ends_with(parent) {
                launch.end(EndReason::ParentEnded);
            }
        }
    }

    /// The launches that `caller` speaks as, one for each agent that it is an instance of: the one
    /// that was registered first is its default identity.
    pub fn of_caller(&self, caller: &Process) -> Vec<Arc<Launch>> {
        let spaced = self.running().have_namespaces();
        let namespace = spaced.then(|| caller.namespace().ok()).flatten();
        let near = self.running().near([caller.pid()], namespace);
        let mut launches = Launch::covering(&near, caller);
        launches.sort_by_key(|launch| (launch.started(), launch.id()));
        launches
    }

    /// The running launches, by id.
    pub fn list(&self) -> Vec<Arc<Launch>> {
        self.running().all()
    }

    /// Withdraws a launch: its streams end and nothing more is issued. The process goes on.
    pub fn withdraw(&self, id: LaunchId) -> Option<Arc<Launch>> {
        let launch = self.running().remove(id)?;
        self.count();
        self.note_end(&launch, EndReason::Withdrawn);
        launch.end(EndReason::Withdrawn);
        Some(launch)
    }

    /// Ends every launch and waits until the issuer has heard of it.
    pub async fn stop(&self) {
        for launch in self.list() {
            launch.end(EndReason::NodeStopped);
        }
        let mut watchers = std::mem::take(&mut *lock(&self.watchers));
        while watchers.join_next().await.is_some() {}
    }

    /// Ends as a killed process does: nobody is told anything any more.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        lock(&self.watchers).abort_all();
    }

    /// Held by the one whose roster is asked for.
    pub(crate) async fn roster_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.rostering.lock().await
    }

    pub(crate) fn issuer(&self) -> &Arc<dyn Issuer> {
        &self.issuer
    }

    /// What verifies the issuer's answers.
    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        lock(&self.running)
    }

    fn count(&self) {
        metrics::gauge!("chancery_launches").set(self.running().len() as f64);
    }

    /// Takes the identities that are revoked from their launches, now and whenever more are, until
    /// the issuer or the launches are gone.
    pub(crate) fn follow_withdrawn(self: &Arc<Self>) {
        let mut withdrawn = self.issuer.withdrawn();
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut before = Withdrawn::default();
            loop {
                let known = withdrawn.borrow_and_update().clone();
                let Some(this) = this.upgrade() else {
                    return;
                };
                this.withdraw_revoked(&known, &before);
                drop(this);
                before = known;
                if withdrawn.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Takes what is revoked from its launches, and gives back what is not any more.
    fn withdraw_revoked(&self, known: &Withdrawn, before: &Withdrawn) {
        let touched: Vec<_> = match known.other_agents(before) {
            true => self.list(),
            false => {
                let running = self.running();
                let instances = known.other_instances(before);
                let launches = instances.filter_map(|one| running.of_instance(one.instance()));
                launches.cloned().collect()
            }
        };
        let mut given_back = false;
        for launch in touched {
            let covered = known.covers(launch.instance());
            if launch.set_withdrawn(covered) {
                given_back |= !covered;
                launch.wake();
            }
            // Which is for good, other than with its agent.
            if known.names(launch.instance()) {
                self.end_descendants(launch.instance());
            }
        }
        // A stream that had lost one of its identities listens to the others alone.
        if given_back {
            self.list().iter().for_each(|launch| launch.wake());
        }
    }

    fn begin(self: &Arc<Self>, launch: Arc<Launch>) {
        self.running().insert(Arc::clone(&launch));
        // What was revoked before it was listed is not told again, and what is told meanwhile may have been
        // told before it was listed.
        let withdrawn = self.issuer.withdrawn();
        loop {
            let covered = withdrawn.borrow().covers(launch.instance());
            if launch.set_withdrawn(covered) {
                launch.wake();
            }
            if withdrawn.borrow().covers(launch.instance()) == covered {
                break;
            }
        }
        // Whatever found it on the list before it was known as revoked.
        if withdrawn.borrow().names(launch.instance()) {
            self.end_descendants(launch.instance());
        }
        self.count();
        let this = Arc::downgrade(self);
        self.spawn(async move {
            let reason = launch.watch().await;
            let Some(this) = this.upgrade() else {
                return;
            };
            this.running().remove(launch.id());
            this.count();
            if reason.ends_descendants() {
                this.end_descendants(launch.instance());
            }
            this.note_end(&launch, reason);
            tracing::info!(launch = %launch.id(), %reason, "launch ended");
            this.tell(launch.id(), launch.instance(), reason).await;
        });
    }

    /// A launch that has ended already, of which the issuer has not heard.
    fn bury(self: &Arc<Self>, record: LaunchRecord, reason: EndReason) {
        let this = Arc::clone(self);
        tracing::info!(launch = %record.launch, %reason, "launch ended before");
        self.spawn(async move { this.tell(record.launch, &record.instance, reason).await });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut watchers = lock(&self.watchers);
        while watchers.try_join_next().is_some() {}
        watchers.spawn(task);
    }

    /// INVARIANT: what is noted as ended is not taken up again.
    fn note_end(&self, launch: &Launch, reason: EndReason) {
        let record = launch.record(self.records.boot(), Some(reason));
        if let Err(error) = self.records.put(&record) {
            tracing::error!(launch = %launch.id(), %error, "the end of a launch cannot be noted");
        }
    }

    /// Tells the issuer until it has heard, and only then forgets the launch.
    async fn tell(&self, launch: LaunchId, instance: &InstanceSpiffeId, reason: EndReason) {
        while let Err(error) = self.issuer.ended(instance, reason).await {
            match error {
                IssuerError::Refused { reason } => {
                    tracing::warn!(%launch, %reason, "the issuer refuses to hear of the end");
                    break;
                }
                IssuerError::Unavailable(error) => {
                    tracing::warn!(%launch, error, "the issuer did not hear of the end");
                    tokio::time::sleep(TELL_AGAIN).await;
                }
            }
        }
        if let Err(error) = self.records.remove(launch) {
            tracing::warn!(%launch, %error, "the record of an ended launch stays");
        }
    }
}

/// What a process executes, and what is known of it from then on. A process that is an instance already
/// shares what is seen of it with its siblings.
async fn measure(
    subject: &Process,
    sibling: Option<&Arc<Launch>>,
    reads: &Arc<Reads>,
) -> Result<(Executable, LastSeen), ProcessError> {
    if let Some(sibling) = sibling
        && sibling.subject().is_held_with(subject)
        && let executable = sibling.facts().executable()
        && let Some(executable) = executable.again(subject, &sibling.seen).await
    {
        return Ok((executable, sibling.seen.clone()));
    }
    Executable::of(subject, reads).await
}

fn attest(caller: Process, request: &LaunchRequest) -> Result<Attested, LaunchError> {
    let own =
        PidNamespace::own().map_err(|error| LaunchError::Caller(ProcessError::Kernel(error)))?;
    if caller.namespace().map_err(LaunchError::Caller)? != own {
        return Err(LaunchError::CallerNamespace);
    }
    let Some(pid) = request.init_pid else {
        return match request.isolation {
            Isolation::Isolated => Err(LaunchError::NoInit),
            Isolation::Unisolated => Ok(Attested {
                bridge: caller,
                init: None,
                namespace: None,
            }),
        };
    };
    let failed = |source| LaunchError::Init { pid, source };
    let init = Process::open(pid).map_err(failed)?;
    if !init.descends_from(&caller).map_err(failed)? {
        return Err(LaunchError::NotADescendant(pid));
    }
    let namespace = match request.isolation {
        Isolation::Unisolated => None,
        Isolation::Isolated => {
            let namespace = init.namespace().map_err(failed)?;
            if namespace == own {
                return Err(LaunchError::NotIsolated(pid));
            }
            if !init.is_namespace_init().map_err(failed)? {
                return Err(LaunchError::NotInit(pid));
            }
            Some(namespace)
        }
    };
    Ok(Attested {
        bridge: caller,
        init: Some(init),
        namespace,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Launches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launches")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}
