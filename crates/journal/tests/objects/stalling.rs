//! A store between a writer and its objects that stops, or loses answers, when it is told.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// One writer's way to a store in memory.
#[derive(Debug)]
pub(crate) struct Stalling {
    store: Arc<InMemory>,
    mood: AtomicU8,
    delayed: Mutex<Vec<(Key, PutPayload, PutOptions)>>,
}

/// What an answer holds that nobody is to be shown.
pub(crate) const MARKER: &str = "marker-of-an-answer";

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
    /// Writes are not answered, and arrive when they are told to.
    DelaysWrites,
    /// The next write is answered by 409, and is to be made again.
    ConflictsOnce,
    /// Answers hold a marker.
    Tells,
    /// Conditions of writes are ignored.
    IgnoresConditions,
    /// What is there is not created, and replaced whatever it is.
    IgnoresVersions,
    /// The next list leaves out what was written last.
    ListsShort,
    /// The next list names one that is not there any more.
    ListsLong,
    /// Lists wait.
    ListsLate,
}

impl Stalling {
    pub(crate) fn new(store: &Arc<InMemory>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            mood: AtomicU8::new(Mood::Well as u8),
            delayed: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::SeqCst) == mood as u8
    }

    /// Has the first of the delayed writes arrive.
    pub(crate) async fn deliver(&self) {
        self.set(Mood::Well);
        let first = self.delayed.lock().unwrap().swap_remove(0);
        let (location, payload, options) = first;
        self.store
            .put_opts(&location, payload, options)
            .await
            .unwrap();
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
        mut options: PutOptions,
    ) -> Result<PutResult> {
        self.go_on().await;
        if self.is(Mood::DelaysWrites) {
            let write = (location.clone(), payload, options);
            self.delayed.lock().unwrap().push(write);
            return Err(lost());
        }
        if self.is(Mood::ConflictsOnce) {
            self.set(Mood::Well);
            return Err(Error::AlreadyExists {
                path: location.to_string(),
                source: "status code: 409 Conflict".into(),
            });
        }
        if self.is(Mood::Tells) {
            let source = format!("status code: 400 Bad Request: <Code>InvalidToken</Code>{MARKER}");
            return Err(Error::PermissionDenied {
                path: location.to_string(),
                source: source.into(),
            });
        }
        let is_update = matches!(options.mode, PutMode::Update(_));
        if self.is(Mood::IgnoresConditions) || self.is(Mood::IgnoresVersions) && is_update {
            options.mode = PutMode::Overwrite;
        }
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
        while self.is(Mood::ListsLate) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut listed = self.store.list_with_delimiter(prefix).await?;
        if self.is(Mood::ListsLong) {
            self.set(Mood::Well);
            let mut gone = listed.objects.first().unwrap().clone();
            gone.location = Key::from_iter(prefix.unwrap().parts().chain(["9".into()]));
            listed.objects.push(gone);
        }
        if self.is(Mood::ListsShort) {
            self.set(Mood::Well);
            listed.objects.sort_by(|a, b| a.location.cmp(&b.location));
            listed.objects.pop();
        }
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
