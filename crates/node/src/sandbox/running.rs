use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, pidfd_send_signal};
use tokio::sync::oneshot;

use super::error::{SandboxError, Stage};
use super::shim::SUBCOMMAND;
use super::wire::{Isolation, Order, Report, receive, send};

/// A sandbox that is built, with nothing of the command's running in it. Dropping it ends it.
#[derive(Debug)]
pub struct Held {
    parts: Parts,
}

/// A command that was started. Dropping it ends every process of its sandbox.
#[derive(Debug)]
pub struct Running {
    parts: Parts,
    ended: Option<Exit>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this code; 128 and the signal's number when a signal ended it.
    Code(u8),
    /// The sandbox itself was killed.
    Killed,
}

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) init: Pid,
    pub(super) init_descriptor: OwnedFd,
    pub(super) namespace: Option<u64>,
    pub(super) isolation: Isolation,
    pub(super) control: UnixStream,
    pub(super) exit: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Held {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// The process to register: pid 1 of the sandbox, as the launcher's namespace numbers it; the
    /// command's own process when it is unisolated.
    pub fn pid(&self) -> u32 {
        self.parts.init.as_raw_nonzero().get().unsigned_abs()
    }

    /// That process, beyond any reuse of its number.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.parts.init_descriptor.as_fd()
    }

    /// The inode of the sandbox's pid namespace: whoever is in it is of this launch. None when the
    /// command is unisolated.
    pub fn pid_namespace(&self) -> Option<u64> {
        self.parts.namespace
    }

    /// How the command is kept apart.
    pub fn isolation(&self) -> &Isolation {
        &self.parts.isolation
    }

    /// Starts the command.
    ///
    /// Fails, and ends the sandbox, when the command cannot be executed inside.
    pub fn go(mut self) -> Result<Running, SandboxError> {
        let control = &mut self.parts.control;
        send(control, &Order::Go).map_err(SandboxError::Shim)?;
        match receive(control) {
            Ok(Report::Started) => {}
            Ok(Report::Failed {
                stage: Stage::Command,
                problem,
            }) => return Err(SandboxError::Command(problem)),
            // An unisolated shim has become the command: its end of the channel is closed.
            Err(error)
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && self.parts.namespace.is_none() => {}
            Ok(_) => return Err(SandboxError::Silent(SUBCOMMAND)),
            Err(error) => return Err(SandboxError::Shim(error)),
        }
        Ok(Running {
            parts: self.parts,
            ended: None,
        })
    }
}

impl Running {
    /// The process that was registered; see [`Held::pid`].
    pub fn pid(&self) -> u32 {
        self.parts.init.as_raw_nonzero().get().unsigned_abs()
    }

    /// How the command is kept apart.
    pub fn isolation(&self) -> &Isolation {
        &self.parts.isolation
    }

    /// Passes a signal on to the command and its process group. The sandbox has no terminal of
    /// its own, so the launcher passes on what its terminal sends. A number that is no signal, and
    /// a command that has ended, make no error.
    pub fn signal(&mut self, number: i32) -> Result<(), SandboxError> {
        match (self.parts.namespace, Signal::from_named_raw(number)) {
            (_, None) => Ok(()),
            (Some(_), Some(_)) => {
                // A sandbox that has ended reads no more.
                let _ = send(&mut self.parts.control, &Order::Signal(number));
                Ok(())
            }
            (None, Some(signal)) => {
                let _ = pidfd_send_signal(&self.parts.init_descriptor, signal);
                Ok(())
            }
        }
    }

    /// Ends every process of the sandbox at once.
    pub fn kill(&self) {
        self.parts.kill();
    }

    /// Waits for the command's end; whatever it left running ends with it. May be cancelled and
    /// called again.
    pub async fn wait(&mut self) -> Result<Exit, SandboxError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        if self.parts.exit.is_terminated() {
            return Err(SandboxError::Silent(SUBCOMMAND));
        }
        let ended = exit((&mut self.parts.exit).await)?;
        self.ended = Some(ended);
        Ok(ended)
    }

    /// As [`Running::wait`], for callers without an executor; inside one it panics, as every
    /// blocking receive of tokio does.
    pub fn wait_blocking(mut self) -> Result<Exit, SandboxError> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let (_, gone) = oneshot::channel();
        let waiting = std::mem::replace(&mut self.parts.exit, gone);
        exit(waiting.blocking_recv())
    }
}

impl Parts {
    fn kill(&self) {
        // It may have ended already.
        let _ = pidfd_send_signal(&self.init_descriptor, Signal::KILL);
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.kill();
    }
}

fn exit(
    ended: Result<io::Result<ExitStatus>, oneshot::error::RecvError>,
) -> Result<Exit, SandboxError> {
    let status = ended
        .map_err(|_| SandboxError::Silent(SUBCOMMAND))?
        .map_err(SandboxError::Shim)?;
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) if signal != Signal::KILL.as_raw() => 128 + signal,
        _ => return Ok(Exit::Killed),
    };
    Ok(u8::try_from(code).map_or(Exit::Killed, Exit::Code))
}
