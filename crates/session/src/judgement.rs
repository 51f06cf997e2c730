//! A judged call.

use chancery_audit::{
    CallFacts, CallRecord, Charge, Decision, DelegationEnrol, InstanceLink, Label, Ruling,
    Unenforced,
};
use chancery_types::Digest;
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};

use crate::{Action, Reason};

/// What [`crate::Session::judge`] found. Only that function makes one; [`crate::Session::step`]
/// takes it by value, and only while the session is as it was when judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub(crate) revision: Option<u64>,
    pub(crate) session: SessionId,
    pub(crate) at: chancery_types::Timestamp,
    pub(crate) execution: ExecutionId,
    pub(crate) instance: Label,
    pub(crate) chain: Digest,
    pub(crate) leaf: Label,
    pub(crate) proof: Digest,
    pub(crate) request: CallRecord,
    pub(crate) policy: Digest,
    pub(crate) step: Option<Label>,
    pub(crate) opinion: Option<Digest>,
    pub(crate) cost_micros: u64,
    /// None for who is not in the session.
    pub(crate) facts: Option<CallFacts>,
    pub(crate) new_links: Vec<DelegationEnrol>,
    pub(crate) found: Found,
}

/// The outcome of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) ruling: Ruling,
    pub(crate) reason: Reason,
    pub(crate) determining: Vec<Label>,
    pub(crate) approvals: Vec<ApprovalId>,
    pub(crate) charges: Vec<Charge>,
    pub(crate) unenforced: Option<Unenforced>,
}

impl Found {
    pub(crate) fn denied(reason: Reason, determining: Vec<Label>) -> Self {
        Self {
            ruling: Ruling::Deny,
            reason,
            determining,
            approvals: Vec::new(),
            charges: Vec::new(),
            unenforced: None,
        }
    }
}

impl Judgement {
    /// Allow, deny or escalate.
    pub const fn ruling(&self) -> Ruling {
        self.found.ruling
    }

    /// Which check decided.
    pub const fn reason(&self) -> Reason {
        self.found.reason
    }

    /// The policies that determined it, sorted; `chain:` and a jti where the chain did, `mission:` and
    /// what of it where the mission did, `opinion:` where an opinion asked; `budget:`, `taint:` and
    /// `irreversible` where the rules for sessions did, `brake:` where a brake stopped it; `unenforced:` and
    /// which rule of policy denies it, where a person is asked about a call that is observed.
    pub fn determining(&self) -> &[Label] {
        &self.found.determining
    }

    /// What policy said, where that is not enforced.
    pub const fn unenforced(&self) -> Option<&Unenforced> {
        self.found.unenforced.as_ref()
    }

    /// What the call costs, in millionths.
    pub const fn cost_micros(&self) -> u64 {
        self.cost_micros
    }

    /// What the rules for sessions made of it; none for who is not in the session.
    pub const fn facts(&self) -> Option<&CallFacts> {
        self.facts.as_ref()
    }

    /// The step of the mission that the caller cites.
    pub const fn step(&self) -> Option<&Label> {
        self.step.as_ref()
    }

    /// The execution.
    pub const fn execution(&self) -> ExecutionId {
        self.execution
    }

    /// The exact action, as an approval would bind it.
    pub fn action(&self) -> Action {
        Action {
            session: self.session,
            instance: self.instance.clone(),
            server: self.request.server.clone(),
            kind: self.request.kind,
            name: self.request.name.clone(),
            args_digest: self.request.args_digest,
        }
    }

    /// The links of the chain that the session has not seen before.
    pub fn new_links(&self) -> &[DelegationEnrol] {
        &self.new_links
    }

    /// Whether an enrolled decision says exactly this: what an offline verifier asks.
    pub fn matches(&self, decision: &Decision) -> bool {
        self.to_decision(decision.link.clone()) == *decision
    }

    /// The entry of this decision at a place in the instance's chain.
    pub(crate) fn to_decision(&self, link: InstanceLink) -> Decision {
        Decision {
            execution: self.execution,
            session: self.session,
            instance: self.instance.clone(),
            link,
            chain: self.chain,
            leaf: self.leaf.clone(),
            proof: self.proof,
            request: self.request.clone(),
            policy: self.policy,
            outcome: self.found.ruling,
            reason: Label::or_digest(self.found.reason.code()),
            determining: self.found.determining.clone(),
            approvals: self.found.approvals.clone(),
            cost_micros: self.cost_micros,
            charges: self.found.charges.clone(),
            step: self.step.clone(),
            revoked: None,
            opinion: self.opinion,
            facts: self.facts.clone(),
            unenforced: self.found.unenforced.clone(),
        }
    }
}
