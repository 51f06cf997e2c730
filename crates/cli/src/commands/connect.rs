//! `chancery connect`: standard input and output on one side, the bridge on the other.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chancery_agent::{Bridge, BridgeConfig, LocalClient, Patience, PeerProcess};
use chancery_api::UnixClient;
use chancery_api::server::LaunchTerms;
use chancery_node::sandbox::SocketBind;
use chancery_node::{RegisterLaunch, RegisteredLaunch};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::oneshot;

use super::run::{BRIDGE_SOCKET, Member, agent_id};
use crate::args::ConnectArgs;
use crate::demo::BRIDGE_VARIABLE;
use crate::output;

pub(super) async fn run(args: ConnectArgs) -> anyhow::Result<ExitCode> {
    if let Some(bridge) = own_bridge() {
        pipe(&bridge, &args.server).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let agent = args.agent.as_deref().context(
        "outside of `chancery run` an instance must be named: chancery connect SERVER --agent AGENT",
    )?;
    let layout = super::host_layout(&args.data)?;
    let request = RegisterLaunch {
        agent_id: agent_id(&layout, agent)?,
        init_pid: None,
        isolated: false,
        program: None,
        parent: None,
        terms: LaunchTerms::default(),
    };
    let launch: RegisteredLaunch = UnixClient::new(layout.node_socket())
        .post("/v1/launches", &request)
        .await?;
    output::say(format_args!("{} (unisolated)", launch.spiffe_id));
    let member = Member::new(&layout).await?;
    let folder = tempfile::Builder::new()
        .prefix("chancery-connect-")
        .tempdir()?;
    let socket = folder.path().join("bridge.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket)?;
    let own = i32::try_from(std::process::id()).context("pid")?;
    let patience = Patience {
        delegation: Duration::from_secs(args.wait_delegation),
        ..Patience::default()
    };
    let config = BridgeConfig {
        socket: socket.clone(),
        owner: None,
        patience,
    };
    let admit = Arc::new(move |peer: &PeerProcess| peer.pid() == own);
    let bridge = Bridge::on(listener, &config, Arc::clone(&member.instance), admit, None)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(bridge.serve(async {
        let _ = stopped.await;
    }));
    let piped = pipe(&socket, &args.server).await;
    if piped.is_ok() {
        member.instance.complete_session().await;
    }
    drop(stop);
    serving.await.context("bridge")?;
    piped?;
    Ok(ExitCode::SUCCESS)
}

/// The bridge of the launch that this process is in. MCP clients start their servers with a handful
/// of variables; a sandbox has its bridge at a fixed place, which only the launcher can fill.
pub(super) fn own_bridge() -> Option<PathBuf> {
    let fixed = Path::new(SocketBind::FOLDER).join(BRIDGE_SOCKET);
    std::env::var_os(BRIDGE_VARIABLE)
        .map(PathBuf::from)
        .or_else(|| fixed.exists().then_some(fixed))
}

/// A client of that bridge, for whoever needs one.
pub(super) fn bridge() -> anyhow::Result<LocalClient> {
    let socket = own_bridge();
    let socket = socket.context("no bridge: this works inside of `chancery run`")?;
    Ok(LocalClient::new(socket))
}

/// Copies both ways until the client or the bridge is done.
async fn pipe(bridge: &Path, server: &str) -> anyhow::Result<()> {
    let client = LocalClient::new(bridge);
    let (mut from_bridge, mut to_bridge) = client.mcp(server).await?;
    let sending = tokio::spawn(async move {
        let copied = tokio::io::copy(&mut tokio::io::stdin(), &mut to_bridge).await;
        let _ = to_bridge.shutdown().await;
        copied
    });
    let mut out = tokio::io::stdout();
    let received = tokio::io::copy(&mut from_bridge, &mut out).await;
    out.flush().await.context("standard output")?;
    sending.abort();
    received.context("bridge").map(drop)
}
