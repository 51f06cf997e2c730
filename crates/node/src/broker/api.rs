use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::peer::BrokerPeer;
use super::refusal::translated;
use super::subject::Subject;
use super::svids::BrokeredSvids;
use crate::Launches;
use crate::pb::broker::api_server::Api;
use crate::pb::broker::{
    FetchJwtsvidRequest, FetchJwtsvidResponse, Jwtsvid, SubscribeToJwtBundlesRequest,
    SubscribeToJwtBundlesResponse, SubscribeToX509BundlesRequest, SubscribeToX509BundlesResponse,
    SubscribeToX509svidRequest, SubscribeToX509svidResponse, WorkloadReference, X509svid,
};
use crate::pb::workload::{JwtBundlesResponse, X509BundlesResponse, X509svidResponse};
use crate::requests::JwtRequest;
use crate::workload::{Bundles, Feed, KeySets, Party as _, Source, feed, fetch_jwts};

/// The SPIFFE Broker API: its X.509 profile and its JWT profile.
pub(super) struct BrokerApi {
    launches: Arc<Launches>,
}

/// What a broker receives of one workload.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl BrokerApi {
    pub(super) const fn new(launches: Arc<Launches>) -> Self {
        Self { launches }
    }

    fn subject<T>(
        &self,
        request: &Request<T>,
        reference: Option<&WorkloadReference>,
    ) -> Result<Arc<Subject>, Status> {
        let broker = peer(request)?;
        Subject::resolve(&self.launches, broker, reference).map(Arc::new)
    }

    async fn feed<S: Source, T: 'static>(
        &self,
        subject: Arc<Subject>,
        source: S,
        convert: fn(S::Message) -> T,
    ) -> Result<Response<Answers<T>>, Status> {
        let launches = Arc::clone(&self.launches);
        let held = subject.held(&launches).await.map_err(translated)?;
        let feed = feed(launches, (subject, held), source).await;
        let feed: Feed<S::Message> = feed.map_err(translated)?;
        let answers = feed.map(move |answer| answer.map(convert).map_err(translated));
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Who is at the other end of a request's connection.
pub(super) fn peer<T>(request: &Request<T>) -> Result<Arc<BrokerPeer>, Status> {
    let peer = request.extensions().get::<Arc<BrokerPeer>>();
    peer.map(Arc::clone)
        .ok_or_else(|| Status::internal("connection without a peer"))
}

#[tonic::async_trait]
impl Api for BrokerApi {
    type SubscribeToX509SVIDStream = Answers<SubscribeToX509svidResponse>;
    type SubscribeToX509BundlesStream = Answers<SubscribeToX509BundlesResponse>;
    type SubscribeToJWTBundlesStream = Answers<SubscribeToJwtBundlesResponse>;

    async fn subscribe_to_x509svid(
        &self,
        request: Request<SubscribeToX509svidRequest>,
    ) -> Result<Response<Self::SubscribeToX509SVIDStream>, Status> {
        let subject = self.subject(&request, request.get_ref().reference.as_ref())?;
        let broker = subject.broker().spiffe_id.clone();
        let source = BrokeredSvids::new(&self.launches, broker);
        self.feed(subject, source, x509_svids).await
    }

    async fn subscribe_to_x509_bundles(
        &self,
        request: Request<SubscribeToX509BundlesRequest>,
    ) -> Result<Response<Self::SubscribeToX509BundlesStream>, Status> {
        let subject = self.subject(&request, request.get_ref().reference.as_ref())?;
        let source = Bundles::of(&self.launches);
        self.feed(subject, source, x509_bundles).await
    }

    async fn fetch_jwtsvid(
        &self,
        request: Request<FetchJwtsvidRequest>,
    ) -> Result<Response<FetchJwtsvidResponse>, Status> {
        let subject = self.subject(&request, request.get_ref().reference.as_ref())?;
        let request = request.get_ref();
        let asked = JwtRequest::new(&request.audience, &request.spiffe_id)?;
        let held = subject.held(&self.launches).await?;
        let through = Some(&subject.broker().spiffe_id);
        let fetched = fetch_jwts(&self.launches, &held, &asked, through).await;
        let fetched = fetched.map_err(translated)?;
        subject.release(&self.launches, &held).await?;
        let svids = fetched.into_iter().map(|svid| Jwtsvid {
            spiffe_id: svid.spiffe_id,
            svid: svid.svid,
            hint: svid.hint,
        });
        Ok(Response::new(FetchJwtsvidResponse {
            svids: svids.collect(),
        }))
    }

    async fn subscribe_to_jwt_bundles(
        &self,
        request: Request<SubscribeToJwtBundlesRequest>,
    ) -> Result<Response<Self::SubscribeToJWTBundlesStream>, Status> {
        let subject = self.subject(&request, request.get_ref().reference.as_ref())?;
        let source = KeySets::of(&self.launches);
        self.feed(subject, source, jwt_bundles).await
    }
}

fn x509_svids(message: X509svidResponse) -> SubscribeToX509svidResponse {
    let svids = message.svids.into_iter().map(|svid| X509svid {
        spiffe_id: svid.spiffe_id,
        x509_svid: svid.x509_svid,
        x509_svid_key: svid.x509_svid_key,
        bundle: svid.bundle,
        hint: svid.hint,
    });
    SubscribeToX509svidResponse {
        svids: svids.collect(),
        crl: message.crl,
        federated_bundles: message.federated_bundles,
    }
}

fn x509_bundles(message: X509BundlesResponse) -> SubscribeToX509BundlesResponse {
    SubscribeToX509BundlesResponse {
        crl: message.crl,
        bundles: message.bundles,
    }
}

fn jwt_bundles(message: JwtBundlesResponse) -> SubscribeToJwtBundlesResponse {
    SubscribeToJwtBundlesResponse {
        bundles: message.bundles,
    }
}
