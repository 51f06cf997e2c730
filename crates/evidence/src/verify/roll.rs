//! A verified log with its entries read.

use chancery_audit::{Entry, Label, LeafRef, Writer, leaf_hash};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::{SignatureVerifier, Timestamp};

use crate::Files;
use crate::log::{VerifiedLog, log_keys, said, witness_policy};
use crate::report::{Axis, Found, Place};

/// One of the two logs.
#[derive(Debug)]
pub(crate) struct Roll {
    pub(crate) folder: &'static str,
    pub(crate) origin: Label,
    pub(crate) log: VerifiedLog,
    /// The entries that could be read, in order.
    pub(crate) entries: Vec<Logged>,
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
            Writer::Server => ("log/server", "server"),
        };
        let origin = match writer {
            Writer::Gateway => claimed_gateway(files, folder, trust),
            Writer::Server => None,
        };
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
        let origin = Label::or_digest(&origin);
        let mut roll = Self {
            folder,
            origin,
            log,
            entries: Vec::new(),
        };
        roll.entries = roll.read_entries(writer, found);
        Some(roll)
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
            let own = entry.origin == self.origin;
            found.require(
                own,
                axis,
                &place,
                "entry_origin",
                "names another log's origin",
            );
            let kind = entry.event.writer() == writer;
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

/// The origin that a gateway's checkpoint claims, where the trust document admits such a gateway;
/// whose keys signed it is verified after.
fn claimed_gateway(files: &Files, folder: &str, trust: &VerifiedTrust) -> Option<String> {
    let note = std::str::from_utf8(files.get(&format!("{folder}/checkpoint"))?).ok()?;
    let known = trust.gateway_of_origin(note.lines().next()?)?;
    Some(known.origin.clone())
}
