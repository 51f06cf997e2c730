use std::path::Path;

use super::segment::{PAGE, SEGMENT_SUFFIX, WAL_FOLDER, parse_header, segment_path};
use super::{Frame, FrameError, POOL_PREFIX, SegmentFile};
use crate::{Damage, JournalError, Storage};

/// What the write-ahead log holds after a stop of any kind.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The segments that may be freed some day, in order.
    pub(crate) in_use: Vec<SegmentFile>,
    /// The index after the last entry.
    pub(crate) next: u64,
    /// The segments whose entries are not all in tiles.
    needed: Vec<SegmentFile>,
    integrated: u64,
}

/// Reads every segment from the medium that holds an entry from `integrated` on. Entries below
/// that are in tiles already: of the segments of these, any may be gone. A last frame that was
/// written in part was never confirmed and is cut; an unreadable frame before a whole one, a gap
/// between segments, or an end before `integrated` is refused.
pub(crate) fn scan(
    storage: &dyn Storage,
    dir: &Path,
    integrated: u64,
) -> Result<Recovered, JournalError> {
    let folder = dir.join(WAL_FOLDER);
    let found = list(storage, &folder)?;
    let Some(oldest) = found.first() else {
        return Err(JournalError::Missing {
            path: segment_path(&folder, integrated),
        });
    };
    let begun = found.iter().rfind(|segment| segment.first <= integrated);
    let begun = begun.ok_or_else(|| gap(oldest, integrated))?.first;
    let covered = found.partition_point(|segment| segment.first < begun);
    let (covered, candidates) = found.split_at(covered);
    let mut recovered = Recovered {
        in_use: covered.to_vec(),
        next: begun,
        needed: Vec::new(),
        integrated,
    };
    let mut empty = Vec::new();
    for segment in candidates {
        let SegmentFile { first, path } = segment;
        let bytes = storage
            .read_from_medium(path)
            .map_err(JournalError::io(path))?;
        let end = read_segment(path, &bytes, *first, |_, _| {})?;
        if end == *first {
            // Begun, and nothing in it was ever confirmed.
            empty.push(segment);
            continue;
        }
        if *first != recovered.next {
            return Err(gap(segment, recovered.next));
        }
        recovered.in_use.push(segment.clone());
        recovered.needed.push(segment.clone());
        recovered.next = end;
    }
    if let Some(beyond) = empty.iter().find(|empty| empty.first > recovered.next) {
        return Err(gap(beyond, recovered.next));
    }
    if recovered.next < integrated {
        return Err(JournalError::RolledBack {
            path: folder,
            found: recovered.next,
            expected: integrated,
        });
    }
    Ok(recovered)
}

impl Recovered {
    /// Hands over the entries that are not in tiles yet, in order, those of one segment at a time.
    pub(crate) fn replay(
        &self,
        storage: &dyn Storage,
        mut take: impl FnMut(&[Vec<u8>]) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        for SegmentFile { first, path } in &self.needed {
            let bytes = storage.read(path).map_err(JournalError::io(path))?;
            let bytes = bytes.ok_or_else(|| JournalError::Missing { path: path.clone() })?;
            let mut entries = Vec::new();
            read_segment(path, &bytes, *first, |index, entry| {
                if index >= self.integrated {
                    entries.push(entry.to_vec());
                }
            })?;
            take(&entries)?;
        }
        Ok(())
    }
}

fn gap(segment: &SegmentFile, expected: u64) -> JournalError {
    let found = segment.first;
    JournalError::damaged(&segment.path, Damage::Gap { expected, found })
}

/// Hands over the entries of a segment and returns the index after the last.
fn read_segment(
    path: &Path,
    bytes: &[u8],
    first: u64,
    mut take: impl FnMut(u64, &[u8]),
) -> Result<u64, JournalError> {
    let (salt, named) = parse_header(path, bytes)?;
    if named != first {
        return Err(JournalError::damaged(path, Damage::Mismatch));
    }
    let mut next = first;
    let mut offset = PAGE;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let frame = match Frame::parse(&salt, rest) {
            Ok(frame) if frame.first == next => frame,
            Ok(_) => return Err(JournalError::damaged(path, Damage::Mismatch)),
            Err(error) => {
                check_tail(path, bytes, &salt, offset)?;
                if error == FrameError::Broken {
                    // Or one of an earlier use of the file, under another salt.
                    let path = path.display();
                    tracing::debug!(%path, offset, "cut a frame that was never confirmed");
                }
                return Ok(next);
            }
        };
        for entry in &frame.entries {
            take(next, entry);
            next += 1;
        }
        offset += frame.length.next_multiple_of(PAGE);
    }
    Ok(next)
}

/// Refuses a whole frame behind an unreadable one: a frame is only written once the one before it
/// is confirmed, so the disk lost what it had confirmed.
fn check_tail(
    path: &Path,
    bytes: &[u8],
    salt: &[u8; 16],
    offset: usize,
) -> Result<(), JournalError> {
    let later = (offset..bytes.len()).step_by(PAGE).skip(1).find(|at| {
        bytes
            .get(*at..)
            .is_some_and(|b| Frame::parse(salt, b).is_ok())
    });
    match later {
        None => Ok(()),
        Some(later) => {
            let damage = Damage::Hole {
                offset: offset as u64,
                later: later as u64,
            };
            Err(JournalError::damaged(path, damage))
        }
    }
}

/// Every segment that was begun, by the index of its first entry.
fn list(storage: &dyn Storage, folder: &Path) -> Result<Vec<SegmentFile>, JournalError> {
    let mut found = Vec::new();
    for name in storage.list(folder).map_err(JournalError::io(folder))? {
        let path = folder.join(&name);
        if let Some(stem) = name.strip_suffix(SEGMENT_SUFFIX) {
            let damaged = |_| JournalError::damaged(&path, Damage::Mismatch);
            let first = stem.parse().map_err(damaged)?;
            found.push(SegmentFile { first, path });
        } else if name.starts_with(POOL_PREFIX)
            && let Some(first) = pooled(storage, &path)?
        {
            found.push(SegmentFile { first, path });
        }
    }
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

/// Where the segment begins that a file of the pool is; none where it is spare.
fn pooled(storage: &dyn Storage, path: &Path) -> Result<Option<u64>, JournalError> {
    let start = storage
        .read_start_from_medium(path, PAGE)
        .map_err(JournalError::io(path))?;
    Ok(parse_header(path, &start).ok().map(|(_, first)| first))
}
