use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, UpdateVersion};
use tokio::time::{Instant, sleep};

use super::said::said;

/// How long a request that failed waits before it is made again.
const PAUSE: Duration = Duration::from_millis(200);

/// No object is larger: a bundle of the largest entries, or a segment of the write-ahead log that is
/// written at once, is hardly more than 16 MiB.
const MAX_OBJECT: u64 = 17 << 20;

/// So many requests are under way at a time.
pub(super) const AT_A_TIME: usize = 16;

/// Objects below a prefix. What failed is tried again for a bounded time, and a write that may or may
/// not have happened is looked up, never assumed.
#[derive(Clone)]
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
#[derive(Debug, Clone)]
pub(super) struct Version(UpdateVersion);

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        // What `If-Match` compares; a store may say more of it on one request than on another.
        self.0.e_tag == other.0.e_tag
    }
}

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
                Err(error) => tries.again("GET", &key, error).await?,
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
                Err(error) => tries.again("HEAD", &key, error).await?,
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
        if bytes.len() as u64 > MAX_OBJECT {
            let too_large = io::Error::new(io::ErrorKind::FileTooLarge, name);
            return Err(PutError::Failed(too_large));
        }
        let mode = match &expected {
            Expected::Absent => PutMode::Create,
            Expected::As(Version(version)) => PutMode::Update(version.clone()),
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
            // An earlier try may have been carried out although nobody heard of it. And a store that
            // answers 409 asks for another try: only what is there, or 412, says that somebody else
            // was faster.
            match (self.get_once(&key).await, &expected) {
                (Ok(found), _) if found.bytes == bytes => return Ok(found.version),
                (Ok(_), Expected::Absent) => return Err(PutError::Refused),
                (Ok(found), Expected::As(version)) if found.version != *version => {
                    return Err(PutError::Refused);
                }
                (Err(Error::NotFound { .. }), _) if is_refusal(&error) => {
                    return Err(PutError::Refused);
                }
                _ => {
                    let again = tries.again("PUT", &key, error).await;
                    again.map_err(PutError::Failed)?;
                }
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
                Err(error) => tries.again("LIST", &key, error).await?,
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
                Err(error) => tries.again("LIST", &key, error).await?,
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
                Err(error) => tries.again("DELETE", key, error).await?,
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
        if size > MAX_OBJECT {
            let source = "larger than any object of a log".into();
            return Err(Error::NotSupported { source });
        }
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

    /// How long something is tried from now on.
    pub(super) fn tries(&self) -> Tries {
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
pub(super) struct Tries {
    deadline: Instant,
}

impl Tries {
    /// Waits a moment, or returns the error where the same request will not fare better or was made
    /// for long enough.
    async fn again(&self, operation: &str, key: &Key, error: Error) -> io::Result<()> {
        if is_final(&error) {
            return Err(said(operation, key, &error));
        }
        self.pause(said(operation, key, &error)).await
    }

    /// Waits a moment, or returns the error where it was tried for long enough.
    pub(super) async fn pause(&self, error: io::Error) -> io::Result<()> {
        if Instant::now() >= self.deadline {
            return Err(error);
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

/// Whether the store says that the condition of a write does not hold. 409 is no such answer, which the
/// client reports as it reports 412 where an object is to be created.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Precondition { .. } | Error::NotModified { .. } => true,
        Error::AlreadyExists { source, .. } => source.downcast_ref().is_some_and(is_refusal),
        _ => false,
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
