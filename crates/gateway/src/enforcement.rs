//! Authority at the gateway: who is at the other end, what they may do, and what is enrolled of it.

mod admission;
mod approvals;
mod brakes;
mod calls;
mod catalog;
mod chains;
mod challenges;
mod clock;
mod control;
mod dossier;
mod ending;
mod enforcer;
mod enrolment;
mod erasing;
mod evidence_index;
mod exchange;
mod in_force;
mod indexing;
mod introspection;
mod latest_policy;
mod live;
mod log;
mod material;
mod missions;
mod objects;
mod observing;
mod opening;
mod peers;
mod presentation;
mod reasons;
mod record;
mod references;
mod restore;
mod revoking;
mod sessions;
mod snapshots;
mod svid;
mod tasks;
mod trust_store;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chancery_api::server::ServerClient;
use chancery_api::tls::TlsIdentity;
use chancery_crypto::SigningKey;
use chancery_delegation::BoundedReplayMemory;
use chancery_delegation::access_token::Audience;
use chancery_identity::trust::GatewayName;
use chancery_identity::{SpiffeId, TrustDomain};
use chancery_types::Timestamp;
use tokio::sync::Notify;

use crate::upstream::Upstreams;

pub(crate) use clock::Clock;
pub(crate) use dossier::Dossiers;
pub use enrolment::ENROLLED_CHECKPOINT;
pub(crate) use enrolment::Records;
pub use erasing::ERASED_OBJECTS;
pub(crate) use erasing::{Erasures, Taken, list_name};
pub use exchange::ExchangeForm;
pub(crate) use indexing::{Indexed, Indexing};
pub(crate) use latest_policy::LatestPolicy;
pub use latest_policy::LatestPolicyError;
pub(crate) use log::Log;
pub(crate) use objects::{Objects, private_folder};
pub use reasons::REASONS;
pub use restore::RestoreError;
pub(crate) use restore::{Legacy, restore};
pub(crate) use trust_store::TrustStore;
pub use trust_store::TrustStoreError;

use catalog::{Catalog, PinnedCatalog};
use chains::Chains;
use challenges::Challenges;
use in_force::InForce;
use log::Turn;
use missions::Missions;
use peers::Peers;
use references::References;
use sessions::Sessions;
use svid::OwnSvid;

/// Most proofs that are remembered of one holder, and most holders.
const PROOFS_PER_HOLDER: usize = 16_384;
const HOLDERS: usize = 4_096;

/// How long a call waits for a catalog after a server announced a change.
const CATALOG_WAIT: Duration = Duration::from_secs(10);

/// What the gateway decides by, and what it writes down.
#[derive(Debug)]
pub(crate) struct Enforcement {
    trust_domain: TrustDomain,
    name: GatewayName,
    /// The gateway's own SPIFFE ID: the audience of chains and proofs.
    own: SpiffeId,
    log: Log,
    indexing: Indexing,
    objects: Objects,
    dossiers: Dossiers,
    records: Records,
    erasures: Erasures,
    record_key: SigningKey,
    clock: Clock,
    /// When the replay memory was empty.
    started_at: Timestamp,
    grace_seconds: u64,
    abandon_seconds: u64,
    index_seconds: u64,
    server: ServerClient,
    trust: TrustStore,
    latest_policy: LatestPolicy,
    /// The sequence of the last snapshot that the log says was adopted.
    adopted: AtomicU64,
    in_force: RwLock<Option<Arc<InForce>>>,
    catalog: PinnedCatalog,
    /// Whom access tokens may be asked for, and of which servers each one's tokens carry entries.
    audiences: BTreeMap<Audience, BTreeSet<String>>,
    upstreams: Arc<Upstreams>,
    svid: RwLock<Option<(TlsIdentity, OwnSvid)>>,
    peers: Peers,
    challenges: Challenges,
    replay: Mutex<BoundedReplayMemory>,
    chains: Chains,
    references: References,
    missions: Missions,
    sessions: Sessions,
    /// Wakes whoever waits for a catalog.
    pinned: Notify,
    /// Wakes whoever enrols at the server.
    ended: Notify,
    /// Wakes whoever ends what is revoked.
    revised: Notify,
}

