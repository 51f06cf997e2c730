use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::peer::BrokerPeer;
use crate::workload::Frames;

/// A broker's connection as the HTTP library sees it: what the broker sends is made acceptable on the
/// way, as for workloads.
#[derive(Debug)]
pub(super) struct BrokerStream {
    tls: TlsStream<UnixStream>,
    peer: Arc<BrokerPeer>,
    frames: Frames,
    _place: OwnedSemaphorePermit,
}

impl BrokerStream {
    pub(super) fn new(
        tls: TlsStream<UnixStream>,
        peer: Arc<BrokerPeer>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            tls,
            peer,
            frames: Frames::new(),
            _place: place,
        }
    }
}

impl Connected for BrokerStream {
    type ConnectInfo = Arc<BrokerPeer>;

    fn connect_info(&self) -> Arc<BrokerPeer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for BrokerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.tls).poll_read(cx, buffer))?;
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            this.frames.rewrite(new);
            // Nothing here asks for a sign of life: TLS says who is at the other end.
            drop(this.frames.answers());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for BrokerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_shutdown(cx)
    }
}
