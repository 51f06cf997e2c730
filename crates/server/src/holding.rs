use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chancery_crypto::{KeyFileError, replace_private_file};
use chancery_store::{Fence, Store, StoreError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a server holds its place without renewing it, by the database's clock.
const LEASE: Duration = Duration::from_secs(15);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(3);

/// After how long without a renewal a server ends, counted from before it last asked: earlier than
/// the database gives the place to another one.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long one that waits for the place leaves it alone.
const RETRY: Duration = Duration::from_millis(500);

/// The setting of the tables that says how far the places have come.
const NOTED: &str = "place";

/// The place of the one server that writes a log while others could: held in the database, renewed
/// from the moment that it is taken, and let go on end.
///
/// Guarantees that [`Holding::lost`] is ready before anybody else can have the place, as long as the
/// process runs and the threads of its runtime are not all blocked; whoever works must end then.
///
/// How far the places have come is noted in the tables and then, for as long as the place is held, in a
/// file beside the log: tables that are an older copy than what the file has seen give nobody a place.
#[derive(Debug)]
pub struct Holding {
    store: Store,
    fence: Fence,
    renewing: JoinHandle<()>,
}

/// Why nobody has the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldingError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tables have forgotten what this data folder has seen of them.
    #[error(
        "{place}: these tables are an older copy: they are at {found}, and {} has seen {expected}; put the latest copy of the \
         database in its place, or, to go on without what was registered, admitted and put out since, remove that file",
        file.display()
    )]
    Older {
        /// The database.
        place: String,
        /// What it has.
        found: Noted,
        /// What it had.
        expected: Noted,
        /// The file that remembers it.
        file: PathBuf,
    },
    /// The file that remembers does not hold what it must.
    #[error("{}: it does not say how far the places have come; restore it, or remove it", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
    },
    /// The file that remembers cannot be read or written.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The same.
    #[error(transparent)]
    Write(#[from] KeyFileError),
}

/// Who wants the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceHolder {
    /// The process.
    pub process: u32,
    /// The data folder that it alone works in, by a name that no other folder has on no other machine:
    /// whoever had the place under the same name has ended.
    pub folder: String,
}

impl PlaceHolder {
    /// Whether another holder was one of the same folder.
    fn is_after(&self, other: &str) -> bool {
        let rest = other.strip_prefix("process ");
        let folder = rest.and_then(|rest| rest.split_once(" of "));
        folder.is_some_and(|(_, folder)| folder == self.folder)
    }
}

impl std::fmt::Display for PlaceHolder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "process {} of {}", self.process, self.folder)
    }
}

/// How far the places have come: which holding of it, and how many renewals of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Noted {
    epoch: u64,
    renewals: u64,
}

impl std::fmt::Display for Noted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "place {}, renewal {}", self.epoch, self.renewals)
    }
}

impl FromStr for Noted {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let rest = text.strip_prefix("place ").ok_or(())?;
        let (epoch, renewals) = rest.split_once(", renewal ").ok_or(())?;
        let noted = Self {
            epoch: epoch.parse().map_err(|_| ())?,
            renewals: renewals.parse().map_err(|_| ())?,
        };
        // In the one way that there is.
        (noted.to_string() == text).then_some(noted).ok_or(())
    }
}

