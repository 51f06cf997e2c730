use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::bucket::{Bucket, Expected, PutError};
use super::record::{Body, Record, Write};

/// The folder of the records, beside the lock.
const FOLDER: &str = "sequence";

/// So many records are held in memory at a time.
const READ_TOGETHER: usize = 64;

/// What the records of one folder's writers say: which files there are, and of which records. Each
/// record is one object under the next number, which is created and never replaced, and no number is
/// begun before the one below it is settled. So whoever has written the last one has seen all, and
/// whoever was ended finds the number that it would write taken.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The number of the next record.
    next: u64,
    files: BTreeMap<u64, SequencedFile>,
    names: BTreeMap<PathBuf, u64>,
    /// Names without a record so far: files in which nothing is durable.
    allocated: BTreeSet<PathBuf>,
    /// Records that nothing needs any more.
    unneeded: Vec<u64>,
}

#[derive(Debug)]
struct SequencedFile {
    name: PathBuf,
    records: Vec<u64>,
    length: u64,
}

/// A file of the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileId {
    /// The number of its first record.
    Begun(u64),
    /// Nothing in it is durable yet.
    Allocated,
}

impl Sequence {
    /// Reads all records of a folder.
    pub(super) async fn load(bucket: &Bucket, dir: &Path) -> io::Result<Self> {
        let tries = bucket.tries();
        loop {
            match Self::load_once(bucket, dir).await {
                // Its writer has taken it away since the folder was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => tries.pause(error).await?,
                loaded => return loaded,
            }
        }
    }

    async fn load_once(bucket: &Bucket, dir: &Path) -> io::Result<Self> {
        let numbers = numbers(bucket, dir).await?;
        let mut sequence = Self::default();
        for numbers in numbers.chunks(READ_TOGETHER) {
            let keys = numbers.iter().map(|number| object(dir, *number)).collect();
            for (number, found) in numbers.iter().zip(bucket.get_all(keys).await?) {
                let record = Record::parse(*number, &found.bytes)
                    .map_err(|_| damaged(dir, &number.to_string()))?;
                sequence.apply(dir, &record);
            }
        }
        Ok(sequence)
    }

    /// Ends whoever wrote before: the next number is this holder's, and what another may still have
    /// under way finds it taken.
    pub(super) async fn take_over(
        bucket: &Bucket,
        dir: &Path,
        holder: [u8; 16],
    ) -> io::Result<Self> {
        let tries = bucket.tries();
        loop {
            let mut sequence = Self::load(bucket, dir).await?;
            let record = sequence.record(holder, Body::TakeOver);
            let (name, bytes) = (object(dir, record.number), Bytes::from(record.to_bytes()));
            match bucket.put(&name, bytes.clone(), Expected::Absent).await {
                // A write that was under way was faster: it counts, and the next number is tried.
                Err(PutError::Refused) => {}
                put => {
                    put?;
                    let found = bucket.get(&name).await?;
                    if found.is_none_or(|found| found.bytes != bytes) {
                        let what = format!("{name}: the store does not hold what it acknowledged");
                        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                    }
                    // A list that left out what is there would have the log go on without it.
                    if numbers(bucket, dir).await?.last() == Some(&record.number) {
                        sequence.apply(dir, &record);
                        return Ok(sequence);
                    }
                }
            }
            let what = format!("{name}: other writers go on taking the next number");
            let error = io::Error::new(io::ErrorKind::TimedOut, what);
            tries.pause(error).await?;
        }
    }

    /// The number that the next record gets.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// The next record, which counts once it was applied.
    pub(super) const fn record(&self, holder: [u8; 16], body: Body) -> Record {
        Record {
            number: self.next,
            holder,
            body,
        }
    }

