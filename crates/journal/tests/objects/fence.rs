//! What ends a writer that lost its place, and what an answer that got lost comes to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_journal::{Access, ObjectDisk, Storage, StorageFile, StorageLock};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::place::{Keys, Place, TERM};
use crate::stalling::{MARKER, Mood, Stalling};

const LOCK: &str = "log/lock";
const FILE: &str = "log/wal/segment-1";
const STATE: &str = "log/state";
const PATIENCE: Duration = Duration::from_secs(1);

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
        let disk = disk(way.clone(), PATIENCE);
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn seen_by_another(store: &Arc<InMemory>, path: &str) -> Option<Vec<u8>> {
    let disk = disk(store.clone(), PATIENCE);
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
        let other = disk(store.clone(), PATIENCE);
        assert!(other.lock(Path::new(LOCK)).unwrap().is_none());
    }
    old.write(b"on", 0).unwrap();
    drop(old);
    // It was given back: nobody waits.
    let began = std::time::Instant::now();
    let other = disk(store, PATIENCE);
    assert!(other.lock(Path::new(LOCK)).unwrap().is_some());
    assert!(began.elapsed() < TERM / 2, "{:?}", began.elapsed());
}

#[test]
fn of_two_that_wait_for_a_dead_writer_one_goes_on() {
    let store = Arc::new(InMemory::new());
    let dead = Writer::start(&store, "segment-1");
    dead.way.set(Mood::Stopped);
    let waiting = [(); 4].map(|()| {
        let disk = disk(store.clone(), PATIENCE);
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
fn a_conflict_that_asks_for_another_try_ends_nobody() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.replace(b"one").unwrap();
    writer.way.set(Mood::ConflictsOnce);
    writer.write(b"once", 0).unwrap();
    writer.way.set(Mood::ConflictsOnce);
    writer.replace(b"two").unwrap();
    assert_eq!(seen_by_another(&store, FILE).unwrap(), b"once");
    assert_eq!(seen_by_another(&store, STATE).unwrap(), b"two");
}

#[test]
fn a_renewal_that_arrives_late_ends_nobody() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.way.set(Mood::DelaysWrites);
    // The first one is given up by then, and the next one is under way.
    std::thread::sleep(PATIENCE + TERM);
    runtime().block_on(writer.way.deliver());
    std::thread::sleep(TERM);
    writer.write(b"on", 0).unwrap();
    let other = disk(store, PATIENCE);
    assert!(other.lock(Path::new(LOCK)).unwrap().is_none());
}

#[test]
fn a_store_that_does_not_keep_writers_apart_is_refused() {
    for (mood, did) in [
        (Mood::IgnoresConditions, "creations of one object"),
        (Mood::IgnoresVersions, "replaced again"),
    ] {
        let store = Arc::new(InMemory::new());
        let way = Stalling::new(&store);
        way.set(mood);
        let disk = disk(way.clone(), PATIENCE);
        let error = disk.lock(Path::new(LOCK)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert!(error.to_string().contains(did), "{error}");
        assert!(error.to_string().contains("If-None-Match"), "{error}");
        // Neither a lease nor what it was tried with is left.
        let left = runtime().block_on(store.list_with_delimiter(None)).unwrap();
        assert!(left.objects.is_empty() && left.common_prefixes.is_empty());
        way.set(Mood::Well);
        assert!(disk.lock(Path::new(LOCK)).unwrap().is_some());
    }
}

#[test]
fn an_error_shows_nothing_of_an_answer_but_status_and_code() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.way.set(Mood::Tells);
    let error = writer.write(b"lost", 0).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(MARKER), "{shown}");
    assert!(shown.contains("status 400, code InvalidToken"), "{shown}");
}

#[test]
fn what_was_never_stored_is_not_read() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    let tile = Path::new("log/tile/000");
    let create = || {
        let file = writer.disk.create(tile, Access::Mask).unwrap();
        file.write_all_at(b"tile", 0).unwrap();
    };
    create();
    writer.way.set(Mood::LosesWrites);
    writer.disk.sync_folder(Path::new("log/tile")).unwrap_err();
    writer.way.set(Mood::Well);
    assert_eq!(writer.disk.read(tile).unwrap(), None);
    assert_eq!(writer.disk.length(tile).unwrap(), None);
    create();
    let Writer { disk, _lock, .. } = writer;
    drop(_lock);
    let _lock = disk.lock(Path::new(LOCK)).unwrap().unwrap();
    assert_eq!(disk.read(tile).unwrap(), None);
}

