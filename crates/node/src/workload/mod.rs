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
mod kept;
mod outgoing;
mod party;
mod spiffe_api;
mod stream;
mod wit_api;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};
use tonic_reflection::server::{Builder, v1, v1alpha};

use crate::launch::Launch;
use crate::pb::FILE_DESCRIPTOR_SET;
use crate::pb::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use crate::peer::Peer;
use crate::process::Process;
use crate::{Launches, Registrations};
use chancery_api::pb::agent::agent_identity_server::AgentIdentityServer;

pub(crate) use connection::Connection;
pub(crate) use feed::{Feed, Source, feed};
pub use frames::Frames;
pub(crate) use jwt_api::{KeySets, fetch as fetch_jwts};
pub(crate) use kept::Kept;
pub(crate) use party::Party;
pub(crate) use spiffe_api::{Bundles, Known, heard, named};

/// What a caller without an identity is told; SPIFFE clients look for these words.
pub(crate) const NO_IDENTITY: &str = "no identity issued";

/// Most bytes of the metadata of one request.
const MAX_METADATA_BYTES: u32 = 64 << 10;
/// Most requests that one connection has open.
const MAX_STREAMS: u32 = 64;
/// Longest hint (Workload API section 5.2.1).
const MAX_HINT_BYTES: usize = 1_024;
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
    let (reflection, reflection_alpha) = reflection();
    Server::builder()
        .http2_max_header_list_size(MAX_METADATA_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(spiffe)
        .add_service(agent)
        .add_optional_service(reflection)
        .add_optional_service(reflection_alpha)
        .serve_with_incoming_shutdown(acceptor::connections(listener), shutdown)
        .await
}

/// Says over both versions of gRPC's reflection what is served here, to who sends the security header.
fn reflection() -> (
    Guarded<v1::ServerReflectionServer<impl v1::ServerReflection>>,
    Guarded<v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>>,
) {
    let described =
        || Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    let guard: Guard = security_header;
    // A description that cannot be read leaves the rest served; a test reads it.
    let stable = described().build_v1().ok();
    let alpha = described().build_v1alpha().ok();
    (
        stable.map(|service| InterceptedService::new(service, guard)),
        alpha.map(|service| InterceptedService::new(service, guard)),
    )
}

/// What looks at every request before it is served.
type Guard = fn(Request<()>) -> Result<Request<()>, Status>;

/// A service behind the guard, where there is one.
type Guarded<S> = Option<InterceptedService<S, Guard>>;

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

/// Who asks, and the launches that it speaks as: at least one, the default identity first.
async fn caller<T>(
    launches: &Launches,
    request: &Request<T>,
) -> Result<(Arc<Peer>, Vec<Arc<Launch>>), Status> {
    let peer = request.extensions().get::<Arc<Peer>>();
    let peer = Arc::clone(peer.ok_or_else(|| Status::internal("connection without a peer"))?);
    let held = entitled(launches, &peer).await;
    if held.is_err() {
        let (pid, uid) = (peer.process().pid(), peer.process().uid());
        tracing::warn!(pid, uid, "a process of no launch asked for an identity");
    }
    Ok((peer, held?))
}

/// Who asks, and its default identity.
async fn caller_by_default<T>(
    launches: &Launches,
    request: &Request<T>,
) -> Result<(Arc<Peer>, Arc<Launch>), Status> {
    let (peer, held) = caller(launches, request).await?;
    let first = held.into_iter().next();
    Ok((
        peer,
        first.ok_or_else(|| Status::permission_denied(NO_IDENTITY))?,
    ))
}

/// The launches that a peer speaks as now.
async fn entitled(launches: &Launches, peer: &Peer) -> Result<Vec<Arc<Launch>>, Status> {
    let held = vouching(launches, peer.process()).await;
    if held.is_empty() {
        return Err(Status::permission_denied(NO_IDENTITY));
    }
    Ok(held)
}

/// The launches that a process belongs to and is what was launched of, the default identity first.
pub(crate) async fn vouching(launches: &Launches, process: &Process) -> Vec<Arc<Launch>> {
    let mut held = Vec::new();
    let launches = launches.of_caller(process);
    let vouching = Launch::vouching(&launches, process).await;
    for (launch, vouches) in launches.into_iter().zip(vouching) {
        if vouches {
            held.push(launch);
        } else {
            let (pid, launch) = (process.pid(), launch.id());
            tracing::warn!(pid, %launch, "executes another program than the one that was launched");
        }
    }
    held
}

/// Tells several identities of one process apart: what the agent was registered with, where no identity
/// before it has that; else the agent's name, and nothing where there is one identity.
pub(crate) fn hint(registrations: &Registrations, held: &[Arc<Launch>], launch: &Launch) -> String {
    let registered = |launch: &Launch| registrations.hint(launch.instance().agent());
    let before = held.iter().take_while(|other| other.id() != launch.id());
    if let Some(own) = registered(launch)
        && !before
            .into_iter()
            .any(|other| registered(other) == Some(own))
    {
        return own.to_owned();
    }
    match launch.instance().agent().as_str() {
        _ if held.len() < 2 => String::new(),
        agent if agent.len() <= MAX_HINT_BYTES => agent.to_owned(),
        _ => launch.id().to_string(),
    }
}

/// Before anything leaves that is these launches': their own process holds the connection, and is what
/// it was when it asked. Reading a socket shows nobody's credentials, so that the peer must answer a
/// PING: a process that was handed the socket cannot, whatever the peer executes meanwhile.
async fn release(peer: &Peer, held: &[Arc<Launch>]) -> Result<(), Status> {
    vouched(peer, held).await?;
    let confirmed = peer.connection().confirm().await;
    confirmed.map_err(|error| Status::unavailable(error.to_string()))?;
    vouched(peer, held).await
}

async fn vouched(peer: &Peer, held: &[Arc<Launch>]) -> Result<(), Status> {
    let vouching = Launch::vouching(held, peer.process()).await;
    for (launch, vouches) in held.iter().zip(vouching) {
        if !vouches {
            let (pid, launch) = (peer.process().pid(), launch.id());
            tracing::warn!(pid, %launch, "ended, or executes another program");
            return Err(Status::permission_denied(NO_IDENTITY));
        }
    }
    Ok(())
}
