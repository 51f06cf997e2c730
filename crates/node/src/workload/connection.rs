//! The socket of one client.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use chancery_crypto::random_bytes;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, Shutdown, recvmsg};
use tokio::io::{Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};

use super::MAX_STREAMS;
use super::outgoing::Outgoing;

/// How long a client may take to answer a PING.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most PINGs that wait for their answers, and most that wait to be written: requests that were
/// given up meanwhile may have one each beside those that are open.
const MAX_PINGS: usize = 2 * MAX_STREAMS as usize;

/// A client's socket. It knows which process wrote what it reads, and can ask for a sign of life
/// between two frames of the HTTP library.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    outgoing: Mutex<Outgoing>,
    /// Told when a frame of the library ends that something of ours waits for.
    boundary: Notify,
    /// The PINGs that are not answered yet; none are taken after the end.
    asked: Mutex<Option<HashMap<[u8; 8], oneshot::Sender<()>>>>,
}

/// Nobody who may answered: the client is gone, or does not speak HTTP/2 any more.
#[derive(Debug, thiserror::Error)]
#[error("the connection gave no sign of life")]
pub(crate) struct Unconfirmed;

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            outgoing: Mutex::default(),
            boundary: Notify::new(),
            asked: Mutex::new(Some(HashMap::new())),
        }
    }

    /// Reads, and says which process wrote it, by the kernel's word for this very piece; it never
    /// joins what two processes wrote. Descriptors that come along are an error. `control` has room
    /// for credentials and nothing else.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        control: &mut Vec<u8>,
    ) -> Poll<io::Result<Option<i32>>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let received = self.stream.try_io(Interest::READABLE, || {
                let mut parts = [IoSliceMut::new(buffer.initialize_unfilled())];
                let socket = self.stream.as_raw_fd();
                let flags = MsgFlags::MSG_CMSG_CLOEXEC;
                let message = recvmsg::<()>(socket, &mut parts, Some(&mut *control), flags)?;
                let sender = message.cmsgs()?.find_map(|control| match control {
                    ControlMessageOwned::ScmCredentials(sender) => Some(sender.pid()),
                    _ => None,
                });
                Ok((message.bytes, sender))
            });
            match received {
                Ok((bytes, sender)) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(sender));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Writes for the HTTP library, after what is ours and due.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_send(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.stream.poll_write_ready(cx))?;
                }
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut outgoing = lock(&self.outgoing);
        self.send_ours(&mut outgoing)?;
        let room = outgoing.room(bytes);
        let piece = bytes.get(..room).unwrap_or_default();
        let sent = self.stream.try_write(piece)?;
        outgoing.wrote(piece.get(..sent).unwrap_or_default());
        if outgoing.at_boundary() && outgoing.waits() {
            self.boundary.notify_waiters();
        }
        Ok(sent)
    }

    fn send_ours(&self, outgoing: &mut Outgoing) -> io::Result<()> {
        while let Some(ours) = outgoing.ours() {
            let sent = self.stream.try_write(ours)?;
            outgoing.wrote_ours(sent);
        }
        Ok(())
    }

    /// Asks the client for a sign of life and waits for it. Only the process that connected can give
    /// it: what anybody else writes ends the connection. Who stops waiting leaves nothing behind but
    /// a PING that was not written yet, and of those there are only so many.
    pub(crate) async fn confirm(&self) -> Result<(), Unconfirmed> {
        let payload = random_bytes::<8>().map_err(|_| Unconfirmed)?;
        let (answered, answer) = oneshot::channel();
        match &mut *lock(&self.asked) {
            Some(asked) if asked.len() < MAX_PINGS => asked.insert(payload, answered),
            _ => return Err(Unconfirmed),
        };
        let _asked = Asked {
            connection: self,
            payload,
        };
        if !lock(&self.outgoing).ping(payload, MAX_PINGS) {
            return Err(Unconfirmed);
        }
        let asking = async {
            self.send_pings().await.map_err(|_| Unconfirmed)?;
            answer.await.map_err(|_| Unconfirmed)
        };
        let outcome = tokio::time::timeout(PATIENCE, asking).await;
        outcome.unwrap_or(Err(Unconfirmed))
    }

    /// Waits until everything of ours is written, by this or by another writer.
    async fn send_pings(&self) -> io::Result<()> {
        loop {
            let boundary = self.boundary.notified();
            let due = {
                let mut outgoing = lock(&self.outgoing);
                match self.send_ours(&mut outgoing) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
                if !outgoing.waits() {
                    return Ok(());
                }
                outgoing.ours().is_some()
            };
            if due {
                self.stream.writable().await?;
            } else {
                boundary.await;
            }
        }
    }

    /// A PING was answered.
    pub(super) fn answered(&self, payload: [u8; 8]) {
        let waiting = lock(&self.asked).as_mut().map(|it| it.remove(&payload));
        if let Some(Some(waiting)) = waiting {
            // Who waited may have given up.
            let _ = waiting.send(());
        }
    }

    /// The HTTP library writes no more.
    pub(super) fn shut_down(&self) -> io::Result<()> {
        match nix::sys::socket::shutdown(self.stream.as_raw_fd(), Shutdown::Write) {
            // The client was faster.
            Ok(()) | Err(Errno::ENOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Nothing is read any more: nobody will answer.
    pub(super) fn ended(&self) {
        *lock(&self.asked) = None;
    }
}

/// A PING whose answer somebody waits for.
struct Asked<'a> {
    connection: &'a Connection,
    payload: [u8; 8],
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.connection.answered(self.payload);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use futures_util::future::poll_immediate;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn pair() -> (Connection, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        (Connection::new(here), there)
    }

    fn asked(connection: &Connection) -> usize {
        lock(&connection.asked).as_ref().map_or(0, HashMap::len)
    }

    /// The payload of the next PING.
    async fn ping(there: &mut UnixStream) -> [u8; 8] {
        let mut frame = [0; 17];
        there.read_exact(&mut frame).await.unwrap();
        frame[9..].try_into().unwrap()
    }

    #[tokio::test]
    async fn who_gives_up_asking_leaves_nothing() {
        let (connection, mut there) = pair();
        for _ in 0..3 * MAX_PINGS {
            connection.stream.writable().await.unwrap();
            assert!(connection.confirm().now_or_never().is_none());
            assert_eq!(asked(&connection), 0);
            ping(&mut there).await;
        }
        assert!(!lock(&connection.outgoing).waits());
        // The next one that waits is answered.
        let answer = async { connection.answered(ping(&mut there).await) };
        let (confirmed, ()) = tokio::join!(connection.confirm(), answer);
        assert!(confirmed.is_ok());
    }

    #[tokio::test]
    async fn only_so_many_wait_for_an_answer() {
        let (connection, mut there) = pair();
        let mut waiting = Vec::new();
        for _ in 0..MAX_PINGS {
            connection.stream.writable().await.unwrap();
            let mut one = Box::pin(connection.confirm());
            assert!(poll_immediate(&mut one).await.is_none());
            waiting.push((one, ping(&mut there).await));
        }
        let one_more = connection.confirm().now_or_never();
        assert!(matches!(one_more, Some(Err(Unconfirmed))));
        let (first, payload) = waiting.swap_remove(0);
        connection.answered(payload);
        assert!(first.await.is_ok());
        let mut next = pin!(connection.confirm());
        assert!(poll_immediate(&mut next).await.is_none());
        assert_eq!(asked(&connection), MAX_PINGS);
    }

    #[tokio::test]
    async fn who_reads_nothing_is_asked_only_so_often() {
        let (connection, _there) = pair();
        connection.stream.writable().await.unwrap();
        while connection.stream.try_write(&[0; 4_096]).is_ok() {}
        for _ in 0..MAX_PINGS {
            assert!(connection.confirm().now_or_never().is_none());
        }
        for _ in 0..10 {
            let refused = connection.confirm().now_or_never();
            assert!(matches!(refused, Some(Err(Unconfirmed))));
        }
        assert_eq!(asked(&connection), 0);
    }
}
