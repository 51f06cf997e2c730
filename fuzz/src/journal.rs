//! The write-ahead log's frames, and the records of one in object storage.

use chancery_journal::{Frame, FrameError, Record, RecordBody};
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

/// What is read is written as the same bytes, and lies where a file of any length has room.
pub(crate) fn record(input: &[u8]) -> bool {
    let number = input.get(8..16).and_then(|eight| eight.try_into().ok());
    let number = number.map_or(0, u64::from_be_bytes);
    let raw = is_canonical(number, input);
    // Under a checksum that is right.
    let whole = [input, &crc32c(input).to_be_bytes()].concat();
    let taken = is_canonical(number, &whole);
    if taken {
        assert!(Record::parse(number.wrapping_add(1), &whole).is_err());
    }
    raw || taken
}

fn is_canonical(number: u64, bytes: &[u8]) -> bool {
    let Ok(record) = Record::parse(number, bytes) else {
        return false;
    };
    assert_eq!(record.to_bytes(), bytes);
    if let RecordBody::File { writes, .. } = &record.body {
        let mut file = [1; 64];
        writes.iter().for_each(|write| write.lay_over(&mut file));
    }
    true
}
