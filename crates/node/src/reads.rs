//! Reading the files of many processes at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_types::Digest;

use crate::stamp::Stamp;

/// One read of a file serves all who were there before it began, so that a program of which a thousand
/// processes ask at once is read a few times and not a thousand times.
///
/// Nothing is remembered: whoever comes once a read has begun waits for another one. That is why it says of
/// each process as much as a read of its own: the process executed the file before the read, and executes it
/// after.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<HashMap<Stamp, Arc<Reading>>>);

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
struct Group(Mutex<Option<Digest>>);

impl Reads {
    /// The digest of a file that has that stamp, by a read that begins after this was called. Waits on a
    /// thread that may wait.
    pub(crate) fn digest(&self, file: &File, stamp: Stamp) -> io::Result<Digest> {
        self.digest_of(stamp, || Digest::of_reader(file.take(stamp.size)))
    }

    fn digest_of(
        &self,
        stamp: Stamp,
        read: impl FnOnce() -> io::Result<Digest>,
    ) -> io::Result<Digest> {
        let reading = self.reading(stamp);
        let group = Arc::clone(&lock(&reading.next));
        let _turn = lock(&reading.turn);
        let mut digest = lock(&group.0);
        if let Some(digest) = *digest {
            return Ok(digest);
        }
        // Whoever comes from now on is not served by this read.
        *lock(&reading.next) = Arc::default();
        Ok(*digest.insert(read()?))
    }

    fn reading(&self, stamp: Stamp) -> Arc<Reading> {
        let mut all = lock(&self.0);
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
            let reading = Arc::clone(&lock(&reads.0)[&stamp]);
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
            let first = reads.digest_of(stamp, || {
                others.extend((0..8).map(|_| scope.spawn(|| reads.digest_of(stamp, read))));
                until_joined(&reads, stamp, 8);
                Ok(Digest::of("before"))
            });
            assert_eq!(first.unwrap(), Digest::of("before"));
            for other in others {
                assert_eq!(other.join().unwrap().unwrap(), Digest::of("0"));
            }
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
        // Nothing of it is remembered.
        assert_eq!(reads.digest_of(stamp, read).unwrap(), Digest::of("1"));
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
            let first = reads.digest_of(stamp, || {
                others.extend((0..4).map(|_| scope.spawn(|| reads.digest_of(stamp, read))));
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
        let digest = reads.digest_of(first, || reads.digest_of(second, || Ok(Digest::of("two"))));
        assert_eq!(digest.unwrap(), Digest::of("two"));
    }
}
