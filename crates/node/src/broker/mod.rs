//! The SPIFFE Broker Endpoint (incubating, revision 665a28f): brokers that the operator admits obtain the
//! SVIDs of workloads of this host, each by a reference.
//!
//! Who a broker is, its X.509-SVID says, in mutual TLS on a Unix socket. Who a workload is, the node sees
//! for itself, as if that workload had asked: nothing that a broker says of it counts but which one is
//! meant.

mod acceptor;
mod api;
mod own;
mod peer;
mod reference;
mod refusal;
mod stream;
mod subject;
mod svids;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::tls::server_config;
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};
use tonic_reflection::server::{Builder, v1, v1alpha};

use crate::Launches;
use crate::pb::BROKER_DESCRIPTOR_SET;
use crate::pb::broker::api_server::ApiServer;

pub use reference::{Reference, ReferenceError};

/// Most bytes of the metadata of one request.
const MAX_METADATA_BYTES: u32 = 64 << 10;
/// Most requests that one connection has open: one stream or two for each workload of a broker.
const MAX_STREAMS: u32 = 256;
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why brokers cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// TLS cannot be configured.
    #[error("mutual TLS cannot be configured")]
    Tls(#[from] chancery_api::tls::TlsError),
    /// The socket failed.
    #[error("the socket failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves brokers until `shutdown`, from when the node has an X.509-SVID of its own.
pub(crate) async fn serve(
    listener: UnixListener,
    launches: Arc<Launches>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), BrokerError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let identity = tokio::select! {
        identity = own::OwnSvid::follow(Arc::clone(launches.issuer())) => identity?,
        () = &mut shutdown => return Ok(()),
    };
    let mut tls = server_config(identity.tls())?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let incoming = acceptor::connections(listener, acceptor, identity.tls().clone());
    let service = ApiServer::new(api::BrokerApi::new(Arc::clone(&launches)));
    // In front of the whole service, so that methods which are not served are guarded as well.
    let service = InterceptedService::new(service, security_header);
    let (reflection, reflection_alpha) = reflection(&launches);
    Server::builder()
        .http2_max_header_list_size(MAX_METADATA_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(service)
        .add_optional_service(reflection)
        .add_optional_service(reflection_alpha)
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await?;
    Ok(())
}

/// What looks at every request of reflection before it is served.
#[derive(Clone)]
struct Brokers(Arc<Launches>);

impl tonic::service::Interceptor for Brokers {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let request = security_header(request)?;
        let peer = api::peer(&request)?;
        peer.rule(&self.0).map(|_| request)
    }
}

/// Says over both versions of gRPC's reflection what is served here, to brokers.
fn reflection(
    launches: &Arc<Launches>,
) -> (
    Guarded<v1::ServerReflectionServer<impl v1::ServerReflection>>,
    Guarded<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>>,
) {
    let described =
        || Builder::configure().register_encoded_file_descriptor_set(BROKER_DESCRIPTOR_SET);
    let guard = || Brokers(Arc::clone(launches));
    // A description that cannot be read leaves the rest served; a test reads it.
    let stable = described().build_v1().ok();
    let alpha = described().build_v1alpha().ok();
    (
        stable.map(|service| InterceptedService::new(service, guard())),
        alpha.map(|service| InterceptedService::new(service, guard())),
    )
}

/// A service behind the guard, where there is one.
type Guarded<S> = Option<InterceptedService<S, Brokers>>;

/// Every request carries `broker.spiffe.io: true`, so that no request that somebody else was made to send
/// is answered (Broker Endpoint section 3).
fn security_header(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("broker.spiffe.io") {
        Some(value) if value.as_bytes() == b"true" => Ok(request),
        _ => Err(Status::invalid_argument(
            "security header missing from request",
        )),
    }
}
