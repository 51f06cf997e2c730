use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::Connected;

use super::frames::Frames;
use crate::peer::Peer;

/// A client's connection: what it sends is made acceptable to the HTTP library on the way, and who
/// it is is known from the kernel.
#[derive(Debug)]
pub(super) struct WorkloadStream<S> {
    inner: S,
    frames: Frames,
    peer: Arc<Peer>,
    _place: OwnedSemaphorePermit,
}

impl<S> WorkloadStream<S> {
    pub(super) fn new(inner: S, peer: Arc<Peer>, place: OwnedSemaphorePermit) -> Self {
        Self {
            inner,
            frames: Frames::new(),
            peer,
            _place: place,
        }
    }
}

impl<S> Connected for WorkloadStream<S> {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WorkloadStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            self.frames.rewrite(new);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WorkloadStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
