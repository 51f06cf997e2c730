use std::path::Path;

use chancery_tlog::Frontier;
use crc32c::crc32c;

use super::{TEMPORARY, read_if_present, replace};
use crate::{Damage, JournalError, Storage};

const STATE_FILE: &str = "state";
const MAGIC: &[u8; 8] = b"CHANST01";

/// How far the entries are durable in bundles and tiles, and the frontier of that tree.
pub(crate) fn read_state(storage: &dyn Storage, dir: &Path) -> Result<Frontier, JournalError> {
    let path = dir.join(STATE_FILE);
    let Some(bytes) = read_if_present(storage, &path)? else {
        return Err(JournalError::Missing { path });
    };
    bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_last_chunk::<4>())
        .filter(|(frontier, crc)| crc32c(frontier) == u32::from_be_bytes(**crc))
        .and_then(|(frontier, _)| Frontier::from_bytes(frontier).ok())
        .ok_or_else(|| JournalError::damaged(&path, Damage::Checksum))
}

/// Replaces the state.
pub(crate) fn write_state(
    storage: &dyn Storage,
    dir: &Path,
    frontier: &Frontier,
) -> Result<(), JournalError> {
    let frontier = frontier.to_bytes();
    let crc = crc32c(&frontier).to_be_bytes();
    let bytes = [&MAGIC[..], &frontier, &crc].concat();
    let temporary = dir.join(TEMPORARY).join(STATE_FILE);
    replace(storage, &dir.join(STATE_FILE), &temporary, &bytes)
}