/// What an [`Enforcement`] is made of.
pub(crate) struct Parts {
    pub(crate) trust_domain: TrustDomain,
    pub(crate) name: GatewayName,
    pub(crate) own: SpiffeId,
    pub(crate) log: Log,
    pub(crate) indexed: Indexed,
    pub(crate) objects: Objects,
    pub(crate) dossiers: Dossiers,
    pub(crate) records: Records,
    pub(crate) erasures: Erasures,
    pub(crate) record_key: SigningKey,
    pub(crate) clock: Clock,
    pub(crate) grace_seconds: u64,
    pub(crate) abandon_seconds: u64,
    pub(crate) index_seconds: u64,
    pub(crate) server_socket: PathBuf,
    pub(crate) trust: TrustStore,
    pub(crate) latest_policy: LatestPolicy,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) audiences: BTreeMap<Audience, BTreeSet<String>>,
    pub(crate) sessions: Vec<live::Live>,
    pub(crate) adopted: u64,
}

impl Enforcement {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            trust_domain: parts.trust_domain,
            name: parts.name,
            own: parts.own,
            log: parts.log,
            indexing: Indexing::new(parts.indexed),
            objects: parts.objects,
            dossiers: parts.dossiers,
            records: parts.records,
            erasures: parts.erasures,
            record_key: parts.record_key,
            started_at: parts.clock.latest(),
            clock: parts.clock,
            grace_seconds: parts.grace_seconds,
            abandon_seconds: parts.abandon_seconds,
            index_seconds: parts.index_seconds,
            server: ServerClient::new(parts.server_socket),
            trust: parts.trust,
            latest_policy: parts.latest_policy,
            adopted: AtomicU64::new(parts.adopted),
            in_force: RwLock::new(None),
            catalog: PinnedCatalog::default(),
            audiences: parts.audiences,
            upstreams: parts.upstreams,
            svid: RwLock::new(None),
            peers: Peers::default(),
            challenges: Challenges::default(),
            replay: Mutex::new(BoundedReplayMemory::new(PROOFS_PER_HOLDER, HOLDERS)),
            chains: Chains::default(),
            references: References::default(),
            missions: Missions::default(),
            sessions: Sessions::new(parts.sessions),
            pinned: Notify::new(),
            ended: Notify::new(),
            revised: Notify::new(),
        }
    }

    pub(crate) const fn own(&self) -> &SpiffeId {
        &self.own
    }

    /// The TLS identity, once the server has issued it.
    pub(crate) fn tls(&self) -> Option<TlsIdentity> {
        let svid = self.svid.read().unwrap_or_else(PoisonError::into_inner);
        svid.as_ref().map(|(tls, _)| tls.clone())
    }

    /// What is in force, once anything is.
    fn in_force(&self) -> Option<Arc<InForce>> {
        self.in_force
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The turn to write, and the time of what is written in it.
    async fn turn(&self) -> Result<(Turn<'_>, Timestamp), &'static str> {
        let turn = self.log.turn().await;
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        Ok((turn, now))
    }

    /// The catalog; waits for it while a server's announced change is looked at. None where the
    /// tools are not known: nothing is decided then.
    async fn catalog(&self) -> Option<Arc<Catalog>> {
        let settled = async {
            loop {
                let mut pinned = std::pin::pin!(self.pinned.notified());
                pinned.as_mut().enable();
                let announced = *self.upstreams.changes().borrow();
                if let Some(catalog) = self.catalog.current(announced) {
                    return catalog;
                }
                pinned.await;
            }
        };
        tokio::time::timeout(CATALOG_WAIT, settled).await.ok()
    }
}
