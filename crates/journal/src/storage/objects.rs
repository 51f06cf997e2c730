//! Files as objects of an S3-compatible store.

mod bucket;
mod disk;
mod files;
mod held;
mod lease;
mod probe;
mod record;
mod said;
mod sequence;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use tokio::runtime::{Builder, Runtime};

pub use self::record::{Body as RecordBody, Record, RecordError, Write as RecordWrite};

use self::bucket::{AT_A_TIME, Bucket, Expected};
use self::held::Held;
use self::sequence::{Sequence, read, text};

/// How long a holder that does not renew its lease is waited for.
const TERM: Duration = Duration::from_secs(10);

/// How long a store that does not answer is asked again, before the writer ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// A disk in S3-compatible object storage that honours `If-None-Match` and `If-Match` on PUT. What is
/// durable by the words of [`Storage`] is acknowledged by the store.
///
/// A file is an object of its name, written when its folder is synced. One that is written at
/// offsets is a sequence of numbered objects, each created and never replaced. Whoever takes
/// the lock of a folder takes the next number, so that the first write of one who held it before, and
/// was paused or cut off, is refused. A file directly in the folder of a lock is replaced only as its
/// holder saw it; any other is created, and one that is there is compared.
#[derive(Clone)]
pub struct ObjectDisk(Arc<Shared>);

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectDiskError {
    /// Not a place in S3.
    #[error("{0:?}: not a place for a log; write s3://BUCKET/PREFIX")]
    Place(String),
    /// The environment does not say how the store is reached.
    #[error("the S3 client cannot be made of what the environment says")]
    Client(#[source] object_store::Error),
    /// The environment would have the log go over a connection that anybody can change, or be written
    /// by anybody.
    #[error(
        "{0} is refused for a log: a store is reached over https with signed requests; plain http is for a loopback address"
    )]
    Unprotected(&'static str),
    /// The system gives no threads.
    #[error("the S3 client cannot be started")]
    Start(#[source] io::Error),
}

struct Shared {
    bucket: Bucket,
    /// None once it is being dropped.
    runtime: Option<Runtime>,
    term: Duration,
    /// Files whose folder was not synced since they were created or renamed.
    unnamed: Mutex<BTreeMap<PathBuf, Buffer>>,
    /// By the folder of the lock.
    held: Mutex<BTreeMap<PathBuf, Arc<Held>>>,
    /// What others' records say, for whoever reads without the lock.
    read: Mutex<BTreeMap<PathBuf, Sequence>>,
}

type Buffer = Arc<Mutex<Vec<u8>>>;

impl ObjectDisk {
    /// The disk below `s3://BUCKET/PREFIX`. How the store is reached, and by which credentials, is said
    /// by the `AWS_` variables of the environment alone.
    pub fn s3(place: &str) -> Result<Self, ObjectDiskError> {
        let unusable = || ObjectDiskError::Place(place.to_owned());
        let rest = place.strip_prefix("s3://").ok_or_else(unusable)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = Key::parse(prefix).map_err(|_| unusable())?;
        if bucket.is_empty() {
            return Err(unusable());
        }
        let backoff = BackoffConfig {
            max_backoff: Duration::from_secs(1),
            ..BackoffConfig::default()
        };
        let store = protected(AmazonS3Builder::from_env())?
            .with_bucket_name(bucket)
            .with_retry(RetryConfig {
                backoff,
                max_retries: 3,
                retry_timeout: Duration::from_secs(10),
            })
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), "10s")
            .with_config(
                AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout),
                "5s",
            )
            .build()
            .map_err(ObjectDiskError::Client)?;
        Self::on(Arc::new(store), prefix)
    }

    /// The disk below a prefix of any object store that knows conditional writes.
    pub fn on(store: Arc<dyn ObjectStore>, prefix: Key) -> Result<Self, ObjectDiskError> {
        Self::with_times(store, prefix, TERM, PATIENCE)
    }

    /// [`ObjectDisk::on`] with times of its own: how long a holder that does not renew its lease is
    /// waited for, and how long a store that does not answer is asked again.
    pub fn with_times(
        store: Arc<dyn ObjectStore>,
        prefix: Key,
        term: Duration,
        patience: Duration,
    ) -> Result<Self, ObjectDiskError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("log-objects")
            .enable_all()
            .build()
            .map_err(ObjectDiskError::Start)?;
        Ok(Self(Arc::new(Shared {
            bucket: Bucket::new(store, prefix, patience),
            runtime: Some(runtime),
            term,
            unnamed: Mutex::default(),
            held: Mutex::default(),
            read: Mutex::default(),
        })))
    }

    /// The number of requests that were made so far, those of the client's own retries left out.
    pub fn requests(&self) -> u64 {
        self.0.bucket.requests()
    }

    /// Waits for requests, from threads of a runtime too.
    fn wait<T: Send + 'static>(
        &self,
        asked: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("the S3 client has ended");
        let (send, answer) = sync_channel(1);
        let runtime = self.0.runtime.as_ref().ok_or_else(gone)?;
        runtime.spawn(async move {
            let _ = send.send(asked.await);
        });
        answer.recv().map_err(|_| gone())?
    }

    fn held(&self, path: &Path) -> Option<Arc<Held>> {
        let held = lock(&self.0.held);
        path.ancestors().find_map(|dir| held.get(dir).cloned())
    }

    /// The held folder that a file stands directly in.
    fn holder_of(&self, path: &Path) -> Option<Arc<Held>> {
        lock(&self.0.held).get(path.parent()?).cloned()
    }

    /// Calls `look` with the sequence that a path may be of.
    fn in_sequence<T>(&self, path: &Path, look: impl FnOnce(&Path, &Sequence) -> T) -> Option<T> {
        if let Some(held) = self.held(path) {
            return Some(look(&held.dir, &lock(&held.sequence)));
        }
        let read = lock(&self.0.read);
        let (dir, sequence) = path.ancestors().find_map(|dir| read.get_key_value(dir))?;
        Some(look(dir, sequence))
    }

    /// The bytes of a file of the sequence, `length` of them at most; none where it is not of one.
    fn read_sequenced(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        let found = self.in_sequence(path, |dir, sequence| {
            let length = sequence.length(path)?.min(most);
            Some((dir.to_owned(), sequence.records(path), length))
        });
        let Some((dir, records, length)) = found.flatten() else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let bucket = self.0.bucket.clone();
        self.wait(async move { read(&bucket, &dir, &records, length).await })
            .map(Some)
    }

    /// Stores files under their names.
    fn store(&self, files: &[(PathBuf, Buffer)]) -> io::Result<()> {
        let mut puts = Vec::new();
        for (path, bytes) in files {
            if let Some(held) = self.held(path) {
                held.check()?;
            }
            let held = self.holder_of(path);
            let seen = held
                .as_ref()
                .map(|held| lock(&held.seen).get(path).cloned());
            puts.push((path.clone(), lock(bytes).clone(), held, seen.flatten()));
        }
        let bucket = self.0.bucket.clone();
        let puts = puts.into_iter().map(move |(path, bytes, held, seen)| {
            let bucket = bucket.clone();
            async move {
                let expected = seen.map_or(Expected::Absent, Expected::As);
                let put = bucket.put(&text(&path), bytes.into(), expected).await;
                match held {
                    Some(held) => {
                        let version = put.map_err(|error| held.end(error))?;
                        lock(&held.seen).insert(path, version);
                    }
                    None => drop(put?),
                }
                Ok(())
            }
        });
        self.wait(stream::iter(puts).buffer_unordered(AT_A_TIME).try_collect())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // This may be a thread of another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for ObjectDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows credentials.
        f.debug_struct("ObjectDisk").finish_non_exhaustive()
    }
}

