//! The gateway process as a library.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use chancery_api::OwnerListener;
use chancery_api::tls::{TlsError, server_config};
use chancery_crypto::{KeyError, KeyFileError, SigningKey, read_private_file};
use chancery_delegation::access_token::{Audience, EXCHANGE_SERVER};
use chancery_evidence::LogProblem;
use chancery_identity::trust::GatewayName;
use chancery_identity::{SpiffeId, TrustDomain};
use chancery_journal::{
    Config, ContentError, Journal, JournalError, Keyring, LocalSigner, LocalSignerError,
    ObjectStore,
};
use chancery_types::{Algorithm, Timestamp};
use tokio::net::TcpListener;

use crate::enforcement::{
    Clock, Dossiers, Enforcement, Erasures, LatestPolicy, LatestPolicyError, Legacy, Log, Objects,
    Parts, Records, RestoreError, TrustStore, TrustStoreError, private_folder, restore,
};
use crate::front::{Front, Hosts};
use crate::limits::Limits;
use crate::operator;
use crate::server_name::ServerName;
use crate::upstream::{Upstream, Upstreams};
use crate::witnesses::witnesses;

/// Longest time without a snapshot after which running sessions stop (decision 10).
const MAX_GRACE_SECONDS: u64 = 3_600;

/// Longest time between two roots of the completeness index.
const MAX_INDEX_SECONDS: u64 = 3_600;

/// The folder in a gateway's own with its objects.
pub const OBJECTS: &str = "objects";

/// The folder in a gateway's own with the keys that seal what is about people.
pub const KEYS: &str = "keys";

/// What a gateway is made of.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Which of the deployment's gateways it is.
    pub name: GatewayName,
    /// The gateway's own folder: objects, dossiers, records and the last trust document are kept
    /// below it.
    pub folder: PathBuf,
    /// The directory of its log.
    pub log: PathBuf,
    /// The directory of the log's keys.
    pub log_key: PathBuf,
    /// The Ed25519 key that signs Trust Records: PKCS#8, mode 0600.
    pub record_key: PathBuf,
    /// The trust document that it starts from.
    pub trust_file: PathBuf,
    /// The server's socket.
    pub server_socket: PathBuf,
    /// The operator's socket. Its folder exists already.
    pub operator_socket: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// The tool servers.
    pub servers: BTreeMap<ServerName, Upstream>,
    /// The relying parties whom access tokens may be asked for, and of which servers each one's
    /// tokens carry entries.
    pub audiences: BTreeMap<Audience, BTreeSet<String>>,
    /// How long running sessions go on without a snapshot, in seconds; an hour at most.
    pub grace_seconds: u64,
    /// How long a session without instances stays open, in seconds.
    pub abandon_seconds: u64,
    /// How often the root of the completeness index is enrolled where it changed, in seconds; an
    /// hour at most.
    pub index_seconds: u64,
    /// By which names it may be addressed.
    pub hosts: Hosts,
    /// What it spends on one peer, message or child.
    pub limits: Limits,
    /// The clock.
    pub clock: fn() -> Timestamp,
}

