//! From a verified chain to what policy sees. Nothing else in the program makes this step.

use chancery_audit::{Assurance, Isolation};
use chancery_delegation::{Call, Target, VerifiedChain};
use chancery_identity::AttestationLevel;
use chancery_policy::{Kind, Principal, SessionFacts, Target as PolicyTarget};
use chancery_types::Timestamp;

use crate::facts::Facts;
use crate::state::{Instance, Open};

/// The principal of a call, with the texts that it borrows kept beside it.
pub(crate) struct Translated {
    mission: String,
    asserted: bool,
}

impl Translated {
    pub(crate) fn new(chain: &VerifiedChain, assurance: Assurance) -> Self {
        Self {
            mission: chain.mission().to_string(),
            asserted: assurance == Assurance::Asserted,
        }
    }

    pub(crate) fn principal<'a>(
        &'a self,
        chain: &'a VerifiedChain,
        instance: &'a Instance,
    ) -> Principal<'a> {
        Principal {
            instance: chain.leaf_subject().as_str(),
            agent: instance.agent.as_str(),
            principal: &chain.principal().subject,
            mission: &self.mission,
            depth: chain.leaf().depth(),
            attestation_level: level(instance.level),
            isolated: instance.isolation == Isolation::Isolated,
            asserted: self.asserted,
        }
    }
}

/// The level as policies compare it: larger is stronger.
const fn level(level: AttestationLevel) -> u8 {
    match level {
        AttestationLevel::Process => 1,
        AttestationLevel::Launch => 2,
        AttestationLevel::Tpm => 3,
        AttestationLevel::SevSnp => 4,
        AttestationLevel::Tdx => 5,
    }
}

pub(crate) const fn target<'a>(call: &Call<'a>) -> PolicyTarget<'a> {
    let kind = match call.target {
        Target::Tool(_) => Kind::Tool,
        Target::Resource(_) => Kind::Resource,
        Target::Prompt(_) => Kind::Prompt,
    };
    PolicyTarget {
        kind,
        server: call.server,
        name: call.target.name(),
    }
}

pub(crate) fn session_facts(open: &Open, facts: &Facts, now: Timestamp) -> SessionFacts {
    let counts = open.counts();
    SessionFacts {
        calls: counts.allowed,
        cost_micros: counts.cost_micros,
        // Where policy was not enforced it counts as though it had been: what follows is judged no milder.
        denied: counts.denied.saturating_add(open.unenforced.denied),
        escalated: counts.escalated.saturating_add(open.unenforced.asked),
        minutes: minutes(open, now),
        rows: open.rows(),
        resources: open.resources(),
        trust: facts.trust(),
        tainted: facts.is_tainted(),
    }
}

/// Whole minutes since the session was opened.
pub(crate) const fn minutes(open: &Open, now: Timestamp) -> u64 {
    now.micros_since(open.opened.at) / 60_000_000
}
