//! `chancery run`: starts a command as an isolated agent instance and is its bridge.

mod children;
mod presenter;
mod program;
mod sandbox;
mod spawner;

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chancery_agent::handover::receive_from;
use chancery_agent::{
    Admit, AgentKey, Bridge, BridgeConfig, Credential, GatewayClient, Instance, NodeClient,
    NodeIdentity as _, OwnSvid, Patience, PeerProcess, Spawner,
};
use chancery_api::UnixClient;
use chancery_identity::SpiffeId;
use chancery_node::sandbox::{Exit, Held as HeldProcess, Isolation, Running};
use chancery_node::{RegisterLaunch, RegisteredLaunch};
use nix::sys::prctl::set_dumpable;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::args::RunArgs;
use crate::deployment::Layout;
use crate::output;

use presenter::LogPresenter;
pub(crate) use program::agent_id;
pub(crate) use sandbox::BRIDGE_SOCKET;
pub(crate) use spawner::ChildSpawner;
use spawner::{Origin, tell_refusal};

/// How long a call waits for a person's answer.
const APPROVAL_PATIENCE: Duration = Duration::from_secs(900);

/// What a command that was killed by a signal exits with.
const KILLED: u8 = 137;

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let layout = super::host_layout(&args.data)?;
    let program = program::find(&args.command)?;
    reach(&layout).await?;
    let folder = tempfile::Builder::new().prefix("chancery-run-").tempdir()?;
    let socket = folder.path().join(BRIDGE_SOCKET);
    let listener = UnixListener::bind(&socket).context(socket.display().to_string())?;
    let held = sandbox::spawn(&layout, &args, &program, &socket).await?;
    let isolated = matches!(held.isolation(), Isolation::Isolated(_));
    let origin = Origin::read(&args)?;
    let parent = origin.parent.clone();
    let launch = register(&layout, &args, &held, (&program.code, isolated), origin).await;
    let launch = launch.inspect_err(|error| {
        if let Some(socket) = &args.parent {
            tell_refusal(socket, error);
        }
    })?;
    output::say(format_args!(
        "{} ({})",
        launch.spiffe_id,
        if isolated { "isolated" } else { "unisolated" }
    ));
    let member = Member::new(&layout).await?;
    // From here on nobody of this user may look into this process, which holds the agent key.
    set_dumpable(false).context("cannot protect the agent key")?;
    if let (Some(socket), Some(parent)) = (&args.parent, parent) {
        member.take_from(socket, &parent.to_spiffe_id()).await?;
    }
    let spawner = ChildSpawner::new(
        &layout,
        &args,
        Arc::clone(&member.instance),
        &member.credential,
    )?;
    let patience = Patience {
        delegation: Duration::from_secs(args.wait_delegation),
        approval: APPROVAL_PATIENCE,
    };
    let owner = match held.isolation() {
        Isolation::Isolated(confinement) if confinement.own_uid => Some(confinement.uid),
        _ => None,
    };
    let admit = admit(&held)?;
    let spawner: Arc<dyn Spawner> = Arc::new(spawner);
    let config = BridgeConfig {
        socket,
        owner,
        patience,
    };
    let bridge = Bridge::on(
        listener,
        &config,
        Arc::clone(&member.instance),
        admit,
        Some(spawner),
    )?
    .with_presenter(Arc::new(LogPresenter::new(
        &layout,
        Arc::clone(&member.instance),
    )));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(bridge.serve(async {
        let _ = stopped.await;
    }));
    let running = tokio::task::spawn_blocking(|| held.go()).await??;
    let exit = wait(running).await;
    if matches!(exit, Ok(Exit::Code(0))) {
        member.instance.complete_session().await;
    }
    drop(stop);
    serving.await.context("bridge")?;
    Ok(match exit? {
        Exit::Code(code) => ExitCode::from(code),
        Exit::Killed => ExitCode::from(KILLED),
    })
}

/// Fails where no deployment runs, before anything is started.
async fn reach(layout: &Layout) -> anyhow::Result<()> {
    let node = UnixClient::new(layout.node_socket());
    node.get::<serde_json::Value>("/v1/launches").await?;
    Ok(())
}

/// The own instance, once the node has attested this process.
pub(crate) struct Member {
    pub(crate) instance: Arc<Instance>,
    pub(crate) credential: Credential,
}

impl Member {
    /// Proves a fresh agent key to the node and prepares the way to the gateway.
    pub(crate) async fn new(layout: &Layout) -> anyhow::Result<Self> {
        let socket = layout.workload_socket();
        let node = NodeClient::connect(&socket).await?;
        let key = AgentKey::generate()?;
        let credential = node.credential(&key).await?;
        let svid = OwnSvid::follow(&socket).await?;
        let gateway = GatewayClient::new(credential.gateway.clone(), svid);
        let instance = Arc::new(Instance::new(key, Arc::new(node), gateway));
        Ok(Self {
            instance,
            credential,
        })
    }

    async fn take_from(&self, socket: &Path, parent: &SpiffeId) -> anyhow::Result<()> {
        let held = receive_from(socket, self.instance.key(), &self.credential, parent).await?;
        Ok(self.instance.hold(held)?)
    }
}

async fn register(
    layout: &Layout,
    args: &RunArgs,
    held: &HeldProcess,
    (code, isolated): (&Path, bool),
    origin: Origin,
) -> anyhow::Result<RegisteredLaunch> {
    let request = RegisterLaunch {
        agent_id: agent_id(layout, &args.agent)?,
        init_pid: Some(held.pid().try_into().context("pid")?),
        isolated,
        program: Some(code.to_owned()),
        parent: origin.parent,
        terms: origin.terms,
    };
    Ok(UnixClient::new(layout.node_socket())
        .post("/v1/launches", &request)
        .await?)
}

/// Only processes of the launch may use its bridge: those in its pid namespace, or, where it has
/// none, those of this process's own user that descend from it.
fn admit(held: &HeldProcess) -> anyhow::Result<Admit> {
    match held.pid_namespace() {
        Some(namespace) => Ok(Arc::new(move |peer: &PeerProcess| {
            peer.pid_namespace().is_ok_and(|inode| inode == namespace)
        })),
        None => {
            let root = i32::try_from(held.pid()).context("pid")?;
            Ok(Arc::new(move |peer: &PeerProcess| {
                descends(peer.pid(), root)
            }))
        }
    }
}

/// Whether a process is `ancestor` or descends from it.
fn descends(mut pid: i32, ancestor: i32) -> bool {
    for _ in 0..64 {
        if pid == ancestor {
            return true;
        }
        let Some(parent) = parent_of(pid) else {
            return false;
        };
        pid = parent;
    }
    false
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Waits for the command's end; signals to this process are passed on.
async fn wait(mut running: Running) -> anyhow::Result<Exit> {
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    loop {
        let number = tokio::select! {
            exit = running.wait() => return Ok(exit?),
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
        };
        let _ = running.signal(number);
    }
}

/// A command found on this machine.
#[derive(Debug)]
pub(crate) struct Program {
    /// What is executed.
    pub(crate) executable: PathBuf,
    /// What is the agent's code: the executable, or the script that it interprets.
    pub(crate) code: PathBuf,
}

/// Refuses a command without a name.
fn named(command: &[String]) -> anyhow::Result<&String> {
    match command.first() {
        Some(name) if !name.is_empty() => Ok(name),
        _ => bail!("the command is empty"),
    }
}
