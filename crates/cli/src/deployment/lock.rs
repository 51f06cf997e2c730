use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::time::{Instant, sleep};

use super::Layout;
use crate::output;

/// How long the parts of a killed `up` may take to end: longer than the gateway finishes its calls.
const PARTS_END: Duration = Duration::from_secs(30);

/// How often a server looks whether another one has ended.
const ANOTHER: Duration = Duration::from_millis(100);

/// Which run of the machine it is.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

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
        let lock = Self(exclusive(&layout.data().join("lock"))?.with_context(|| {
            format!(
                "{}: another `chancery up` runs with this data folder; stop it, or choose another \
                 --data folder",
                layout.data().display()
            )
        })?);
        let deadline = Instant::now() + PARTS_END;
        let mut told = false;
        while exclusive(&layout.data().join(PARTS))?.is_none() {
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
        let path = layout.data().join(PARTS);
        let lock = Flock::lock(open(&path)?, FlockArg::LockShared).map_err(|(_, error)| error);
        Ok(Self(lock.with_context(|| path.display().to_string())?))
    }
}

/// Held by the one server that works in a data folder, for as long as its process lives.
#[derive(Debug)]
pub(crate) struct ServerLock {
    mark: String,
    _lock: Flock<File>,
}

impl ServerLock {
    /// The lock, once no other server of this data folder lives any more: one that was stopped has it
    /// until it goes on and ends, so that it changes nothing behind the back of the next one.
    pub(crate) async fn wait(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.server_lock();
        let mut told = false;
        let lock = loop {
            if let Some(lock) = exclusive(&path)? {
                break lock;
            }
            if !told {
                output::say(format_args!(
                    "{}: another server works in this data folder; waiting until it has ended",
                    path.display()
                ));
                told = true;
            }
            sleep(ANOTHER).await;
        };
        let of = lock.metadata().context(path.display().to_string())?;
        let boot = std::fs::read_to_string(BOOT).context(BOOT)?;
        let mark = format!("boot {}, file {}:{}", boot.trim(), of.dev(), of.ino());
        Ok(Self { mark, _lock: lock })
    }

    /// Which file of which run of which machine it is: who names the same mark has held this very lock,
    /// and does so no more.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }
}

/// The lock, unless somebody holds it.
fn exclusive(path: &Path) -> anyhow::Result<Option<Flock<File>>> {
    match Flock::lock(open(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).context(path.display().to_string()),
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(path);
    file.with_context(|| path.display().to_string())
}
