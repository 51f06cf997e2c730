//! A verified log with its entries read.

use chancery_audit::{Entry, Event, Label, LeafRef, LogSucceed, Writer, leaf_hash};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::{SignatureVerifier, Timestamp};

use crate::Files;
use crate::log::{VerifiedLog, log_keys, said, witness_policy};
use crate::report::{Axis, Found, NoteValue, Place};

/// One of the two logs.
#[derive(Debug)]
pub(crate) struct Roll {
    pub(crate) folder: &'static str,
    pub(crate) origin: Label,
    pub(crate) log: VerifiedLog,
    /// The entries that could be read, in order.
    pub(crate) entries: Vec<Logged>,
    /// The logs that this one goes on from, the first one first: each with the size that is left.
    before: Vec<(Label, u64)>,
}

/// An entry and its place.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) leaf: LeafRef,
    pub(crate) entry: Entry,
}

impl Roll {
    /// Verifies the log below `folder` with the keys that the trust document names for its origin,
    /// and reads every entry strictly.
    pub(crate) fn read(
        files: &Files,
        writer: Writer,
        trust: &VerifiedTrust,
        verifier: &dyn SignatureVerifier,
        found: &mut Found,
    ) -> Option<Self> {
        let (folder, name) = match writer {
            Writer::Gateway => ("log/gateway", "gateway"),
            Writer::Server | Writer::Either => ("log/server", "server"),
            // Evidence holds none of these: a log of this writer is refused below.
            Writer::Recorder => ("log/recorder", "recorder"),
        };
        let origin = claimed(files, folder, writer, trust);
        let origin = origin.unwrap_or_else(|| format!("{}/log/{name}", trust.trust_domain));
        let Some(known) = trust.log_origin(&origin) else {
            let text = format!("names no log {origin}");
            found.add(Axis::Authenticity, Place::Trust, "origin_unknown", text);
            return None;
        };
        let keys = log_keys(known)
            .map_err(|problem| {
                found.add(
                    Axis::Authenticity,
                    Place::Trust,
                    "origin_keys",
                    problem.to_string(),
                );
            })
            .ok()?;
        let policy = witness_policy(trust)
            .map_err(|problem| {
                let text = problem.to_string();
                found.add(Axis::Authenticity, Place::Trust, "witness_policy", text);
            })
            .ok()?;
        let log = VerifiedLog::verify(files, folder, &keys, policy.as_ref(), verifier)
            .map_err(|problems| {
                for problem in problems {
                    let missing = files.get(&problem.path).is_none();
                    let checkpoint = problem.path.ends_with("/checkpoint");
                    let (axis, reason) = match (missing, checkpoint) {
                        (true, _) => (Axis::Completeness, "file_missing"),
                        (false, true) => (Axis::Authenticity, "checkpoint_refused"),
                        (false, false) => (Axis::Integrity, "log_altered"),
                    };
                    found.add(axis, Place::File(problem.path), reason, problem.problem);
                }
            })
            .ok()?;
        if let Some(current) = trust.current_log(&origin).filter(|it| it.origin != origin) {
            let about = format!("{}, from which {} goes on", origin, current.origin);
            found.note(NoteValue::Succeeded, about);
        }
        let origin = Label::or_digest(&origin);
        let mut roll = Self {
            folder,
            origin,
            log,
            entries: Vec::new(),
            before: Vec::new(),
        };
        roll.before = roll.lines_before();
        roll.entries = roll.read_entries(writer, found);
        roll.check_successions(trust, found);
        Some(roll)
    }

    /// The logs that the entries say this one goes on from.
    fn lines_before(&self) -> Vec<(Label, u64)> {
        let entries = (0..).zip(self.log.entries());
        let said = entries.filter_map(|(index, bytes)| match Entry::parse(bytes).ok()?.event {
            Event::LogSucceed(succeed) => Some((succeed.log, index)),
            _ => None,
        });
        said.collect()
    }

    /// Under which name an entry stands: that of the log it was written in.
    pub(crate) fn name_at(&self, index: u64) -> &Label {
        let before = self.before.iter().find(|(_, size)| index < *size);
        before.map_or(&self.origin, |(name, _)| name)
    }

