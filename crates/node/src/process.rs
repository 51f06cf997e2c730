//! Processes, held by pidfd.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::procfs::{PidNamespace, Stat, Status, pid_of_pidfd};
use crate::record::ProcessRecord;

/// One process, held by its pidfd: while [`Process::is_alive`] says so, its id means this process
/// and no other.
#[derive(Debug, Clone)]
pub struct Process {
    pid: i32,
    uid: u32,
    start_time: u64,
    held: Arc<Held>,
}

/// What holds a process, shared by all who speak of it.
#[derive(Debug)]
struct Held {
    pidfd: OwnedFd,
    /// The same, once somebody waits for the exit.
    watched: OnceLock<AsyncFd<OwnedFd>>,
}

/// The processes that were found again, so that each is held once.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<ProcessRecord, Process>);

impl Known {
    /// The process that an earlier run of the node held, in the same run of the machine.
    pub(crate) fn again(&mut self, record: ProcessRecord) -> Result<Process, ProcessError> {
        if let Some(known) = self.0.get(&record) {
            return Ok(known.clone());
        }
        let process = Process::again(record)?;
        self.0.insert(record, process.clone());
        Ok(process)
    }
}

/// Why a process cannot be attested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It has exited, or is not visible from the node's pid namespace.
    #[error("the process has exited or is not visible to the node")]
    Gone,
    /// The kernel or `/proc` did not answer.
    #[error("the kernel does not say who the process is")]
    Kernel(#[source] io::Error),
    /// What was read belongs to different processes.
    #[error("the process's credentials contradict each other")]
    Contradiction,
}

impl Process {
    /// Who connected this socket, by the kernel's word: `SO_PEERPIDFD`, or on kernels before 6.5
    /// `SO_PEERCRED` with user and start time compared. The fallback cannot see that the process id
    /// was reused between connecting and being accepted by a process of the same user.
    pub fn of_peer(socket: &impl AsFd) -> Result<Self, ProcessError> {
        let peer = getsockopt(socket, sockopt::PeerCredentials).map_err(kernel)?;
        match getsockopt(socket, sockopt::PeerPidfd) {
            Ok(pidfd) => {
                let pid = pid_of_pidfd(pidfd.as_raw_fd()).map_err(ProcessError::Kernel)?;
                let pid = pid.ok_or(ProcessError::Gone)?;
                if pid != peer.pid() {
                    return Err(ProcessError::Contradiction);
                }
                Self::held(pid, peer.uid(), pidfd)
            }
            Err(Errno::ENOPROTOOPT) => {
                let process = Self::open(peer.pid())?;
                if process.uid != peer.uid() {
                    return Err(ProcessError::Contradiction);
                }
                Ok(process)
            }
            Err(Errno::ESRCH | Errno::ENODATA | Errno::EINVAL) => Err(ProcessError::Gone),
            Err(error) => Err(kernel(error)),
        }
    }

