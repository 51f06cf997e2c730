//! What launcher and shim say to each other: length-prefixed JSON on a socket pair.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Stage;
use super::plan::Plan;

/// The longest message: room for the largest argument list that Linux takes.
pub(super) const LONGEST: u32 = 16 * 1024 * 1024;

/// From the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// What to build; standard input travels with it.
    Build(Box<Plan>),
    /// Start the command.
    Go,
    /// Send the command's process group a signal.
    Signal(i32),
}

/// From a shim.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The namespaces exist; this is their pid 1, as the launcher sees it.
    Namespaces { init: i32 },
    /// Everything is in place; the command has not started.
    Ready(Isolation),
    /// The command runs.
    Started,
    /// A step failed; the shim ends.
    Failed { stage: Stage, problem: String },
}

/// How a command is kept apart, as the evidence of its launch states it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In namespaces of its own.
    Isolated(Confinement),
    /// Not at all, and why.
    Unisolated(String),
}

/// The facts of an isolation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The user that the command is to the host.
    pub uid: u32,
    /// Whether that user is this launch's alone.
    pub own_uid: bool,
    /// Whether the command has the host's network.
    pub network: super::Network,
    /// What Landlock adds.
    pub landlock: Landlock,
}

/// What Landlock adds to the namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Landlock {
    /// Every rule of the newest version that we know.
    Full,
    /// The rules of this version of the kernel's interface.
    Version(u8),
    /// Nothing: the kernel has no Landlock, or it is switched off.
    Absent,
}

pub(super) fn send(to: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let content = serde_json::to_vec(message)?;
    let length = length(&content)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&content)
}

/// Sends a message and a descriptor with it.
pub(super) fn send_with(
    to: &mut UnixStream,
    message: &impl Serialize,
    descriptor: BorrowedFd<'_>,
) -> io::Result<()> {
    let content = serde_json::to_vec(message)?;
    let prefix = length(&content)?.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let sent = sendmsg(
        to.as_fd(),
        &[IoSlice::new(&prefix)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    if sent != prefix.len() {
        return Err(io::Error::from(io::ErrorKind::WriteZero));
    }
    to.write_all(&content)
}

pub(super) fn receive<T: DeserializeOwned>(from: &mut UnixStream) -> io::Result<T> {
    let mut prefix = [0; 4];
    from.read_exact(&mut prefix)?;
    body(from, prefix)
}

/// Receives a message and the one descriptor that came with it.
pub(super) fn receive_with<T: DeserializeOwned>(from: &mut UnixStream) -> io::Result<(T, OwnedFd)> {
    let mut prefix = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        from.as_fd(),
        &mut [IoSliceMut::new(&mut prefix)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes != prefix.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let descriptor = descriptor.ok_or_else(|| io::Error::other("no descriptor came with it"))?;
    Ok((body(from, prefix)?, descriptor))
}

fn length(content: &[u8]) -> io::Result<u32> {
    u32::try_from(content.len())
        .ok()
        .filter(|length| *length <= LONGEST)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn body<T: DeserializeOwned>(from: &mut UnixStream, prefix: [u8; 4]) -> io::Result<T> {
    let length = u32::from_le_bytes(prefix);
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = Vec::new();
    from.take(length.into()).read_to_end(&mut content)?;
    Ok(serde_json::from_slice(&content)?)
}
