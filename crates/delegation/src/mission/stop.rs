use super::{Budget, Mission};

/// When a mission stops before its end: no call is allowed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCondition {
    /// Calls, cost or time of the budget are used up.
    BudgetUsed,
    /// So many seconds after the session was opened.
    Elapsed(u64),
    /// So many calls in a row were denied.
    DenialsInARow(u64),
    /// So many calls were escalated.
    Escalations(u64),
}

/// How far a session has come, as stop conditions see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Calls allowed.
    pub calls: u64,
    /// What they cost, in millionths.
    pub cost_micros: u64,
    /// Microseconds since it was opened.
    pub micros: u64,
    /// Calls denied since one was allowed.
    pub denials_in_a_row: u64,
    /// Calls escalated.
    pub escalations: u64,
}

impl StopCondition {
    /// Whether the condition holds.
    pub const fn holds(self, budget: Budget, progress: &Progress) -> bool {
        match self {
            Self::BudgetUsed => {
                progress.calls >= budget.calls
                    // A budget of nothing is used up by the first cost, not by being there.
                    || budget.cost_micros > 0 && progress.cost_micros >= budget.cost_micros
                    || has_passed(progress, budget.seconds)
            }
            Self::Elapsed(seconds) => has_passed(progress, seconds),
            Self::DenialsInARow(count) => progress.denials_in_a_row >= count,
            Self::Escalations(count) => progress.escalations >= count,
        }
    }
}

const fn has_passed(progress: &Progress, seconds: u64) -> bool {
    progress.micros / 1_000_000 >= seconds
}

impl Mission {
    /// The first stop condition that holds, by its place in the document.
    pub fn stopped(&self, progress: &Progress) -> Option<usize> {
        self.stop
            .iter()
            .position(|condition| condition.holds(self.budget, progress))
    }
}
