use std::collections::HashMap;
use std::sync::Arc;

use chancery_identity::X509Bundle;
use chancery_types::Timestamp;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::feed::{Feed, Source, feed};
use super::jwt_api::{self, KeySets};
use super::{NO_IDENTITY, caller, release};
use crate::launch::Launch;
use crate::pb::workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use crate::pb::workload::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svid, X509svidRequest,
    X509svidResponse,
};
use crate::x509_source::X509Identity;
use crate::{IssuerError, Launches};

/// The SPIFFE Workload API: its X.509 profile and its JWT profile.
pub(super) struct WorkloadApi {
    launches: Arc<Launches>,
}

impl WorkloadApi {
    pub(super) const fn new(launches: Arc<Launches>) -> Self {
        Self { launches }
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for WorkloadApi {
    type FetchX509SVIDStream = Feed<X509svidResponse>;
    type FetchX509BundlesStream = Feed<X509BundlesResponse>;
    type FetchJWTBundlesStream = Feed<JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        let (peer, launch) = caller(&self.launches, &request).await?;
        let source = Svids {
            launches: Arc::clone(&self.launches),
            launch: Arc::clone(&launch),
            bundles: Bundles::of(&self.launches),
            sent: None,
        };
        feed(peer, launch, source).await.map(Response::new)
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        let (peer, launch) = caller(&self.launches, &request).await?;
        let source = Bundles::of(&self.launches);
        feed(peer, launch, source).await.map(Response::new)
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        let (peer, launch) = caller(&self.launches, &request).await?;
        let fetched = jwt_api::fetch(&self.launches, &launch, request.get_ref()).await?;
        release(&peer, &launch).await?;
        Ok(Response::new(fetched))
    }

    async fn fetch_jwt_bundles(
        &self,
        request: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        let (peer, launch) = caller(&self.launches, &request).await?;
        let source = KeySets::of(&self.launches);
        feed(peer, launch, source).await.map(Response::new)
    }

    async fn validate_jwtsvid(
        &self,
        request: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        caller(&self.launches, &request).await?;
        jwt_api::validate(&self.launches, request.get_ref()).map(Response::new)
    }
}

/// The X.509-SVID of a launch, together with the bundle that verifies its peers.
struct Svids {
    launches: Arc<Launches>,
    launch: Arc<Launch>,
    bundles: Bundles,
    sent: Option<(Arc<X509Identity>, X509Bundle)>,
}

impl Source for Svids {
    type Message = X509svidResponse;

    async fn next(&mut self) -> Result<(Option<X509svidResponse>, Option<Timestamp>), Status> {
        let bundle = self.bundles.current()?;
        let issuer = self.launches.issuer().as_ref();
        let current = self
            .launch
            .x509
            .current(&self.launch, issuer, &bundle)
            .await;
        let (identity, again) = current.map_err(|error| status(&error))?;
        let known = self
            .sent
            .as_ref()
            .is_some_and(|(sent, with)| Arc::ptr_eq(sent, &identity) && *with == bundle);
        if known {
            return Ok((None, Some(again)));
        }
        let message = X509svidResponse {
            svids: vec![X509svid {
                spiffe_id: self.launch.instance().to_string(),
                x509_svid: identity.chain_der.clone(),
                x509_svid_key: identity.key.expose().to_vec(),
                bundle: bundle.to_concatenated_der(),
                hint: String::new(),
            }],
            crl: Vec::new(),
            federated_bundles: HashMap::new(),
        };
        self.sent = Some((identity, bundle));
        Ok((Some(message), Some(again)))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        self.bundles.changed().await
    }
}

/// The bundle of the node's own trust domain.
struct Bundles {
    receiver: watch::Receiver<Option<X509Bundle>>,
    sent: Option<X509Bundle>,
}

impl Bundles {
    fn of(launches: &Launches) -> Self {
        Self {
            receiver: launches.issuer().x509_bundle(),
            sent: None,
        }
    }

    fn current(&mut self) -> Result<X509Bundle, Status> {
        let bundle = self.receiver.borrow_and_update().clone();
        bundle
            .ok_or_else(|| Status::unavailable("the trust domain's authorities are not known yet"))
    }
}

impl Source for Bundles {
    type Message = X509BundlesResponse;

    async fn next(&mut self) -> Result<(Option<X509BundlesResponse>, Option<Timestamp>), Status> {
        let bundle = self.current()?;
        if self.sent.as_ref() == Some(&bundle) {
            return Ok((None, None));
        }
        let name = bundle.trust_domain().to_spiffe_id().to_string();
        let message = X509BundlesResponse {
            crl: Vec::new(),
            bundles: HashMap::from([(name, bundle.to_concatenated_der())]),
        };
        self.sent = Some(bundle);
        Ok((Some(message), None))
    }

    async fn changed(&mut self) -> Result<(), Status> {
        let changed = self.receiver.changed().await;
        changed.map_err(|_| Status::unavailable("the node stops"))
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
