//! Nothing is missing: one beginning, one end, an outcome for everything that was allowed.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{EndReason, Event, Ruling};
use chancery_session::Session;
use chancery_types::id::ExecutionId;

use super::case::{Case, Desk};
use super::follower::Followed;
use super::roll::Logged;
use crate::INDEX_PATH;
use crate::report::{Axis, Place};

pub(super) fn check_ending(case: &Case<'_>, followed: &Followed, desk: &mut Desk<'_>) {
    if !matches!(followed.session, Session::Ended(_)) {
        let text = "the session's entries do not lead to its end";
        desk.found
            .add(Axis::Completeness, Place::Whole, "not_ended", text);
    }
    let count = |is: fn(&Event) -> bool| {
        case.entries()
            .filter(|logged| is(&logged.entry.event))
            .count()
    };
    let opened = count(|event| matches!(event, Event::SessionOpen(_)));
    let ended = count(|event| matches!(event, Event::SessionEnd(_)));
    for (count, reason, name) in [
        (opened, "session_open", "session.open"),
        (ended, "session_end", "session.end"),
    ] {
        if count != 1 {
            let text = format!("the session has {count} entries {name} where there is one");
            desk.found
                .add(Axis::Completeness, Place::Whole, reason, text);
        }
    }
    if opened == 0 {
        let place = Place::File(INDEX_PATH.to_owned());
        let text = "names a session that the gateway's log does not have";
        desk.found
            .add(Axis::Integrity, place, "session_unknown", text);
    }
    check_index(case, desk);
    check_outcomes(case, desk);
    check_cut(case, desk);
}

/// Entries may be missing of a session that was open where the log goes on from an older copy of
/// another one; from there on it comes to its end and does nothing more.
fn check_cut(case: &Case<'_>, desk: &mut Desk<'_>) {
    let Some((opened, _)) = case.opened() else {
        return;
    };
    let mut entries = case.entries();
    let end = entries.find(|logged| matches!(logged.entry.event, Event::SessionEnd(_)));
    let end = end.map_or(u64::MAX, |end| end.leaf.index);
    let open = opened.leaf.index..end;
    let mut cuts = case.gateway.successions().map(|(cut, _)| cut);
    let Some(cut) = cuts.find(|cut| open.contains(&cut.leaf.index)) else {
        return;
    };
    let axis = Axis::Completeness;
    let text = "the session was open where the log was succeeded: entries of it may be missing";
    desk.found.add(axis, case.place(cut), "session_cut", text);
    for logged in case.entries().filter(|it| it.leaf.index > cut.leaf.index) {
        let ends = match &logged.entry.event {
            Event::SessionEnd(end) => end.reason == EndReason::Interrupted,
            Event::SessionLeave(_)
            | Event::SessionRefuse(_)
            | Event::Outcome(_)
            | Event::GapDisclose(_)
            | Event::ApprovalGrant(_) => true,
            _ => false,
        };
        let text =
            "the session goes on where its log was succeeded, in place of ending interrupted";
        let place = case.place(logged);
        desk.found
            .require(ends, axis, &place, "session_not_interrupted", text);
    }
}

/// The end names the index.
fn check_index(case: &Case<'_>, desk: &mut Desk<'_>) {
    let digest = desk.objects.index_digest();
    for logged in case.entries() {
        let Event::SessionEnd(end) = &logged.entry.event else {
            continue;
        };
        if end.evidence != Some(digest) {
            let place = Place::File(INDEX_PATH.to_owned());
            let text = "not the index that the session's end names";
            desk.found
                .add(Axis::Integrity, place, "index_differs", text);
        }
    }
}

/// Outcomes belong to allowed decisions, one each.
fn check_outcomes(case: &Case<'_>, desk: &mut Desk<'_>) {
    let mut decided: BTreeMap<ExecutionId, (&Logged, Ruling)> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    for logged in case.entries() {
        let place = case.place(logged);
        match &logged.entry.event {
            Event::Decision(decision) => {
                let known = decided.insert(decision.execution, (logged, decision.outcome));
                let text = "the execution was decided before";
                let axis = Axis::Completeness;
                desk.found
                    .require(known.is_none(), axis, &place, "decided_twice", text);
            }
            Event::Outcome(outcome) => {
                let allowed = decided
                    .get(&outcome.execution)
                    .is_some_and(|(logged, ruling)| {
                        *ruling == Ruling::Allow && logged.leaf.index == outcome.decision
                    });
                let text = "an outcome of what was not allowed";
                let axis = Axis::Completeness;
                desk.found
                    .require(allowed, axis, &place, "outcome_without_leave", text);
                let once = ended.insert(outcome.execution);
                let text = "the execution ended before";
                desk.found.require(once, axis, &place, "ended_twice", text);
            }
            _ => {}
        }
    }
    for (execution, (logged, ruling)) in decided {
        if ruling == Ruling::Allow && !ended.contains(&execution) {
            let text = format!("{execution} was allowed and has no outcome");
            desk.found
                .add(Axis::Completeness, case.place(logged), "dangling", text);
        }
    }
}
