use std::io;
use std::path::{Path, PathBuf};

use chancery_crypto::random_bytes;
use crc32c::crc32c;

use super::SegmentFile;
use crate::{Damage, JournalError, Storage, StorageFile};

/// The folder of the segments.
pub(crate) const WAL_FOLDER: &str = "wal";

/// Frames begin at multiples of this: no write touches a page that holds confirmed entries.
pub(crate) const PAGE: usize = 4_096;

/// How the names of segments end.
pub(super) const SEGMENT_SUFFIX: &str = ".wal";

const MAGIC: &[u8; 8] = b"CHANWAL1";

/// The segment that takes new frames.
#[derive(Debug)]
pub(crate) struct Segment {
    file: Box<dyn StorageFile>,
    path: PathBuf,
    /// Until it is written.
    header: Option<Vec<u8>>,
    salt: [u8; 16],
    offset: u64,
    capacity: u64,
}

/// Where the segment that begins with entry `first` stands, if it has a name of its own.
pub(super) fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SEGMENT_SUFFIX}"))
}

impl Segment {
    /// Makes a spare file the segment that begins with entry `first`. Nothing is written yet: the
    /// header goes before the first frame.
    pub(super) fn take(
        storage: &dyn Storage,
        spare: &Path,
        first: u64,
        capacity: u64,
    ) -> Result<Self, JournalError> {
        let io = || JournalError::io(spare);
        let salt = random_bytes().map_err(|error| io()(io::Error::other(error)))?;
        Ok(Self {
            file: storage.open(spare).map_err(io())?,
            path: spare.to_owned(),
            header: Some(encode_header(&salt, first)),
            salt,
            offset: PAGE as u64,
            capacity,
        })
    }

    /// Makes the header durable, so that the segment is one in use.
    pub(super) fn write_header(&mut self) -> Result<(), JournalError> {
        let Some(header) = self.header.take() else {
            return Ok(());
        };
        self.file
            .write_all_at(&header, 0)
            .and_then(|()| self.file.sync())
            .map_err(JournalError::io(&self.path))
    }

    /// The file, for a segment whose first entry is `first`.
    pub(crate) fn file(&self, first: u64) -> SegmentFile {
        SegmentFile {
            first,
            path: self.path.clone(),
        }
    }

    /// The salt of its checksums.
    pub(crate) const fn salt(&self) -> &[u8; 16] {
        &self.salt
    }

    /// Whether a frame of that many bytes still fits.
    pub(crate) const fn has_room(&self, length: usize) -> bool {
        self.offset + length.next_multiple_of(PAGE) as u64 <= self.capacity
    }

    /// Writes a frame, padded to whole pages; it is durable when this returns.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<(), JournalError> {
        let header = self.header.take();
        let written = match &header {
            Some(header) => self.file.write_all_at(header, 0),
            None => Ok(()),
        };
        written
            .and_then(|()| self.file.write_all_at(frame, self.offset))
            .and_then(|()| self.file.sync())
            .map_err(JournalError::io(&self.path))?;
        self.offset += frame.len() as u64;
        Ok(())
    }
}

/// Takes the header away from a segment that is not needed any more, so that it is spare.
pub(super) fn clear_header(storage: &dyn Storage, path: &Path) -> Result<(), JournalError> {
    storage
        .open(path)
        .and_then(|file| {
            file.write_all_at(&[0; PAGE], 0)?;
            file.sync()
        })
        .map_err(JournalError::io(path))
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