/// Refuses what would leave requests or answers to whoever is on the way.
fn protected(client: AmazonS3Builder) -> Result<AmazonS3Builder, ObjectDiskError> {
    let certificates = ClientConfigKey::AllowInvalidCertificates;
    for (key, name) in [
        (
            AmazonS3ConfigKey::Client(certificates),
            "AWS_ALLOW_INVALID_CERTIFICATES",
        ),
        (AmazonS3ConfigKey::SkipSignature, "AWS_SKIP_SIGNATURE"),
    ] {
        if client
            .get_config_value(&key)
            .is_some_and(|is| is != "false")
        {
            return Err(ObjectDiskError::Unprotected(name));
        }
    }
    let mut is_all_https = true;
    for (key, name) in [
        (AmazonS3ConfigKey::Endpoint, "http in AWS_ENDPOINT"),
        (AmazonS3ConfigKey::S3Endpoint, "http in AWS_ENDPOINT_URL_S3"),
        (
            AmazonS3ConfigKey::StsEndpoint,
            "http in AWS_ENDPOINT_URL_STS",
        ),
    ] {
        let Some(endpoint) = client.get_config_value(&key) else {
            continue;
        };
        let uri = endpoint.parse::<http::Uri>().unwrap_or_default();
        let is_https = uri.scheme_str() == Some("https");
        if !is_https && !is_loopback(uri.host().unwrap_or_default()) {
            return Err(ObjectDiskError::Unprotected(name));
        }
        is_all_https &= is_https;
    }
    if is_all_https {
        // Nor where the store sends a request elsewhere.
        let allowed = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        return Ok(client.with_config(allowed, "false"));
    }
    Ok(client)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || address.is_ok_and(|address: IpAddr| address.is_loopback())
}

