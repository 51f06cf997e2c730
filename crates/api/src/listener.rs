//! A Unix socket that only its owner may use.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};

/// Listens on a socket of mode 0600 and hands out only connections whose peer has this process's
/// effective user: the mode keeps others out, the peer's credential proves it.
#[derive(Debug)]
pub struct OwnerListener {
    inner: UnixListener,
    path: PathBuf,
}

impl OwnerListener {
    /// Binds; a socket that nobody serves any more is replaced, one that answers is not.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!(
                    "{}: another process serves this socket; stop it first",
                    path.display()
                ),
            ));
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let inner = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            inner,
            path: path.to_owned(),
        })
    }

    /// The next connection of the owner; others are dropped unheard.
    pub async fn accept_owner(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.inner.accept().await?;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == Uid::effective().as_raw() => return Ok(stream),
                Ok(peer) => {
                    tracing::warn!(uid = peer.uid(), socket = %self.path.display(), "refused");
                }
                Err(error) => tracing::warn!(%error, "peer without credentials refused"),
            }
        }
    }
}

impl axum::serve::Listener for OwnerListener {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        loop {
            match self.accept_owner().await {
                Ok(stream) => return (stream, ()),
                Err(error) => {
                    tracing::error!(%error, "accept failed");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}
