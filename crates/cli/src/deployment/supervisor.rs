use std::fmt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Layout;

/// A process of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Holds the authorities' keys.
    Signer,
    /// The control plane.
    Server,
    /// Attests local processes.
    Node,
    /// Decides calls.
    Gateway,
}

impl Part {
    /// In the order in which they start.
    pub(crate) const ALL: [Self; 4] = [Self::Signer, Self::Server, Self::Node, Self::Gateway];

    const fn name(self) -> &'static str {
        match self {
            Self::Signer => "signer",
            Self::Server => "server",
            Self::Node => "node",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Keeps the processes of a deployment running: one that dies is started again.
#[derive(Debug)]
pub(crate) struct Supervisor {
    layout: Layout,
    stop: watch::Sender<bool>,
    parts: Vec<(Part, watch::Receiver<Option<u32>>, JoinHandle<()>)>,
}

/// How long a stopped process may take to end.
const GRACE: Duration = Duration::from_secs(10);

impl Supervisor {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            stop: watch::Sender::new(false),
            parts: Vec::new(),
        }
    }

    /// Starts a part and keeps it running.
    pub(crate) fn start(&mut self, part: Part) {
        let (pid, pid_seen) = watch::channel(None);
        let keeper = keep(self.layout.clone(), part, pid, self.stop.subscribe());
        self.parts.push((part, pid_seen, tokio::spawn(keeper)));
    }

    /// The process id of a part, while it runs.
    pub(crate) fn pid(&self, part: Part) -> Option<u32> {
        let found = self.parts.iter().find(|(known, _, _)| *known == part);
        found.and_then(|(_, pid, _)| *pid.borrow())
    }

    /// Stops all parts, the last one started first.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some((part, pid, keeper)) = self.parts.pop() {
            let running = *pid.borrow();
            terminate(running);
            if tokio::time::timeout(GRACE, keeper).await.is_err() {
                tracing::error!(%part, "does not end; killed");
            }
        }
    }
}

fn terminate(pid: Option<u32>) {
    if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

async fn keep(
    layout: Layout,
    part: Part,
    pid: watch::Sender<Option<u32>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut pause = Duration::from_millis(100);
    while !*stop.borrow() {
        let started = Instant::now();
        match spawn(&layout, part) {
            Ok(mut child) => {
                pid.send_replace(child.id());
                let ended = child.wait().await;
                pid.send_replace(None);
                if !*stop.borrow() {
                    tracing::error!(%part, ?ended, "ended; it is started again");
                }
            }
            Err(error) => tracing::error!(%part, %error, "cannot be started"),
        }
        pause = if started.elapsed() > Duration::from_secs(10) {
            Duration::from_millis(100)
        } else {
            (pause * 2).min(Duration::from_secs(5))
        };
        let _ = tokio::time::timeout(pause, stop.changed()).await;
    }
}

fn spawn(layout: &Layout, part: Part) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("own program")?;
    Command::new(program)
        .arg(part.name())
        .arg("--data")
        .arg(layout.data())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("spawn")
}
