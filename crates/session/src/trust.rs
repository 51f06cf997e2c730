//! Trust: what an instance's own conduct in this session has earned.

use std::sync::LazyLock;

use chancery_audit::{ApprovalGrant, Decision, OutcomeStatus, Ruling, Verdict};
use chancery_types::{Digest, Timestamp, to_canonical};
use serde::Serialize;

/// How trust is computed, version 1. Its digest stands in every decision, so that another number is
/// another formula.
#[derive(Serialize)]
struct Formula {
    formula: &'static str,
    /// What an instance begins with, and what trust decays to.
    base: u64,
    most: u64,
    /// Earned by an allowed call that names its step and completes.
    completed: u64,
    /// Lost by a call that fails at the tool.
    failed: u64,
    /// Lost by a call that is denied for what it asks.
    denied: u64,
    /// Lost by a denial of this kind, or of none.
    anomaly: u64,
    anomalies: &'static [&'static str],
    conduct: &'static [&'static str],
    /// Lost by a call that a person refuses.
    refused: u64,
    decay_seconds: u64,
    /// What is left of what stands above the base after each such time, in hundredths.
    decay_keeps: u64,
}

const FORMULA: Formula = Formula {
    formula: "chancery/trust/v1",
    base: 100,
    most: 1_000,
    completed: 10,
    failed: 5,
    denied: 20,
    anomaly: 60,
    anomalies: &[
        "breadth_limit",
        "chain_forbid",
        "holder_mismatch",
        "mission_forbid",
        "not_in_catalog",
        "pop_mismatch",
        "replay",
        "token_in_call",
        "unknown_argument",
        "wrong_mission",
        "wrong_principal",
        "wrong_session",
    ],
    conduct: &[
        "bad_arguments",
        "call_limit",
        "cost_limit",
        "cost_unknown",
        "not_in_scope",
        "opinion",
        "policy_error",
        "policy_forbid",
        "policy_no_match",
        "resource_unknown",
        "rows_unknown",
        "session_call_limit",
        "session_cost_limit",
    ],
    refused: 50,
    decay_seconds: 600,
    decay_keeps: 90,
};

/// After so many periods nothing is left above the base.
const MAX_PERIODS: u64 = 128;

static DIGEST: LazyLock<Digest> =
    LazyLock::new(|| Digest::of(to_canonical(&FORMULA).unwrap_or_default()));

/// The trust of one instance: a fold over its own entries. It has no setter, nobody hands it on,
/// and a new instance or session begins at the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trust {
    level: u64,
    /// What it decays from.
    since: Timestamp,
}

/// The digest of the formula.
pub(crate) fn formula() -> Digest {
    *DIGEST
}

impl Trust {
    pub(crate) const fn new(at: Timestamp) -> Self {
        Self {
            level: FORMULA.base,
            since: at,
        }
    }

    /// The level at a time. What stands above the base is lost by waiting; what is below it is not
    /// won back by waiting.
    pub(crate) fn at(self, now: Timestamp) -> u64 {
        let mut above = self.level.saturating_sub(FORMULA.base);
        let periods = now.micros_since(self.since) / 1_000_000 / FORMULA.decay_seconds;
        if above == 0 || periods == 0 {
            return self.level;
        }
        for _ in 0..periods.min(MAX_PERIODS) {
            above = above * FORMULA.decay_keeps / 100;
        }
        FORMULA.base.saturating_add(above)
    }

    pub(crate) fn decided(&mut self, at: Timestamp, decision: &Decision) {
        let reason = decision.reason.as_str();
        match decision.outcome {
            Ruling::Deny if FORMULA.anomalies.contains(&reason) => self.lose(at, FORMULA.anomaly),
            Ruling::Deny if FORMULA.conduct.contains(&reason) => self.lose(at, FORMULA.denied),
            Ruling::Deny | Ruling::Allow | Ruling::Escalate => {}
        }
    }

    /// `relevant` says that the call named the step that it serves.
    pub(crate) fn ended(&mut self, at: Timestamp, status: OutcomeStatus, relevant: bool) {
        match status {
            OutcomeStatus::Completed if relevant => {
                let level = self.at(at).saturating_add(FORMULA.completed);
                self.set(at, level.min(FORMULA.most));
            }
            OutcomeStatus::ToolError | OutcomeStatus::Failed | OutcomeStatus::Withheld => {
                self.lose(at, FORMULA.failed);
            }
            OutcomeStatus::Completed
            | OutcomeStatus::InputRequired
            | OutcomeStatus::Cancelled
            | OutcomeStatus::TimedOut
            | OutcomeStatus::Gone
            | OutcomeStatus::NotForwarded
            | OutcomeStatus::Unknown => {}
        }
    }

    pub(crate) fn answered(&mut self, at: Timestamp, grant: &ApprovalGrant) {
        if grant.verdict == Verdict::Deny {
            self.lose(at, FORMULA.refused);
        }
    }

    fn lose(&mut self, at: Timestamp, points: u64) {
        self.set(at, self.at(at).saturating_sub(points));
    }

    const fn set(&mut self, at: Timestamp, level: u64) {
        self.level = level;
        self.since = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn completed(count: usize) -> Trust {
        let mut trust = Trust::new(START);
        for _ in 0..count {
            trust.ended(START, OutcomeStatus::Completed, true);
        }
        trust
    }

    #[test]
    fn s4_trust_decays_to_the_base_and_no_further() {
        let trust = completed(20);
        let after = |seconds| trust.at(START.plus_seconds(seconds));
        assert_eq!(
            [after(0), after(599), after(600), after(1_200)],
            [300, 300, 280, 262]
        );
        assert_eq!(after(600 * 200), 100);
        assert_eq!(after(u64::MAX / 2_000_000), 100);
    }

    #[test]
    fn s4_what_was_lost_is_not_won_back_by_waiting() {
        let mut trust = Trust::new(START);
        trust.ended(START, OutcomeStatus::ToolError, true);
        assert_eq!(trust.at(START), 95);
        assert_eq!(trust.at(START.plus_seconds(86_400)), 95);
    }

    #[test]
    fn s5_what_is_no_evidence_of_relevance_earns_nothing() {
        let mut trust = Trust::new(START);
        trust.ended(START, OutcomeStatus::Completed, false);
        for status in [
            OutcomeStatus::InputRequired,
            OutcomeStatus::Cancelled,
            OutcomeStatus::TimedOut,
            OutcomeStatus::Gone,
            OutcomeStatus::NotForwarded,
            OutcomeStatus::Unknown,
        ] {
            trust.ended(START, status, true);
        }
        assert_eq!(trust, Trust::new(START));
        assert_eq!(completed(1_000).at(START), 1_000);
    }

    /// The digest is that of the numbers: whoever changes one changes this line too, and every
    /// decision from then on says so.
    #[test]
    fn s5_the_formula_is_named_by_its_digest() {
        let other = Formula {
            base: 101,
            ..FORMULA
        };
        assert_ne!(Digest::of(to_canonical(&other).unwrap()), formula());
        assert_eq!(Digest::of(to_canonical(&FORMULA).unwrap()), formula());
    }
}