    /// Takes note of a record that is stored.
    pub(super) fn apply(&mut self, dir: &Path, record: &Record) {
        let number = record.number;
        self.next = number + 1;
        let Body::File { file, name, writes } = &record.body else {
            // INVARIANT: it stays for good. Its number is the next one of whoever wrote before, who may
            // be paused for any time and would find it free.
            return;
        };
        if *file == number {
            let begun = SequencedFile {
                name: PathBuf::new(),
                records: Vec::new(),
                length: 0,
            };
            self.files.insert(number, begun);
        }
        let Some(found) = self.files.get_mut(file) else {
            // Of a file that is being taken away, the first record first.
            self.unneeded.push(number);
            return;
        };
        found.records.push(number);
        let end = writes.iter().map(Write::end).max().unwrap_or(0);
        found.length = found.length.max(end);
        if let Some(name) = name {
            let name = dir.join(name);
            let before = std::mem::replace(&mut found.name, name.clone());
            if self.names.get(&before) == Some(file) {
                self.names.remove(&before);
            }
            self.allocated.remove(&name);
            if let Some(displaced) = self.names.insert(name, *file) {
                self.forget(displaced);
            }
        }
    }

    fn forget(&mut self, file: u64) {
        if let Some(file) = self.files.remove(&file) {
            self.unneeded.extend(file.records);
        }
    }

    /// The file of a name.
    pub(super) fn find(&self, path: &Path) -> Option<FileId> {
        let begun = self.names.get(path).copied().map(FileId::Begun);
        begun.or_else(|| self.allocated.contains(path).then_some(FileId::Allocated))
    }

    /// A name for a file that begins with its first write.
    pub(super) fn allocate(&mut self, path: &Path) {
        self.remove(path);
        self.allocated.insert(path.to_owned());
    }

    /// Forgets a file.
    pub(super) fn remove(&mut self, path: &Path) {
        self.allocated.remove(path);
        if let Some(file) = self.names.remove(path) {
            self.forget(file);
        }
    }

    /// The records that nothing needs any more, but for the last one: that says what number is next.
    pub(super) fn take_unneeded(&mut self, dir: &Path) -> Vec<String> {
        let last = self.next.saturating_sub(1);
        self.unneeded.sort_unstable();
        let kept = self.unneeded.iter().position(|number| *number == last);
        let kept = kept.map_or_else(Vec::new, |at| self.unneeded.split_off(at));
        let taken = std::mem::replace(&mut self.unneeded, kept);
        taken.iter().map(|number| object(dir, *number)).collect()
    }

    /// The names in a folder.
    pub(super) fn names_in(&self, folder: &Path) -> Vec<String> {
        let names = self.names.keys().chain(&self.allocated);
        names
            .filter(|path| path.parent() == Some(folder))
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect()
    }

    /// The length of a file, as far as something was written.
    pub(super) fn length(&self, path: &Path) -> Option<u64> {
        match self.find(path)? {
            FileId::Begun(file) => self.files.get(&file).map(|file| file.length),
            FileId::Allocated => Some(0),
        }
    }

    /// The objects that a file consists of, in the order in which they were written.
    pub(super) fn records(&self, path: &Path) -> Vec<u64> {
        let file = self.names.get(path).and_then(|file| self.files.get(file));
        file.map(|file| file.records.clone()).unwrap_or_default()
    }
}

/// The numbers of a folder's records, in order.
async fn numbers(bucket: &Bucket, dir: &Path) -> io::Result<Vec<u64>> {
    let names = bucket.list(&text(&dir.join(FOLDER))).await?;
    let mut numbers = names
        .iter()
        .map(|name| name.parse().map_err(|_| damaged(dir, name)))
        .collect::<io::Result<Vec<u64>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// A file's bytes: its records laid over one another.
pub(super) async fn read(
    bucket: &Bucket,
    dir: &Path,
    records: &[u64],
    length: usize,
) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    for numbers in records.chunks(READ_TOGETHER) {
        let keys = numbers.iter().map(|number| object(dir, *number)).collect();
        for (number, found) in numbers.iter().zip(bucket.get_all(keys).await?) {
            let record = Record::parse(*number, &found.bytes)
                .map_err(|_| damaged(dir, &number.to_string()))?;
            if let Body::File { writes, .. } = record.body {
                writes.iter().for_each(|write| write.lay_over(&mut bytes));
            }
        }
    }
    Ok(bytes)
}

/// The object of a record.
pub(super) fn object(dir: &Path, number: u64) -> String {
    text(&dir.join(FOLDER).join(format!("{number:020}")))
}

/// The name below the prefix under which a file stands.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().trim_matches('/').to_owned()
}

fn damaged(dir: &Path, name: &str) -> io::Error {
    let path = dir.join(FOLDER).join(name);
    let what = format!("{}: not a record of a log's writer", path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}
