use std::fmt;
use std::str::FromStr;

use crate::{Origin, TreeHash, text};

/// What a checkpoint says: the log, its size and its root. Parsed from and displayed as the note
/// text of exactly three lines; extension lines are refused, because post-quantum cosignatures do
/// not cover them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// The number of its entries.
    pub size: u64,
    /// The root of its tree.
    pub root: TreeHash,
}

/// Why a text is not the text of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointTextError {
    /// Not exactly three lines, each ended by a newline.
    #[error("checkpoint text is not exactly three lines")]
    Lines,
    /// The first line.
    #[error("checkpoint origin is malformed")]
    Origin,
    /// The second line is not a decimal without leading zeros.
    #[error("checkpoint size is malformed")]
    Size,
    /// The third line is not 32 bytes of base64.
    #[error("checkpoint root is malformed")]
    Root,
    /// The root of size zero is not the root of the empty tree.
    #[error("checkpoint of size 0 with another root than the empty tree's")]
    EmptyRoot,
}

impl Checkpoint {
    /// Reads the three lines, whatever the root of size zero is: a witness answers that one in its
    /// own way.
    pub(crate) fn read(text: &str) -> Result<Self, CheckpointTextError> {
        let lines = text
            .strip_suffix('\n')
            .map(|text| text.split('\n').collect::<Vec<_>>());
        let Some([origin, size, root]) = lines.as_deref() else {
            return Err(CheckpointTextError::Lines);
        };
        Ok(Self {
            origin: origin.parse().map_err(|_| CheckpointTextError::Origin)?,
            size: text::decimal(size).ok_or(CheckpointTextError::Size)?,
            root: root.parse().map_err(|_| CheckpointTextError::Root)?,
        })
    }

    /// Whether a tree of this size can have this root: that of size zero is known.
    pub(crate) fn is_possible(&self) -> bool {
        self.size != 0 || self.root == TreeHash::empty()
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointTextError;

    fn from_str(text: &str) -> Result<Self, CheckpointTextError> {
        let checkpoint = Self::read(text)?;
        if !checkpoint.is_possible() {
            return Err(CheckpointTextError::EmptyRoot);
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "example.com/log\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn round_trips() {
        let checkpoint: Checkpoint = TEXT.parse().unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), TEXT);
    }

    #[test]
    fn refuses_other_texts() {
        for (bad, error) in [
            (String::new(), CheckpointTextError::Lines),
            (TEXT.trim_end().to_owned(), CheckpointTextError::Lines),
            (format!("{TEXT}extension\n"), CheckpointTextError::Lines),
            (format!("{TEXT}\n"), CheckpointTextError::Lines),
            (format!("\n{TEXT}"), CheckpointTextError::Lines),
            (
                TEXT.replace("example.com/log", ""),
                CheckpointTextError::Origin,
            ),
            (
                TEXT.replace("example.com/log", "a log"),
                CheckpointTextError::Origin,
            ),
            (TEXT.replace("\n208", "\n0208"), CheckpointTextError::Size),
            (TEXT.replace("\n208", "\n+208"), CheckpointTextError::Size),
            (TEXT.replace("\n208", "\n-208"), CheckpointTextError::Size),
            (TEXT.replace("63\n", "63 \n"), CheckpointTextError::Size),
            (TEXT.replace("63\n", "63\r\n"), CheckpointTextError::Size),
            (TEXT.replace("q2I=", "q2J="), CheckpointTextError::Root),
            (TEXT.replace("q2I=", "q2I"), CheckpointTextError::Root),
            (TEXT.replace("CsUY", ""), CheckpointTextError::Root),
            (
                TEXT.replace("20852163", "0"),
                CheckpointTextError::EmptyRoot,
            ),
        ] {
            assert_eq!(bad.parse::<Checkpoint>(), Err(error), "{bad:?}");
        }
    }
}
