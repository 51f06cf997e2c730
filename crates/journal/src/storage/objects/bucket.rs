use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, UpdateVersion};
use tokio::time::{Instant, sleep};

/// How long a request that failed waits before it is made again.
const PAUSE: Duration = Duration::from_millis(200);

/// So many requests are under way at a time.
pub(super) const AT_A_TIME: usize = 16;

/// Objects below a prefix. What failed is tried again for a bounded time, and a write that may or may
/// not have happened is looked up, never assumed.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    patience: Duration,
    requests: Arc<AtomicU64>,
}

/// An object as it was read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) bytes: Bytes,
    pub(super) version: Version,
}

/// By what a version of an object is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(UpdateVersion);

/// On what an object is written.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    /// That there is none of that name.
    Absent,
    /// That it is as it was seen.
    As(Version),
}

/// Why an object is not written.
#[derive(Debug)]
pub(super) enum PutError {
    /// It is not what was expected: somebody else wrote it.
    Refused,
    /// The store does not say that it is, in the time that it is given.
    Failed(io::Error),
}

impl Bucket {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: Key, patience: Duration) -> Self {
        Self {
            store,
            prefix,
            patience,
            requests: Arc::default(),
        }
    }

    /// The number of requests that were made.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Reads an object whole; none where there is none.
    pub(super) async fn get(&self, name: &str) -> io::Result<Option<Found>> {
        let (key, tries) = (self.key(name), self.tries());
        loop {
            match self.get_once(&key).await {
                Ok(found) => return Ok(Some(found)),
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// The length of an object; none where there is none.
    pub(super) async fn length(&self, name: &str) -> io::Result<Option<u64>> {
        let (key, tries) = (self.key(name), self.tries());
        loop {
            match self.counted().head(&key).await {
                Ok(meta) => return Ok(Some(meta.size)),
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// Writes an object whole, and returns once the store has it; its version then.
    pub(super) async fn put(
        &self,
        name: &str,
        bytes: Bytes,
        expected: Expected,
    ) -> Result<Version, PutError> {
        let key = self.key(name);
        let mode = match expected {
            Expected::Absent => PutMode::Create,
            Expected::As(Version(version)) => PutMode::Update(version),
        };
        let tries = self.tries();
        loop {
            let (bytes, mode) = (bytes.clone(), mode.clone());
            let put = self
                .counted()
                .put_opts(&key, bytes.clone().into(), mode.into());
            let error = match put.await {
                Ok(put) => return Ok(Version(put.into())),
                Err(error) => error,
            };
            let refused = matches!(
                error,
                Error::AlreadyExists { .. }
                    | Error::Precondition { .. }
                    | Error::NotModified { .. }
            );
            // An earlier try may have been carried out although nobody heard of it.
            match self.get_once(&key).await {
                Ok(found) if found.bytes == bytes => return Ok(found.version),
                Ok(_) | Err(Error::NotFound { .. }) if refused => return Err(PutError::Refused),
                _ => tries.again(error).await.map_err(PutError::Failed)?,
            }
        }
    }

    /// Takes an object away, if it is there.
    pub(super) async fn delete(&self, name: &str) -> io::Result<()> {
        self.delete_key(&self.key(name)).await
    }

    /// Takes all objects away that stand in a folder or below it.
    pub(super) async fn delete_folder(&self, folder: &str) -> io::Result<()> {
        let (key, tries) = (self.key(folder), self.tries());
        let found: Vec<_> = loop {
            let objects = self.counted().list(Some(&key));
            let keys = objects.map_ok(|object| object.location);
            match keys.try_collect().await {
                Ok(keys) => break keys,
                Err(error) => tries.again(error).await?,
            }
        };
        for key in found {
            self.delete_key(&key).await?;
        }
        Ok(())
    }

    /// The names in a folder, of objects and of folders.
    pub(super) async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let (key, tries) = (self.key(folder), self.tries());
        let listed = loop {
            match self.counted().list_with_delimiter(Some(&key)).await {
                Ok(listed) => break listed,
                Err(error) => tries.again(error).await?,
            }
        };
        let objects = listed.objects.into_iter().map(|object| object.location);
        let keys = objects.chain(listed.common_prefixes);
        Ok(keys
            .filter_map(|key| key.filename().map(str::to_owned))
            .collect())
    }

    /// Reads objects that must be there, in the order of their names.
    pub(super) async fn get_all(&self, names: Vec<String>) -> io::Result<Vec<Found>> {
        let found = names.into_iter().map(|name| {
            let bucket = self.clone();
            async move {
                let found = bucket.get(&name).await?;
                found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name))
            }
        });
        stream::iter(found).buffered(AT_A_TIME).try_collect().await
    }

    async fn delete_key(&self, key: &Key) -> io::Result<()> {
        let tries = self.tries();
        loop {
            match self.counted().delete(key).await {
                Ok(()) | Err(Error::NotFound { .. }) => return Ok(()),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    async fn get_once(&self, key: &Key) -> Result<Found, Error> {
        let got = self.counted().get(key).await?;
        let (size, version) = (
            got.meta.size,
            UpdateVersion {
                e_tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            },
        );
        let bytes = got.bytes().await?;
        if bytes.len() as u64 != size {
            let source = format!("{} bytes of {size} were read", bytes.len()).into();
            return Err(Error::Generic {
                store: "S3",
                source,
            });
        }
        Ok(Found {
            bytes,
            version: Version(version),
        })
    }

    fn tries(&self) -> Tries {
        Tries {
            deadline: Instant::now() + self.patience,
        }
    }

    fn counted(&self) -> &dyn ObjectStore {
        self.requests.fetch_add(1, Ordering::Relaxed);
        &*self.store
    }

    fn key(&self, name: &str) -> Key {
        Key::from_iter(self.prefix.parts().chain(Key::from(name).parts()))
    }
}

/// Until when a request is made again.
struct Tries {
    deadline: Instant,
}

impl Tries {
    /// Waits a moment, or returns the error where the same request will not fare better or was made
    /// for long enough.
    async fn again(&self, error: Error) -> io::Result<()> {
        if is_final(&error) || Instant::now() >= self.deadline {
            return Err(error.into());
        }
        sleep(PAUSE).await;
        Ok(())
    }
}

impl From<PutError> for io::Error {
    fn from(error: PutError) -> Self {
        match error {
            PutError::Refused => Self::other(
                "somebody else wrote it: another writer has taken over, and this one is to end",
            ),
            PutError::Failed(error) => error,
        }
    }
}

const fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotImplemented { .. }
            | Error::NotSupported { .. }
            | Error::InvalidPath { .. }
    )
}
