use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::oneshot;

use super::error::{SandboxError, SpecProblem};
use super::plan::Plan;
use super::running::{Held, Parts};
use super::shim::{OUTER, PLAIN, SUBCOMMAND};
use super::spec::{Network, Spec, Work};
use super::uid::UidLease;
use super::wire::{Isolation, Order, Report, receive, send_with};

/// How long a shim may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts commands in sandboxes of their own.
///
/// The launcher itself should not be dumpable, and its sockets and keys should be where no bind
/// shows them; the rest follows from the namespaces.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
}

impl Default for Launcher {
    /// Starts this very program as the shim.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
        }
    }
}

impl Launcher {
    /// Starts another program as the shim: one that calls [`super::shim_main`] for the subcommand
    /// `sandbox-shim`, before it starts any thread.
    pub fn with_shim(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// Builds the sandbox and holds the command back until [`Held::go`]. Blocks for some ten
    /// milliseconds.
    ///
    /// Fails when the specification cannot be carried out, or when any step of the isolation does
    /// not succeed: there is no partial sandbox. Where the system refuses namespaces altogether
    /// and `allow_unisolated` is set, the command is held unisolated and [`Held::isolation`] says
    /// why.
    pub fn spawn(&self, mut spec: Spec) -> Result<Held, SandboxError> {
        let stdio = std::mem::take(&mut spec.stdio);
        let streams = Streams {
            input: match stdio.input {
                Some(input) => input,
                None => io::stdin()
                    .as_fd()
                    .try_clone_to_owned()
                    .map_err(SandboxError::Shim)?,
            },
            output: stdio.output,
            error: stdio.error,
        };
        match self.isolated(&spec, &streams) {
            Err(SandboxError::Unavailable { stage, problem }) if spec.allow_unisolated => {
                self.unisolated(&spec, streams, format!("{stage}: {problem}"))
            }
            result => result,
        }
    }

    fn isolated(&self, spec: &Spec, streams: &Streams) -> Result<Held, SandboxError> {
        let lease = match Uid::effective().is_root() {
            true => Some(UidLease::take(&spec.uids)?),
            false => None,
        };
        let uid = lease.as_ref().map(UidLease::uid);
        let plan = Plan::new(spec, uid)?;
        if let Some(uid) = uid {
            give(spec, uid)?;
        }
        let network = match spec.network {
            Network::None => "none",
            Network::Host => "host",
        };
        let user = if uid.is_some() { "range" } else { "own" };
        let mut shim = Shim::start(&self.program, &[OUTER, user, network], streams, lease, None)?;
        let init = match shim.receive()? {
            Report::Namespaces { init } => init,
            other => return Err(unexpected(other)),
        };
        let init = Pid::from_raw(init).ok_or(SandboxError::Silent(SUBCOMMAND))?;
        // INVARIANT: a process answers on the channel after this, so the pid was not reused before.
        let descriptor = pidfd_open(init, PidfdFlags::empty()).map_err(shim_error)?;
        shim.build(plan, streams)?;
        let isolation = match shim.receive()? {
            Report::Ready(isolation) => isolation,
            other => return Err(unexpected(other)),
        };
        let namespace = std::fs::metadata(format!("/proc/{}/ns/pid", init.as_raw_nonzero()))
            .map_err(SandboxError::Shim)?
            .ino();
        Ok(shim.hold(init, descriptor, Some(namespace), isolation))
    }

    fn unisolated(
        &self,
        spec: &Spec,
        streams: Streams,
        reason: String,
    ) -> Result<Held, SandboxError> {
        let folder = match &spec.work {
            Work::Folder(path) => Scratch::Kept(path.clone()),
            Work::Fresh => {
                let made = tempfile::Builder::new().prefix("chancery-work-").tempdir();
                Scratch::Fresh(made.map_err(SandboxError::Shim)?)
            }
        };
        let plan = Plan::unisolated(spec, folder.path())?;
        let mut shim = Shim::start(&self.program, &[PLAIN], &streams, None, Some(folder))?;
        let pid = shim.pid;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).map_err(shim_error)?;
        shim.build(plan, &streams)?;
        match shim.receive()? {
            Report::Ready(_) => Ok(shim.hold(pid, descriptor, None, Isolation::Unisolated(reason))),
            other => Err(unexpected(other)),
        }
    }
}

struct Streams {
    input: OwnedFd,
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
}

/// The folder of an unisolated command.
#[derive(Debug)]
enum Scratch {
    Fresh(tempfile::TempDir),
    Kept(PathBuf),
}

impl Scratch {
    fn path(&self) -> &Path {
        match self {
            Scratch::Fresh(made) => made.path(),
            Scratch::Kept(path) => path,
        }
    }
}

