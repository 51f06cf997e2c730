use std::fmt;

use crate::text::{decode_base64, encode_base64};
use crate::{
    Checkpoint, CheckpointTextError, Note, NoteError, TileEdge, TileKind, TreeHash, encode_tile,
    parse_tile, tile_at,
};

const HEADER: &str = "chancery-seen-log/1";

/// Most bytes of a file that is read: a note, and eight tiles in base64.
const MAX_SEEN_BYTES: usize = crate::MAX_NOTE_BYTES + 8 * 11_000;

/// What a monitor remembers of a log: the last checkpoint that held, a signed note, and the edge of
/// its tree. Parsed from and displayed as one byte string: a header, one line in base64 for the
/// partial tile of each level that has one, an empty line, the note verbatim. The edge makes the
/// root of the checkpoint; who signed that is for whoever reads the file to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLog {
    note: String,
    checkpoint: Checkpoint,
    edge: TileEdge,
}

/// Why bytes are not what a monitor remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeenLogError {
    /// Larger than any.
    #[error("the monitor's state is too long")]
    TooLong,
    /// Not UTF-8, or not of these parts.
    #[error("the monitor's state does not begin with {HEADER}, tiles and an empty line")]
    Shape,
    /// The note.
    #[error("the monitor's state does not hold a signed note")]
    Note(#[source] NoteError),
    /// The note is no checkpoint.
    #[error("the monitor's state does not hold a checkpoint")]
    Checkpoint(#[source] CheckpointTextError),
    /// A line is not the tile that a log of this size ends with.
    #[error("a tile of the monitor's state is malformed")]
    Tile,
    /// The tiles make another tree.
    #[error("the tiles of the monitor's state do not make the root of its checkpoint")]
    Root,
}

impl SeenLog {
    /// A checkpoint with the edge of its tree.
    pub fn new(note: &str, edge: TileEdge) -> Result<Self, SeenLogError> {
        let parsed = Note::parse(note.as_bytes()).map_err(SeenLogError::Note)?;
        let checkpoint: Checkpoint = parsed.text().parse().map_err(SeenLogError::Checkpoint)?;
        if edge.size() != checkpoint.size || edge.root() != checkpoint.root {
            return Err(SeenLogError::Root);
        }
        Ok(Self {
            note: note.to_owned(),
            checkpoint,
            edge,
        })
    }

    /// Reads strictly, without verifying a signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, SeenLogError> {
        if bytes.len() > MAX_SEEN_BYTES {
            return Err(SeenLogError::TooLong);
        }
        let text = str::from_utf8(bytes).map_err(|_| SeenLogError::Shape)?;
        let (head, note) = text.split_once("\n\n").ok_or(SeenLogError::Shape)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(SeenLogError::Shape);
        }
        let parsed = Note::parse(note.as_bytes()).map_err(SeenLogError::Note)?;
        let checkpoint: Checkpoint = parsed.text().parse().map_err(SeenLogError::Checkpoint)?;
        let mut levels = Vec::new();
        for level in 0..8 {
            levels.push(match last_width(level, checkpoint.size) {
                None => Vec::new(),
                Some(width) => {
                    let line = lines.next().and_then(decode_base64);
                    hashes(line, width).ok_or(SeenLogError::Tile)?
                }
            });
        }
        if lines.next().is_some() {
            return Err(SeenLogError::Shape);
        }
        let edge =
            TileEdge::from_levels(checkpoint.size, levels).map_err(|_| SeenLogError::Tile)?;
        Self::new(note, edge)
    }

    /// The signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What the note says.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The edge of the tree.
    pub const fn edge(&self) -> &TileEdge {
        &self.edge
    }
}

impl fmt::Display for SeenLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for level in 0..8 {
            let hashes = self.edge.level(level);
            if !hashes.is_empty() {
                writeln!(f, "{}", encode_base64(&encode_tile(hashes)))?;
            }
        }
        write!(f, "\n{}", self.note)
    }
}

/// The width of the partial tile that a level ends with; none where it ends with a full one.
fn last_width(level: u8, size: u64) -> Option<u16> {
    let index = size.checked_shr(u32::from(level) * 8 + 8).unwrap_or(0);
    Some(tile_at(TileKind::Hashes(level), index, size)?.width())
}

fn hashes(bytes: Option<Vec<u8>>, width: u16) -> Option<Vec<TreeHash>> {
    parse_tile(&bytes?, width).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyName, LeafHash, NoteSignature};

    fn seen(size: u32) -> SeenLog {
        let mut edge = TileEdge::new();
        (0..size).for_each(|index| edge.push(LeafHash::of(index.to_be_bytes()), &mut Vec::new()));
        let text = Checkpoint {
            origin: "td.example/log".parse().unwrap(),
            size: size.into(),
            root: edge.root(),
        };
        let name: KeyName = "td.example/log".parse().unwrap();
        let line = NoteSignature::new(name, [1, 2, 3, 4], vec![7; 64]);
        let note = Note::new(&text.to_string(), vec![line])
            .unwrap()
            .to_string();
        SeenLog::new(&note, edge).unwrap()
    }

    #[test]
    fn reads_its_own_writing_at_every_shape_of_edge() {
        for size in [0, 1, 2, 255, 256, 257, 511, 512, 65_537] {
            let seen = seen(size);
            let text = seen.to_string();
            assert_eq!(SeenLog::parse(text.as_bytes()), Ok(seen), "{size}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        let good = seen(300).to_string();
        let tile = good.lines().nth(1).unwrap();
        let other = seen(301).to_string();
        for (bad, error) in [
            (String::new(), SeenLogError::Shape),
            (good.replace("/1", "/2"), SeenLogError::Shape),
            (good.replace("\n\n", "\n"), SeenLogError::Shape),
            (format!(" {good}"), SeenLogError::Shape),
            (
                good.replacen(tile, "", 1),
                SeenLogError::Checkpoint(CheckpointTextError::Lines),
            ),
            (good.replacen(tile, "AAAA", 1), SeenLogError::Tile),
            (
                good.replacen(tile, &format!("{tile}="), 1),
                SeenLogError::Tile,
            ),
            (good.replacen("\n\n", "\nAAAA\n\n", 1), SeenLogError::Shape),
            (
                good.replacen(tile, other.lines().nth(1).unwrap(), 1),
                SeenLogError::Tile,
            ),
            (
                good.replacen(tile, &encode_base64(&[9; 44 * 32]), 1),
                SeenLogError::Root,
            ),
            (
                good.replace("\n300\n", "\n0300\n"),
                SeenLogError::Checkpoint(CheckpointTextError::Size),
            ),
            (
                good.trim_end().to_owned(),
                SeenLogError::Note(NoteError::NoFinalNewline),
            ),
            (good.replace("\n300\n", "\n299\n"), SeenLogError::Tile),
            ("x".repeat(MAX_SEEN_BYTES + 1), SeenLogError::TooLong),
        ] {
            assert_eq!(SeenLog::parse(bad.as_bytes()), Err(error), "{bad:?}");
        }
        assert_eq!(SeenLog::parse(b"\xff"), Err(SeenLogError::Shape));
    }
}
