use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::time::{Instant, sleep};

use super::Layout;
use crate::output;

/// How long the parts of a killed `up` may take to end: longer than the gateway finishes its calls.
const PARTS_END: Duration = Duration::from_secs(30);

/// Keeps a second `up` out of a data folder while it is held.
#[derive(Debug)]
pub(crate) struct DataLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

/// Held by each part of a deployment while it lives, so that no other `up` starts beside it.
#[derive(Debug)]
pub(crate) struct PartLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl DataLock {
    /// The lock, once nobody of before is at work in the folder any more. Another `up` is refused at
    /// once; the parts of one that was killed are waited for.
    pub(crate) async fn take(layout: &Layout) -> anyhow::Result<Self> {
        let lock = Self(exclusive(layout, "lock")?.with_context(|| {
            format!(
                "{}: another `chancery up` runs with this data folder; stop it, or choose another \
                 --data folder",
                layout.data().display()
            )
        })?);
        let deadline = Instant::now() + PARTS_END;
        let mut told = false;
        while exclusive(layout, PARTS)?.is_none() {
            if !told {
                output::say("waiting until the processes of a killed `up` have ended");
                told = true;
            }
            if Instant::now() > deadline {
                bail!(
                    "{}: processes of a `chancery up` that was killed are still at work with this data \
                     folder; end them (`pgrep -f {0}` finds them), then start again",
                    layout.data().display()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(lock)
    }
}

const PARTS: &str = "lock-parts";

impl PartLock {
    /// Marks this process as a part at work.
    pub(crate) fn take(layout: &Layout) -> anyhow::Result<Self> {
        let (path, file) = open(layout, PARTS)?;
        let lock = Flock::lock(file, FlockArg::LockShared).map_err(|(_, error)| error);
        Ok(Self(lock.with_context(|| path.display().to_string())?))
    }
}

/// The lock, unless somebody holds it.
fn exclusive(layout: &Layout, name: &str) -> anyhow::Result<Option<Flock<File>>> {
    let (path, file) = open(layout, name)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).context(path.display().to_string()),
    }
}

fn open(layout: &Layout, name: &str) -> anyhow::Result<(PathBuf, File)> {
    let path = layout.data().join(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    Ok((path, file))
}
