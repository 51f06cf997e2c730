//! What was revoked when, by the server's log, and which of it the gateway knew.

use std::collections::BTreeMap;

use chancery_audit::{EndReason, Event, SnapshotAdopt};
use chancery_delegation::ChainReading;
use chancery_types::Timestamp;

use super::case::{Case, Desk};
use super::left;
use super::roll::{Logged, Roll};
use crate::report::{Axis, Place};
use crate::{ObjectKind, Withdrawn};

/// What a gateway knew, by the entries that say which snapshot governed from there on.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// By the index of the entry.
    states: BTreeMap<u64, Withdrawn>,
}

/// What the server's log says up to a time, that time included: what a snapshot of that time must
/// hold.
pub(crate) fn up_to(server: &Roll, at: Timestamp) -> Withdrawn {
    let mut state = Withdrawn::default();
    let entries = server.entries.iter().map(|logged| &logged.entry);
    for entry in entries.take_while(|entry| entry.at <= at) {
        state.take(&entry.event, entry.at);
    }
    state.revoked.settle(at);
    state
}

impl Adopted {
    /// Reads what the gateway's log says that it adopted, and takes it from the server's log.
    pub(crate) fn read(gateway: &Roll, server: &Roll) -> Self {
        let states = adoptions(gateway)
            .map(|(logged, adopt)| (logged.leaf.index, up_to(server, adopt.issued)));
        Self {
            states: states.collect(),
        }
    }

    /// What governed the entry of that index; none where the log does not say.
    pub(crate) fn at(&self, index: u64) -> Option<&Withdrawn> {
        let before = self.states.range(..index);
        before.last().map(|(_, state)| state)
    }
}

fn adoptions(gateway: &Roll) -> impl Iterator<Item = (&Logged, &SnapshotAdopt)> {
    let entries = gateway.entries.iter();
    entries.filter_map(|logged| match &logged.entry.event {
        Event::SnapshotAdopt(adopt) => Some((logged, adopt)),
        _ => None,
    })
}

/// Every snapshot that governed before the session's end holds what the server's log has up to its
/// time: a server cannot tell a gateway other than what it enrols.
pub(crate) fn check_adopted(case: &Case<'_>, desk: &mut Desk<'_>) {
    let end = case.entries().last().map(|logged| logged.leaf.index);
    let mut last = 0;
    for (logged, adopt) in adoptions(&case.gateway) {
        if end.is_none_or(|end| logged.leaf.index > end) {
            break;
        }
        let place = case.place(logged);
        let rises = adopt.sequence > last;
        last = adopt.sequence;
        let text = "an older snapshot governed after a later one";
        let axis = Axis::Revocation;
        desk.found
            .require(rises, axis, &place, "snapshot_order", text);
        let state = case.adopted.at(logged.leaf.index.saturating_add(1));
        let same = state.is_some_and(|state| {
            state.epoch == adopt.epoch
                && state.revoked.len() as u64 == adopt.revoked
                && state
                    .revoked
                    .digest()
                    .is_ok_and(|digest| digest == adopt.revocations)
        });
        let text =
            "held another epoch or other revocations than the server's log has up to its time";
        desk.found
            .require(same, axis, &place, "snapshot_differs", text);
    }
}

/// A session that ended as revoked was: its root fell to what governed then, and the end names it.
pub(crate) fn check_revoked_end(case: &Case<'_>, desk: &mut Desk<'_>) {
    let ended = case.entries().find_map(|logged| match &logged.entry.event {
        Event::SessionEnd(end) => Some((logged, end)),
        _ => None,
    });
    let Some((logged, end)) = ended.filter(|(_, end)| end.reason == EndReason::Revoked) else {
        return;
    };
    let Some(state) = case.adopted.at(logged.leaf.index) else {
        return;
    };
    let mut chains: Vec<_> = case
        .opened()
        .map(|(_, open)| open.chain)
        .into_iter()
        .collect();
    chains.extend(
        case.entries()
            .filter_map(|logged| match &logged.entry.event {
                Event::SessionJoin(join) => Some(join.chain),
                _ => None,
            }),
    );
    if chains.iter().any(|chain| desk.objects.is_erased(*chain)) {
        return left::check_revoked_end(case, desk, state, (logged, end));
    }
    let mut causes = chains.into_iter().filter_map(|chain| {
        let text = desk.objects.take(chain, ObjectKind::Chain)?;
        cause(state, std::str::from_utf8(text).ok()?)
    });
    let found = causes.find(|cause| end.cause.as_ref().is_some_and(|said| said == cause));
    let text = "says that its authority was revoked; by what governed then it was not";
    let (axis, place): (_, Place) = (Axis::Revocation, case.place(logged));
    desk.found
        .require(found.is_some(), axis, &place, "revocation_unfounded", text);
}

/// What of the root of a chain is gone, in the word of the session's end.
fn cause(state: &Withdrawn, chain: &str) -> Option<&'static str> {
    let links: Vec<_> = chain.split(',').collect();
    let reading = ChainReading::read(&links).ok()?;
    let refusal = reading.withdrawn(state.epoch, &state.revoked)?;
    (refusal.link == Some(0)).then(|| refusal.cause())
}