/// A shim that was started; when this is dropped its channel closes, and it ends.
struct Shim {
    pid: Pid,
    control: UnixStream,
    exit: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Shim {
    fn start(
        program: &Path,
        arguments: &[&str],
        streams: &Streams,
        lease: Option<UidLease>,
        folder: Option<Scratch>,
    ) -> Result<Self, SandboxError> {
        let (control, theirs) = UnixStream::pair().map_err(SandboxError::Shim)?;
        control
            .set_read_timeout(Some(PATIENCE))
            .map_err(SandboxError::Shim)?;
        let mut command = Command::new(program);
        command
            .arg(SUBCOMMAND)
            .args(arguments.iter().map(OsString::from))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(stream(streams.output.as_ref())?)
            .stderr(stream(streams.error.as_ref())?);
        let (started, start) = std::sync::mpsc::sync_channel(1);
        let (ended, exit) = oneshot::channel();
        // The kernel ends the shim when the thread that started it ends, so that thread must wait
        // for it; a thread of an executor would not.
        thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || keep(command, &started, ended, (lease, folder)))
            .map_err(SandboxError::Shim)?;
        let pid = start
            .recv()
            .map_err(io::Error::other)
            .flatten()
            .map_err(SandboxError::Shim)?;
        Ok(Self { pid, control, exit })
    }

    fn receive(&mut self) -> Result<Report, SandboxError> {
        receive(&mut self.control).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                SandboxError::Silent(SUBCOMMAND)
            }
            _ => SandboxError::Shim(error),
        })
    }

    fn build(&mut self, plan: Plan, streams: &Streams) -> Result<(), SandboxError> {
        let order = Order::Build(Box::new(plan));
        send_with(&mut self.control, &order, streams.input.as_fd()).map_err(|error| {
            match error.kind() {
                io::ErrorKind::InvalidInput => SandboxError::Spec {
                    field: "argv and env",
                    problem: SpecProblem::TooLarge,
                },
                _ => SandboxError::Shim(error),
            }
        })
    }

    fn hold(
        self,
        init: Pid,
        init_descriptor: OwnedFd,
        namespace: Option<u64>,
        isolation: Isolation,
    ) -> Held {
        Held::new(Parts {
            init,
            init_descriptor,
            namespace,
            isolation,
            control: self.control,
            exit: self.exit,
        })
    }
}

/// Starts the shim, waits for its end, and only then lets its user and folder go.
fn keep(
    mut command: Command,
    started: &std::sync::mpsc::SyncSender<io::Result<Pid>>,
    ended: oneshot::Sender<io::Result<ExitStatus>>,
    belongings: (Option<UidLease>, Option<Scratch>),
) {
    let spawned = command.spawn();
    // The shim's end of the channel must be its alone, or its death would go unnoticed.
    drop(command);
    let child = spawned.and_then(|child| Ok((pid(&child)?, child)));
    match child {
        Err(error) => {
            // The launcher hears of it or has gone.
            let _ = started.send(Err(error));
        }
        Ok((pid, mut child)) => {
            let _ = started.send(Ok(pid));
            let status = child.wait();
            drop(belongings);
            let _ = ended.send(status);
        }
    }
}

fn pid(child: &Child) -> io::Result<Pid> {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn stream(own: Option<&OwnedFd>) -> Result<Stdio, SandboxError> {
    match own {
        Some(own) => Ok(own.try_clone().map_err(SandboxError::Shim)?.into()),
        None => Ok(Stdio::inherit()),
    }
}

/// Gives the launch's user what is its alone.
fn give(spec: &Spec, uid: u32) -> Result<(), SandboxError> {
    let chown = |field, path: &Path| {
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
        nix::unistd::chown(path, Some(user), Some(group)).map_err(|errno| SandboxError::Path {
            field,
            path: path.to_owned(),
            source: errno.into(),
        })
    };
    for socket in spec.sockets.iter().filter(|socket| socket.owned) {
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&socket.host, private).map_err(|source| SandboxError::Path {
            field: "sockets",
            path: socket.host.clone(),
            source,
        })?;
        chown("sockets", &socket.host)?;
    }
    match &spec.work {
        Work::Folder(path) => chown("work", path),
        Work::Fresh => Ok(()),
    }
}

fn unexpected(report: Report) -> SandboxError {
    match report {
        Report::Failed { stage, problem } if stage.is_ability() => {
            SandboxError::Unavailable { stage, problem }
        }
        Report::Failed { stage, problem } => SandboxError::Failed { stage, problem },
        _ => SandboxError::Silent(SUBCOMMAND),
    }
}

fn shim_error(error: rustix::io::Errno) -> SandboxError {
    SandboxError::Shim(error.into())
}
