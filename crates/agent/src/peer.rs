//! Who is at the other end of a Unix socket.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};

/// The process that connected a socket, by the kernel's word. Where the kernel gives a pidfd (6.5
/// and later) the process id is this process's and not that of one that came after it.
#[derive(Debug)]
pub struct PeerProcess {
    pid: i32,
    uid: u32,
    pidfd: Option<OwnedFd>,
}

impl PeerProcess {
    /// Who connected this socket. Fails when the process has exited or is not visible from here.
    pub fn of(socket: &impl AsFd) -> io::Result<Self> {
        let peer = getsockopt(socket, sockopt::PeerCredentials)?;
        let pidfd = match getsockopt(socket, sockopt::PeerPidfd) {
            Ok(pidfd) => Some(pidfd),
            Err(Errno::ENOPROTOOPT) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(pidfd) = &pidfd
            && pid_of(pidfd)? != peer.pid()
        {
            return Err(io::Error::other("the peer's process id was used again"));
        }
        if peer.pid() <= 0 {
            return Err(io::Error::other(
                "the peer is not visible from this pid namespace",
            ));
        }
        Ok(Self {
            pid: peer.pid(),
            uid: peer.uid(),
            pidfd,
        })
    }

    /// Its process id, as seen from here.
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Its effective user when it connected.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The inode of its pid namespace.
    pub fn pid_namespace(&self) -> io::Result<u64> {
        let inode = fs::metadata(format!("/proc/{}/ns/pid", self.pid))?.ino();
        if self.is_alive()? {
            Ok(inode)
        } else {
            Err(io::Error::other("the peer has exited"))
        }
    }

    fn is_alive(&self) -> io::Result<bool> {
        let Some(pidfd) = &self.pidfd else {
            return Ok(true);
        };
        let mut waited = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut waited, PollTimeout::ZERO)? == 0)
    }
}

fn pid_of(pidfd: &OwnedFd) -> io::Result<i32> {
    let information = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = information
        .lines()
        .find_map(|line| line.strip_prefix("Pid:"));
    pid.and_then(|pid| pid.trim().parse().ok())
        .ok_or_else(|| io::Error::other("the kernel does not say whose pidfd it is"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn names_the_process_at_the_other_end() {
        let (near, _far) = UnixStream::pair().unwrap();
        let peer = PeerProcess::of(&near).unwrap();
        assert_eq!(peer.pid(), i32::try_from(std::process::id()).unwrap());
        let own = fs::metadata("/proc/self/ns/pid").unwrap().ino();
        assert_eq!(peer.pid_namespace().unwrap(), own);
    }

    #[test]
    fn what_is_no_unix_socket_has_no_peer() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(PeerProcess::of(&stream).is_err());
    }
}
