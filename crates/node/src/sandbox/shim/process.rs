//! What every shim does to itself first.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::Failure;
use crate::sandbox::error::Stage;

/// The channel to the launcher, which stands where standard input will be.
pub(super) fn control() -> io::Result<UnixStream> {
    let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Standard input of another kind means that a person called.
    channel.peer_addr()?;
    Ok(channel)
}

/// Ties this process to its parent, keeps its memory out of core files, and closes whatever was
/// inherited besides the standard streams and `keep`.
pub(super) fn prepare(keep: &UnixStream) -> Result<(), Failure> {
    die_with_parent()?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(Stage::Start.at("core files"))?;
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(Stage::Start.at("/proc/self/task"))?
        .count();
    if threads != 1 {
        return Err(Stage::Start.failed(format!("{threads} threads run in it; it may have one")));
    }
    close_inherited(keep.as_raw_fd()).map_err(Stage::Start.at("closing what was inherited"))
}

/// Has the kernel kill this process when its parent ends. A change of user undoes it.
pub(super) fn die_with_parent() -> Result<(), Failure> {
    set_pdeathsig(Signal::SIGKILL).map_err(Stage::Start.at("parent's death"))
}

fn close_inherited(keep: RawFd) -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse::<RawFd>().ok());
            number.ok_or_else(|| io::ErrorKind::InvalidData.into())
        })
        .collect::<io::Result<Vec<_>>>()?;
    // The folder that was read is closed by now, and one of these numbers was its.
    for number in open.into_iter().filter(|it| *it > 2 && *it != keep) {
        match nix::unistd::close(number) {
            Ok(()) | Err(nix::errno::Errno::EBADF) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
