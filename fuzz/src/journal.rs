//! The write-ahead log's frames.

use chancery_journal::{Frame, FrameError};
use crc32c::{crc32c, crc32c_append};

const SALT: &[u8; 16] = b"0123456789abcdef";
const MAGIC: &[u8] = b"CHFR";

/// What is read lies within the bytes, whether or not the checksum is right.
pub(crate) fn frame(input: &[u8]) -> bool {
    let raw = is_within(input);
    // The same bytes under a checksum that is right: a fuzzer does not find one.
    let length = input.get(12..16).and_then(|four| four.try_into().ok());
    let length = length.map_or(0, |four| u32::from_be_bytes(four) as usize);
    let covered = input.get(..length.saturating_add(16)).unwrap_or(input);
    let checksum = crc32c_append(crc32c(SALT), covered).to_be_bytes();
    let whole = [MAGIC, &checksum, input].concat();
    let taken = is_within(&whole);
    if taken {
        // Under another segment's salt it is none.
        let other = Frame::parse(b"0123456789abcdeF", &whole);
        assert_eq!(other, Err(FrameError::Broken));
    }
    raw || taken
}

fn is_within(bytes: &[u8]) -> bool {
    let Ok(frame) = Frame::parse(SALT, bytes) else {
        return false;
    };
    assert!(frame.length <= bytes.len());
    let held: usize = frame.entries.iter().map(|entry| entry.len() + 2).sum();
    assert!(held <= frame.length);
    true
}
