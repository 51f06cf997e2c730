//! The socket of the workloads: the SPIFFE Workload API and, under another name, our own service.
//!
//! Nobody authenticates here. Who asks is the kernel's word about the other end of the socket, and
//! which launch that process belongs to is asked again with every request and before every answer.

mod acceptor;
mod agent_api;
mod connection;
mod feed;
mod frames;
mod hpack;
mod jwt_api;
mod outgoing;
mod spiffe_api;
mod stream;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::Launches;
use crate::launch::Launch;
use crate::pb::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use crate::peer::Peer;
use chancery_api::pb::agent::agent_identity_server::AgentIdentityServer;

pub(crate) use connection::Connection;

/// What a caller without an identity is told; SPIFFE clients look for these words.
const NO_IDENTITY: &str = "no identity issued";

/// Most bytes of the metadata of one request.
const MAX_METADATA_BYTES: u32 = 64 << 10;
/// Most requests that one connection has open.
const MAX_STREAMS: u32 = 64;
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves both services until `shutdown`.
pub(crate) async fn serve(
    listener: UnixListener,
    launches: Arc<Launches>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let spiffe = SpiffeWorkloadApiServer::new(spiffe_api::WorkloadApi::new(Arc::clone(&launches)));
    // In front of the whole service, so that methods which are not served are guarded as well.
    let spiffe = InterceptedService::new(spiffe, security_header);
    let agent = AgentIdentityServer::new(agent_api::AgentApi::new(launches));
    Server::builder()
        .http2_max_header_list_size(MAX_METADATA_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(spiffe)
        .add_service(agent)
        .serve_with_incoming_shutdown(acceptor::connections(listener), shutdown)
        .await
}

/// Every request of the Workload API carries `workload.spiffe.io: true`, so that no request that
/// somebody else was made to send is answered (Workload Endpoint section 6).
fn security_header(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("workload.spiffe.io") {
        Some(value) if value.as_bytes() == b"true" => Ok(request),
        _ => Err(Status::invalid_argument(
            "security header missing from request",
        )),
    }
}

/// Who asks, and the launch that it speaks as.
async fn caller<T>(
    launches: &Launches,
    request: &Request<T>,
) -> Result<(Arc<Peer>, Arc<Launch>), Status> {
    let peer = request.extensions().get::<Arc<Peer>>();
    let peer = Arc::clone(peer.ok_or_else(|| Status::internal("connection without a peer"))?);
    let Some(launch) = launches.of_caller(peer.process()) else {
        let (pid, uid) = (peer.process().pid(), peer.process().uid());
        tracing::warn!(pid, uid, "a process of no launch asked for an identity");
        return Err(Status::permission_denied(NO_IDENTITY));
    };
    vouched(&peer, &launch).await?;
    Ok((peer, launch))
}

/// Before anything leaves: the launch's own process holds the connection, and is what it was when it
/// asked. Reading a socket shows nobody's credentials, so that the peer must answer a PING: a process
/// that was handed the socket cannot, whatever the peer executes meanwhile.
async fn release(peer: &Peer, launch: &Launch) -> Result<(), Status> {
    vouched(peer, launch).await?;
    let confirmed = peer.connection().confirm().await;
    confirmed.map_err(|error| Status::unavailable(error.to_string()))?;
    vouched(peer, launch).await
}

async fn vouched(peer: &Peer, launch: &Launch) -> Result<(), Status> {
    if launch.vouches_for(peer.process()).await {
        return Ok(());
    }
    let (pid, launch) = (peer.process().pid(), launch.id());
    tracing::warn!(pid, %launch, "not the process that was launched, or it executes another program");
    Err(Status::permission_denied(NO_IDENTITY))
}
