//! What was done in a session, line by line.

use std::collections::BTreeMap;

use chancery_audit::{CallKind, Entry, Event, OutcomeStatus, Ruling};
use chancery_tlog::{Checkpoint, Note, TileKind, decode_bundle, tiles_for};
use chancery_types::Timestamp;
use chancery_types::id::ExecutionId;
use serde::Serialize;

use crate::{EvidenceIndex, Files, INDEX_PATH};

/// One decided call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionLine {
    /// The execution: what [`crate::why`] is asked with.
    pub execution: ExecutionId,
    /// The index of the decision in the gateway's log.
    pub index: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The SPIFFE ID of the instance.
    pub instance: String,
    /// The tool server.
    pub server: String,
    /// What kind of thing was called.
    pub kind: CallKind,
    /// The tool, the prompt or the URI.
    pub name: String,
    /// What was decided.
    pub ruling: Ruling,
    /// Which check decided.
    pub reason: String,
    /// What policy said, where that was not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unenforced: Option<Ruling>,
    /// How it ended, where it was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeStatus>,
}

/// The decided calls of the session, in the order of the log, as the evidence says: nothing is
/// verified here. What cannot be read is left out.
pub fn actions(files: &Files) -> Vec<ActionLine> {
    let index = files.get(INDEX_PATH).and_then(EvidenceIndex::parse);
    let Some(session) = index.map(|index| index.session) else {
        return Vec::new();
    };
    let mut lines: Vec<ActionLine> = Vec::new();
    let mut outcomes = BTreeMap::new();
    for (index, entry) in entries(files) {
        match entry.event {
            Event::Decision(decision) if decision.session == session => lines.push(ActionLine {
                execution: decision.execution,
                index,
                at: entry.at,
                instance: decision.instance.to_string(),
                server: decision.request.server.to_string(),
                kind: decision.request.kind,
                name: decision.request.name.to_string(),
                ruling: decision.outcome,
                reason: decision.reason.to_string(),
                unenforced: decision.unenforced.as_ref().map(|said| said.outcome),
                outcome: None,
            }),
            Event::Outcome(outcome) if outcome.session == session => {
                outcomes.insert(outcome.execution, outcome.status);
            }
            _ => {}
        }
    }
    for line in &mut lines {
        line.outcome = outcomes.get(&line.execution).copied();
    }
    lines
}

fn entries(files: &Files) -> Vec<(u64, Entry)> {
    let note = files
        .get("log/gateway/checkpoint")
        .and_then(|bytes| Note::parse(bytes).ok());
    let checkpoint = note.and_then(|note| note.text().parse::<Checkpoint>().ok());
    let size = checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let bundles = tiles_for(size).take_while(|path| path.kind() == TileKind::Entries);
    let mut found = Vec::new();
    for path in bundles {
        let bytes = files.get(&format!("log/gateway/{path}"));
        let Some(decoded) = bytes.and_then(|bytes| decode_bundle(bytes, path.width()).ok()) else {
            break;
        };
        let first = path.index().saturating_mul(256);
        let read = (first..).zip(decoded);
        found.extend(read.filter_map(|(index, bytes)| Some((index, Entry::parse(bytes).ok()?))));
    }
    found
}
