use std::collections::BTreeMap;

use chancery_types::Timestamp;

use crate::graph::{Revoked, Withdrawal};

/// What was revoked of what one box stands for: each kind once, with how often and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::graph) struct Revocations(BTreeMap<Kind, Times>);

/// A kind of revocation; what was lifted is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::graph) struct Kind {
    pub(in crate::graph) what: Withdrawal,
    pub(in crate::graph) lifted: bool,
}

/// How often, and when first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::graph) struct Times {
    pub(in crate::graph) count: u64,
    pub(in crate::graph) first: Timestamp,
}

impl Revocations {
    pub(super) fn add(&mut self, all: &[Revoked]) {
        for revoked in all {
            let kind = Kind {
                what: revoked.what,
                lifted: revoked.lifted.is_some(),
            };
            let (count, first) = (1, revoked.at);
            self.count(kind, Times { count, first });
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (kind, times) in &other.0 {
            self.count(*kind, *times);
        }
    }

    /// Whether any was not lifted.
    pub(super) fn stands(&self) -> bool {
        self.0.keys().any(|kind| !kind.lifted)
    }

    /// The kinds, for telling what is alike.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.0.keys().copied().collect()
    }

    pub(in crate::graph) fn iter(&self) -> impl Iterator<Item = (Kind, Times)> {
        self.0.iter().map(|(kind, times)| (*kind, *times))
    }

    fn count(&mut self, kind: Kind, times: Times) {
        let known = self.0.entry(kind).or_insert(Times { count: 0, ..times });
        known.count = known.count.saturating_add(times.count);
        known.first = known.first.min(times.first);
    }
}