#[test]
fn a_list_that_left_out_the_last_record_is_made_again() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.write(b"first", 0).unwrap();
    let mut path = Path::new("log/wal/segment-2");
    for content in [b"gone", b"last"] {
        writer.disk.allocate(path, 4_096).unwrap();
        let file = writer.disk.open(path).unwrap();
        file.write_all_at(content, 0).unwrap();
        file.sync().unwrap();
        path = Path::new("log/wal/segment-3");
    }
    // So that its number is free.
    let gone = Path::new("log/wal/segment-2");
    writer.disk.remove(gone).unwrap();
    drop(writer);
    let way = Stalling::new(&store);
    let disk = disk(way.clone(), PATIENCE);
    way.set(Mood::ListsShort);
    let _lock = disk.lock(Path::new(LOCK)).unwrap().unwrap();
    assert_eq!(disk.read(path).unwrap().unwrap(), b"last");
    assert_eq!(disk.read(Path::new(FILE)).unwrap().unwrap(), b"first");
}

#[test]
fn a_list_that_names_what_is_gone_is_made_again() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.write(b"kept", 0).unwrap();
    drop(writer);
    let way = Stalling::new(&store);
    let disk = disk(way.clone(), PATIENCE);
    way.set(Mood::ListsLong);
    let _lock = disk.lock(Path::new(LOCK)).unwrap().unwrap();
    assert_eq!(disk.read(Path::new(FILE)).unwrap().unwrap(), b"kept");
}

#[test]
fn the_lease_is_renewed_while_a_long_log_is_read() {
    // So long that a busy machine has renewed it in time.
    let term = 5 * TERM;
    let store = Arc::new(InMemory::new());
    let way = Stalling::new(&store);
    way.set(Mood::ListsLate);
    let of_term = |store| ObjectDisk::with_times(store, "fence".into(), term, PATIENCE).unwrap();
    let reading = of_term(way.clone());
    let locked = std::thread::spawn(move || reading.lock(Path::new(LOCK)).unwrap());
    let lease = format!("fence/{LOCK}").into();
    while runtime().block_on(store.head(&lease)).is_err() {
        std::thread::sleep(TERM / 20);
    }
    let other = of_term(store);
    for _ in 0..2 {
        assert!(other.lock(Path::new(LOCK)).unwrap().is_none());
        std::thread::sleep(term);
    }
    way.set(Mood::Well);
    assert!(locked.join().unwrap().is_some());
}

#[test]
fn what_is_larger_than_anything_of_a_log_is_refused() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    let far = (16 << 20) + 1;
    writer.disk.allocate(Path::new(FILE), far).unwrap_err();
    writer.write(b"far", far - 3).unwrap_err();
    let large = vec![1; 18 << 20];
    let tile = "fence/log/tile/000".into();
    runtime()
        .block_on(store.put(&tile, large.clone().into()))
        .unwrap();
    writer.disk.read(Path::new("log/tile/000")).unwrap_err();
    writer.replace(&large).unwrap_err();
    assert_eq!(seen_by_another(&store, STATE), None);
}

#[test]
fn a_record_that_was_changed_is_refused() {
    let store = Arc::new(InMemory::new());
    let writer = Writer::start(&store, "segment-1");
    writer.write(b"first", 0).unwrap();
    writer.write(b"second", 5).unwrap();
    drop(writer);
    let runtime = runtime();
    let name = |number: u64| format!("fence/log/sequence/{number:020}").into();
    let bytes = runtime.block_on(async {
        let bytes = store.get(&name(1)).await.unwrap().bytes().await.unwrap();
        // Whole, and not where it was written.
        store.put(&name(2), bytes.clone().into()).await.unwrap();
        bytes
    });
    let other = disk(store.clone(), PATIENCE);
    let error = other.lock(Path::new(LOCK)).unwrap_err();
    assert!(error.to_string().contains("not a record"), "{error}");
    runtime.block_on(async {
        let cut = bytes.slice(..bytes.len() - 1);
        store.put(&name(2), cut.into()).await.unwrap();
    });
    // The lease was given back: nobody waits.
    let began = std::time::Instant::now();
    let error = other.lock(Path::new(LOCK)).unwrap_err();
    assert!(error.to_string().contains("not a record"), "{error}");
    assert!(began.elapsed() < TERM / 2, "{:?}", began.elapsed());
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

#[test]
fn what_was_published_takes_no_room_before_a_restart() {
    let keys = Keys::new();
    let store = Arc::new(InMemory::new());
    let place = Place::objects(store.clone(), "freed");
    let journal = place.open(&keys).unwrap();
    // A page each: 63 of them and the header fill a segment of these tests to its last page.
    for _ in 0..8 {
        for _ in 0..63 {
            journal.append_blocking(b"an entry".to_vec()).unwrap();
        }
        journal.publish_blocking().unwrap();
    }
    let folder = "logs/of/tests/freed/log/sequence".into();
    let listing = store.list_with_delimiter(Some(&folder));
    let left = runtime().block_on(listing).unwrap().objects.len();
    assert!(left < 63 * 3, "{left} records are left");
}
