use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chancery_crypto::random_bytes;
use crc32c::crc32c;

use crate::disk::sync_folder;
use crate::{Damage, JournalError};

/// The folder of the segments.
pub(crate) const WAL_FOLDER: &str = "wal";

/// Frames begin at multiples of this: no write touches a page that holds confirmed entries.
pub(crate) const PAGE: usize = 4_096;

const MAGIC: &[u8; 8] = b"CHANWAL1";
const SPARE: &str = "spare";
const SPARE_BEING_MADE: &str = "spare.new";

/// The segment that takes new frames.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    path: PathBuf,
    salt: [u8; 16],
    offset: u64,
    capacity: u64,
}

/// Where the segment that begins with entry `first` stands.
pub(crate) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(WAL_FOLDER).join(format!("{first:020}.wal"))
}

/// Makes a zeroed file ready to become the next segment, if there is none of that capacity.
pub(crate) fn prepare_spare(dir: &Path, capacity: u64) -> Result<(), JournalError> {
    let folder = dir.join(WAL_FOLDER);
    let (spare, new) = (folder.join(SPARE), folder.join(SPARE_BEING_MADE));
    if fs::metadata(&spare).is_ok_and(|found| found.len() == capacity) {
        return Ok(());
    }
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .map_err(JournalError::io(&new))?;
    let zeros = vec![0; 1 << 20];
    let mut left = capacity;
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        let chunk = zeros.get(..part as usize).unwrap_or_default();
        file.write_all(chunk).map_err(JournalError::io(&new))?;
        left -= part;
    }
    file.sync_all().map_err(JournalError::io(&new))?;
    fs::rename(&new, &spare).map_err(JournalError::io(&spare))?;
    sync_folder(&folder)
}

impl Segment {
    /// Starts the segment that begins with entry `first`, in the place of one without frames. It
    /// is empty and durable.
    pub(crate) fn create(dir: &Path, first: u64, capacity: u64) -> Result<Self, JournalError> {
        prepare_spare(dir, capacity)?;
        let folder = dir.join(WAL_FOLDER);
        let spare = folder.join(SPARE);
        let path = segment_path(dir, first);
        let salt = random_bytes()
            .map_err(|error| JournalError::io(&spare)(std::io::Error::other(error)))?;
        let file = OpenOptions::new()
            .write(true)
            .open(&spare)
            .map_err(JournalError::io(&spare))?;
        file.write_all_at(&encode_header(&salt, first), 0)
            .and_then(|()| file.sync_all())
            .map_err(JournalError::io(&spare))?;
        fs::rename(&spare, &path).map_err(JournalError::io(&path))?;
        sync_folder(&folder)?;
        Ok(Self {
            file,
            path,
            salt,
            offset: PAGE as u64,
            capacity,
        })
    }

    /// The salt of its checksums.
    pub(crate) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Whether a frame of that many bytes still fits.
    pub(crate) const fn has_room(&self, length: usize) -> bool {
        self.offset + length.next_multiple_of(PAGE) as u64 <= self.capacity
    }

    /// Writes a frame; it is durable when this returns.
    pub(crate) fn write(&mut self, mut frame: Vec<u8>) -> Result<(), JournalError> {
        frame.resize(frame.len().next_multiple_of(PAGE), 0);
        self.file
            .write_all_at(&frame, self.offset)
            .and_then(|()| self.file.sync_data())
            .map_err(JournalError::io(&self.path))?;
        self.offset += frame.len() as u64;
        Ok(())
    }
}

/// Reads the first page of a segment: its salt and first entry.
pub(super) fn parse_header(path: &Path, bytes: &[u8]) -> Result<([u8; 16], u64), JournalError> {
    let header = bytes
        .split_first_chunk::<32>()
        .filter(|(covered, rest)| rest.starts_with(&crc32c(&covered[..]).to_be_bytes()))
        .and_then(|(covered, _)| covered.strip_prefix(MAGIC))
        .and_then(|rest| rest.split_first_chunk::<16>())
        .and_then(|(salt, first)| Some((*salt, u64::from_be_bytes(first.try_into().ok()?))));
    header.ok_or_else(|| JournalError::damaged(path, Damage::Checksum))
}

fn encode_header(salt: &[u8; 16], first: u64) -> Vec<u8> {
    let mut page = [&MAGIC[..], salt, &first.to_be_bytes()].concat();
    page.extend(crc32c(&page).to_be_bytes());
    page.resize(PAGE, 0);
    page
}
