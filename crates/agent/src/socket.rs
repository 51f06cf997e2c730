use std::fs::{Permissions, remove_file, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, chown};
use tokio::net::{UnixListener, UnixStream};

use crate::peer::PeerProcess;

/// A Unix socket of mode 0600 for one user. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct PrivateSocket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl PrivateSocket {
    /// Binds a path where nothing is; `owner` is the user who may connect, this process's where it
    /// is not given.
    pub(crate) fn bind(path: &Path, owner: Option<u32>) -> io::Result<Self> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let listener = UnixListener::bind(path).map_err(named)?;
        let own = Uid::effective().as_raw();
        let socket = Self {
            listener,
            path: path.to_owned(),
            owner: owner.unwrap_or(own),
        };
        set_permissions(path, Permissions::from_mode(0o600)).map_err(named)?;
        if socket.owner != own {
            chown(path, Some(Uid::from_raw(socket.owner)), None)
                .map_err(|error| named(error.into()))?;
        }
        Ok(socket)
    }

    /// Takes over a socket that is bound to `path` already and belongs to `owner`.
    pub(crate) fn adopt(
        listener: std::os::unix::net::UnixListener,
        path: &Path,
        owner: Option<u32>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            path: path.to_owned(),
            owner: owner.unwrap_or_else(|| Uid::effective().as_raw()),
        })
    }

    /// The next connection of the owner that `admit` takes; others are closed unheard.
    pub(crate) async fn accept(
        &self,
        admit: impl Fn(&PeerProcess) -> bool,
    ) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            match PeerProcess::of(&stream) {
                Ok(peer) if peer.uid() == self.owner && admit(&peer) => return Ok(stream),
                Ok(peer) => {
                    let (pid, uid) = (peer.pid(), peer.uid());
                    tracing::warn!(pid, uid, socket = %self.path.display(), "peer refused");
                }
                Err(error) => {
                    tracing::warn!(%error, socket = %self.path.display(), "unknown peer refused");
                }
            }
        }
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        if let Err(error) = remove_file(&self.path) {
            tracing::debug!(%error, socket = %self.path.display(), "socket not removed");
        }
    }
}
