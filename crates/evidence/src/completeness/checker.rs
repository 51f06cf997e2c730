mod seen_index;

use std::collections::{BTreeMap, VecDeque};

use chancery_audit::{Event, IndexRoot, Label, LeafRef};
use chancery_tlog::IndexKey;

use super::InstanceIndex;

use super::blame::{Blame, Taken, blame};
pub use seen_index::SeenIndexError;

/// Compares every root of the completeness index that a log enrols with what the entries before it
/// make. Holds the index, the names of its instances, and the entries that no root covers yet.
#[derive(Debug, Clone, Default)]
pub struct IndexChecker {
    index: InstanceIndex,
    names: BTreeMap<IndexKey, Label>,
    waiting: VecDeque<(Label, LeafRef)>,
    covered: u64,
    size: u64,
    /// Whether a root was wrong before; of the first one alone it is told how.
    blamed: bool,
}

/// What is wrong with a root that a log enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexFault {
    /// It covers entries that follow it.
    #[error("the index at entry {index} says that it covers {size} entries")]
    Ahead {
        /// The entry that names it.
        index: u64,
        /// How many it says that it covers.
        size: u64,
    },
    /// It covers less than one before.
    #[error("the index at entry {index} covers {size} entries, one before covered {before}")]
    Back {
        /// The entry that names it.
        index: u64,
        /// How many it says that it covers.
        size: u64,
        /// How many were covered before.
        before: u64,
    },
    /// It is not that of the entries that it covers.
    #[error("the index at entry {index}, over {size} entries, is wrong: {blame}")]
    Wrong {
        /// The entry that names it.
        index: u64,
        /// How many it covers.
        size: u64,
        /// How it differs.
        blame: Blame,
    },
}

impl IndexFault {
    /// Every reason code, in words.
    pub const CODES: [(&str, &str); 3] = [
        (
            "index_ahead",
            "the index says that it covers entries which follow it",
        ),
        ("index_back", "the index covers less than one before"),
        (
            "index_wrong",
            "the root of the index is not that of the entries; the instance is named where one explains it",
        ),
    ];

    /// The reason code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Ahead { .. } => "index_ahead",
            Self::Back { .. } => "index_back",
            Self::Wrong { .. } => "index_wrong",
        }
    }

    /// The entry that names the index.
    pub const fn index(&self) -> u64 {
        match self {
            Self::Ahead { index, .. } | Self::Back { index, .. } | Self::Wrong { index, .. } => {
                *index
            }
        }
    }
}

impl IndexChecker {
    /// Takes the next entry of the log; fails where it names a root that is not the one. Goes on
    /// with the right one.
    pub fn take(&mut self, leaf: &LeafRef, event: &Event) -> Result<(), IndexFault> {
        if let Some((_, instance, _)) = event.instance_link() {
            self.waiting.push_back((instance.clone(), leaf.clone()));
        }
        self.size = leaf.index.saturating_add(1);
        match event {
            Event::IndexRoot(root) => self.check(leaf.index, root),
            _ => Ok(()),
        }
    }

    /// Passes over an entry that says nothing: one of a log that is not ours.
    pub const fn pass_over(&mut self, index: u64) {
        self.size = index.saturating_add(1);
    }

    /// How many entries of the log were taken.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How many of them the last root covers.
    pub const fn covered(&self) -> u64 {
        self.covered
    }

    fn check(&mut self, index: u64, root: &IndexRoot) -> Result<(), IndexFault> {
        let (size, before) = (root.size, self.covered);
        if size > index {
            return Err(IndexFault::Ahead { index, size });
        }
        if size < before {
            return Err(IndexFault::Back {
                index,
                size,
                before,
            });
        }
        let taken = self.cover(size);
        if self.index.to_entry() == *root {
            return Ok(());
        }
        let blame = match std::mem::replace(&mut self.blamed, true) {
            true => Blame::Unknown,
            false => blame(&mut self.index, &self.names, &taken, root),
        };
        Err(IndexFault::Wrong { index, size, blame })
    }

    /// Folds what the root covers and those before it did not.
    fn cover(&mut self, size: u64) -> Vec<Taken> {
        let mut taken = Vec::new();
        while let Some((name, leaf)) = self.waiting.pop_front_if(|(_, leaf)| leaf.index < size) {
            let before = self.index.add(&name, &leaf);
            let key = IndexKey::of(name.as_str());
            self.names.entry(key).or_insert_with(|| name.clone());
            taken.push(Taken {
                key,
                name,
                leaf,
                before,
            });
        }
        self.index.cover(size);
        self.covered = size;
        taken
    }
}