    /// The process that has this id now.
    pub fn open(pid: i32) -> Result<Self, ProcessError> {
        // `from_raw` asserts that the number is not negative.
        let id = Pid::from_raw(pid.max(0)).ok_or(ProcessError::Gone)?;
        let before = Stat::of(pid).map_err(|_| ProcessError::Gone)?;
        let pidfd = pidfd_open(id, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH => ProcessError::Gone,
            other => ProcessError::Kernel(other.into()),
        })?;
        let status = Status::of(pid).map_err(|_| ProcessError::Gone)?;
        let process = Self::held(pid, status.uid, pidfd)?;
        if process.start_time == before.start_time {
            Ok(process)
        } else {
            Err(ProcessError::Contradiction)
        }
    }

    /// The process that an earlier run of the node held, in the same run of the machine.
    fn again(record: ProcessRecord) -> Result<Self, ProcessError> {
        let process = Self::open(record.pid)?;
        if process.start_time == record.start_time {
            Ok(process)
        } else {
            Err(ProcessError::Gone)
        }
    }

    /// What finds the process again.
    pub(crate) const fn record(&self) -> ProcessRecord {
        ProcessRecord {
            pid: self.pid,
            start_time: self.start_time,
        }
    }

    fn held(pid: i32, uid: u32, pidfd: OwnedFd) -> Result<Self, ProcessError> {
        let stat = Stat::of(pid).map_err(|_| ProcessError::Gone)?;
        let process = Self {
            pid,
            uid,
            start_time: stat.start_time,
            held: Arc::new(Held {
                pidfd,
                watched: OnceLock::new(),
            }),
        };
        process.while_alive(()).ok_or(ProcessError::Gone)?;
        Ok(process)
    }

    /// The process id in the node's pid namespace.
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// The user: of a peer, at the time it connected.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether the process still runs. A zombie does not.
    pub fn is_alive(&self) -> bool {
        let mut set = [PollFd::new(self.held.pidfd.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut set, PollTimeout::ZERO), Ok(0))
    }

    /// Whether both are the same running process.
    pub fn is_same(&self, other: &Self) -> bool {
        self.pid == other.pid
            && self.start_time == other.start_time
            && self.is_alive()
            && other.is_alive()
    }

    /// Whether both are one and the same hold on a process: what is seen of the one is seen of the other.
    pub(crate) fn is_held_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.held, &other.held)
    }

    /// Kills the process, and no other one that has its id meanwhile. One that has exited stays so.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.held.pidfd, Signal::KILL) {
            Err(error) if error != rustix::io::Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the process has exited.
    pub async fn exited(&self) {
        let Held { pidfd, watched } = &*self.held;
        let watched = match watched.get() {
            Some(watched) => watched,
            None => match pidfd.try_clone().and_then(watch) {
                // Whoever was faster has watched the same.
                Ok(new) => watched.get_or_init(|| new),
                Err(error) => {
                    tracing::error!(%error, pid = self.pid, "process cannot be watched: given up");
                    return;
                }
            },
        };
        // An error of the reactor counts as an exit: nothing vouches for the process then.
        let _ = watched.readable().await;
    }

    /// The pid namespace that the process lives in.
    pub(crate) fn namespace(&self) -> Result<PidNamespace, ProcessError> {
        let namespace = PidNamespace::of(self.pid).map_err(ProcessError::Kernel)?;
        self.while_alive(namespace).ok_or(ProcessError::Gone)
    }

    /// Whether the process is the first one of its pid namespace: the namespace ends with it.
    pub(crate) fn is_namespace_init(&self) -> Result<bool, ProcessError> {
        let status = Status::of(self.pid).map_err(ProcessError::Kernel)?;
        let inner = self.while_alive(status.inner_pid);
        Ok(inner.ok_or(ProcessError::Gone)? == 1)
    }

    /// Whether `ancestor` is this process's parent, or its parent's, and so on.
    pub(crate) fn descends_from(&self, ancestor: &Self) -> Result<bool, ProcessError> {
        let mut pid = self.pid;
        for _ in 0..MAX_GENERATIONS {
            pid = Stat::of(pid).map_err(|_| ProcessError::Gone)?.parent;
            if pid == ancestor.pid {
                // The id meant the ancestor all along, if it still does.
                let both = self.while_alive(()).and_then(|()| ancestor.while_alive(()));
                return both.map(|()| true).ok_or(ProcessError::Gone);
            }
            if pid <= 1 {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// The ids of its parent, of that one's parent, and so on, as far as they are visible.
    pub(crate) fn ancestors(&self) -> Result<Vec<i32>, ProcessError> {
        let (mut pid, mut above) = (self.pid, Vec::new());
        for _ in 0..MAX_GENERATIONS {
            pid = Stat::of(pid).map_err(|_| ProcessError::Gone)?.parent;
            if pid <= 1 {
                break;
            }
            above.push(pid);
        }
        Ok(above)
    }

    /// `value` was read by process id: it counts if the id still means this process.
    pub(crate) fn while_alive<T>(&self, value: T) -> Option<T> {
        self.is_alive().then_some(value)
    }
}

/// How far up a launched process is looked for below its launcher.
const MAX_GENERATIONS: usize = 64;

#[expect(
    deprecated,
    reason = "unsound for types that may change their descriptor, which an OwnedFd never does; its \
              successor is an unsafe function"
)]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

fn kernel(error: Errno) -> ProcessError {
    ProcessError::Kernel(error.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    fn own() -> Process {
        Process::open(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    #[test]
    fn the_kernel_knows_who_connected() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = Process::of_peer(&here).unwrap();
        assert!(peer.is_same(&own()));
        assert_eq!(peer.uid(), nix::unistd::geteuid().as_raw());
    }

    #[tokio::test]
    async fn an_exit_is_seen() {
        let mut child = sleeper();
        let process = Process::open(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.is_alive() && process.descends_from(&own()).unwrap());
        assert!(!own().descends_from(&process).unwrap());
        assert!(!process.is_same(&own()));
        let again = Process::open(process.pid()).unwrap();
        assert!(process.is_same(&again));
        child.kill().unwrap();
        process.exited().await;
        assert!(!process.is_alive() && !process.is_same(&again));
        assert!(process.namespace().is_err());
        child.wait().unwrap();
        assert!(matches!(
            Process::open(process.pid()),
            Err(ProcessError::Gone)
        ));
    }

    #[test]
    fn no_such_process() {
        for pid in [0, -1, i32::MAX] {
            assert!(
                matches!(Process::open(pid), Err(ProcessError::Gone)),
                "{pid}"
            );
        }
    }

    #[test]
    fn this_process_is_in_its_own_namespace() {
        assert_eq!(own().namespace().unwrap(), PidNamespace::own().unwrap());
    }
}
