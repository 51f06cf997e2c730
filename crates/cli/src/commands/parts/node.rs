use std::process::ExitCode;

use anyhow::Context as _;
use chancery_node::{Home, Node, NodeConfig, ServerIssuer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;

use super::{prepare, until_stopped};
use crate::deployment::{Layout, Part};
use crate::gateway_config::GatewayFile;
use crate::server_config::ServerFile;

/// Runs the node.
pub(in crate::commands) async fn node(layout: &Layout) -> anyhow::Result<ExitCode> {
    // An `up` that was killed is no reason to end what runs: a node that is killed takes it up again.
    let _lock = prepare(layout, Part::Node, Signal::SIGKILL)?;
    raise_descriptors();
    let trust = layout.trust()?;
    let config = GatewayFile::read(&layout.gateway_config())?;
    let home = Home {
        trust_domain: trust.trust_domain.parse()?,
        gateway_address: config.local(),
        gateway_spiffe_id: format!("spiffe://{}/service/gateway", trust.trust_domain).parse()?,
    };
    let sockets = NodeConfig {
        workload_socket: layout.workload_socket(),
        operator_socket: layout.node_socket(),
        launches: layout.launches(),
    };
    let incubating = ServerFile::read(&layout.server_config())?.incubating()?;
    let issuer = ServerIssuer::start(layout.server_client(), home, incubating);
    let mut node = Node::bind(&sockets, issuer)?;
    if incubating.broker_api() {
        node = node.with_brokers(&layout.broker_socket())?;
    }
    tracing::info!(socket = %sockets.workload_socket.display(), "node serves");
    let stopped = async {
        let _ = until_stopped().await;
    };
    node.serve(stopped).await.context("node")?;
    Ok(ExitCode::SUCCESS)
}

/// Each stream of the Workload API and of a broker needs descriptors: as many as the system lets this
/// process have.
pub(in crate::commands) fn raise_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays");
    }
}
