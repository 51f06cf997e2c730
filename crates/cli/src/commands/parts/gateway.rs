use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_gateway::{Gateway, GatewayConfig, Hosts, Limits, ServerName, Upstream};
use chancery_identity::trust::GatewayName;
use chancery_server::Clock;
use nix::sys::signal::Signal;

use super::{prepare, until_stopped};
use crate::deployment::{Layout, Part};
use crate::gateway_config::GatewayFile;

/// Runs the gateway.
pub(in crate::commands) async fn gateway(layout: &Layout) -> anyhow::Result<ExitCode> {
    let _lock = prepare(layout, Part::Gateway, Signal::SIGTERM)?;
    let file = GatewayFile::read(&layout.gateway_config())?;
    let servers = file
        .tool_servers
        .iter()
        .map(|(name, server)| {
            let name: ServerName = name.parse().with_context(|| name.clone())?;
            let upstream = Upstream {
                command: server.command.clone().into(),
                args: server.args.clone(),
                env: BTreeMap::new(),
                inherit: vec!["PATH".to_owned(), "HOME".to_owned(), "LANG".to_owned()],
                cwd: None,
            };
            Ok((name, upstream))
        })
        .collect::<anyhow::Result<_>>()?;
    let gateway = Gateway::open(GatewayConfig {
        name: GatewayName::default(),
        folder: layout.gateway(),
        log: layout.gateway_log(),
        log_key: layout.gateway_log_key(),
        record_key: layout.record_key_file(),
        trust_file: layout.trust_file(),
        server_socket: layout.server_socket(),
        operator_socket: layout.gateway_socket(),
        listen: file.listen(),
        servers,
        audiences: file.audiences()?,
        grace_seconds: GatewayConfig::DEFAULT_GRACE_SECONDS,
        abandon_seconds: GatewayConfig::DEFAULT_ABANDON_SECONDS,
        index_seconds: file.index_seconds,
        hosts: Hosts::new(file.names(), Vec::<String>::new()),
        limits: Limits::default(),
        clock: Clock::machine,
    })
    .await?;
    tracing::info!(address = %gateway.address(), "gateway listens");
    let stopped = async {
        let _ = until_stopped().await;
    };
    gateway.serve(stopped).await.context("gateway")?;
    Ok(ExitCode::SUCCESS)
}
