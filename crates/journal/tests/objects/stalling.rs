//! A store between a writer and its objects that stops, or loses answers, when it is told.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// One writer's way to a store in memory.
#[derive(Debug)]
pub(crate) struct Stalling {
    store: Arc<InMemory>,
    mood: AtomicU8,
}

/// What becomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    Well,
    /// They wait, as those of a process that is paused.
    Stopped,
    /// The next write is carried out and its answer lost.
    LosesOneAnswer,
    /// The next write is lost.
    LosesOneWrite,
    /// No write arrives any more.
    LosesWrites,
}

impl Stalling {
    pub(crate) fn new(store: &Arc<InMemory>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            mood: AtomicU8::new(Mood::Well as u8),
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::SeqCst) == mood as u8
    }

    async fn go_on(&self) {
        while self.is(Mood::Stopped) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn lost() -> Error {
    Error::Generic {
        store: "test",
        source: "the connection was reset".into(),
    }
}

impl fmt::Display for Stalling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stalling")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Stalling {
    async fn put_opts(
        &self,
        location: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.go_on().await;
        if self.is(Mood::LosesWrites) {
            return Err(lost());
        }
        if self.is(Mood::LosesOneWrite) {
            self.set(Mood::Well);
            return Err(lost());
        }
        let put = self.store.put_opts(location, payload, options).await;
        if self.is(Mood::LosesOneAnswer) {
            self.set(Mood::Well);
            return Err(lost());
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Key, options: GetOptions) -> Result<GetResult> {
        self.go_on().await;
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Key, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Key>>,
    ) -> BoxStream<'static, Result<Key>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.go_on().await;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
