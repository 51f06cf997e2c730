//! What was used up, by delegation and by target.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{CallKind, Decision, Label};
use chancery_types::Digest;

/// Calls and cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) calls: u64,
    pub(crate) cost_micros: u64,
}

impl Spent {
    const fn add(&mut self, cost_micros: u64) {
        self.calls = self.calls.saturating_add(1);
        self.cost_micros = self.cost_micros.saturating_add(cost_micros);
    }
}

/// Sums of a whole session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Allowed calls.
    pub calls: u64,
    /// What they cost, in millionths.
    pub cost_micros: u64,
    /// Rows that they asked for.
    pub rows: u64,
    /// Distinct resources that they reached.
    pub resources: u64,
}

/// Counters of the whole session: every instance, every root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spending {
    entries: BTreeMap<(Label, u64), Spent>,
    targets: BTreeMap<(CallKind, Label, Label), Spent>,
    rows: u64,
    resources: BTreeSet<Digest>,
}

impl Spending {
    /// Against one entry of one delegation.
    pub(crate) fn entry(&self, delegation: &Label, entry: u64) -> Spent {
        let key = (delegation.clone(), entry);
        self.entries.get(&key).copied().unwrap_or_default()
    }

    /// On one target, whichever delegations it rested on.
    pub(crate) fn target(&self, kind: CallKind, server: &Label, name: &Label) -> Spent {
        let key = (kind, server.clone(), name.clone());
        self.targets.get(&key).copied().unwrap_or_default()
    }

    /// Rows that were asked for.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Distinct resources that were reached.
    pub(crate) fn resources(&self) -> u64 {
        self.resources.len() as u64
    }

    /// Whether a resource was reached before.
    pub(crate) fn is_known(&self, resource: Digest) -> bool {
        self.resources.contains(&resource)
    }

    /// Counts an allowed call.
    pub(super) fn charge(&mut self, decision: &Decision) {
        let (request, cost_micros) = (&decision.request, decision.cost_micros);
        for charge in &decision.charges {
            self.entries
                .entry((charge.delegation.clone(), charge.entry))
                .or_default()
                .add(cost_micros);
        }
        self.targets
            .entry((request.kind, request.server.clone(), request.name.clone()))
            .or_default()
            .add(cost_micros);
        if let Some(facts) = &decision.facts {
            self.rows = self.rows.saturating_add(facts.rows);
            self.resources.insert(facts.resource);
        }
    }
}
