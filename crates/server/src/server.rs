use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use chancery_api::signer::SignerClient;
use chancery_api::{OwnerListener, Problem, measured};
use chancery_audit::{Entry, Event, Label};
use chancery_crypto::{AwsLc, replace_private_file};
use chancery_delegation::ChainRules;
use chancery_identity::jwt_svid::JwtIssuer;
use chancery_identity::trust::{SignedTrust, VerifiedTrust};
use chancery_identity::{Incubating, TrustDomain};
use chancery_journal::{Journal, Submitted};
use chancery_session::{Rulebook, RulebookError};
use chancery_store::{PolicyRow, Store};
use chancery_types::Timestamp;
use tokio::sync::watch;

use crate::Clock;
use crate::authorities::Issuing;
use crate::brokers::Brokering;
use crate::federation::{Federating, own};
use crate::inviting::Inviting;
use crate::nodes::NodeRoll;
use crate::published_policy::PublishedPolicy;
use crate::revoking::Asked;
use crate::snapshots::Snapshots;
use crate::spawning::Turns;
use crate::svid_ends::SvidEnds;
use crate::svid_lifetime::SvidLifetime;
use crate::withdrawn::{Standing, Withdrawn};

/// The control plane of one trust domain.
#[derive(Debug)]
pub struct Server {
    pub(crate) store: Store,
    pub(crate) signer: SignerClient,
    pub(crate) origin: Label,
    pub(crate) journal: Journal,
    /// Held from the time of an entry to its place in the log, and not until it is on the disk.
    enrolling: tokio::sync::Mutex<()>,
    clock: Clock,
    trust: RwLock<VerifiedTrust>,
    policy: RwLock<Option<Arc<PublishedPolicy>>>,
    pub(crate) withdrawn: tokio::sync::Mutex<Withdrawn>,
    pub(crate) snapshots: tokio::sync::Mutex<Snapshots>,
    /// Revocations that wait for their turn.
    pub(crate) revoking: std::sync::Mutex<Vec<Asked>>,
    pub(crate) standing: RwLock<Standing>,
    /// Held from the count of a standing consent to the root that is one more use of it.
    pub(crate) consents: tokio::sync::Mutex<()>,
    /// Held alone while somebody is erased, and together by whatever is made or kept for a person, from
    /// the look at whether they were erased to the last that is kept.
    pub(crate) erasing: tokio::sync::RwLock<()>,
    /// Held alone while a registration changes, and together by whoever opens an instance, from the look at
    /// the registration to the instance that is stored.
    pub(crate) registering: tokio::sync::RwLock<()>,
    pub(crate) federating: Federating,
    pub(crate) inviting: Inviting,
    /// Held from the look at a passkey's counter to the one that is kept.
    pub(crate) counting: tokio::sync::Mutex<()>,
    /// Under which issuer the keys of JWT-SVIDs are found.
    pub(crate) issuer: Option<JwtIssuer>,
    changes: watch::Sender<u64>,
    /// Whether nobody serves it any more: whoever waits is answered with what there is.
    stopped: watch::Sender<bool>,
    trust_file: PathBuf,
    pub(crate) svid_lifetime: SvidLifetime,
    pub(crate) issuing: Issuing,
    pub(crate) svid_ends: SvidEnds,
    pub(crate) nodes: NodeRoll,
    /// Which incubating specifications this deployment opted in to.
    pub(crate) incubating: Incubating,
    pub(crate) brokering: Brokering,
    /// An instance's is held from the look at it to the row of the one that it starts, and while it ends.
    pub(crate) spawning: Turns,
    /// Held from the look at the bundle in force to the row of the next one.
    pub(crate) publishing: tokio::sync::Mutex<()>,
}

