use std::fmt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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
    parts: Vec<Kept>,
    ends: Watch,
}

/// How many times each part has ended on its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<[AtomicU32; Part::ALL.len()]>);

impl Watch {
    /// How many times a part has ended on its own.
    pub(crate) fn ends(&self, part: Part) -> u32 {
        self.counter(part)
            .map_or(0, |ends| ends.load(Ordering::Relaxed))
    }

    fn add(&self, part: Part) {
        if let Some(ends) = self.counter(part) {
            ends.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter(&self, part: Part) -> Option<&AtomicU32> {
        self.0.get(part as usize)
    }
}

/// A part that is kept running.
#[derive(Debug)]
struct Kept {
    part: Part,
    pid: watch::Receiver<Option<u32>>,
    keeper: JoinHandle<()>,
}

/// How long a stopped process may take to end.
const GRACE: Duration = Duration::from_secs(10);

impl Supervisor {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            stop: watch::Sender::new(false),
            parts: Vec::new(),
            ends: Watch::default(),
        }
    }

    /// Starts a part and keeps it running.
    pub(crate) fn start(&mut self, part: Part) {
        let (pid, pid_seen) = watch::channel(None);
        let stop = self.stop.subscribe();
        let keeper = keep(self.layout.clone(), part, pid, self.ends.clone(), stop);
        self.parts.push(Kept {
            part,
            pid: pid_seen,
            keeper: tokio::spawn(keeper),
        });
    }

    /// The process id of a part, while it runs.
    pub(crate) fn pid(&self, part: Part) -> Option<u32> {
        self.kept(part).and_then(|kept| *kept.pid.borrow())
    }

    /// How many times the parts have ended on their own.
    pub(crate) const fn watch(&self) -> &Watch {
        &self.ends
    }

    fn kept(&self, part: Part) -> Option<&Kept> {
        self.parts.iter().find(|kept| kept.part == part)
    }

    /// Stops all parts, the last one started first.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        while let Some(kept) = self.parts.pop() {
            let running = *kept.pid.borrow();
            terminate(running);
            if tokio::time::timeout(GRACE, kept.keeper).await.is_err() {
                tracing::error!(part = %kept.part, "does not end; killed");
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
    ends: Watch,
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
                    ends.add(part);
                    let how =
                        ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                    tracing::error!("the {part} ended ({how}); it is started again");
                }
            }
            Err(error) => tracing::error!("the {part} cannot be started: {error:#}"),
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
    // The program that this process runs, also where its file was replaced by a newer one meanwhile.
    Command::new("/proc/self/exe")
        .arg0("chancery")
        .arg(part.name())
        .arg("--data")
        .arg(layout.data())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("the {part}"))
}