async fn delete_all(bucket: &Bucket, names: Vec<String>) -> io::Result<()> {
    // In order: what is left of a file without its first record is known to be on its way out.
    for name in names {
        bucket.delete(&name).await?;
    }
    Ok(())
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, path.display().to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine() {
        for endpoint in [
            "https://s3.example",
            "http://127.0.0.1:8333",
            "http://127.9.9.9",
            "http://localhost:8333",
            "http://[::1]:8333",
        ] {
            let client = AmazonS3Builder::new().with_endpoint(endpoint);
            let client = protected(client.with_allow_http(true)).unwrap();
            let allowed = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
            let is_plain = endpoint.starts_with("http:").to_string();
            assert_eq!(client.get_config_value(&allowed), Some(is_plain));
        }
        for endpoint in [
            "http://s3.example",
            "HTTP://s3.example",
            "http://10.0.0.1:8333",
            "http://127.0.0.1.s3.example",
            "http://127.0.0.1@s3.example",
            "http://localhost.s3.example",
            "http://[2001:db8::1]",
            "s3.example",
            "",
        ] {
            for key in [
                AmazonS3ConfigKey::Endpoint,
                AmazonS3ConfigKey::S3Endpoint,
                AmazonS3ConfigKey::StsEndpoint,
            ] {
                let client = AmazonS3Builder::new().with_config(key, endpoint);
                assert!(
                    matches!(protected(client), Err(ObjectDiskError::Unprotected(_))),
                    "{endpoint}"
                );
            }
        }
    }

    #[test]
    fn what_lets_anybody_read_or_write_is_refused() {
        for key in [
            AmazonS3ConfigKey::SkipSignature,
            AmazonS3ConfigKey::Client(ClientConfigKey::AllowInvalidCertificates),
        ] {
            for (value, is_refused) in [
                ("true", true),
                ("1", true),
                ("FALSE", true),
                ("false", false),
            ] {
                let client = AmazonS3Builder::new().with_config(key, value);
                assert_eq!(protected(client).is_err(), is_refused, "{key:?} {value}");
            }
        }
    }
}
