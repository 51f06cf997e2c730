use chancery_audit::{
    ChainError, Entry, EntryError, Event, InstanceChains, Label, LeafRef, leaf_hash,
};
use chancery_tlog::{
    IndexKey, IndexPathError, IndexProof, IndexedChain, LogKeys, VerifiedCheckpoint,
    VerifyEntryError,
};
use chancery_types::{SignatureVerifier, Timestamp};

use super::InstanceIndex;

/// What a log is proven to hold of one instance among its first entries: all of it, or that there
/// is nothing. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenInstance {
    instance: Label,
    chain: Option<IndexedChain>,
    covers: u64,
    index: u64,
    at: Timestamp,
    checkpoint: VerifiedCheckpoint,
}

/// Why nothing is proven of an instance.
#[derive(Debug, thiserror::Error)]
pub enum InstanceProofError {
    /// The name is none.
    #[error("the proof names no instance")]
    Name,
    /// The log is not proven to hold the entry.
    #[error(transparent)]
    Inclusion(#[from] VerifyEntryError),
    /// The entry cannot be read.
    #[error("the entry of the proof cannot be read")]
    Entry(#[source] EntryError),
    /// The entry is of another log than the checkpoint.
    #[error("the entry of the proof names another log")]
    Origin,
    /// The entry names no root of an index.
    #[error("the entry of the proof is no index.root")]
    NotAnIndex,
    /// The index covers entries that follow it, or says of an instance what it does not cover.
    #[error("the index says more than the entries before it")]
    Ahead,
    /// It covers fewer entries than were asked for.
    #[error("the index covers {covers} entries, {asked} were asked for")]
    Stale {
        /// How many it covers.
        covers: u64,
        /// How many were asked for.
        asked: u64,
    },
    /// The path.
    #[error("the index is not proven to say this of the instance")]
    Path(#[source] IndexPathError),
}

/// Why entries are not all those of an instance that were proven.
#[derive(Debug, thiserror::Error)]
pub enum EntriesGap {
    /// An entry cannot be read.
    #[error("entry {0} cannot be read")]
    Entry(u64, #[source] EntryError),
    /// An entry stands before one with a smaller index, or twice.
    #[error("entry {0} is not in the order of the log, or there twice")]
    Order(u64),
    /// The entries themselves say that one is missing, added or out of order.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// More or fewer than were proven.
    #[error("{held} entries where the index has {proven}: the last one there is entry {last}")]
    Count {
        /// How many were given.
        held: u64,
        /// How many the log holds.
        proven: u64,
        /// The last one that the log holds.
        last: u64,
    },
    /// As many as were proven, and other ones.
    #[error("as many entries as the index has, and not the same ones")]
    Head,
}

/// Verifies that the log of these keys holds exactly this of an instance among its first entries,
/// `least` of them at least: the entry with the root of the index is in the log, and the root has
/// this of the instance, or nothing. Whether the root is that of the entries is for whoever has all
/// of them to say: a monitor, or [`super::IndexChecker`].
pub fn verify_instance(
    proof: &IndexProof,
    least: u64,
    keys: &LogKeys,
    verifier: &dyn SignatureVerifier,
) -> Result<ProvenInstance, InstanceProofError> {
    let instance: Label = proof.name().parse().map_err(|_| InstanceProofError::Name)?;
    let verified = proof.inclusion().verify(proof.entry(), keys, verifier)?;
    let entry = Entry::parse(proof.entry()).map_err(InstanceProofError::Entry)?;
    if entry.origin != *keys.origin().as_str() {
        return Err(InstanceProofError::Origin);
    }
    let Event::IndexRoot(root) = entry.event else {
        return Err(InstanceProofError::NotAnIndex);
    };
    let covers = root.size;
    let chain = proof
        .path()
        .verify(
            &IndexKey::of(instance.as_str()),
            &chancery_tlog::TreeHash::from_bytes(*root.root.as_bytes()),
        )
        .map_err(InstanceProofError::Path)?;
    if covers > verified.index() || chain.is_some_and(|chain| chain.last() >= covers) {
        return Err(InstanceProofError::Ahead);
    }
    if covers < least {
        let asked = least;
        return Err(InstanceProofError::Stale { covers, asked });
    }
    Ok(ProvenInstance {
        instance,
        chain,
        covers,
        index: verified.index(),
        at: entry.at,
        checkpoint: verified.checkpoint().clone(),
    })
}

impl ProvenInstance {
    /// The instance.
    pub const fn instance(&self) -> &Label {
        &self.instance
    }

    /// What the log holds of it; none where it holds nothing.
    pub const fn chain(&self) -> Option<&IndexedChain> {
        self.chain.as_ref()
    }

    /// Among how many first entries of the log.
    pub const fn covers(&self) -> u64 {
        self.covers
    }

    /// The entry that names the root of the index.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// When that was enrolled.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The checkpoint that covers it.
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// Compares entries, with their places in the log, with what was proven: these are all, and the
    /// same ones. Those of others, and those that the index does not cover, are passed over. The
    /// entries need no proof of their own: the head covers their bytes and places.
    pub fn compare<'e>(
        &self,
        entries: impl IntoIterator<Item = (u64, &'e [u8])>,
    ) -> Result<(), EntriesGap> {
        let (mut index, mut chains) = (InstanceIndex::default(), InstanceChains::default());
        for (place, bytes) in entries {
            let entry = Entry::parse(bytes).map_err(|error| EntriesGap::Entry(place, error))?;
            if place < index.size() {
                return Err(EntriesGap::Order(place));
            }
            let link = entry.event.instance_link();
            if place >= self.covers || link.is_none_or(|(_, name, _)| *name != self.instance) {
                continue;
            }
            let leaf = LeafRef {
                index: place,
                hash: leaf_hash(bytes),
            };
            chains.take(&leaf, &entry.event)?;
            index.take(&leaf, &entry.event);
        }
        let held = index.get(self.instance.as_str());
        let count = |chain: Option<&IndexedChain>| chain.map_or(0, IndexedChain::entries);
        let (held_count, proven) = (count(held), count(self.chain()));
        if held_count != proven {
            return Err(EntriesGap::Count {
                held: held_count,
                proven,
                last: self.chain.map_or(0, |chain| chain.last()),
            });
        }
        if held != self.chain() {
            return Err(EntriesGap::Head);
        }
        Ok(())
    }
}
