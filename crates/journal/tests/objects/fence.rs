//! What ends a writer that lost its place, and what an answer that got lost comes to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_journal::{Access, ObjectDisk, Storage, StorageFile, StorageLock};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::place::{Keys, Place, TERM};
use crate::stalling::{Mood, Stalling};

const LOCK: &str = "log/lock";
const FILE: &str = "log/wal/segment-1";
const STATE: &str = "log/state";

fn disk(store: Arc<dyn ObjectStore>, patience: Duration) -> ObjectDisk {
    ObjectDisk::with_times(store, "fence".into(), TERM, patience).unwrap()
}

/// A writer with a file that it writes at offsets and one that it replaces.
struct Writer {
    way: Arc<Stalling>,
    disk: ObjectDisk,
    file: Box<dyn StorageFile>,
    _lock: Box<dyn StorageLock>,
}

impl Writer {
    fn start(store: &Arc<InMemory>, name: &str) -> Self {
        let way = Stalling::new(store);
        let disk = disk(way.clone(), Duration::from_secs(1));
        let lock = disk.lock(Path::new(LOCK)).unwrap().unwrap();
        let path = Path::new("log/wal").join(name);
        disk.read(Path::new(STATE)).unwrap();
        disk.allocate(&path, 4_096).unwrap();
        let file = disk.open(&path).unwrap();
        Self {
            way,
            disk,
            file,
            _lock: lock,
        }
    }

    fn write(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.file.sync()
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        let temporary = Path::new("log/tmp/state");
        let file = self.disk.create(temporary, Access::Mask)?;
        file.write_all_at(bytes, 0)?;
        file.sync()?;
        self.disk.rename(temporary, Path::new(STATE))?;
        self.disk.sync_folder(Path::new("log"))
    }
}

fn seen_by_another(store: &Arc<InMemory>, path: &str) -> Option<Vec<u8>> {
    let disk = disk(store.clone(), Duration::from_secs(1));
    disk.list(Path::new("log/wal")).unwrap();
    disk.read(Path::new(path)).unwrap()
}

#[test]
fn a_paused_writer_is_ended_by_its_next_write() {
    let store = Arc::new(InMemory::new());
    let old = Writer::start(&store, "segment-1");
    old.write(b"old", 0).unwrap();
    old.replace(b"state of old").unwrap();
    old.way.set(Mood::Stopped);
    let new = Writer::start(&store, "segment-2");
    new.write(b"new", 0).unwrap();
    new.replace(b"state of new").unwrap();
    // What is taken away again makes no room for it.
    new.disk.remove(Path::new(FILE)).unwrap();
    new.write(b"new", 0).unwrap();
    new.disk.allocate(Path::new(FILE), 4_096).unwrap();
    new.disk.remove(Path::new(FILE)).unwrap();
    old.way.set(Mood::Well);
    old.write(b"late", 3).unwrap_err();
    old.write(b"again", 3).unwrap_err();
    old.replace(b"late state").unwrap_err();
    assert_eq!(seen_by_another(&store, FILE), None);
    assert_eq!(
        seen_by_another(&store, "log/wal/segment-2").unwrap(),
        b"new"
    );
    assert_eq!(seen_by_another(&store, STATE).unwrap(), b"state of new");
    new.write(b"er", 3).unwrap();
    assert_eq!(
        seen_by_another(&store, "log/wal/segment-2").unwrap(),
        b"newer"
    );
}

#[test]
fn a_paused_writer_replaces_nothing_that_another_replaced() {
    let store = Arc::new(InMemory::new());
    let old = Writer::start(&store, "segment-1");
    old.replace(b"state of old").unwrap();
    old.way.set(Mood::Stopped);
    let new = Writer::start(&store, "segment-2");
    new.replace(b"state of new").unwrap();
    old.way.set(Mood::Well);
    // That it looks at the file once more gives it no right to it.
    old.disk.read(Path::new(STATE)).unwrap();
    old.replace(b"late state").unwrap_err();
    assert_eq!(seen_by_another(&store, STATE).unwrap(), b"state of new");
}

