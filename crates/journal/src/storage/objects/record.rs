use crc32c::crc32c;

const MAGIC: &[u8; 8] = b"CHANSEQ1";

/// No file of a sequence is longer: a segment of the write-ahead log is not.
pub(super) const MAX_FILE: u64 = 16 << 20;

/// One object of a writer's sequence. Its number stands in it, so that one that was moved is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// Who wrote it: no two writers make the same bytes.
    pub holder: [u8; 16],
    /// What it does.
    pub body: Body,
}

/// What a record does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A writer takes over: whoever wrote before finds this number taken.
    TakeOver,
    /// Writes to a file, which is known by the number of its first record. That one names it, and
    /// a later one may give it another name.
    File {
        /// The number of its first record.
        file: u64,
        /// Its name from now on, below the folder of the log.
        name: Option<String>,
        /// What is written, in this order.
        writes: Vec<Write>,
    },
}

/// Bytes at an offset, in `length` of them; zeros at their end are not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub length: u32,
    /// Those before the zeros at the end.
    pub bytes: Vec<u8>,
}

/// The bytes are not the record of that number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the record of that number")]
pub struct RecordError;

impl Write {
    /// None where it ends beyond what a file may hold.
    pub(super) fn new(offset: u64, bytes: &[u8]) -> Option<Self> {
        let stored = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let end = offset.checked_add(bytes.len() as u64)?;
        (end <= MAX_FILE).then_some(())?;
        Some(Self {
            offset,
            length: u32::try_from(bytes.len()).ok()?,
            bytes: bytes.get(..stored)?.to_vec(),
        })
    }

    /// Where it ends.
    pub(super) const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length as u64)
    }

    /// Puts it into a file's bytes, which begin at the file's start and may end before the file does.
    pub fn lay_over(&self, file: &mut [u8]) {
        let Ok(offset) = usize::try_from(self.offset) else {
            return;
        };
        let Some(place) = file.get_mut(offset..) else {
            return;
        };
        let length = place.len().min(self.length as usize);
        for (at, byte) in place.iter_mut().take(length).enumerate() {
            *byte = self.bytes.get(at).copied().unwrap_or(0);
        }
    }
}

impl Record {
    /// The bytes that [`Record::parse`] reads, and no others.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &self.number.to_be_bytes(), &self.holder].concat();
        if let Body::File { file, name, writes } = &self.body {
            bytes.extend(file.to_be_bytes());
            let name = name.as_deref().unwrap_or_default();
            bytes.extend((name.len() as u32).to_be_bytes());
            bytes.extend(name.as_bytes());
            for write in writes {
                bytes.extend(write.offset.to_be_bytes());
                bytes.extend(write.length.to_be_bytes());
                bytes.extend((write.bytes.len() as u32).to_be_bytes());
                bytes.extend(&write.bytes);
            }
        }
        bytes.extend(crc32c(&bytes).to_be_bytes());
        bytes
    }

    /// Reads the record of that number, and nothing else.
    pub fn parse(number: u64, bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes)
            .filter(|record| record.number == number)
            .ok_or(RecordError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c(covered) != u32::from_be_bytes(*crc) {
            return None;
        }
        let rest = covered.strip_prefix(MAGIC)?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (holder, rest) = rest.split_first_chunk::<16>()?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            holder: *holder,
            body: if rest.is_empty() {
                Body::TakeOver
            } else {
                read_file(rest)?
            },
        })
    }
}

fn read_file(bytes: &[u8]) -> Option<Body> {
    let (file, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (name, mut rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let name = str::from_utf8(name).ok()?;
    let mut writes = Vec::new();
    while !rest.is_empty() {
        let (offset, after) = rest.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let (stored, after) = after.split_first_chunk::<4>()?;
        let (bytes, after) = after.split_at_checked(u32::from_be_bytes(*stored) as usize)?;
        let (offset, length) = (u64::from_be_bytes(*offset), u32::from_be_bytes(*length));
        let is_canonical = bytes.last() != Some(&0) && bytes.len() <= length as usize;
        offset
            .checked_add(u64::from(length))
            .filter(|end| is_canonical && *end <= MAX_FILE)?;
        writes.push(Write {
            offset,
            length,
            bytes: bytes.to_vec(),
        });
        rest = after;
    }
    Some(Body::File {
        file: u64::from_be_bytes(*file),
        name: (!name.is_empty()).then(|| name.to_owned()),
        writes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let writes = [Write::new(0, b"header\0\0"), Write::new(4_096, &[0; 7])];
        Record {
            number: 7,
            holder: [3; 16],
            body: Body::File {
                file: 7,
                name: Some("wal/segment-1".to_owned()),
                writes: writes.into_iter().flatten().collect(),
            },
        }
    }

    #[test]
    fn round_trips() {
        let take_over = Record {
            body: Body::TakeOver,
            ..record()
        };
        for record in [record(), take_over] {
            assert_eq!(Record::parse(7, &record.to_bytes()), Ok(record));
        }
    }

    #[test]
    fn every_byte_the_length_and_the_number_count() {
        let bytes = record().to_bytes();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Record::parse(7, &bad), Err(RecordError), "byte {at}");
            assert_eq!(
                Record::parse(7, &bytes[..at]),
                Err(RecordError),
                "cut at {at}"
            );
        }
        assert_eq!(Record::parse(8, &bytes), Err(RecordError));
        assert_eq!(
            Record::parse(7, &[&bytes[..], b"\0"].concat()),
            Err(RecordError)
        );
    }

    #[test]
    fn zeros_at_the_end_are_written_too() {
        let mut file = *b"0123456789";
        Write::new(2, b"ab\0\0").unwrap().lay_over(&mut file);
        assert_eq!(&file, b"01ab\0\x006789");
        Write::new(8, b"xyz").unwrap().lay_over(&mut file);
        assert_eq!(&file, b"01ab\0\x0067xy");
        Write::new(99, b"far").unwrap().lay_over(&mut file);
        assert_eq!(&file, b"01ab\0\x0067xy");
        for offset in [MAX_FILE, u64::MAX] {
            assert_eq!(Write::new(offset, b"x"), None);
        }
    }

    #[test]
    fn a_record_that_ends_beyond_what_a_file_may_hold_is_refused() {
        for (offset, length) in [(MAX_FILE, 1), (1, u32::MAX), (u64::MAX, 1)] {
            let bytes = Vec::new();
            let write = Write {
                offset,
                length,
                bytes,
            };
            let body = Body::File {
                file: 7,
                name: None,
                writes: vec![write],
            };
            let far = Record { body, ..record() };
            assert_eq!(Record::parse(7, &far.to_bytes()), Err(RecordError));
        }
    }
}
