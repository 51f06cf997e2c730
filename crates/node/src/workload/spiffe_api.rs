use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_identity::{AgentId, WitSvidBundle, X509Bundle};
use chancery_types::{Digest, Timestamp};
use futures_util::future::join_all;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::feed::{Feed, Source, feed};
use super::jwt_api::{self, KeySets};
use super::wit_api::{WitKeySets, WitSvids};
use super::{NO_IDENTITY, caller, hint, release};
use crate::launch::Launch;
use crate::pb::workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use crate::pb::workload::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, WitBundlesRequest, WitBundlesResponse, WitsvidRequest,
    WitsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest,
    X509svidResponse,
};
use crate::peer::Peer;
use crate::requests::{JwtRequest, RequestedId};
use crate::x509_source::{X509Identity, X509Source};
use crate::{ForeignBundles, IssuerError, Launches, Registrations};

/// What who asks for a WIT-SVID is told where nobody opted in: that profile is incubating.
const NO_WITS: &str = "the wit-svid profile is not served";

/// The SPIFFE Workload API: its X.509 and its JWT profile, and its WIT profile where the deployment opted
/// in.
pub(super) struct WorkloadApi {
    launches: Arc<Launches>,
}

impl WorkloadApi {
    pub(super) const fn new(launches: Arc<Launches>) -> Self {
        Self { launches }
    }

    async fn feed<S: Source>(
        &self,
        caller: (Arc<Peer>, Vec<Arc<Launch>>),
        source: S,
    ) -> Result<Response<Feed<S::Message>>, Status> {
        let launches = Arc::clone(&self.launches);
        feed(launches, caller, source).await.map(Response::new)
    }

    /// The keys of WIT-SVIDs, where the deployment opted in to that profile.
    fn wit_svid_bundle(&self) -> Result<watch::Receiver<Option<WitSvidBundle>>, Status> {
        let bundle = self.launches.issuer().wit_svid_bundle();
        bundle.ok_or_else(|| Status::unimplemented(NO_WITS))
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for WorkloadApi {
    type FetchX509SVIDStream = Feed<X509svidResponse>;
    type FetchX509BundlesStream = Feed<X509BundlesResponse>;
    type FetchJWTBundlesStream = Feed<JwtBundlesResponse>;
    type FetchWITSVIDStream = Feed<WitsvidResponse>;
    type FetchWITBundlesStream = Feed<WitBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let caller = caller(&self.launches, &request).await?;
        let source = Svids {
            launches: Arc::clone(&self.launches),
            bundles: Bundles::of(&self.launches),
            tainted: self.launches.issuer().tainted(),
            registrations: self.launches.issuer().registrations(),
            sent: None,
        };
        self.feed(caller, source).await
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        let caller = caller(&self.launches, &request).await?;
        self.feed(caller, Bundles::of(&self.launches)).await
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        let (peer, held) = caller(&self.launches, &request).await?;
        let asked = JwtRequest::try_from(request.get_ref())?;
        let svids = jwt_api::fetch(&self.launches, &held, &asked, None).await?;
        release(&peer, &held).await?;
        Ok(Response::new(JwtsvidResponse { svids }))
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        let caller = caller(&self.launches, &request).await?;
        self.feed(caller, KeySets::of(&self.launches)).await
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        let (_, held) = caller(&self.launches, &request).await?;
        jwt_api::validate(&self.launches, &held, request.get_ref()).map(Response::new)
    }

    async fn fetch_witsvid(
        &self,
        request: Request<WitsvidRequest>,
    ) -> Result<Response<Self::FetchWITSVIDStream>, Status> {
        let bundle = self.wit_svid_bundle()?;
        let caller = caller(&self.launches, &request).await?;
        let asked = RequestedId::try_from(request.get_ref())?;
        let launches = Arc::clone(&self.launches);
        self.feed(caller, WitSvids::new(launches, asked, bundle))
            .await
    }

    async fn fetch_wit_bundles(
        &self,
        request: Request<WitBundlesRequest>,
    ) -> Result<Response<Self::FetchWITBundlesStream>, Status> {
        let own = self.wit_svid_bundle()?;
        let caller = caller(&self.launches, &request).await?;
        self.feed(caller, WitKeySets::new(&self.launches, own))
            .await
    }
}

/// The X.509-SVIDs of a caller's launches, together with the bundles that verify its peers.
struct Svids {
    launches: Arc<Launches>,
    bundles: Bundles,
    tainted: watch::Receiver<BTreeSet<Digest>>,
    registrations: watch::Receiver<Registrations>,
    sent: Option<Sent>,
}

/// What was sent: the SVIDs, each with its hint, and what verifies others.
struct Sent {
    identities: Vec<Arc<X509Identity>>,
    hints: Vec<String>,
    known: Known,
}

impl Sent {
    fn is(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(one, other);
        self.identities.len() == other.identities.len()
            && self.identities.iter().zip(&other.identities).all(same)
            && self.hints == other.hints
            && self.known == other.known
    }
}

impl Source for Svids {
    type Message = X509svidResponse;