    /// Whether an origin is this log's, or that of one that it goes on from.
    pub(crate) fn is_named(&self, origin: &Label) -> bool {
        let mut before = self.before.iter();
        self.origin == *origin || before.any(|(name, _)| name == origin)
    }

    /// Whether a checkpoint of that origin and size is one of this log: its own, or one of a log that
    /// it goes on from and of what is left of that.
    pub(crate) fn is_held(&self, origin: &Label, size: u64) -> bool {
        let mut before = self.before.iter();
        self.origin == *origin || before.any(|(name, left)| name == origin && size <= *left)
    }

    /// What the log says of each one that it goes on from.
    pub(crate) fn successions(&self) -> impl Iterator<Item = (&Logged, &LogSucceed)> {
        self.entries
            .iter()
            .filter_map(|logged| match &logged.entry.event {
                Event::LogSucceed(succeed) => Some((logged, succeed)),
                _ => None,
            })
    }

    /// What is said of a former log is what stands here, and the trust document names it as one
    /// that this one succeeds.
    fn check_successions(&self, trust: &VerifiedTrust, found: &mut Found) {
        for (logged, succeed) in self.successions() {
            let (place, index) = (self.place(logged), logged.leaf.index);
            let root = self.log.tree().root_at(index).map(|root| root.digest());
            let left = succeed.size == index && root.is_ok_and(|root| root == succeed.root);
            let text = "the entries before it are not what it says is left";
            found.require(left, Axis::Integrity, &place, "succession_differs", text);
            let gap = succeed.signed > succeed.size;
            let text = "nothing was missing, so that the other log had to go on itself";
            found.require(gap, Axis::Integrity, &place, "succession_needless", text);
            let known = trust.is_succeeded_by(succeed.log.as_str(), self.name_at(index).as_str());
            let text = "the trust document names no such log that this one succeeds";
            let axis = Axis::Authenticity;
            found.require(known, axis, &place, "succession_unknown", text);
            let about = format!(
                "{} goes on from {} at {} entries; {} more were signed there and are missing",
                self.name_at(index),
                succeed.log,
                succeed.size,
                succeed.signed.saturating_sub(succeed.size)
            );
            found.note(NoteValue::Succeeded, about);
        }
    }

    fn read_entries(&self, writer: Writer, found: &mut Found) -> Vec<Logged> {
        let mut entries = Vec::new();
        let mut latest = Timestamp::from_micros(0);
        for (index, bytes) in (0..).zip(self.log.entries()) {
            let place = self.at(index);
            let entry = match Entry::parse(bytes) {
                Ok(entry) => entry,
                Err(error) => {
                    found.add(Axis::Integrity, place, "entry_malformed", said(&error));
                    continue;
                }
            };
            let axis = Axis::Integrity;
            let own = entry.origin == *self.name_at(index);
            found.require(
                own,
                axis,
                &place,
                "entry_origin",
                "names another log's origin",
            );
            let kind = entry.event.writer().may_write_as(writer);
            found.require(
                kind,
                axis,
                &place,
                "entry_writer",
                "is of another writer's type",
            );
            let later = entry.at >= latest;
            found.require(
                later,
                axis,
                &place,
                "time_went_back",
                "is older than the one before",
            );
            latest = latest.max(entry.at);
            entries.push(Logged {
                leaf: LeafRef {
                    index,
                    hash: leaf_hash(bytes),
                },
                entry,
            });
        }
        entries
    }

    /// The place of an entry.
    pub(crate) fn at(&self, index: u64) -> Place {
        Place::Entry {
            origin: self.origin.to_string(),
            index,
        }
    }

    /// The place of an entry.
    pub(crate) fn place(&self, logged: &Logged) -> Place {
        self.at(logged.leaf.index)
    }
}

/// The origin that a checkpoint claims, where the trust document admits it as one of this writer;
/// whose keys signed it is verified after.
fn claimed(files: &Files, folder: &str, writer: Writer, trust: &VerifiedTrust) -> Option<String> {
    let note = std::str::from_utf8(files.get(&format!("{folder}/checkpoint"))?).ok()?;
    let origin = note.lines().next()?;
    let known = match writer {
        Writer::Gateway => trust.gateway_of_origin(origin),
        Writer::Server | Writer::Either => trust.server_of_origin(origin),
        Writer::Recorder => None,
    };
    Some(known?.origin.clone())
}
