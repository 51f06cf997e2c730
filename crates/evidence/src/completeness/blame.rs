use std::collections::BTreeMap;
use std::fmt;

use chancery_audit::{IndexRoot, Label, LeafRef};
use chancery_tlog::{IndexKey, IndexMap, IndexedChain, LeafHash, TreeHash};

use super::InstanceIndex;

/// So many entries and instances are tried in each search: who enrols a wrong root does not say how long
/// others look for what is wrong with it.
const MOST: usize = 256;

/// How an index differs from the one that the entries make, as far as one difference explains it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// It is that of fewer entries: what came behind them is left out.
    Stale {
        /// The first entry that it does not cover.
        from: u64,
    },
    /// An instance is left out.
    Skipped(Label),
    /// One entry of an instance is left out.
    Omitted {
        /// The instance.
        instance: Label,
        /// The entry.
        entry: u64,
    },
    /// The last entries of an instance are left out.
    Truncated {
        /// The instance.
        instance: Label,
        /// How many entries it is said to have.
        entries: u64,
        /// How many it has.
        of: u64,
    },
    /// What belongs to one instance stands in the place of another's.
    Exchanged {
        /// The instance.
        instance: Label,
        /// Whose entries it is said to have.
        other: Label,
    },
    /// The root is right and the number of instances is not.
    Counted {
        /// How many there are said to be.
        said: u64,
        /// How many there are.
        held: u64,
    },
    /// No single difference that was looked for explains it, or a root before it was wrong already.
    Unknown,
}

/// An entry of an instance that a root newly covers.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: IndexKey,
    pub(super) name: Label,
    pub(super) leaf: LeafRef,
    /// What was held before it.
    pub(super) before: Option<IndexedChain>,
}

/// Looks for the one difference that makes the root that was enrolled. `index` is as before when
/// this returns.
pub(super) fn blame(
    index: &mut InstanceIndex,
    names: &BTreeMap<IndexKey, Label>,
    taken: &[Taken],
    said: &IndexRoot,
) -> Blame {
    let held = index.to_entry();
    if held.root == said.root {
        return Blame::Counted {
            said: said.instances,
            held: held.instances,
        };
    }
    let mut trial = Trial {
        map: index.map(),
        root: TreeHash::from_bytes(*said.root.as_bytes()),
    };
    trial
        .stale(taken)
        .or_else(|| trial.skipped(names))
        .or_else(|| trial.of_one(taken))
        .or_else(|| trial.exchanged(taken))
        .unwrap_or(Blame::Unknown)
}

struct Trial<'a> {
    map: &'a mut IndexMap,
    root: TreeHash,
}

impl Trial<'_> {
    /// Whether the map makes the root with this in the place of what it holds of an instance.
    fn with(&mut self, key: IndexKey, chain: Option<IndexedChain>) -> bool {
        let held = self.map.get(&key).copied();
        self.put(key, chain);
        let made = self.map.root() == self.root;
        self.put(key, held);
        made
    }

    fn put(&mut self, key: IndexKey, chain: Option<IndexedChain>) {
        match chain {
            Some(chain) => self.map.set(key, chain),
            None => {
                self.map.remove(&key);
            }
        }
    }

    /// Goes back entry by entry, and forth again.
    fn stale(&mut self, taken: &[Taken]) -> Option<Blame> {
        let (mut found, mut undone) = (None, Vec::new());
        for one in taken.iter().rev().take(MOST) {
            undone.push((one.key, self.map.get(&one.key).copied()));
            self.put(one.key, one.before);
            if self.map.root() == self.root {
                found = Some(Blame::Stale {
                    from: one.leaf.index,
                });
                break;
            }
        }
        for (key, held) in undone.into_iter().rev() {
            self.put(key, held);
        }
        found
    }

    fn skipped(&mut self, names: &BTreeMap<IndexKey, Label>) -> Option<Blame> {
        let mut names = names.iter().take(MOST);
        let (_, name) = names.find(|(key, _)| self.with(**key, None))?;
        Some(Blame::Skipped(name.clone()))
    }

    fn of_one(&mut self, taken: &[Taken]) -> Option<Blame> {
        let mut own: BTreeMap<IndexKey, Vec<&Taken>> = BTreeMap::new();
        for one in taken {
            own.entry(one.key).or_default().push(one);
        }
        own.values()
            .take(MOST)
            .find_map(|own| self.omitted(own).or_else(|| self.truncated(own)))
    }

    fn omitted(&mut self, own: &[&Taken]) -> Option<Blame> {
        let first = own.first()?;
        let mut places = 0..own.len().min(MOST);
        let omitted = places.find(|omitted| {
            let rest = own.iter().enumerate().filter(|(at, _)| at != omitted);
            let chain = rest.fold(first.before, |chain, (_, one)| {
                let hash = LeafHash::from_bytes(*one.leaf.hash.as_bytes());
                Some(IndexedChain::followed_by(
                    chain.as_ref(),
                    one.leaf.index,
                    &hash,
                ))
            });
            self.with(first.key, chain)
        })?;
        Some(Blame::Omitted {
            instance: first.name.clone(),
            entry: own.get(omitted)?.leaf.index,
        })
    }

    fn truncated(&mut self, own: &[&Taken]) -> Option<Blame> {
        let mut earlier = own.iter().rev().take(MOST);
        let found = earlier.find(|one| self.with(one.key, one.before))?;
        let held = self.map.get(&found.key).map_or(0, IndexedChain::entries);
        Some(Blame::Truncated {
            instance: found.name.clone(),
            entries: found.before.map_or(0, |before| before.entries()),
            of: held,
        })
    }

    fn exchanged(&mut self, taken: &[Taken]) -> Option<Blame> {
        let changed: BTreeMap<IndexKey, &Label> =
            taken.iter().map(|one| (one.key, &one.name)).collect();
        let chains: Vec<_> = changed
            .iter()
            .take(MOST)
            .filter_map(|(key, name)| Some((*name, *self.map.get(key)?)))
            .collect();
        for (key, name) in changed.iter().take(MOST) {
            let mut others = chains.iter();
            if let Some((other, _)) = others.find(|(_, chain)| self.with(*key, Some(*chain))) {
                return Some(Blame::Exchanged {
                    instance: (*name).clone(),
                    other: (*other).clone(),
                });
            }
        }
        None
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { from } => {
                write!(
                    f,
                    "it is that of fewer entries, without entry {from} and what follows"
                )
            }
            Self::Skipped(instance) => write!(f, "{instance} is left out"),
            Self::Omitted { instance, entry } => {
                write!(f, "entry {entry} of {instance} is left out")
            }
            Self::Truncated {
                instance,
                entries,
                of,
            } => write!(f, "{instance} has {of} entries there, not {entries}"),
            Self::Exchanged { instance, other } => {
                write!(f, "{instance} has the entries of {other}")
            }
            Self::Counted { said, held } => write!(f, "it holds {held} instances, not {said}"),
            Self::Unknown => f.write_str("no single instance explains how it differs"),
        }
    }
}
