//! The chain of an instance's entries inside of a log: a missing, reordered or added entry shows.

use std::collections::BTreeMap;

use chancery_types::Digest;
use chancery_types::id::SessionId;

use crate::{Event, FieldType, Label};

part! {
    /// A leaf of this log.
    pub struct LeafRef {
        /// Its index.
        index: u64,
        /// Its leaf hash.
        hash: Digest,
    }
}

record! {
    /// The place of an entry in the chain of its instance.
    pub struct InstanceLink {
        /// How many entries of the instance stand before it.
        seq: u64,
        [optional]
        /// The one before it; only the first has none.
        prev: LeafRef,
    }
}

impl FieldType for InstanceLink {
    fn describe() -> String {
        let names: Vec<&str> = Self::fields().iter().map(|field| field.name).collect();
        format!("{{{}?: {}}}", names.join(", "), LeafRef::describe())
    }

    fn schema() -> serde_json::Value {
        crate::body::object(Self::fields())
    }
}

/// Why the entries of an instance are not its whole chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The first entry of an instance is not its join, or a join is not the first.
    #[error("entry {index}: the chain of {instance} does not start with its join")]
    Start {
        /// The index of the entry.
        index: u64,
        /// The instance.
        instance: Label,
    },
    /// Entries are missing, repeated or out of order.
    #[error("entry {index}: the chain of {instance} has {found} where {expected} is next")]
    Gap {
        /// The index of the entry.
        index: u64,
        /// The instance.
        instance: Label,
        /// The place that comes next.
        expected: u64,
        /// The place that the entry has.
        found: u64,
    },
    /// The entry does not follow the one before it.
    #[error("entry {index}: does not follow the entry of {instance} before it")]
    Broken {
        /// The index of the entry.
        index: u64,
        /// The instance.
        instance: Label,
    },
    /// The leave counts other entries.
    #[error("entry {index}: {instance} left with {found} entries where there are {expected}")]
    Count {
        /// The index of the entry.
        index: u64,
        /// The instance.
        instance: Label,
        /// How many there are.
        expected: u64,
        /// How many the leave counts.
        found: u64,
    },
    /// An entry after the leave.
    #[error("entry {index}: {instance} left before")]
    AfterLeave {
        /// The index of the entry.
        index: u64,
        /// The instance.
        instance: Label,
    },
}

impl ChainError {
    /// Whose chain it is, and the entry where that shows.
    pub const fn place(&self) -> (u64, &Label) {
        match self {
            Self::Start { index, instance }
            | Self::Gap {
                index, instance, ..
            }
            | Self::Broken { index, instance }
            | Self::Count {
                index, instance, ..
            }
            | Self::AfterLeave { index, instance } => (*index, instance),
        }
    }
}

/// The chains of all instances in a log, folded entry by entry in the order of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceChains(BTreeMap<(SessionId, Label), Chain>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Chain {
    next: u64,
    last: LeafRef,
    left: bool,
}

impl InstanceChains {
    /// Takes the next entry of the log. Entries that belong to no instance are passed over.
    pub fn take(&mut self, leaf: &LeafRef, event: &Event) -> Result<(), ChainError> {
        let Some((session, instance, link)) = event.instance_link() else {
            return Ok(());
        };
        let (index, instance) = (leaf.index, instance.clone());
        let key = (session, instance.clone());
        let is_join = matches!(event, Event::SessionJoin(_));
        let next = match self.0.get(&key) {
            None if is_join && link.seq == 0 && link.prev.is_none() => 1,
            None => return Err(ChainError::Start { index, instance }),
            Some(chain) if chain.left => return Err(ChainError::AfterLeave { index, instance }),
            Some(_) if is_join => return Err(ChainError::Start { index, instance }),
            Some(chain) if link.seq != chain.next => {
                return Err(ChainError::Gap {
                    index,
                    instance,
                    expected: chain.next,
                    found: link.seq,
                });
            }
            Some(chain) if link.prev.as_ref() != Some(&chain.last) => {
                return Err(ChainError::Broken { index, instance });
            }
            Some(chain) => chain.next.saturating_add(1),
        };
        if let Event::SessionLeave(leave) = event
            && leave.entries != next
        {
            return Err(ChainError::Count {
                index,
                instance,
                expected: next,
                found: leave.entries,
            });
        }
        let chain = Chain {
            next,
            last: leaf.clone(),
            left: matches!(event, Event::SessionLeave(_)),
        };
        self.0.insert(key, chain);
        Ok(())
    }

    /// The instances that have not left.
    pub fn open(&self) -> impl Iterator<Item = (SessionId, &Label)> {
        self.0
            .iter()
            .filter(|(_, chain)| !chain.left)
            .map(|((session, instance), _)| (*session, instance))
    }
}
