//! What a gateway had to know of what was withdrawn, whatever its log says that it had adopted: one
//! that keeps quiet about snapshots knows no less for it.

use chancery_delegation::{Reason, Refusal, Standing, VerifiedChain};
use chancery_types::Timestamp;

use super::case::{Case, Desk, FRESH_SECONDS, GRACE_SECONDS};
use super::left::Left;
use super::roll::{Logged, Roll};
use crate::Withdrawn;
use crate::report::{Axis, NoteValue};

/// What the server's log said when an entry of the gateway was written, and what it had said for so
/// long that the gateway knew of it, or knew nothing fresh.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    now: Cursor,
    late: Cursor,
    overdue: Cursor,
}

/// The server's log as it stood at a time that only moves on, as the entries of a log do.
#[derive(Debug, Default)]
struct Cursor {
    next: usize,
    state: Withdrawn,
}

/// For how long something is withdrawn.
enum Since {
    Late,
    Overdue,
}

impl Heard {
    /// What an entry lets happen rests on no chain that was withdrawn long before.
    pub(crate) fn check_chain(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        chain: &VerifiedChain,
        at: &Logged,
    ) {
        let now = at.entry.at;
        let found = self.since(&case.server, now, |state| fallen(chain, state, now));
        let found = found.map(|(since, refusal)| (since, refusal.cause()));
        tell(case, desk, found, chain.leaf_subject().as_str(), at);
    }

    /// The same of what the logs still say of a chain that was erased.
    pub(crate) fn check_left(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        left: &Left<'_>,
        at: &Logged,
    ) {
        let found = self.since(&case.server, at.entry.at, |state| {
            let epoch = left.root.epoch.max(state.epoch);
            left.causes(epoch, &state.revoked).first().copied()
        });
        tell(case, desk, found, left.holder.as_str(), at);
    }

    /// Nobody answers a question who was revoked when the gateway took the answer.
    pub(crate) fn check_approver(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        person: &str,
        at: &Logged,
    ) {
        let revoked = |state: &Withdrawn| state.revoked.has_person(person).then_some(());
        let since = self.since(&case.server, at.entry.at, revoked);
        let place = case.place(at);
        let known = case.standing(at).revoked.has_person(person);
        if known || matches!(since, Some((Since::Overdue, ()))) {
            let text = "the person who answered was revoked before";
            desk.found
                .add(Axis::Revocation, place, "approval_revoked", text);
        } else if since.is_some() {
            let about = format!("{person} at {place}");
            desk.found.note(NoteValue::LateWithdrawal, about);
        }
    }

    /// Whether something is withdrawn at that time, and was for so long already.
    fn since<T>(
        &mut self,
        server: &Roll,
        now: Timestamp,
        what: impl Fn(&Withdrawn) -> Option<T>,
    ) -> Option<(Since, T)> {
        // What was lifted meanwhile is withdrawn no more.
        let found = what(self.now.up_to(server, now))?;
        let overdue = now.minus_seconds(GRACE_SECONDS);
        let late = now.minus_seconds(FRESH_SECONDS);
        if what(self.overdue.up_to(server, overdue)).is_some() {
            Some((Since::Overdue, found))
        } else {
            what(self.late.up_to(server, late)).map(|_| (Since::Late, found))
        }
    }
}

impl Cursor {
    fn up_to(&mut self, server: &Roll, at: Timestamp) -> &Withdrawn {
        let rest = server.entries.iter().skip(self.next);
        for logged in rest.take_while(|logged| logged.entry.at <= at) {
            self.state.take(&logged.entry.event, logged.entry.at);
            self.next = self.next.saturating_add(1);
        }
        &self.state
    }
}

/// Says since when the chain is withdrawn that an entry rests on.
fn tell(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    found: Option<(Since, &'static str)>,
    holder: &str,
    at: &Logged,
) {
    let place = case.place(at);
    match found {
        Some((Since::Overdue, what)) => desk.found.add(
            Axis::Revocation,
            place,
            "allowed_revoked",
            format!("rests on a chain whose {what} the server's log had revoked long before"),
        ),
        Some((Since::Late, _)) => {
            let about = format!("{holder} at {place}");
            desk.found.note(NoteValue::LateWithdrawal, about);
        }
        None => {}
    }
}

/// What of a chain is withdrawn. A chain of a later epoch than the one that is asked about is not.
fn fallen(chain: &VerifiedChain, state: &Withdrawn, now: Timestamp) -> Option<Refusal> {
    let standing = Standing {
        now,
        epoch: chain.epoch().max(state.epoch),
        revoked: &state.revoked,
    };
    let refusal = chain.recheck(&standing).err()?;
    matches!(refusal.reason, Reason::Revoked | Reason::StaleEpoch).then_some(refusal)
}