/// What a server is made of.
#[derive(Debug)]
pub struct ServerConfig {
    /// Its tables.
    pub store: Store,
    /// Its log.
    pub journal: Journal,
    /// Its signer.
    pub signer: SignerClient,
    /// The trust document in force.
    pub trust: VerifiedTrust,
    /// Where the trust document in force is kept.
    pub trust_file: PathBuf,
    /// Its clock, which continues the log's.
    pub clock: Clock,
    /// How long the SVIDs of instances live.
    pub svid_lifetime: SvidLifetime,
    /// After how many seconds others are to fetch this trust domain's bundle again.
    pub refresh_hint: u64,
    /// The issuer that JWT-SVIDs name, for readers that know OpenID Connect; see
    /// [`WebEndpoint`](crate::WebEndpoint).
    pub issuer: Option<JwtIssuer>,
    /// Which incubating specifications are served, published and read.
    pub incubating: Incubating,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The tables failed.
    #[error(transparent)]
    Store(#[from] chancery_store::StoreError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] chancery_journal::JournalError),
    /// An entry of the log is not one of ours.
    #[error("entry {index} of the log cannot be read")]
    Entry {
        /// Its index.
        index: u64,
        /// Why.
        #[source]
        source: chancery_audit::EntryError,
    },
    /// The stored policy bundle is not one.
    #[error("the stored policy bundle cannot be loaded")]
    Policy(#[from] RulebookError),
    /// A name of the deployment is not a label.
    #[error("the trust document's names are not usable")]
    Name(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The first entries could not be written, or an erasure that was begun could not be finished.
    #[error("the first entries could not be enrolled")]
    Enrol(#[source] Problem),
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[from] std::io::Error),
}

impl Server {
    /// Puts a server together. Enrols the trust document when the log does not hold it yet.
    pub async fn new(config: ServerConfig) -> Result<Arc<Self>, ServerError> {
        let policy = match config.store.current_policy().await? {
            Some(row) => Some(Arc::new(PublishedPolicy::stored(&row, &config.trust)?)),
            None => None,
        };
        // A clock that stepped back issues nothing; what is revoked is read all the same.
        let now = config.clock.now().unwrap_or_else(|error| error.latest);
        let withdrawn = Withdrawn::load(&config.journal, now)?;
        let name = |error: Box<dyn std::error::Error + Send + Sync>| ServerError::Name(error);
        let domain = config.trust.trust_domain.clone();
        let named = domain
            .parse::<TrustDomain>()
            .map_err(|error| name(error.into()))?;
        let keys =
            own::keys(&config.trust, config.incubating).map_err(|error| name(error.into()))?;
        let hint = config.refresh_hint;
        let published = own::load(&config.store, named, keys, hint, now).await?;
        let told = (hint, config.incubating);
        let federating = Federating::load(&config.store, published, told, now).await?;
        let nodes = NodeRoll::load(&config.store).await?;
        let brokering = Brokering::load(&config.store).await?;
        let svid_ends = SvidEnds::load(&config.store, &config.journal).await?;
        let server = Arc::new(Self {
            issuing: Issuing::new(config.journal.size(), &config.trust),
            brokering,
            svid_ends,
            origin: (config.journal.origin().as_str().parse::<Label>())
                .map_err(|error| name(error.into()))?,
            store: config.store,
            signer: config.signer,
            journal: config.journal,
            enrolling: tokio::sync::Mutex::default(),
            clock: config.clock,
            trust: RwLock::new(config.trust),
            policy: RwLock::new(policy),
            standing: RwLock::new(withdrawn.standing()),
            consents: tokio::sync::Mutex::default(),
            erasing: tokio::sync::RwLock::default(),
            registering: tokio::sync::RwLock::default(),
            federating,
            inviting: Inviting::default(),
            counting: tokio::sync::Mutex::default(),
            issuer: config.issuer,
            withdrawn: tokio::sync::Mutex::new(withdrawn),
            snapshots: tokio::sync::Mutex::default(),
            revoking: std::sync::Mutex::default(),
            changes: watch::Sender::new(0),
            stopped: watch::Sender::new(false),
            svid_lifetime: config.svid_lifetime,
            trust_file: config.trust_file,
            nodes,
            incubating: config.incubating,
            spawning: Turns::default(),
            publishing: tokio::sync::Mutex::default(),
        });
        // Who is revoked is refused in any case.
        if let Err(error) = server.end_revoked().await {
            tracing::error!(%error, "what is revoked is not ended");
        }
        crate::spawning::show_nothing_yet();
        // Who is retired is issued nothing in any case.
        if let Err(error) = server.finish_retirements().await {
            tracing::error!(%error, "instances of a retired agent are not ended");
        }
        if let Err(error) = server.end_overdue().await {
            tracing::error!(%error, "what is to end is not ended");
        }
        server.enrol_trust().await.map_err(ServerError::Enrol)?;
        let finished = server.finish_erasures().await;
        finished.map_err(ServerError::Enrol)?;
        Ok(server)
    }

    /// Serves until the future is dropped.
    pub async fn serve(self: Arc<Self>, listener: OwnerListener) -> Result<(), ServerError> {
        let fetching = Arc::clone(&self).follow_federations();
        let scheduled = Arc::clone(&self).follow_schedule();
        let overseen = Arc::clone(&self).follow_overdue();
        let written = Arc::clone(&self).follow_svid_ends();
        let _serving = Serving(self.stopped.clone());
        let serving = axum::serve(listener, measured(crate::endpoints::router(self)));
        tokio::select! {
            served = serving => Ok(served?),
            () = fetching => Ok(()),
            () = scheduled => Ok(()),
            () = overseen => Ok(()),
            () = written => Ok(()),
        }
    }

    /// Now, unless the clock stepped back: then nothing is issued.
    pub(crate) fn now(&self) -> Result<Timestamp, Problem> {
        self.clock.now().map_err(|error| {
            Problem::unavailable("clock_stepped_back", error.to_string())
                .with_remedy("set the machine's clock; nothing is issued until it is later")
        })
    }

    /// Writes an event into the log; durable when this returns. Entries stand in the log in the
    /// order of their times.
    pub(crate) async fn enrol(&self, event: impl Into<Event>) -> Result<u64, Problem> {
        self.enrol_at(event).await.map(|(index, _)| index)
    }

    /// Writes an event into the log; says where and when.
    pub(crate) async fn enrol_at(
        &self,
        event: impl Into<Event>,
    ) -> Result<(u64, Timestamp), Problem> {
        let turn = self.enrolling.lock().await;
        let submitted = self.submit(event.into()).await;
        drop(turn);
        durable(submitted?).await
    }

    /// Writes several events into the log, one behind the other, by one sync of the disk; says where and when.
    /// All are durable when this returns, but those that it names an error for.
    pub(crate) async fn enrol_all(
        &self,
        events: Vec<Event>,
    ) -> Vec<Result<(u64, Timestamp), Problem>> {
        let turn = self.enrolling.lock().await;
        let (mut times, mut entries) = (Vec::with_capacity(events.len()), Vec::new());
        for event in events {
            let entry = self.entry(event);
            times.push(entry.map(|(bytes, at)| {
                entries.push(bytes);
                at
            }));
        }
        let submitted = self.journal.submit_all(entries).await;
        drop(turn);
        let submitted = submitted.map_err(|error| Problem::internal("log", &error));
        let mut submitted = submitted.map(Vec::into_iter);
        let mut enrolled = Vec::with_capacity(times.len());
        for at in times {
            let missing = || Problem::unavailable("log", "an entry is missing");
            let placed = at.and_then(|at| {
                let submitted = submitted.as_mut().map_err(|problem| problem.clone())?;
                Ok((submitted.next().ok_or_else(missing)?, at))
            });
            enrolled.push(match placed {
                Ok(placed) => durable(placed).await,
                Err(problem) => Err(problem),
            });
        }
        enrolled
    }

    /// Gives an event its time and its place in the log. Whoever asks holds the turn, and lets go of it
    /// before the entry is durable: others come behind it meanwhile, and are synced with it.
    async fn submit(&self, event: Event) -> Result<(Submitted, Timestamp), Problem> {
        let (bytes, at) = self.entry(event)?;
        let submitted = self.journal.submit(bytes).await;
        let submitted = submitted.map_err(|error| Problem::internal("log", &error))?;
        Ok((submitted, at))
    }

    /// An event with its time, as it is logged.
    fn entry(&self, event: Event) -> Result<(Vec<u8>, Timestamp), Problem> {
        let at = self.now()?;
        let entry = Entry {
            origin: self.origin.clone(),
            at,
            event,
        };
        let bytes = entry.to_bytes();
        let bytes = bytes.map_err(|error| Problem::internal("entry", &error))?;
        Ok((bytes, at))
    }

    /// How many entries are durable.
    pub(crate) fn log_size(&self) -> u64 {
        self.journal.size()
    }

    /// The trust document in force.
    pub(crate) fn trust(&self) -> VerifiedTrust {
        self.trust
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a later trust document in force, on disk first. The policy bundle is in force from then on only
    /// where enough people signed it by that document too.
    pub(crate) async fn install(&self, text: &str) -> Result<u64, Problem> {
        let _turn = self.publishing.lock().await;
        let refused =
            |error: &dyn std::error::Error| Problem::forbidden("trust", error.to_string());
        let next = SignedTrust::parse(text.as_bytes()).map_err(|error| refused(&error))?;
        let accepted = self
            .trust()
            .accept(next, &AwsLc)
            .map_err(|error| refused(&error))?;
        // What could not be published is in force nowhere, the signer among it.
        own::keys(&accepted, self.incubating).map_err(|error| {
            Problem::forbidden(
                "trust",
                format!("an authority of the trust document is not usable: {error}"),
            )
        })?;
        let request = chancery_api::server::TrustText {
            document: text.to_owned(),
        };
        self.signer
            .install_trust(&request)
            .await
            .map_err(|error| Problem::unavailable("signer", error.to_string()))?;
        replace_private_file(&self.trust_file, text.as_bytes())
            .map_err(|error| Problem::internal("trust", &error))?;
        self.put_trust(accepted);
        if let Ok(now) = self.now() {
            self.issuing.trust_changed(now);
        }
        self.snapshot_changed().await;
        let index = self.enrol_trust().await?;
        self.publish_own().await?;
        Ok(index)
    }

    /// Puts a trust document in force, and holds the policy bundle to it.
    fn put_trust(&self, accepted: VerifiedTrust) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *policy = policy.take().map(|known| Arc::new(known.under(&accepted)));
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = accepted;
    }

    /// The policy bundle in force.
    pub(crate) fn policy(&self) -> Result<Arc<Rulebook>, Problem> {
        Ok(Arc::clone(&self.published_policy()?.bundle))
    }

    /// The policy bundle in force, with the signatures of those who signed it.
    pub(crate) fn published_policy(&self) -> Result<Arc<PublishedPolicy>, Problem> {
        let policy = self.last_policy().ok_or_else(|| {
            Problem::unavailable("no_policy", "no policy bundle is published")
                .with_remedy("start `chancery up` with --policy DIR")
        })?;
        policy.check()?;
        Ok(policy)
    }

    /// What was published last, whether it is in force or not.
    fn last_policy(&self) -> Option<Arc<PublishedPolicy>> {
        self.policy
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The rules for chains in force; none before a bundle is published. Fails where one is published and
    /// not in force.
    pub(crate) fn chain_rules(&self) -> Result<ChainRules, Problem> {
        match self.last_policy() {
            None => Ok(ChainRules::default()),
            Some(policy) => {
                policy.check()?;
                Ok(policy.bundle.chains().clone())
            }
        }
    }

    /// Puts a published bundle in force.
    pub(crate) async fn put_policy(
        &self,
        row: &PolicyRow,
        bundle: Rulebook,
    ) -> Result<(), Problem> {
        self.store
            .put_policy(row)
            .await
            .map_err(|error| Problem::internal("store", &error))?;
        let signatures = row.bundle.signatures();
        let published = PublishedPolicy::new(Arc::new(bundle), signatures, &self.trust());
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(published));
        self.snapshot_changed().await;
        Ok(())
    }

    /// Wakes whoever waits for a change.
    pub(crate) fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Asks `look` until it finds something or the time is over.
    pub(crate) async fn wait_for<T, F>(
        &self,
        seconds: u64,
        mut look: impl FnMut() -> F,
    ) -> Result<Option<T>, Problem>
    where
        F: Future<Output = Result<Option<T>, Problem>>,
    {
        let mut changes = self.changes.subscribe();
        let deadline =
            tokio::time::Instant::now() + std::time::Duration::from_secs(seconds.min(60));
        loop {
            changes.mark_unchanged();
            if let Some(found) = look().await? {
                return Ok(Some(found));
            }
            if !self.changed_by(deadline, &mut changes).await {
                return Ok(None);
            }
        }
    }

    /// Waits for a change until `deadline`; `false` says that there was none, or that nobody serves any
    /// more.
    pub(crate) async fn changed_by<T>(
        &self,
        deadline: tokio::time::Instant,
        changes: &mut watch::Receiver<T>,
    ) -> bool {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => false,
            changed = tokio::time::timeout_at(deadline, changes.changed()) => {
                matches!(changed, Ok(Ok(())))
            }
        }
    }

    async fn enrol_trust(&self) -> Result<u64, Problem> {
        let trust = self.trust();
        let digest = trust.digest().to_string();
        let internal = |error: chancery_store::StoreError| Problem::internal("store", &error);
        if let Some(known) = self.store.meta("trust").await.map_err(internal)?
            && let Some((index, known)) = known.split_once(' ')
            && known == digest
        {
            return Ok(index.parse().unwrap_or(0));
        }
        let signers = trust
            .signed()
            .signatures
            .iter()
            .filter_map(|one| chancery_types::Digest::from_base64url(&one.kid).ok());
        let event = chancery_audit::TrustChange {
            version: trust.version,
            document: trust.digest(),
            signers: signers.collect(),
            previous: trust.previous,
        };
        let index = self.enrol(event).await?;
        self.store
            .set_meta("trust", &format!("{index} {digest}"))
            .await
            .map_err(internal)?;
        Ok(index)
    }
}

/// Waits until an entry is on the disk; where and when it stands.
async fn durable((submitted, at): (Submitted, Timestamp)) -> Result<(u64, Timestamp), Problem> {
    let index = submitted.durable().await;
    let index = index.map_err(|error| Problem::internal("log", &error))?;
    Ok((index, at))
}

/// Serving: its end tells those who wait, on connections that outlive it.
struct Serving(watch::Sender<bool>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}
