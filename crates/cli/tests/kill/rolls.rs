//! Both logs, read again and again: what was seen once never changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chancery_audit::{Decision, Entry, Event, Outcome, OutcomeStatus, Ruling};
use chancery_crypto::AwsLc;
use chancery_evidence::log::log_keys;
use chancery_identity::trust::SignedTrust;
use chancery_journal::Reader;
use chancery_tlog::{LogKeys, TreeHash, verify_checkpoint_exact, verify_consistency};
use chancery_types::Digest;
use chancery_types::id::ExecutionId;

use crate::clients::Acknowledged;
use crate::deployment::{DOMAIN, Deployment};

/// How long an answered call may take to stand under a published checkpoint.
const PUBLISHED: Duration = Duration::from_secs(30);

/// One log as it was seen.
pub(crate) struct Roll {
    reader: Reader,
    keys: LogKeys,
    entries: Vec<Vec<u8>>,
    checkpoints: Vec<(u64, TreeHash)>,
}

/// The gateway's log with its calls.
pub(crate) struct Calls {
    roll: Roll,
    read: usize,
    decisions: BTreeMap<ExecutionId, Decision>,
    outcomes: BTreeMap<ExecutionId, Outcome>,
}

impl Roll {
    pub(crate) fn of(deployment: &Deployment, name: &str) -> Self {
        let trust = std::fs::read(deployment.trust()).unwrap();
        let trust = SignedTrust::parse(&trust).unwrap().verify(&AwsLc).unwrap();
        let origin = trust.log_origin(&format!("{DOMAIN}/log/{name}")).unwrap();
        Self {
            reader: Reader::open(&deployment.data().join(name).join("log")).unwrap(),
            keys: log_keys(origin).unwrap(),
            entries: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// Reads on to where the log stands published: signed, and with every tree that was seen before
    /// at its beginning.
    pub(crate) fn look(&mut self) {
        let Some((note, _)) = self.reader.checkpoint().unwrap() else {
            return assert!(self.entries.is_empty());
        };
        let seen = verify_checkpoint_exact(note.as_bytes(), &self.keys, &AwsLc).unwrap();
        let (size, root) = (seen.size(), *seen.root());
        let known = self.entries.len() as u64;
        assert!(size >= known, "the log became shorter");
        let read = self.reader.entries(known..size).unwrap();
        self.entries.extend(read.map(|entry| entry.unwrap().1));
        assert_eq!(self.entries.len() as u64, size);
        for (older, older_root) in &self.checkpoints {
            let proof = self.reader.prove_consistency(*older, size).unwrap();
            verify_consistency(*older, size, &proof, older_root, &root).unwrap();
        }
        if size > 0 && self.checkpoints.last().is_none_or(|last| last.0 != size) {
            self.checkpoints.push((size, root));
        }
    }

    /// Reads the whole log again: no entry is another than when it was seen first.
    pub(crate) fn look_at_all(&self) {
        let read = self.reader.entries(0..self.entries.len() as u64).unwrap();
        assert!(
            read.map(|entry| entry.unwrap().1)
                .eq(self.entries.iter().cloned())
        );
    }

    /// The entries seen so far.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.entries_from(0)
    }

    fn entries_from(&self, index: usize) -> impl Iterator<Item = Entry> + '_ {
        let entries = self.entries.iter().skip(index);
        entries.map(|bytes| Entry::parse(bytes).unwrap())
    }

    pub(crate) fn size(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn checkpoints(&self) -> usize {
        self.checkpoints.len()
    }
}

impl Calls {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        Self {
            roll: Roll::of(deployment, "gateway"),
            read: 0,
            decisions: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    pub(crate) fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Reads on. No execution is decided twice or ends twice, and none ends that was not allowed.
    pub(crate) fn look(&mut self) {
        self.roll.look();
        let new: Vec<_> = (self.read..)
            .zip(self.roll.entries_from(self.read))
            .collect();
        self.read = self.roll.size();
        for (index, entry) in new {
            match entry.event {
                Event::Decision(decision) => {
                    let execution = decision.execution;
                    let known = self.decisions.insert(execution, decision);
                    assert!(
                        known.is_none(),
                        "entry {index}: {execution} is decided again"
                    );
                }
                Event::Outcome(outcome) => {
                    let execution = outcome.execution;
                    let decided = self.decisions.get(&execution);
                    let allowed = decided.is_some_and(|known| known.outcome == Ruling::Allow);
                    assert!(allowed, "entry {index}: {execution} was not allowed");
                    let known = self.outcomes.insert(execution, outcome);
                    assert!(known.is_none(), "entry {index}: {execution} ends again");
                }
                _ => {}
            }
        }
    }

    /// Reads on until every call that a client saw succeed stands there with its decision and its
    /// outcome, of the same digests, as often as it was seen.
    pub(crate) fn hold(&mut self, acknowledged: &[Acknowledged]) {
        let start = Instant::now();
        loop {
            self.look();
            let missing = self.missing(acknowledged);
            if missing.is_empty() {
                return;
            }
            assert!(
                start.elapsed() < PUBLISHED,
                "{} of {} answered calls are not in the log: {:?}",
                missing.len(),
                acknowledged.len(),
                missing.first()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn missing(&self, acknowledged: &[Acknowledged]) -> Vec<Acknowledged> {
        let mut logged: BTreeMap<Acknowledged, usize> = BTreeMap::new();
        for (execution, outcome) in &self.outcomes {
            let decision = &self.decisions[execution];
            if outcome.status == OutcomeStatus::Completed {
                let call = Acknowledged {
                    session: decision.session.to_string(),
                    arguments: decision.request.args_digest,
                    result: outcome.result.unwrap_or_else(|| Digest::of("")),
                };
                *logged.entry(call).or_default() += 1;
            }
        }
        let mut missing = Vec::new();
        for call in acknowledged {
            match logged.get_mut(call).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => missing.push(call.clone()),
            }
        }
        missing
    }

    /// Every execution that was allowed has ended; says how many ended in which way.
    pub(crate) fn endings(&self) -> BTreeMap<String, usize> {
        let mut endings = BTreeMap::new();
        for (execution, decision) in &self.decisions {
            if decision.outcome == Ruling::Allow {
                let outcome = self.outcomes.get(execution);
                let outcome = outcome.unwrap_or_else(|| panic!("{execution} never ended"));
                *endings.entry(format!("{:?}", outcome.status)).or_default() += 1;
            }
        }
        endings
    }
}

/// Has the program itself check a log.
pub(crate) fn check(deployment: &Deployment, name: &str) {
    let trust = deployment.trust();
    let trust: &Path = &trust;
    deployment.run(
        "log",
        &["--log", name, "check", "--trust", trust.to_str().unwrap()],
    );
}
