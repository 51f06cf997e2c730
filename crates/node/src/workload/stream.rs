use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::cmsg_space;
use nix::sys::socket::UnixCredentials;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

use super::frames::Frames;
use crate::peer::Peer;

/// A client's connection as the HTTP library sees it: what the client sends is made acceptable on
/// the way, and comes from the process that connected or ends the connection.
#[derive(Debug)]
pub(super) struct WorkloadStream {
    peer: Arc<Peer>,
    frames: Frames,
    control: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl WorkloadStream {
    pub(super) fn new(peer: Arc<Peer>, place: OwnedSemaphorePermit) -> Self {
        Self {
            peer,
            frames: Frames::new(),
            control: cmsg_space!(UnixCredentials),
            _place: place,
        }
    }
}

impl Drop for WorkloadStream {
    fn drop(&mut self) {
        self.peer.connection().ended();
    }
}

impl Connected for WorkloadStream {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for WorkloadStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let connection = this.peer.connection();
        let sender = ready!(connection.poll_receive(cx, buffer, &mut this.control))?;
        let Some(new) = buffer.filled_mut().get_mut(before..) else {
            return Poll::Ready(Ok(()));
        };
        if new.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !this.peer.wrote(sender) {
            let pid = this.peer.process().pid();
            tracing::warn!(pid, ?sender, "another process than the one that connected");
            buffer.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::PermissionDenied.into()));
        }
        this.frames.rewrite(new);
        for payload in this.frames.answers() {
            connection.answered(payload);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WorkloadStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.peer.connection().poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.peer.connection().shut_down())
    }
}
