//! The trust document in the log, and the gateway's checkpoints in the server's log.

use chancery_audit::{CheckpointEnrol, Event, TrustChange};
use chancery_types::{Digest, Timestamp};

use super::case::{Case, Desk};
use super::roll::Logged;
use crate::report::{Axis, NoteValue, Place};

/// How far the clock of a log may be ahead of the verifier's.
const AHEAD_SECONDS: u64 = 300;

/// Nothing was written after the evidence is looked at.
pub(super) fn check_time(case: &Case<'_>, now: Timestamp, desk: &mut Desk<'_>) {
    let latest = now.plus_seconds(AHEAD_SECONDS);
    for roll in [&case.gateway, &case.server] {
        if let Some(last) = roll.entries.last().filter(|last| last.entry.at > latest) {
            let text = format!("written {}, which is still to come", last.entry.at);
            desk.found
                .add(Axis::Freshness, roll.place(last), "from_the_future", text);
        }
    }
}

/// The log must know the document that was given, as the latest of an unbroken line.
pub(super) fn check_trust(case: &Case<'_>, desk: &mut Desk<'_>) {
    let changes: Vec<(&Logged, &TrustChange)> = case
        .server
        .entries
        .iter()
        .filter_map(|logged| match &logged.entry.event {
            Event::TrustChange(change) => Some((logged, change)),
            _ => None,
        })
        .collect();
    let found = &mut desk.found;
    for ((_, one), (logged, next)) in changes.iter().zip(changes.iter().skip(1)) {
        let place = case.server.place(logged);
        let rises = next.version > one.version;
        let text = "the version is not newer than the one before";
        found.require(rises, Axis::Authenticity, &place, "trust_version", text);
        let follows =
            next.version != one.version.saturating_add(1) || next.previous == Some(one.document);
        let text = "does not name its predecessor";
        found.require(
            follows,
            Axis::Authenticity,
            &place,
            "trust_predecessor",
            text,
        );
    }
    let given = case.trust;
    let known = changes
        .iter()
        .any(|(_, change)| change.document == given.digest() && change.version == given.version);
    let text = "the server's log never had the trust document that was given";
    found.require(
        known,
        Axis::Authenticity,
        &Place::Trust,
        "trust_not_enrolled",
        text,
    );
    for (logged, change) in changes {
        if change.version > given.version {
            let text = format!(
                "version {} was in force; version {} was given: verify with the newer one",
                change.version, given.version
            );
            found.add(
                Axis::Freshness,
                case.server.place(logged),
                "trust_superseded",
                text,
            );
        }
        if change.version == given.version && change.document != given.digest() {
            let text = format!(
                "another document of version {} than was given",
                given.version
            );
            found.add(
                Axis::Authenticity,
                case.server.place(logged),
                "trust_fork",
                text,
            );
        }
    }
}

/// What the server saw of the gateway's log is this log; and it saw the last checkpoint.
pub(super) fn check_checkpoints(case: &Case<'_>, note: Digest, desk: &mut Desk<'_>) {
    let checkpoint = case.gateway.log.checkpoint();
    let mut last_is_enrolled = false;
    for logged in &case.server.entries {
        let Event::CheckpointEnrol(enrol) = &logged.entry.event else {
            continue;
        };
        check_gap(case, logged, enrol, desk);
        if !case.gateway.is_held(&enrol.log, enrol.size) {
            continue;
        }
        match case.gateway.log.tree().root_at(enrol.size) {
            Ok(root) => {
                let same = root.digest() == enrol.root;
                let place = case.server.place(logged);
                let text = "the gateway's log is another one than the server enrolled";
                desk.found
                    .require(same, Axis::Integrity, &place, "log_forked", text);
                last_is_enrolled |=
                    same && enrol.size == checkpoint.size() && enrol.checkpoint == note;
            }
            Err(_) => {
                let about = format!("{} to {} entries", enrol.log, enrol.size);
                desk.found.note(NoteValue::Continued, about);
            }
        }
    }
    let place = Place::File(format!("{}/checkpoint", case.gateway.folder));
    let text = "the server's log does not have this checkpoint";
    let axis = Axis::Completeness;
    desk.found.require(
        last_is_enrolled,
        axis,
        &place,
        "checkpoint_not_enrolled",
        text,
    );
    for roll in [&case.gateway, &case.server] {
        if !roll.log.cosigned().is_met() {
            let origin = roll.origin.to_string();
            desk.found.note(NoteValue::Unwitnessed, origin);
        }
    }
}

/// What the server enrolled of a log that the gateway's goes on from is all disclosed.
fn check_gap(case: &Case<'_>, logged: &Logged, enrol: &CheckpointEnrol, desk: &mut Desk<'_>) {
    for (_, succeed) in case.gateway.successions() {
        if succeed.log != enrol.log {
            continue;
        }
        let place = case.server.place(logged);
        let disclosed = enrol.size <= succeed.signed;
        let text = "more was signed of the log that the gateway's goes on from than that discloses";
        let found = &mut desk.found;
        let axis = Axis::Completeness;
        found.require(disclosed, axis, &place, "gap_understated", text);
        let same = enrol.size != succeed.signed || enrol.root == succeed.signed_root;
        let text = "another tree of that size was signed than the gateway's log says";
        found.require(same, Axis::Integrity, &place, "log_forked", text);
    }
}
