//! A gateway's log with instances in sessions, and its index.

use std::collections::BTreeMap;

use chancery_audit::{
    Entry, Event, IndexRoot, InstanceLink, Isolation, Label, LeafRef, Outcome, OutcomeStatus,
    SessionJoin, leaf_hash,
};
use chancery_evidence::completeness::InstanceIndex;
use chancery_evidence::log::log_keys;
use chancery_tlog::{
    IndexPath, IndexProof, LeafHash, LogKeys, MemoryTree, TlogProof, prove_inclusion,
};
use chancery_types::{Digest, Timestamp};

use crate::log_writer::{Log, LogSigner};
use crate::scene::{at, id};

pub(crate) const ORIGIN: &str = "example.org/log/gateway";

pub(crate) struct World {
    pub(crate) log: Log,
    pub(crate) signer: LogSigner,
    pub(crate) index: InstanceIndex,
    pub(crate) places: BTreeMap<(u8, u8), (u64, LeafRef)>,
}

pub(crate) fn name(instance: u8) -> Label {
    Label::or_digest(&format!("spiffe://example.org/agent/a/instance/{instance}"))
}

pub(crate) fn leaves(log: &Log) -> Vec<(LeafRef, Entry)> {
    let entries = log.entries.iter().zip(0..);
    let parsed = entries.map(|(bytes, index)| {
        let hash = leaf_hash(bytes);
        (LeafRef { index, hash }, Entry::parse(bytes).unwrap())
    });
    parsed.collect()
}

pub(crate) fn folded(entries: &[(LeafRef, Entry)]) -> InstanceIndex {
    let mut index = InstanceIndex::default();
    for (leaf, entry) in entries {
        index.take(leaf, &entry.event);
    }
    index
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            log: Log::new(ORIGIN),
            signer: LogSigner::new(ORIGIN),
            index: InstanceIndex::default(),
            places: BTreeMap::new(),
        }
    }

    /// Three instances in turns, the first one in two sessions, and two roots.
    pub(crate) fn played() -> Self {
        let mut world = Self::new();
        for (session, instance) in [(0, 0), (0, 1), (0, 0), (1, 0), (0, 1)] {
            world.act(session, instance);
        }
        world.root();
        for (session, instance) in [(0, 2), (0, 1), (0, 0), (1, 0), (0, 2), (0, 1)] {
            world.act(session, instance);
        }
        world
    }

    /// The next entry of an instance: its join, or an outcome.
    pub(crate) fn act(&mut self, session: u8, instance: u8) -> LeafRef {
        let place = self.places.get(&(session, instance)).cloned();
        let (seq, prev) = place.map_or((0, None), |(seq, leaf)| (seq + 1, Some(leaf)));
        let link = InstanceLink { seq, prev };
        let event = match seq {
            0 => join(session, instance, link),
            _ => outcome(session, instance, link),
        };
        let leaf = self.push(event);
        self.places.insert((session, instance), (seq, leaf.clone()));
        leaf
    }

    pub(crate) fn root(&mut self) -> IndexRoot {
        let root = self.index.to_entry();
        self.enrol(root.clone());
        root
    }

    pub(crate) fn enrol(&mut self, root: IndexRoot) -> LeafRef {
        self.push(Event::IndexRoot(root))
    }

    fn push(&mut self, event: Event) -> LeafRef {
        let leaf = self.log.append(at(1), event.clone());
        self.index.take(&leaf, &event);
        leaf
    }

    pub(crate) fn parsed(&self) -> Vec<(LeafRef, Entry)> {
        leaves(&self.log)
    }

    pub(crate) fn keys(&self) -> LogKeys {
        log_keys(&self.signer.to_origin("gateway")).unwrap()
    }

    /// The index over the first entries.
    pub(crate) fn index_of(&self, size: usize) -> InstanceIndex {
        folded(self.parsed().get(..size).unwrap())
    }

    pub(crate) fn inclusion(&self, index: u64) -> TlogProof {
        let tree: MemoryTree = self.log.entries.iter().map(LeafHash::of).collect();
        TlogProof {
            extra: None,
            index,
            path: prove_inclusion(&tree, index, tree.size()).unwrap(),
            checkpoint: self.log.checkpoint(&self.signer),
        }
    }

    /// A proof by the entry at that place, with a path of any index.
    pub(crate) fn proof(&self, place: u64, instance: &Label, path: IndexPath) -> IndexProof {
        let entry = self.log.entries.get(place as usize).unwrap().clone();
        IndexProof::new(instance.as_str(), entry, path, self.inclusion(place)).unwrap()
    }

    /// The proof by the last index of the log.
    pub(crate) fn honest(&self, instance: &Label) -> IndexProof {
        let entries = self.parsed();
        let (leaf, root) = entries
            .iter()
            .rev()
            .find_map(|(leaf, entry)| match &entry.event {
                Event::IndexRoot(root) => Some((leaf, root)),
                _ => None,
            })
            .unwrap();
        let index = self.index_of(root.size as usize);
        self.proof(leaf.index, instance, index.prove(instance.as_str()))
    }

    /// The entries of an instance with their places.
    pub(crate) fn of(&self, instance: &Label) -> Vec<(u64, Vec<u8>)> {
        let entries = self.parsed().into_iter().zip(&self.log.entries);
        entries
            .filter(|((_, entry), _)| {
                let link = entry.event.instance_link();
                link.is_some_and(|(_, name, _)| name == instance)
            })
            .map(|((leaf, _), bytes)| (leaf.index, bytes.clone()))
            .collect()
    }
}

fn join(session: u8, instance: u8, link: InstanceLink) -> Event {
    let digest = Digest::of("x");
    let join = SessionJoin {
        session: id(session),
        instance: name(instance),
        link,
        agent: Label::or_digest("spiffe://example.org/agent/a"),
        manifest: digest,
        chain: digest,
        leaf: Label::or_digest("leaf"),
        agent_key: digest,
        attestation_level: Label::or_digest("launch"),
        isolation: Isolation::Isolated,
        expires: Timestamp::from_seconds(1_900_000_000),
        id: None,
    };
    join.into()
}

fn outcome(session: u8, instance: u8, link: InstanceLink) -> Event {
    let outcome = Outcome {
        execution: id(4),
        session: id(session),
        instance: name(instance),
        link,
        decision: 0,
        status: OutcomeStatus::Completed,
        bytes: 1,
        micros: 1,
        result: None,
    };
    outcome.into()
}