    async fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> Result<(Option<X509svidResponse>, Option<Timestamp>), Status> {
        self.tainted.borrow_and_update();
        let registrations = self.registrations.borrow_and_update().clone();
        let known = self.bundles.current(held)?;
        let bundle = known.own.to_concatenated_der();
        let (mut svids, mut identities, mut hints) = (vec![], vec![], vec![]);
        let (mut again, mut refused) = (None, None);
        // Those that are due are asked for together.
        let current = held
            .iter()
            .map(|launch| X509Source::current(launch, &self.launches, &known.own));
        for (launch, current) in held.iter().zip(join_all(current).await) {
            let (identity, at) = match current {
                Ok(current) => current,
                // The others are none the worse for it.
                Err(error @ IssuerError::Refused { .. }) => {
                    refused = Some(error);
                    continue;
                }
                Err(error) => return Err(status(&error)),
            };
            again = Some(again.map_or(at, |other: Timestamp| other.min(at)));
            let hint = hint(&registrations, held, launch);
            svids.push(X509svid {
                spiffe_id: launch.instance().to_string(),
                x509_svid: identity.chain_der.clone(),
                x509_svid_key: identity.key.expose().to_vec(),
                bundle: bundle.clone(),
                hint: hint.clone(),
            });
            hints.push(hint);
            identities.push(identity);
        }
        if let (Some(refused), true) = (refused, svids.is_empty()) {
            return Err(status(&refused));
        }
        let sending = Sent {
            identities,
            hints,
            known,
        };
        if self.sent.as_ref().is_some_and(|sent| sent.is(&sending)) {
            return Ok((None, again));
        }
        let message = X509svidResponse {
            svids,
            crl: Vec::new(),
            federated_bundles: sending.known.foreign.iter().map(named).collect(),
        };
        self.sent = Some(sending);
        Ok((Some(message), again))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        tokio::select! {
            changed = self.bundles.changed() => changed,
            () = heard(&mut self.tainted) => Ok(()),
            () = heard(&mut self.registrations) => Ok(()),
        }
    }
}

/// The bundle of the node's own trust domain, and those of the foreign ones that the caller's agents
/// were registered with.
#[derive(Debug)]
pub(crate) struct Bundles {
    own: watch::Receiver<Option<X509Bundle>>,
    foreign: watch::Receiver<ForeignBundles>,
    sent: Option<Known>,
}

/// What is known of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) own: X509Bundle,
    pub(crate) foreign: Vec<X509Bundle>,
}

impl Bundles {
    pub(crate) fn of(launches: &Launches) -> Self {
        Self {
            own: launches.issuer().x509_bundle(),
            foreign: launches.issuer().foreign_bundles(),
            sent: None,
        }
    }

    pub(crate) fn current(&mut self, held: &[Arc<Launch>]) -> Result<Known, Status> {
        let own = self.own.borrow_and_update().clone();
        let own = own.ok_or_else(|| {
            Status::unavailable("the trust domain's authorities are not known yet")
        })?;
        let foreign = self.foreign.borrow_and_update();
        let foreign = foreign.of(agents(held)).into_iter();
        Ok(Known {
            own,
            foreign: foreign.map(|keys| keys.x509).collect(),
        })
    }
}

/// The agents that a caller speaks as an instance of.
pub(super) fn agents(held: &[Arc<Launch>]) -> impl Iterator<Item = &AgentId> {
    held.iter().map(|launch| launch.instance().agent())
}

/// A bundle with the name of its trust domain. One without keys is there as well: nothing of that
/// trust domain is trusted.
pub(crate) fn named(bundle: &X509Bundle) -> (String, Vec<u8>) {
    let name = bundle.trust_domain().to_spiffe_id().to_string();
    (name, bundle.to_concatenated_der())
}

impl Source for Bundles {
    type Message = X509BundlesResponse;

    async fn next(
        &mut self,
        held: &[Arc<Launch>],
    ) -> Result<(Option<X509BundlesResponse>, Option<Timestamp>), Status> {
        let known = self.current(held)?;
        if self.sent.as_ref() == Some(&known) {
            return Ok((None, None));
        }
        let all = std::iter::once(&known.own).chain(&known.foreign);
        let message = X509BundlesResponse {
            crl: Vec::new(),
            bundles: all.map(named).collect(),
        };
        self.sent = Some(known);
        Ok((Some(message), None))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        either(&mut self.own, &mut self.foreign).await
    }
}

/// Waits until the own bundle or a foreign one has changed.
pub(super) async fn either<T>(
    own: &mut watch::Receiver<T>,
    foreign: &mut watch::Receiver<ForeignBundles>,
) -> Result<(), Status> {
    tokio::select! {
        changed = own.changed() => changed.map_err(|_| Status::unavailable("the node stops")),
        () = heard(foreign) => Ok(()),
    }
}

/// Waits for a change. Whoever tells of none has nothing to tell later.
pub(crate) async fn heard<T>(told: &mut watch::Receiver<T>) {
    if told.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a workload is told when nothing was issued; the reason stays in the node's log.
pub(super) fn status(error: &IssuerError) -> Status {
    match error {
        IssuerError::Refused { reason } => {
            tracing::warn!(reason, "the issuer refused");
            Status::permission_denied(NO_IDENTITY)
        }
        IssuerError::Unavailable(source) => {
            tracing::warn!(error = &**source, "the issuer is unavailable");
            Status::unavailable("the issuer is unavailable")
        }
    }
}
