//! Limits: of every link of the chain, of the root over the whole session, of the session.

use chancery_audit::Label;
use chancery_delegation::{Call, Coverage, Limits, VerifiedChain};

use chancery_types::{Digest, Timestamp};

use crate::action::call_kind;
use crate::state::{Open, Spent};
use crate::translate::minutes;
use crate::{Reason, SessionRules};

/// Most calls that one session decides, whatever its budgets: what it must remember is bounded.
pub(crate) const MAX_DECISIONS: usize = 1_000_000;

pub(crate) const BUDGET_CALLS: &str = "budget:calls";
pub(crate) const BUDGET_COST: &str = "budget:cost";
pub(crate) const BUDGET_ROWS: &str = "budget:rows";
pub(crate) const BUDGET_RESOURCES: &str = "budget:resources";

/// A sum of a session that the operator set a limit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// How a log names the question about it.
    pub name: &'static str,
    /// What was allowed so far.
    pub total: u64,
    /// What is allowed without a person.
    pub limit: u64,
}

impl Open {
    /// The sums that have a limit.
    pub fn sums(&self, rules: &SessionRules) -> Vec<Sum> {
        let (most, totals) = (rules.ask_beyond(), self.totals());
        [
            (BUDGET_CALLS, totals.calls, most.calls),
            (BUDGET_COST, totals.cost_micros, most.cost_micros),
            (BUDGET_ROWS, totals.rows, most.rows),
            (BUDGET_RESOURCES, totals.resources, most.resources),
        ]
        .into_iter()
        .filter_map(|(name, total, limit)| {
            let limit = limit?;
            Some(Sum { name, total, limit })
        })
        .collect()
    }
}

/// Whether the call still fits. Every link's entry counts across all instances and all of its
/// children. What was spent on the target in the session, under whatever root, also counts against
/// the root's own limits for it, so that neither fan-out nor a further root multiplies anything.
pub(crate) fn check(
    open: &Open,
    chain: &VerifiedChain,
    call: &Call<'_>,
    covered: &[Coverage],
    cost_micros: u64,
) -> Result<(), Reason> {
    for coverage in covered {
        let delegation = Label::or_digest(&coverage.jti);
        let spent = open.spending.entry(&delegation, coverage.entry as u64);
        fits(spent, coverage.limits, cost_micros)?;
    }
    let (server, name) = (
        Label::or_digest(call.server),
        Label::or_digest(call.target.name()),
    );
    let spent = open.spending.target(call_kind(call), &server, &name);
    fits(spent, of_target(chain, call), cost_micros)?;
    let budgets = &open.opened.entry;
    let counts = open.counts();
    if budgets.max_calls.is_some_and(|most| counts.allowed >= most) {
        return Err(Reason::SessionCallLimit);
    }
    let total = counts.cost_micros.saturating_add(cost_micros);
    if budgets.max_cost_micros.is_some_and(|most| total > most) {
        return Err(Reason::SessionCostLimit);
    }
    Ok(())
}

fn fits(spent: Spent, limits: Limits, cost_micros: u64) -> Result<(), Reason> {
    if limits.max_calls.is_some_and(|most| spent.calls >= most) {
        return Err(Reason::CallLimit);
    }
    let total = spent.cost_micros.saturating_add(cost_micros);
    if limits.max_cost_micros.is_some_and(|most| total > most) {
        return Err(Reason::CostLimit);
    }
    Ok(())
}

/// Whether the session may reach this resource: all that it reached before, and so many others.
pub(crate) fn check_breadth(
    open: &Open,
    rules: &SessionRules,
    resource: Digest,
) -> Result<(), Reason> {
    let most = rules.suspend_beyond_resources();
    let reached = open.spending.resources();
    match most.is_some_and(|most| reached >= most) && !open.spending.is_known(resource) {
        true => Err(Reason::BreadthLimit),
        false => Ok(()),
    }
}

/// The sums of the session that the call would take beyond what the operator lets pass without a person.
pub(crate) fn exceeded(
    open: &Open,
    rules: &SessionRules,
    (resource, rows, cost_micros): (Digest, u64, u64),
    now: Timestamp,
) -> Vec<&'static str> {
    let (most, counts, spending) = (rules.ask_beyond(), open.counts(), &open.spending);
    let fresh = u64::from(!spending.is_known(resource));
    [
        (BUDGET_CALLS, most.calls, counts.allowed.saturating_add(1)),
        (
            BUDGET_COST,
            most.cost_micros,
            counts.cost_micros.saturating_add(cost_micros),
        ),
        (BUDGET_ROWS, most.rows, spending.rows().saturating_add(rows)),
        // What was reached before is no breadth.
        (
            BUDGET_RESOURCES,
            most.resources.filter(|_| fresh > 0),
            spending.resources().saturating_add(fresh),
        ),
        ("budget:minutes", most.minutes, minutes(open, now)),
    ]
    .into_iter()
    .filter(|(_, most, sum)| most.is_some_and(|most| *sum > most))
    .map(|(name, _, _)| name)
    .collect()
}

/// What the root grants for the target in all of its entries together; without a limit as soon as
/// one of them has none.
fn of_target(chain: &VerifiedChain, call: &Call<'_>) -> Limits {
    let sum = |pick: fn(Limits) -> Option<u64>| {
        chain
            .root()
            .entries()
            .iter()
            .filter(|entry| entry.server() == call.server && entry.target() == call.target)
            .map(|entry| pick(entry.limits()))
            .try_fold(0_u64, |sum, limit| Some(sum.saturating_add(limit?)))
    };
    Limits {
        max_calls: sum(|limits| limits.max_calls),
        max_cost_micros: sum(|limits| limits.max_cost_micros),
    }
}
