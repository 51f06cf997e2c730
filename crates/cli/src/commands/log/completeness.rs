//! What the entries of a log say of each other: chains of instances, and roots of the index.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_audit::{
    Entry, EntryError, Event, InstanceChains, Label, LeafRef, LogSucceed, leaf_hash,
};
use chancery_evidence::completeness::IndexChecker;
use chancery_tlog::MAX_LOG_FINDINGS;

use super::check::Found;

/// Takes the entries of a log in their order.
#[derive(Debug, Default)]
pub(super) struct Completeness {
    checker: IndexChecker,
    /// Only where the log is read from its first entry on.
    chains: Option<InstanceChains>,
    broken: BTreeSet<Label>,
    findings: Vec<Found>,
    /// The first entry that cannot be read.
    malformed: Option<(u64, EntryError)>,
    /// What the log says of the one that it goes on from last.
    pub(super) succeeds: Option<LogSucceed>,
}

impl Completeness {
    /// From the first entry on.
    pub(super) fn whole() -> Self {
        Self {
            chains: Some(InstanceChains::default()),
            ..Self::default()
        }
    }

    /// Goes on from what was remembered.
    pub(super) fn from(checker: IndexChecker) -> Self {
        Self {
            checker,
            ..Self::default()
        }
    }

    pub(super) fn take(&mut self, index: u64, bytes: &[u8]) {
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                self.malformed.get_or_insert((index, error));
                self.checker.pass_over(index);
                return;
            }
        };
        let leaf = LeafRef {
            index,
            hash: leaf_hash(bytes),
        };
        if let Event::LogSucceed(succeed) = &entry.event {
            self.succeeds = Some(succeed.clone());
        }
        if let Some(Err(error)) = (self.chains.as_mut()).map(|it| it.take(&leaf, &entry.event)) {
            let (at, instance) = error.place();
            // What follows a break is broken as well.
            if self.broken.insert(instance.clone()) {
                let why = error.to_string();
                let why = why.split_once(": ").map_or(&*why, |(_, why)| why);
                self.add(at, "chain_broken", why);
            }
        }
        if let Err(fault) = self.checker.take(&leaf, &entry.event) {
            self.add(fault.index(), fault.code(), &fault.to_string());
        }
    }

    fn add(&mut self, entry: u64, reason: &'static str, why: &str) {
        if self.findings.len() < MAX_LOG_FINDINGS {
            self.findings.push(Found {
                file: format!("entry {entry}"),
                reason,
                text: format!("entry {entry}: {why}"),
            });
        }
    }

    /// What was found, and the first entry that cannot be read.
    pub(super) fn done(self) -> (Vec<Found>, Option<(u64, EntryError)>, IndexChecker) {
        (self.findings, self.malformed, self.checker)
    }
}

/// Where a monitor remembers the index, beside what else it remembers.
fn beside(state: &Path) -> PathBuf {
    let mut name = state.to_owned().into_os_string();
    name.push(".index");
    PathBuf::from(name)
}

/// What a monitor remembered of the index of a log of `size` entries; none where the file is not
/// there or is of another size, so that the log is to be read from its first entry on.
pub(super) fn remembered(state: &Path, size: u64) -> anyhow::Result<Option<IndexChecker>> {
    let path = beside(state);
    let shown = || path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(shown),
    };
    let checker: IndexChecker = text.parse().with_context(|| {
        format!(
            "{}; remove it to read the log from its first entry on",
            shown()
        )
    })?;
    Ok(Some(checker).filter(|checker| checker.size() == size))
}

/// Remembers the index for the next pass.
pub(super) fn remember(state: &Path, checker: &IndexChecker) -> anyhow::Result<()> {
    let path = beside(state);
    let mut new = path.clone().into_os_string();
    new.push(".new");
    std::fs::write(&new, checker.to_string())
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| path.display().to_string())
}
