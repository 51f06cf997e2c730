//! Who issues: the node attests, and asks another process for certificates and tokens.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use chancery_api::server::{Roster, RosterFilter};
use chancery_identity::broker::BrokerRules;
use chancery_identity::{
    InstanceSpiffeId, JwtAudience, JwtBundle, ProvenKey, SpiffeId, WitSvidBundle, X509Bundle,
};
use chancery_types::{Digest, Jwk, Timestamp};
use futures_util::Stream;
use tokio::sync::watch;

use crate::{EndReason, ForeignBundles, Launch, LaunchFacts, Registrations, Withdrawn};

/// What an [`Issuer`] answers later.
pub type IssuerFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The delegations of an instance, each as soon as it exists.
pub type Delegations = Pin<Box<dyn Stream<Item = Result<Delegation, IssuerError>> + Send>>;

/// An instance that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedInstance {
    /// The instance.
    pub instance: InstanceSpiffeId,
    /// When it is to end in any case.
    pub until: Option<Timestamp>,
}

/// Issues on the strength of what the node attests. Every answer is checked by the node before a
/// workload sees it.
pub trait Issuer: Send + Sync + 'static {
    /// Opens an instance of the agent; it is one of exactly that agent. Whether the instance that started
    /// it may is asked here.
    fn open<'a>(
        &'a self,
        facts: &'a LaunchFacts,
    ) -> IssuerFuture<'a, Result<OpenedInstance, IssuerError>>;

    /// What an instance started, and what that started, and so on; unavailable where nobody keeps it.
    fn descendants<'a>(
        &'a self,
        instance: &'a InstanceSpiffeId,
        filter: &'a RosterFilter,
    ) -> IssuerFuture<'a, Result<Roster, IssuerError>> {
        let _ = (instance, filter);
        Box::pin(async { Err(IssuerError::Unavailable("no roster is kept".into())) })
    }

    /// Certifies a P-256 key (SubjectPublicKeyInfo in DER) as the launch's X.509-SVID: DER, leaf
    /// first, root not among them.
    fn issue_x509<'a>(
        &'a self,
        launch: &'a Launch,
        spki_der: &'a [u8],
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>>;

    /// The credential of the launch's agent key, and what goes with it.
    fn issue_wit<'a>(
        &'a self,
        launch: &'a Launch,
        key: &'a ProvenKey,
    ) -> IssuerFuture<'a, Result<AgentCredential, IssuerError>>;

    /// A JWT-SVID of the launch for those audiences.
    fn issue_jwt<'a>(
        &'a self,
        launch: &'a Launch,
        audience: &'a [JwtAudience],
    ) -> IssuerFuture<'a, Result<String, IssuerError>>;

    /// The delegations to the launch's instance, those that exist already first.
    fn delegations(&self, launch: &Launch) -> Delegations;

    /// The authorities of the node's own trust domain; none until they are known. The node passes
    /// every change on to its workloads.
    fn x509_bundle(&self) -> watch::Receiver<Option<X509Bundle>>;

    /// The keys that sign JWT-SVIDs of the node's own trust domain; none until they are known.
    fn jwt_bundle(&self) -> watch::Receiver<Option<JwtBundle>>;

    /// The bundles of foreign trust domains for those who are registered for them; none by default.
    fn foreign_bundles(&self) -> watch::Receiver<ForeignBundles> {
        watch::channel(ForeignBundles::default()).1
    }

    /// What the instances of each agent are issued; nothing is said by default. What was handed out by
    /// something else is issued again at once.
    fn registrations(&self) -> watch::Receiver<Registrations> {
        watch::channel(Registrations::default()).1
    }

    /// Which identities are revoked; none by default. The node takes them from their workloads at
    /// once.
    fn withdrawn(&self) -> watch::Receiver<Withdrawn> {
        watch::channel(Withdrawn::default()).1
    }

    /// The digests of the certificates of authorities that are not believed any more: what stands
    /// below them is issued again at once. None by default.
    fn tainted(&self) -> watch::Receiver<BTreeSet<Digest>> {
        watch::channel(BTreeSet::new()).1
    }

    /// A WIT-SVID of the launch, bound to that P-256 key, which its workload is handed; unavailable where
    /// the profile is not served.
    fn issue_wit_svid<'a>(
        &'a self,
        launch: &'a Launch,
        key: &'a Jwk,
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        let _ = (launch, key);
        Box::pin(async { Err(IssuerError::Unavailable("no wit-svids are issued".into())) })
    }

    /// The keys that sign WIT-SVIDs of the node's own trust domain, none until they are known; absent
    /// where the profile is not served, as by default: it is incubating.
    fn wit_svid_bundle(&self) -> Option<watch::Receiver<Option<WitSvidBundle>>> {
        None
    }

    /// Certifies a key as the launch's X.509-SVID for a broker, which has that key and whose name is
    /// enrolled; unavailable where brokers are not served.
    fn issue_x509_through<'a>(
        &'a self,
        launch: &'a Launch,
        spki_der: &'a [u8],
        broker: &'a SpiffeId,
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        let _ = (launch, spki_der, broker);
        Box::pin(async { Err(IssuerError::Unavailable("brokers are not served".into())) })
    }

    /// A JWT-SVID of the launch for a broker, whose name is enrolled.
    fn issue_jwt_through<'a>(
        &'a self,
        launch: &'a Launch,
        audience: &'a [JwtAudience],
        broker: &'a SpiffeId,
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        let _ = (launch, audience, broker);
        Box::pin(async { Err(IssuerError::Unavailable("brokers are not served".into())) })
    }

    /// Certifies a key as the node's own X.509-SVID, by which brokers know it.
    fn issue_own<'a>(
        &'a self,
        spki_der: &'a [u8],
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        let _ = spki_der;
        Box::pin(async { Err(IssuerError::Unavailable("brokers are not served".into())) })
    }

    /// Who is a broker; nobody by default.
    fn brokers(&self) -> watch::Receiver<Arc<BrokerRules>> {
        watch::channel(Arc::default()).1
    }

    /// Hears that the launch of an instance has ended; told again until it answers, and after a
    /// restart of the node once more where the first answer was lost.
    fn ended<'a>(
        &'a self,
        instance: &'a InstanceSpiffeId,
        reason: EndReason,
    ) -> IssuerFuture<'a, Result<(), IssuerError>>;
}

/// The credential of an agent key, and where it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCredential {
    /// The workload identity token.
    pub token: String,
    /// The signed manifest of the instance's agent: a COSE envelope.
    pub manifest: Vec<u8>,
    /// Where the home gateway listens.
    pub gateway_address: SocketAddr,
    /// The SPIFFE ID of the home gateway.
    pub gateway_spiffe_id: SpiffeId,
}

/// One delegation to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The links, root first: a JSON array of compact JWS.
    pub chain: String,
    /// The person's consent to the root, as JSON; empty where there is none.
    pub consent: String,
    /// The mission document's exact bytes.
    pub mission: Vec<u8>,
    /// What opens the principal's commitment in the log, as JSON.
    pub principal: String,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The instance is not entitled; asking again will not help.
    #[error("refused: {reason}")]
    Refused {
        /// The issuer's reason code.
        reason: String,
    },
    /// The issuer is out of reach or has failed; asking again may help.
    #[error("the issuer is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
