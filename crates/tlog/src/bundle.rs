use chancery_types::limits::MAX_LOG_ENTRY_BYTES;

/// An entry that no bundle can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log entry of {length} bytes; at most {MAX_LOG_ENTRY_BYTES} fit")]
pub struct EntryTooLarge {
    length: usize,
}

/// Why bytes are not an entry bundle of the expected width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bytes end before the last entry does.
    #[error("the entry bundle is cut short at entry {at}")]
    Truncated {
        /// The place of the entry in the bundle.
        at: u16,
    },
    /// Bytes follow the last entry.
    #[error("bytes follow the last entry of the bundle")]
    Trailing,
}

/// Says whether a log can carry `entry`, before it gets an index.
pub fn check_entry(entry: &[u8]) -> Result<(), EntryTooLarge> {
    let length = entry.len();
    if length > MAX_LOG_ENTRY_BYTES {
        return Err(EntryTooLarge { length });
    }
    Ok(())
}

/// Appends `entry` to the bytes of a bundle: its length in two big-endian bytes, then itself.
pub fn encode_entry(entry: &[u8], bundle: &mut Vec<u8>) -> Result<(), EntryTooLarge> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLarge {
        length: entry.len(),
    })?;
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
    Ok(())
}

/// Reads a bundle of exactly `width` entries.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut rest = bytes;
    let mut entries = Vec::with_capacity(width.into());
    for at in 0..width {
        let (entry, next) = rest
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.split_at_checked(u16::from_be_bytes(*length).into()))
            .ok_or(BundleError::Truncated { at })?;
        entries.push(entry);
        rest = next;
    }
    if !rest.is_empty() {
        return Err(BundleError::Trailing);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let mut bundle = Vec::new();
        encode_entry(&[7; 65_535], &mut bundle).unwrap();
        encode_entry(&[], &mut bundle).unwrap();
        assert_eq!(bundle.len(), 65_539);
        assert!(check_entry(&[7; 65_535]).is_ok());
        let error = check_entry(&[7; 65_536]).unwrap_err();
        assert_eq!(encode_entry(&[7; 65_536], &mut bundle), Err(error));
        assert!(error.to_string().contains("65536"), "{error}");
        assert_eq!(bundle.len(), 65_539);
        let entries = decode_bundle(&bundle, 2).unwrap();
        assert_eq!(entries, [&[7; 65_535][..], &[]]);
    }

    #[test]
    fn refuses_other_widths_and_cuts() {
        let bundle = b"\0\x01a\0\x02bc";
        assert_eq!(decode_bundle(bundle, 2).unwrap(), [&b"a"[..], b"bc"]);
        assert_eq!(decode_bundle(bundle, 1), Err(BundleError::Trailing));
        assert_eq!(
            decode_bundle(bundle, 3),
            Err(BundleError::Truncated { at: 2 })
        );
        for length in 0..bundle.len() {
            assert!(decode_bundle(&bundle[..length], 2).is_err(), "{length}");
        }
    }
}