#[test]
fn a_writer_that_renews_its_lease_is_left_alone() {
    let store = Arc::new(InMemory::new());
    let old = Writer::start(&store, "segment-1");
    for _ in 0..2 {
        let other = disk(store.clone(), Duration::from_secs(1));
        assert!(other.lock(Path::new(LOCK)).unwrap().is_none());
    }
    old.write(b"on", 0).unwrap();
    drop(old);
    // It was given back: nobody waits.
    let began = std::time::Instant::now();
    let other = disk(store, Duration::from_secs(1));
    assert!(other.lock(Path::new(LOCK)).unwrap().is_some());
    assert!(began.elapsed() < TERM / 2, "{:?}", began.elapsed());
}

#[test]
fn of_two_that_wait_for_a_dead_writer_one_goes_on() {
    let store = Arc::new(InMemory::new());
    let dead = Writer::start(&store, "segment-1");
    dead.way.set(Mood::Stopped);
    let waiting = [(); 4].map(|()| {
        let disk = disk(store.clone(), Duration::from_secs(1));
        std::thread::spawn(move || disk.lock(Path::new(LOCK)).unwrap())
    });
    let locks = waiting.map(|one| one.join().unwrap());
    assert_eq!(locks.iter().flatten().count(), 1);
    dead.way.set(Mood::Well);
}

#[test]
fn a_lost_answer_is_looked_up_and_a_lost_write_is_made_again() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    for (at, mood) in [(0, Mood::LosesOneAnswer), (4, Mood::LosesOneWrite)] {
        writer.way.set(mood);
        writer.write(b"once", at).unwrap();
    }
    for (text, mood) in [
        (b"one", Mood::LosesOneAnswer),
        (b"two", Mood::LosesOneWrite),
    ] {
        writer.way.set(mood);
        writer.replace(text).unwrap();
        assert_eq!(seen_by_another(&store, STATE).unwrap(), text);
    }
    assert_eq!(seen_by_another(&store, FILE).unwrap(), b"onceonce");
}

#[test]
fn a_store_that_takes_nothing_more_ends_the_writer_for_good() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.write(b"kept", 0).unwrap();
    writer.way.set(Mood::LosesWrites);
    writer.write(b"lost", 4).unwrap_err();
    writer.way.set(Mood::Well);
    // Nobody knows whether the one before is there, so that nothing may follow it.
    writer.write(b"late", 4).unwrap_err();
    writer.replace(b"late").unwrap_err();
    assert_eq!(seen_by_another(&store, FILE).unwrap(), b"kept");
}

#[test]
fn a_record_that_was_changed_is_refused() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.write(b"first", 0).unwrap();
    writer.write(b"second", 5).unwrap();
    drop(writer);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let name = |number: u64| format!("fence/log/sequence/{number:020}").into();
    let bytes = runtime.block_on(async {
        let bytes = store.get(&name(1)).await.unwrap().bytes().await.unwrap();
        // Whole, and not where it was written.
        store.put(&name(2), bytes.clone().into()).await.unwrap();
        bytes
    });
    let other = disk(store.clone(), Duration::from_secs(1));
    let error = other.lock(Path::new(LOCK)).unwrap_err();
    assert!(error.to_string().contains("not a record"), "{error}");
    runtime.block_on(async {
        let cut = bytes.slice(..bytes.len() - 1);
        store.put(&name(2), cut.into()).await.unwrap();
    });
    let error = other.lock(Path::new(LOCK)).unwrap_err();
    assert!(error.to_string().contains("not a record"), "{error}");
}

#[test]
fn a_durable_append_costs_one_request() {
    let keys = Keys::new();
    let store = Arc::new(InMemory::new());
    let term = Duration::from_secs(3_600);
    let disk = ObjectDisk::with_times(store, "fence".into(), term, term).unwrap();
    let place = Place {
        storage: Arc::new(disk.clone()),
        dir: "cost".to_owned(),
    };
    let journal = place.open(&keys).unwrap();
    let before = disk.requests();
    for _ in 0..50 {
        journal.append_blocking(b"an entry".to_vec()).unwrap();
    }
    assert_eq!(disk.requests() - before, 50);
    let before = disk.requests();
    journal.publish_blocking().unwrap();
    let published = disk.requests() - before;
    println!("a checkpoint of 50 entries: {published} requests");
    assert!(published < 16, "{published}");
}