impl Holding {
    /// Waits until nobody holds the place of that name any more, and takes it for `holder`; from one of
    /// the same data folder at once. Says who has it in the meantime. Refuses tables that are older than what the file `noted` has seen.
    pub async fn take(
        store: Store,
        name: &str,
        holder: &PlaceHolder,
        noted: &Path,
    ) -> Result<Self, HoldingError> {
        let (mut told, named) = (None, holder.to_string());
        loop {
            let before = store.holder_of_fence(name).await?;
            let ended = before.as_deref().filter(|other| holder.is_after(other));
            let asked = Instant::now();
            let taken = store.take_fence_after(name, &named, ended, LEASE);
            if let Some(fence) = taken.await? {
                tracing::info!(name, epoch = fence.epoch(), "the place is taken");
                if let Err(error) = begin(&store, &fence, noted).await {
                    store.release_fence(&fence).await?;
                    return Err(error);
                }
                let renewing = renew(store.clone(), fence.clone(), asked + DEADLINE, noted.into());
                return Ok(Self {
                    renewing: tokio::spawn(renewing),
                    store,
                    fence,
                });
            }
            let other = store.holder_of_fence(name).await?;
            if told != other {
                tracing::warn!(
                    name,
                    holder = other,
                    "another server writes; waiting for its place"
                );
                told = other;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Which holding of the place it is.
    pub const fn epoch(&self) -> u64 {
        self.fence.epoch()
    }

    /// Returns once the place cannot be relied on any more.
    pub async fn lost(&mut self) {
        // However it ended, nobody renews any more.
        let _ended = (&mut self.renewing).await;
    }

    /// Lets the place go, so that the next one need not wait.
    pub async fn release(self) -> Result<(), StoreError> {
        self.renewing.abort();
        let (store, fence) = (self.store.clone(), self.fence.clone());
        store.release_fence(&fence).await
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Compares the tables with what the file has seen, and notes the place that was taken.
async fn begin(store: &Store, fence: &Fence, file: &Path) -> Result<(), HoldingError> {
    let known = store.meta(NOTED).await?;
    let found = known.as_deref().map(str::parse::<Noted>);
    let found = match found {
        Some(Ok(found)) => found,
        // Tables from before it was noted, or of nobody yet.
        _ => Noted {
            epoch: 0,
            renewals: 0,
        },
    };
    let seen = read(file)?;
    // Tables of nobody are somebody else's to judge.
    if let Some(expected) = seen.filter(|seen| *seen > found && known.is_some()) {
        return Err(HoldingError::Older {
            place: store.place().to_owned(),
            found,
            expected,
            file: file.to_owned(),
        });
    }
    note(store, fence, 0, file).await
}

/// What the file has seen; nothing where there is none.
fn read(file: &Path) -> Result<Option<Noted>, HoldingError> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let file = file.to_owned();
            return Err(HoldingError::File { file, source });
        }
    };
    let noted = text.trim_end().parse::<Noted>();
    let noted = noted.map_err(|()| HoldingError::Unreadable {
        file: file.to_owned(),
    });
    noted.map(Some)
}

/// Notes how far it has come, in the tables first: the file never knows of more than they have.
/// Whoever lost the place notes nothing.
async fn note(
    store: &Store,
    fence: &Fence,
    renewals: u64,
    file: &Path,
) -> Result<(), HoldingError> {
    let now = Noted {
        epoch: fence.epoch(),
        renewals,
    };
    let text = now.to_string();
    if store.set_meta_within(fence, NOTED, &text).await? {
        let at = file.to_owned();
        // On a thread that may wait: a disk that stalls does not keep whoever renews from giving up.
        let replacing = tokio::task::spawn_blocking(move || {
            replace_private_file(&at, format!("{text}\n").as_bytes())
        });
        let replaced = replacing.await.map_err(|error| HoldingError::File {
            file: file.to_owned(),
            source: std::io::Error::other(error),
        });
        replaced??;
    }
    Ok(())
}

/// Renews the place again and again; returns once it cannot be relied on any more.
async fn renew(store: Store, fence: Fence, mut until: Instant, file: PathBuf) {
    let mut renewals = 0;
    loop {
        let next = (Instant::now() + RENEWAL).min(until);
        tokio::time::sleep_until(next).await;
        let asked = Instant::now();
        let renewing = store.renew_fence(&fence, LEASE);
        match tokio::time::timeout_at(until, renewing).await {
            Ok(Ok(true)) => {
                until = asked + DEADLINE;
                renewals += 1;
                let noting = note(&store, &fence, renewals, &file);
                if let Ok(Err(error)) = tokio::time::timeout_at(until, noting).await {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "how far the tables have come is not noted");
                }
            }
            Ok(Ok(false)) => {
                tracing::error!(name = fence.name(), "another server has the place");
                return;
            }
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the place is not renewed");
            }
            Err(_) => {}
        }
        if Instant::now() >= until {
            tracing::error!(name = fence.name(), "the place was not renewed in time");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use chancery_journal::Keyring;

    use super::*;

    static HERE: LazyLock<PlaceHolder> = LazyLock::new(|| of(1, "here"));

    #[test]
    fn only_a_holder_of_the_very_same_folder_is_known_to_have_ended() {
        let holder = PlaceHolder {
            process: 7,
            folder: "/data of a (boot 1, file 2:3)".to_owned(),
        };
        assert_eq!(
            holder.to_string(),
            "process 7 of /data of a (boot 1, file 2:3)"
        );
        assert!(holder.is_after("process 8 of /data of a (boot 1, file 2:3)"));
        for other in [
            "process 8 of /data of a (boot 2, file 2:3)",
            "process 8 of /data of a (boot 1, file 2:4)",
            "process 8 of /other (boot 1, file 2:3)",
            "process 8 of /data of a",
            "/data of a (boot 1, file 2:3)",
            "",
        ] {
            assert!(!holder.is_after(other), "{other}");
        }
    }

    fn of(process: u32, folder: &str) -> PlaceHolder {
        PlaceHolder {
            process,
            folder: folder.to_owned(),
        }
    }

    async fn tables(folder: &Path) -> Store {
        let keys = Keyring::open(&folder.join("keys")).unwrap();
        let tables = Store::open(&folder.join("tables.db"), Arc::new(keys)).await;
        tables.unwrap()
    }

    #[tokio::test]
    async fn the_next_of_the_same_folder_waits_for_no_time_to_pass() {
        let folder = tempfile::tempdir().unwrap();
        let (store, noted) = (tables(folder.path()).await, folder.path().join("place"));
        let take = |holder: PlaceHolder| {
            let (store, noted) = (store.clone(), noted.clone());
            async move { Holding::take(store, "server", &holder, &noted).await }
        };
        // It was killed: nobody let it go.
        drop(take(of(1, "here")).await.unwrap());
        let second = take(of(2, "here")).await.unwrap();
        assert_eq!(second.epoch(), 2);
        let elsewhere = tokio::time::timeout(RETRY * 2, take(of(3, "elsewhere")));
        assert!(elsewhere.await.is_err());
        second.release().await.unwrap();
        assert_eq!(take(of(3, "elsewhere")).await.unwrap().epoch(), 3);
        assert_eq!(
            std::fs::read_to_string(&noted).unwrap(),
            "place 3, renewal 0\n"
        );
    }

    #[tokio::test]
    async fn tables_that_are_an_older_copy_give_nobody_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let (store, noted) = (tables(folder.path()).await, folder.path().join("place"));
        let take = || Holding::take(store.clone(), "server", &HERE, &noted);
        for epoch in 1..=2 {
            let taken = take().await.unwrap();
            assert_eq!(taken.epoch(), epoch);
            taken.release().await.unwrap();
        }
        store.set_meta(NOTED, "place 1, renewal 7").await.unwrap();
        for _ in 0..2 {
            let refused = take().await.unwrap_err();
            assert!(matches!(refused, HoldingError::Older { .. }), "{refused}");
            let said = refused.to_string();
            assert!(said.contains("place 1, renewal 7"), "{said}");
            assert!(said.contains("place 2, renewal 0"), "{said}");
        }
        std::fs::write(&noted, "2").unwrap();
        let unreadable = take().await.unwrap_err();
        assert!(matches!(unreadable, HoldingError::Unreadable { .. }));
        // Who is refused keeps nobody waiting.
        std::fs::remove_file(&noted).unwrap();
        let told = tokio::time::timeout(LEASE / 2, take()).await;
        told.unwrap().unwrap();
    }

    #[test]
    fn noting_can_be_given_up_while_the_disk_stalls() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).enable_all().build();
        runtime.unwrap().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (store, file) = (tables(folder.path()).await, folder.path().join("place"));
            let fence = store.take_fence("server", "one", LEASE).await;
            let fence = fence.unwrap().unwrap();
            // The one thread that may wait for the disk does.
            let (goes_on, stalls) = std::sync::mpsc::channel::<()>();
            let _stalled = tokio::task::spawn_blocking(move || stalls.recv());
            let mut noting = std::pin::pin!(note(&store, &fence, 7, &file));
            while store.meta(NOTED).await.unwrap().as_deref() != Some("place 1, renewal 7") {
                let moment = tokio::time::timeout(RETRY / 50, &mut noting);
                assert!(moment.await.is_err());
            }
            let moment = tokio::time::timeout(RETRY / 5, &mut noting);
            assert!(moment.await.is_err());
            assert!(!file.exists());
            drop(goes_on);
            noting.await.unwrap();
            assert_eq!(
                std::fs::read_to_string(&file).unwrap(),
                "place 1, renewal 7\n"
            );
        });
    }

    #[test]
    fn what_is_noted_is_read_in_one_way() {
        let noted = Noted {
            epoch: 3,
            renewals: 12,
        };
        assert_eq!(noted.to_string(), "place 3, renewal 12");
        assert_eq!("place 3, renewal 12".parse(), Ok(noted));
        for bad in [
            "",
            "place 3",
            "place 3, renewal ",
            "place 03, renewal 12",
            "place 3, renewal 12 ",
            "place +3, renewal 12",
            "place 3, renewal -1",
            "3, renewal 12",
        ] {
            assert_eq!(bad.parse::<Noted>(), Err(()), "{bad}");
        }
        let later = |epoch, renewals| Noted { epoch, renewals } > noted;
        assert!(later(4, 0) && later(3, 13) && !later(3, 11) && !later(2, 99));
    }
}