impl GatewayConfig {
    /// Fifteen minutes of grace, half a minute until an empty session is abandoned.
    pub const DEFAULT_GRACE_SECONDS: u64 = 900;
    /// How long a session without instances stays open unless configured.
    pub const DEFAULT_ABANDON_SECONDS: u64 = 30;
    /// How often the completeness index is enrolled unless configured.
    pub const DEFAULT_INDEX_SECONDS: u64 = 60;
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A setting is out of range.
    #[error("grace_seconds is {0}; it is 10 to 3600")]
    Grace(u64),
    /// A setting is out of range.
    #[error("index_seconds is {0}; it is 1 to {MAX_INDEX_SECONDS}")]
    Index(u64),
    /// A tool server has the name of the exchanges.
    #[error("no tool server may be called {EXCHANGE_SERVER}; choose another name")]
    Reserved,
    /// The trust document.
    #[error("the trust document")]
    Trust(#[from] TrustStoreError),
    /// Which policy bundle was in force last.
    #[error("the policy that was in force last")]
    LatestPolicy(#[from] LatestPolicyError),
    /// The trust document names no such gateway.
    #[error("the trust document admits no gateway {0}")]
    NotAdmitted(String),
    /// A name in the trust document is not usable.
    #[error("the trust document's trust domain has no names of ours")]
    Name(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The log.
    #[error("the log")]
    Log(#[from] JournalError),
    /// The witnesses that the trust document names.
    #[error(transparent)]
    Witnesses(#[from] LogProblem),
    /// The log's keys.
    #[error("the log's keys")]
    LogKey(#[from] LocalSignerError),
    /// The record key.
    #[error("the record key")]
    RecordKey(#[from] KeyFileError),
    /// The record key's file holds no Ed25519 key.
    #[error("{}: not an Ed25519 key; restore it from a copy", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The keys and objects that are kept of people.
    #[error("what is kept of people")]
    Content(#[from] ContentError),
    /// The sessions of a former run.
    #[error("the sessions of the log cannot be taken up")]
    Restore(#[from] RestoreError),
    /// A folder.
    #[error("{}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The operator's socket.
    #[error("{}: cannot listen for the operator", socket.display())]
    Operator {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The address.
    #[error("{address}: cannot listen; choose another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The own SVID is not usable.
    #[error("TLS")]
    Tls(#[from] TlsError),
    /// A thread of the start ended early.
    #[error("the start was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A gateway: what its log says has been taken up, and it listens, but answers nobody before
/// [`Gateway::serve`].
#[derive(Debug)]
pub struct Gateway {
    enforcement: Arc<Enforcement>,
    upstreams: Arc<Upstreams>,
    listener: TcpListener,
    operator: OwnerListener,
    address: SocketAddr,
    hosts: Hosts,
    limits: Limits,
}

impl Gateway {
    /// Takes up trust, log and sessions. Refuses a trust document that is older than one that was
    /// seen, a damaged log, and entries that do not follow from each other.
    pub async fn open(config: GatewayConfig) -> Result<Self, GatewayError> {
        if !(10..=MAX_GRACE_SECONDS).contains(&config.grace_seconds) {
            return Err(GatewayError::Grace(config.grace_seconds));
        }
        if !(1..=MAX_INDEX_SECONDS).contains(&config.index_seconds) {
            return Err(GatewayError::Index(config.index_seconds));
        }
        if config
            .servers
            .keys()
            .any(|name| name.as_str() == EXCHANGE_SERVER)
        {
            return Err(GatewayError::Reserved);
        }
        let address = config.listen;
        let listen = |source| GatewayError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let socket = config.operator_socket.clone();
        let operator = OwnerListener::bind(&socket)
            .map_err(|source| GatewayError::Operator { socket, source })?;
        let (hosts, limits) = (config.hosts.clone(), config.limits.clone());
        let parts = tokio::task::spawn_blocking(move || parts(config)).await??;
        let upstreams = Arc::clone(&parts.upstreams);
        let enforcement = Arc::new(Enforcement::new(parts));
        Ok(Self {
            enforcement,
            upstreams,
            listener,
            operator,
            address,
            hosts,
            limits,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its SPIFFE ID: the audience of chains and proofs.
    pub fn spiffe_id(&self) -> &SpiffeId {
        self.enforcement.own()
    }

    /// Serves until `stop` is ready. First it waits for what it needs: its SVID, a snapshot, and
    /// the tools of its servers. Sessions stay open across a stop and a start.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), GatewayError> {
        let mut stop = std::pin::pin!(stop);
        tokio::select! {
            () = self.enforcement.prepare() => {}
            () = stop.as_mut() => return Ok(()),
        }
        let Some(tls) = self.enforcement.tls() else {
            return Ok(());
        };
        let front = Front::new(
            Arc::new(server_config(&tls)?),
            Arc::clone(&self.enforcement) as Arc<dyn crate::enforcer::Enforcer>,
            self.upstreams,
            self.hosts,
            self.limits,
        );
        let mut tasks = self.enforcement.spawn_tasks();
        let operator = operator::serve(
            self.operator,
            Arc::clone(&self.enforcement),
            std::future::pending(),
        );
        tasks.spawn(async move {
            if let Err(error) = operator.await {
                tracing::error!(%error, "the operator's socket failed");
            }
        });
        tracing::info!(address = %self.address, id = %self.enforcement.own(), "gateway ready");
        front.serve(self.listener, stop).await;
        tasks.shutdown().await;
        Ok(())
    }
}

fn parts(config: GatewayConfig) -> Result<Parts, GatewayError> {
    let name = |error: Box<dyn std::error::Error + Send + Sync>| GatewayError::Name(error);
    let folder = |path: &PathBuf| {
        let path = path.clone();
        move |source| GatewayError::Folder { path, source }
    };
    private_folder(&config.folder).map_err(folder(&config.folder))?;
    let trust = TrustStore::open(&config.trust_file, config.folder.join("trust.json"))?;
    let latest_policy = LatestPolicy::open(config.folder.join("policy.json"))?;
    let domain = trust.current().trust_domain.clone();
    let trust_domain: TrustDomain = domain.parse().map_err(|error| name(Box::new(error)))?;
    let spiffe_id = config.name.spiffe_id(&domain);
    let own: SpiffeId = spiffe_id.parse().map_err(|error| name(Box::new(error)))?;
    let origin = match trust.current().gateway(&spiffe_id) {
        Some(known) => known.origin.clone(),
        None => return Err(GatewayError::NotAdmitted(spiffe_id)),
    };
    let log_origin: chancery_tlog::Origin =
        origin.parse().map_err(|error| name(Box::new(error)))?;
    let label = origin.parse().map_err(|error| name(Box::new(error)))?;
    let signer = LocalSigner::open_or_create(&config.log_key, &log_origin)?;
    let mut log = Config::at(&config.log, log_origin)?;
    log.witnesses = witnesses(&trust.current(), &origin)?;
    let journal = Journal::open(log, Arc::new(signer))?;
    let pkcs8 = read_private_file(&config.record_key)?;
    let record_key = SigningKey::from_pkcs8(Algorithm::Ed25519, pkcs8).map_err(|source| {
        GatewayError::NotAKey {
            path: config.record_key.clone(),
            source,
        }
    })?;
    let place = |name: &str| config.folder.join(name);
    let keys = Arc::new(Keyring::open(&place(KEYS))?);
    let objects = Objects::new(ObjectStore::open(&place(OBJECTS), Arc::clone(&keys))?);
    let dossiers = Dossiers::open(place("sessions"), keys).map_err(folder(&place("sessions")))?;
    let records = Records::open(&config.folder).map_err(folder(&config.folder))?;
    let restored = restore(&journal, &dossiers, &records, &objects)?;
    if !restored.legacy.is_empty() {
        let sessions = restored.legacy.len();
        tracing::info!(
            sessions,
            "what stands in clear of former sessions is sealed"
        );
        Legacy::seal(&restored.legacy, &objects, &dossiers)?;
    }
    let erasures = Erasures::open(&config.folder, restored.erased);
    let erasures = erasures.map_err(folder(&config.folder))?;
    Ok(Parts {
        trust_domain,
        name: config.name,
        own,
        log: Log::new(journal, label, restored.commons),
        indexed: restored.indexed,
        objects,
        dossiers,
        records,
        erasures,
        record_key,
        clock: Clock::new(restored.latest, config.clock),
        grace_seconds: config.grace_seconds,
        abandon_seconds: config.abandon_seconds,
        index_seconds: config.index_seconds,
        server_socket: config.server_socket,
        trust,
        latest_policy,
        audiences: config.audiences,
        upstreams: Arc::new(Upstreams::new(config.servers, config.limits)),
        sessions: restored.sessions,
        adopted: restored.adopted,
    })
}
