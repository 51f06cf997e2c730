//! What a monitor remembers of the completeness index, as a file.

use std::fmt;
use std::str::FromStr;

use chancery_audit::{Label, LeafRef};
use chancery_tlog::{IndexKey, IndexedChain};

use super::IndexChecker;

const HEADER: &str = "chancery-seen-index/1";

/// Why a text is not what a monitor remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeenIndexError {
    /// Not of these parts.
    #[error("the remembered index does not begin with {HEADER}, a size and what is covered")]
    Shape,
    /// A line that is none.
    #[error("line {0} of the remembered index is malformed")]
    Line(usize),
    /// Another spelling, or another order.
    #[error("the remembered index is not as it was written")]
    NotCanonical,
}

/// A header, `size` and `covered`, a line `instance ENTRIES LAST HEAD NAME` for each instance in
/// the order of the map, a line `waiting INDEX LEAF NAME` for each entry that no root covers yet.
impl fmt::Display for IndexChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        writeln!(f, "size {}", self.size)?;
        writeln!(f, "covered {}", self.covered)?;
        for name in self.names.values() {
            if let Some(chain) = self.index.get(name.as_str()) {
                let (entries, last, head) = (chain.entries(), chain.last(), chain.head());
                writeln!(f, "instance {entries} {last} {head} {name}")?;
            }
        }
        for (name, leaf) in &self.waiting {
            writeln!(f, "waiting {} {} {name}", leaf.index, leaf.hash)?;
        }
        Ok(())
    }
}

/// Reads strictly: exactly what would be written.
impl FromStr for IndexChecker {
    type Err = SeenIndexError;

    fn from_str(text: &str) -> Result<Self, SeenIndexError> {
        let mut lines = text.lines().enumerate();
        let mut head = || lines.next().map(|(_, line)| line).unwrap_or_default();
        let number = |line: &str, name| line.strip_prefix(name)?.parse::<u64>().ok();
        if head() != HEADER {
            return Err(SeenIndexError::Shape);
        }
        let size = number(head(), "size ").ok_or(SeenIndexError::Shape)?;
        let covered = number(head(), "covered ").ok_or(SeenIndexError::Shape)?;
        let mut checker = Self {
            size,
            covered,
            ..Self::default()
        };
        checker.index.cover(covered);
        for (at, line) in lines {
            checker
                .read(line)
                .ok_or(SeenIndexError::Line(at.saturating_add(1)))?;
        }
        if covered > size || checker.to_string() != text {
            return Err(SeenIndexError::NotCanonical);
        }
        Ok(checker)
    }
}

impl IndexChecker {
    fn read(&mut self, line: &str) -> Option<()> {
        if let Some(rest) = line.strip_prefix("instance ") {
            let mut parts = rest.splitn(4, ' ');
            let entries = parts.next()?.parse().ok()?;
            let last = parts.next()?.parse().ok()?;
            let head = parts.next()?.parse().ok()?;
            let name: Label = parts.next()?.parse().ok()?;
            let key = IndexKey::of(name.as_str());
            let chain = IndexedChain::new(entries, last, head)?;
            let known = Some(chain).filter(|chain| chain.last() < self.covered)?;
            self.index.map().set(key, known);
            self.names.insert(key, name);
        } else {
            let mut parts = line.strip_prefix("waiting ")?.splitn(3, ' ');
            let index: u64 = parts.next()?.parse().ok()?;
            let hash = parts.next()?.parse().ok()?;
            let name = parts.next()?.parse().ok()?;
            let after = self
                .waiting
                .back()
                .map_or(self.covered, |(_, leaf)| leaf.index.saturating_add(1));
            let index = Some(index).filter(|index| (after..self.size).contains(index))?;
            self.waiting.push_back((name, LeafRef { index, hash }));
        }
        Some(())
    }
}
