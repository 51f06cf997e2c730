use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::segment::{PAGE, WAL_FOLDER, parse_header, segment_path};
use super::{Frame, FrameError};
use crate::{Damage, JournalError};

/// What the write-ahead log holds after a stop of any kind.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The entries from `integrated` on, in order.
    pub(crate) entries: Vec<Vec<u8>>,
    /// The segments that hold whole frames, by the index of their first entry.
    pub(crate) segments: Vec<u64>,
}

/// Reads every segment. Entries below `integrated` are in bundles already and skipped. A last
/// frame that was written in part was never confirmed and is cut; an unreadable frame before a
/// whole one, a gap between segments, or an end before `integrated` is refused.
pub(crate) fn recover(dir: &Path, integrated: u64) -> Result<Recovered, JournalError> {
    let firsts = list(&dir.join(WAL_FOLDER))?;
    let Some(oldest) = firsts.first().copied() else {
        return Err(JournalError::Missing {
            path: segment_path(dir, integrated),
        });
    };
    if oldest > integrated {
        let damage = Damage::Gap {
            expected: integrated,
            found: oldest,
        };
        return Err(JournalError::damaged(&segment_path(dir, oldest), damage));
    }
    let mut next = oldest;
    let mut entries = Vec::new();
    let mut segments = Vec::new();
    for first in firsts {
        let path = segment_path(dir, first);
        if first != next {
            let damage = Damage::Gap {
                expected: next,
                found: first,
            };
            return Err(JournalError::damaged(&path, damage));
        }
        let bytes = read_from_disk(&path)?;
        let (salt, named) = parse_header(&path, &bytes)?;
        if named != first {
            return Err(JournalError::damaged(&path, Damage::Mismatch));
        }
        next = read_frames(&path, &bytes, &salt, first, |index, entry| {
            if index >= integrated {
                entries.push(entry.to_vec());
            }
        })?;
        // One without frames is the last and gives its name to the segment that is made next.
        if next > first {
            segments.push(first);
        }
    }
    if next < integrated {
        return Err(JournalError::RolledBack {
            path: dir.join(WAL_FOLDER),
            found: next,
            expected: integrated,
        });
    }
    Ok(Recovered { entries, segments })
}

/// Hands over the entries of a segment and returns the index after the last.
fn read_frames(
    path: &Path,
    bytes: &[u8],
    salt: &[u8; 16],
    first: u64,
    mut take: impl FnMut(u64, &[u8]),
) -> Result<u64, JournalError> {
    let mut next = first;
    let mut offset = PAGE;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let frame = match Frame::parse(salt, rest) {
            Ok(frame) if frame.first == next => frame,
            Ok(_) => return Err(JournalError::damaged(path, Damage::Mismatch)),
            Err(error) => {
                check_tail(path, bytes, salt, offset)?;
                if error == FrameError::Broken {
                    let path = path.display();
                    tracing::warn!(%path, offset, "cut a frame that was never confirmed");
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

/// Reads what the disk holds: after a failed sync, the page cache may hold what the disk does not.
fn read_from_disk(path: &Path) -> Result<Vec<u8>, JournalError> {
    let io = |error| JournalError::io(path)(error);
    let mut file = File::open(path).map_err(io)?;
    file.sync_all().map_err(io)?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
        .map_err(|errno| io(errno.into()))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn list(folder: &Path) -> Result<Vec<u64>, JournalError> {
    let io = |error| JournalError::io(folder)(error);
    let mut firsts = Vec::new();
    for item in fs::read_dir(folder).map_err(io)? {
        let path: PathBuf = item.map_err(io)?.path();
        let is_segment = path.extension().is_some_and(|ext| ext == "wal");
        if let Some(stem) = path
            .file_stem()
            .and_then(|s| s.to_str())
            .filter(|_| is_segment)
        {
            firsts.push(
                stem.parse()
                    .map_err(|_| JournalError::damaged(&path, Damage::Mismatch))?,
            );
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}
