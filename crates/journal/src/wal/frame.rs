use chancery_tlog::{EntryTooLarge, decode_bundle, encode_entry};
use crc32c::{crc32c, crc32c_append};

use super::PAGE;

const MAGIC: &[u8; 4] = b"CHFR";
const HEADER_BYTES: usize = 24;

/// Bytes of a frame beside its entries and their lengths.
pub(crate) const FRAME_OVERHEAD: usize = HEADER_BYTES;

/// A group of entries that became durable together, as it stands in the write-ahead log: magic,
/// CRC32C, index of the first entry, count and length, then the entries with their lengths. The
/// checksum covers the segment's random salt, so that no entry can hold a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The index of the first entry.
    pub first: u64,
    /// The entries.
    pub entries: Vec<&'a [u8]>,
    /// Bytes of the frame, padding excluded.
    pub length: usize,
}

/// Why bytes do not begin with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No frame was written here.
    #[error("no frame")]
    None,
    /// A frame that was written in part or changed.
    #[error("the frame is cut short or its checksum is wrong")]
    Broken,
}

impl<'a> Frame<'a> {
    /// Reads the frame at the beginning of `bytes`; what follows it is not looked at.
    pub fn parse(salt: &[u8; 16], bytes: &'a [u8]) -> Result<Self, FrameError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(FrameError::None)?;
        let (crc, covered) = rest.split_first_chunk::<4>().ok_or(FrameError::Broken)?;
        let (first, rest) = covered.split_first_chunk::<8>().ok_or(FrameError::Broken)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Broken)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(FrameError::Broken)?;
        let payload = rest
            .get(..u32::from_be_bytes(*length) as usize)
            .ok_or(FrameError::Broken)?;
        let covered = covered
            .get(..16 + payload.len())
            .ok_or(FrameError::Broken)?;
        if checksum(salt, covered) != u32::from_be_bytes(*crc) {
            return Err(FrameError::Broken);
        }
        let count = u16::try_from(u32::from_be_bytes(*count)).map_err(|_| FrameError::Broken)?;
        Ok(Self {
            first: u64::from_be_bytes(*first),
            entries: decode_bundle(payload, count).map_err(|_| FrameError::Broken)?,
            length: HEADER_BYTES + payload.len(),
        })
    }
}

/// Writes a frame into `frame`, padded with zeros to whole pages.
pub(crate) fn encode_frame<'a>(
    frame: &mut Vec<u8>,
    salt: &[u8; 16],
    first: u64,
    entries: impl Iterator<Item = &'a [u8]>,
) -> Result<(), EntryTooLarge> {
    frame.clear();
    frame.resize(HEADER_BYTES, 0);
    let mut count = 0_u32;
    for entry in entries {
        encode_entry(entry, frame)?;
        count += 1;
    }
    let length = u32::try_from(frame.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    put(frame, 0, MAGIC);
    put(frame, 8, &first.to_be_bytes());
    put(frame, 16, &count.to_be_bytes());
    put(frame, 20, &length.to_be_bytes());
    let crc = checksum(salt, frame.get(8..).unwrap_or_default());
    put(frame, 4, &crc.to_be_bytes());
    frame.resize(frame.len().next_multiple_of(PAGE), 0);
    Ok(())
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn checksum(salt: &[u8; 16], covered: &[u8]) -> u32 {
    crc32c_append(crc32c(salt), covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8; 16] = b"0123456789abcdef";

    const LENGTH: usize = HEADER_BYTES + 5 + 2 + 7;

    fn frame() -> Vec<u8> {
        // What stood in the buffer before leaves no trace.
        let mut frame = vec![9; 5_000];
        let entries = [&b"one"[..], b"", b"three"];
        encode_frame(&mut frame, SALT, 7, entries.into_iter()).unwrap();
        assert_eq!(frame.len(), PAGE);
        assert!(frame.split_off(LENGTH).iter().all(|byte| *byte == 0));
        frame
    }

    #[test]
    fn round_trips_before_padding() {
        let mut bytes = frame();
        bytes.resize(4_096, 0);
        let read = Frame::parse(SALT, &bytes).unwrap();
        assert_eq!((read.first, read.length), (7, LENGTH));
        assert_eq!(read.entries, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn every_byte_and_the_salt_count() {
        let bytes = frame();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(Frame::parse(SALT, &bad).is_err(), "byte {at}");
            assert!(Frame::parse(SALT, &bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(
            Frame::parse(b"0123456789abcdeF", &bytes),
            Err(FrameError::Broken)
        );
        assert_eq!(Frame::parse(SALT, &[0; 4_096]), Err(FrameError::None));
    }
}
