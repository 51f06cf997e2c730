//! Trust: what an instance's own conduct in this session has earned.

use std::collections::BTreeSet;
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
    /// Earned by an allowed call that names its step and completes: by each action once. A call that policy
    /// did not allow and that went on in observe mode earns nothing.
    completed: u64,
    /// How many calls earn in one decay period, which begins with the first of them.
    most_completed: u64,
    /// Lost by a call that fails at the tool, or that the caller breaks off.
    failed: u64,
    /// Lost by a call that is denied for what it asks, or would be where policy is enforced.
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
    most_completed: 10,
    failed: 5,
    denied: 20,
    anomaly: 60,
    anomalies: &[
        "bad_signature",
        "breadth_limit",
        "broken_link",
        "chain_forbid",
        "depth_escalation",
        "holder_mismatch",
        "mission_forbid",
        "not_in_catalog",
        "pop_bad_signature",
        "pop_mismatch",
        "replay",
        "scope_escalation",
        "token_in_call",
        "unknown_argument",
        "untrusted_root",
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

/// The trust of one instance: a fold over its own entries. It has no setter, nobody hands it on, and a
/// new instance or session begins at the base at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    level: u64,
    /// What it decays from.
    since: Timestamp,
    /// The actions that earned something.
    earned: BTreeSet<Digest>,
    /// When the period began in which so many calls earned.
    period: (Timestamp, u64),
}

/// The digest of the formula.
pub(crate) fn formula() -> Digest {
    *DIGEST
}

/// Whether a denial for this reason is an anomaly.
pub(crate) fn is_anomaly(reason: &str) -> bool {
    FORMULA.anomalies.contains(&reason)
}

impl Trust {
    /// Begins at the base, or at the least level of those who stand above the new one.
    pub(crate) fn new(at: Timestamp, above: impl IntoIterator<Item = u64>) -> Self {
        Self {
            level: above.into_iter().fold(FORMULA.base, u64::min),
            since: at,
            earned: BTreeSet::new(),
            period: (at, 0),
        }
    }

    /// The level at a time. What stands above the base is lost by waiting; what is below it is not
    /// won back by waiting.
    pub(crate) fn at(&self, now: Timestamp) -> u64 {
        let mut above = self.level.saturating_sub(FORMULA.base);
        if above == 0 {
            return self.level;
        }
        for _ in 0..self.periods(now).min(MAX_PERIODS) {
            above = above * FORMULA.decay_keeps / 100;
        }
        FORMULA.base.saturating_add(above)
    }

    /// What policy denies costs the same where it is not enforced: else whoever was observed would stand
    /// higher afterwards than who was not.
    pub(crate) fn decided(&mut self, at: Timestamp, decision: &Decision) {
        let (ruling, reason) = match &decision.unenforced {
            Some(said) => (said.outcome, said.reason.as_str()),
            None => (decision.outcome, decision.reason.as_str()),
        };
        match ruling {
            Ruling::Deny if is_anomaly(reason) => self.lose(at, FORMULA.anomaly),
            Ruling::Deny if FORMULA.conduct.contains(&reason) => self.lose(at, FORMULA.denied),
            Ruling::Deny | Ruling::Allow | Ruling::Escalate => {}
        }
    }

    /// `relevant` is the action, where the call named the step that it serves.
    pub(crate) fn ended(&mut self, at: Timestamp, status: OutcomeStatus, relevant: Option<Digest>) {
        match (status, relevant) {
            (OutcomeStatus::Completed, Some(action)) => self.earn(at, action),
            (
                OutcomeStatus::ToolError
                | OutcomeStatus::Failed
                | OutcomeStatus::Withheld
                | OutcomeStatus::Cancelled,
                _,
            ) => self.lose(at, FORMULA.failed),
            (
                OutcomeStatus::Completed
                | OutcomeStatus::InputRequired
                | OutcomeStatus::TimedOut
                | OutcomeStatus::Gone
                | OutcomeStatus::NotForwarded
                | OutcomeStatus::Unknown,
                _,
            ) => {}
        }
    }

    pub(crate) fn answered(&mut self, at: Timestamp, grant: &ApprovalGrant) {
        if grant.verdict == Verdict::Deny {
            self.lose(at, FORMULA.refused);
        }
    }

    /// An action earns once; a flood of others no more than one period gives.
    fn earn(&mut self, at: Timestamp, action: Digest) {
        if periods(self.period.0, at) > 0 {
            self.period = (at, 0);
        }
        if self.period.1 >= FORMULA.most_completed || !self.earned.insert(action) {
            return;
        }
        self.period.1 = self.period.1.saturating_add(1);
        self.settle(at);
        let level = self.level.saturating_add(FORMULA.completed);
        self.level = level.min(FORMULA.most);
    }

