//! Counting decisions.

use chancery_audit::{Counts, Decision, Ruling};

pub(super) const fn none() -> Counts {
    Counts {
        allowed: 0,
        denied: 0,
        escalated: 0,
        outcomes: 0,
        cost_micros: 0,
        unenforced: None,
    }
}

pub(super) const fn decided(counts: &mut Counts, decision: &Decision) {
    let count = match decision.outcome {
        Ruling::Allow => {
            counts.cost_micros = counts.cost_micros.saturating_add(decision.cost_micros);
            if decision.unenforced.is_some() {
                counts.unenforced = Some(match counts.unenforced {
                    Some(count) => count.saturating_add(1),
                    None => 1,
                });
            }
            &mut counts.allowed
        }
        Ruling::Deny => &mut counts.denied,
        Ruling::Escalate => &mut counts.escalated,
    };
    *count = count.saturating_add(1);
}

pub(super) const fn ended(counts: &mut Counts) {
    counts.outcomes = counts.outcomes.saturating_add(1);
}
