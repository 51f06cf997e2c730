//! Reading the files of many processes at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chancery_types::Digest;

use crate::stamp::Stamp;

/// How long what was read serves those who come later.
const SERVES: Duration = Duration::from_secs(1);

/// One read of a file serves all who were there before it began, and those who come within [`SERVES`] after a
/// process was seen to execute the file before and after the read, so that a program of which a thousand
/// processes ask at once is read a few times and not a thousand times.
///
/// That is why it says of each process as much as a read of its own. Who was there before executed the file
/// before the read, and executes it after. Who comes later executes a file of the same [`Stamp`] on a file
/// system that tells ([`Stamp::tells_of_others`]): while it was read nobody had it open for writing, since it
/// was executed, and whoever wrote to it since has changed the stamp.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    all: Mutex<HashMap<Stamp, Arc<Reading>>>,
    noted: Mutex<HashMap<Stamp, Read>>,
}

/// What a file held, and when its read began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) digest: Digest,
    begun: Instant,
}

impl Read {
    fn serves(&self) -> bool {
        self.begun.elapsed() < SERVES
    }
}

/// The reads of one file.
#[derive(Debug, Default)]
struct Reading {
    /// Held while it is read.
    turn: Mutex<()>,
    /// Those who are served by the next read.
    next: Mutex<Arc<Group>>,
}

/// What was read for a group, once it was.
#[derive(Debug, Default)]
struct Group(Mutex<Option<Read>>);

impl Reads {
    /// What a file holds that has that stamp and that is executed: as it was noted a moment ago, or by a read
    /// that begins after this was called. Waits on a thread that may wait.
    pub(crate) fn read(&self, file: &File, stamp: Stamp) -> io::Result<Read> {
        match self.noted(stamp) {
            Some(read) => Ok(read),
            None => self.read_by(stamp, || Digest::of_reader(file.take(stamp.size))),
        }
    }

    /// Notes what a file held that a process executed before the read and executes now, and whose stamp tells of
    /// others.
    pub(crate) fn note(&self, stamp: Stamp, read: Read) {
        let mut noted = lock(&self.noted);
        noted.retain(|_, read| read.serves());
        if read.serves() {
            noted.insert(stamp, read);
        }
    }

    /// What was noted of a file with that stamp a moment ago, if anything was.
    pub(crate) fn noted(&self, stamp: Stamp) -> Option<Read> {
        let noted = lock(&self.noted).get(&stamp).copied();
        noted.filter(Read::serves)
    }

    fn read_by(
        &self,
        stamp: Stamp,
        digest: impl FnOnce() -> io::Result<Digest>,
    ) -> io::Result<Read> {
        let reading = self.reading(stamp);
        let group = Arc::clone(&lock(&reading.next));
        let _turn = lock(&reading.turn);
        let mut read = lock(&group.0);
        if let Some(read) = *read {
            return Ok(read);
        }
        // Whoever comes from now on is not served by this read.
        *lock(&reading.next) = Arc::default();
        // Noted by those whose turn was before.
        if let Some(noted) = self.noted(stamp) {
            return Ok(*read.insert(noted));
        }
        let begun = Instant::now();
        let digest = digest()?;
        Ok(*read.insert(Read { digest, begun }))
    }

    fn reading(&self, stamp: Stamp) -> Arc<Reading> {
        let mut all = lock(&self.all);
        // Those that somebody reads or waits for.
        all.retain(|_, reading| Arc::strong_count(reading) > 1);
        Arc::clone(all.entry(stamp).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn stamped() -> (tempfile::TempDir, Stamp) {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Stamp::from(fs::metadata(folder.path()).unwrap());
        (folder, stamp)
    }

    /// So many wait for the next read, or are served by the one that goes on.
    fn until_joined(reads: &Reads, stamp: Stamp, count: usize) {
        loop {
            let reading = Arc::clone(&lock(&reads.all)[&stamp]);
            let joined = Arc::strong_count(&*lock(&reading.next)) - 1;
            if joined >= count {
                return;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn who_comes_while_it_is_read_is_served_by_the_next_read_together() {
        let (_folder, stamp) = stamped();
        let (reads, count) = (Reads::default(), AtomicUsize::new(0));
        let read = || {
            let number = count.fetch_add(1, Ordering::SeqCst);
            Ok(Digest::of(number.to_string()))
        };
        thread::scope(|scope| {
            let mut others = Vec::new();
            let first = reads.read_by(stamp, || {
                others.extend((0..8).map(|_| scope.spawn(|| reads.read_by(stamp, read))));
                until_joined(&reads, stamp, 8);
                Ok(Digest::of("before"))
            });
            assert_eq!(first.unwrap().digest, Digest::of("before"));
            for other in others {
                assert_eq!(other.join().unwrap().unwrap().digest, Digest::of("0"));
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
        // Nothing of it is remembered that nobody noted.
        assert_eq!(reads.read_by(stamp, read).unwrap().digest, Digest::of("1"));
    }

    #[test]
    fn what_was_noted_serves_those_who_come_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        fs::write(&path, "one").unwrap();
        let stamp = Stamp::from(fs::metadata(&path).unwrap());
        let read = |reads: &Reads| {
            let file = File::open(&path).unwrap();
            reads.read(&file, stamp).unwrap().digest
        };
        let of_age = |age: Duration| Read {
            digest: Digest::of("noted"),
            begun: Instant::now().checked_sub(age).unwrap(),
        };
        // It serves for as long as this test may take.
        let reads = Reads::default();
        let ahead = Read {
            begun: Instant::now() + Duration::from_secs(3_600),
            ..of_age(Duration::ZERO)
        };
        reads.note(stamp, ahead);
        assert_eq!(read(&reads), Digest::of("noted"));
        let reads = Reads::default();
        reads.note(stamp, of_age(SERVES));
        assert!(lock(&reads.noted).is_empty());
        assert_eq!(read(&reads), Digest::of("one"));
        // One that has grown old since is read anew.
        lock(&reads.noted).insert(stamp, of_age(SERVES));
        assert_eq!(read(&reads), Digest::of("one"));
        // What was noted of another file says nothing of this one.
        let ((_folder, other), reads) = (stamped(), Reads::default());
        reads.note(other, ahead);
        assert_eq!(read(&reads), Digest::of("one"));
    }

    #[test]
    fn a_read_that_fails_fails_for_one() {
        let (_folder, stamp) = stamped();
        let (reads, count) = (Reads::default(), AtomicUsize::new(0));
        let read = || match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err(io::Error::other("gone")),
            _ => Ok(Digest::of("read")),
        };
        thread::scope(|scope| {
            let mut others = Vec::new();
            let first = reads.read_by(stamp, || {
                others.extend((0..4).map(|_| scope.spawn(|| reads.read_by(stamp, read))));
                until_joined(&reads, stamp, 4);
                Ok(Digest::of("before"))
            });
            first.unwrap();
            let failed = others
                .into_iter()
                .filter_map(|other| other.join().unwrap().err());
            assert_eq!(failed.count(), 1);
        });
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn another_file_is_read_meanwhile() {
        let ((_one, first), (_two, second)) = (stamped(), stamped());
        let reads = Reads::default();
        let two = || reads.read_by(second, || Ok(Digest::of("two")));
        let read = reads.read_by(first, || Ok(two()?.digest));
        assert_eq!(read.unwrap().digest, Digest::of("two"));
    }
}
