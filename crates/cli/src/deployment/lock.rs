use std::fs::{File, OpenOptions};

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};

use super::Layout;

/// Keeps a second `up` out of a data folder while it is held.
#[derive(Debug)]
pub(crate) struct DataLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl DataLock {
    pub(crate) fn take(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.data().join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .context(path.display().to_string())?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => bail!(
                "{}: another `chancery up` runs with this data folder; stop it, or choose another \
                 --data folder",
                layout.data().display()
            ),
            Err((_, error)) => Err(error).context(path.display().to_string()),
        }
    }
}