    fn lose(&mut self, at: Timestamp, points: u64) {
        self.settle(at);
        self.level = self.level.saturating_sub(points);
    }

    /// Takes off what decayed. Only whole periods count as waited: an event stops no decay.
    fn settle(&mut self, at: Timestamp) {
        let level = self.at(at);
        self.since = if level <= FORMULA.base {
            at
        } else {
            let waited = self.periods(at).saturating_mul(FORMULA.decay_seconds);
            self.since.plus_seconds(waited)
        };
        self.level = level;
    }

    const fn periods(&self, now: Timestamp) -> u64 {
        periods(self.since, now)
    }
}

/// Whole decay periods between two times.
const fn periods(since: Timestamp, now: Timestamp) -> u64 {
    now.micros_since(since) / 1_000_000 / FORMULA.decay_seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn base() -> Trust {
        Trust::new(START, [])
    }

    fn action(number: u64) -> Option<Digest> {
        Some(Digest::of(number.to_be_bytes()))
    }

    fn at_level(level: u64) -> Trust {
        Trust { level, ..base() }
    }

    #[test]
    fn s4_trust_decays_to_the_base_and_no_further() {
        let trust = at_level(300);
        let after = |seconds| trust.at(START.plus_seconds(seconds));
        assert_eq!(
            [after(0), after(599), after(600), after(1_200)],
            [300, 300, 280, 262]
        );
        assert_eq!(after(600 * 200), 100);
        assert_eq!(after(u64::MAX / 2_000_000), 100);
    }

    /// A call every 599 seconds keeps nothing up, and a failure costs what waiting costs and more.
    #[test]
    fn s4_an_event_stops_no_decay() {
        let mut busy = at_level(1_000);
        let mut now = START;
        for _ in 0..10 {
            now = now.plus_seconds(599);
            busy.ended(now, OutcomeStatus::ToolError, None);
        }
        assert!(busy.at(now) < at_level(1_000).at(now));
        let mut failing = at_level(1_000);
        failing.ended(START.plus_seconds(599), OutcomeStatus::ToolError, None);
        assert_eq!(failing.at(START.plus_seconds(600)), 905);
        // What stands at the base begins to decay when it is earned.
        let mut late = base();
        late.ended(START.plus_seconds(599), OutcomeStatus::Completed, action(1));
        assert_eq!(late.at(START.plus_seconds(1_198)), 110);
        assert_eq!(late.at(START.plus_seconds(1_199)), 109);
    }

    #[test]
    fn s4_what_was_lost_is_not_won_back_by_waiting() {
        let mut trust = base();
        trust.ended(START, OutcomeStatus::ToolError, action(1));
        assert_eq!(trust.at(START), 95);
        assert_eq!(trust.at(START.plus_seconds(86_400)), 95);
    }

    #[test]
    fn s4_a_new_one_begins_no_higher_than_who_stands_above_it() {
        assert_eq!(Trust::new(START, [900, 400]).at(START), 100);
        assert_eq!(Trust::new(START, [900, 20]).at(START), 20);
    }

    #[test]
    fn s5_what_is_no_evidence_of_relevance_earns_nothing() {
        let mut trust = base();
        trust.ended(START, OutcomeStatus::Completed, None);
        for status in [
            OutcomeStatus::InputRequired,
            OutcomeStatus::TimedOut,
            OutcomeStatus::Gone,
            OutcomeStatus::NotForwarded,
            OutcomeStatus::Unknown,
        ] {
            trust.ended(START, status, action(1));
        }
        assert_eq!(trust, base());
    }

    #[test]
    fn s5_repetition_earns_nothing() {
        let mut trust = base();
        for _ in 0..90 {
            trust.ended(START, OutcomeStatus::Completed, action(1));
        }
        assert_eq!(trust.at(START), 110);
    }

    #[test]
    fn s5_a_flood_of_calls_earns_no_more_than_a_period_gives() {
        let mut trust = base();
        for number in 0..90 {
            trust.ended(START, OutcomeStatus::Completed, action(number));
        }
        assert_eq!(trust.at(START), 200);
        let next = START.plus_seconds(600);
        for number in 100..190 {
            trust.ended(next, OutcomeStatus::Completed, action(number));
        }
        assert_eq!(trust.at(next), 290);
        let mut most = at_level(995);
        most.ended(START, OutcomeStatus::Completed, action(1));
        assert_eq!(most.at(START), 1_000);
    }

    /// Who does not like an answer hangs up.
    #[test]
    fn s5_what_the_caller_breaks_off_costs_like_a_failure() {
        let mut trust = base();
        trust.ended(START, OutcomeStatus::Cancelled, action(1));
        assert_eq!(trust.at(START), 95);
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
        assert_eq!(
            formula().to_hex(),
            "931a71c49c24980ed554c54aa74c0c3c46b9b95f0fc011ac6205b5a55cb0ca5f"
        );
    }
}
