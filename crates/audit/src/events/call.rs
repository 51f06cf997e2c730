//! Calls: what was decided, and what came of it.

use chancery_types::id::{ApprovalId, ExecutionId, SessionId};
use chancery_types::{Digest, RevocationKind};

use crate::{
    CallFacts, CallRecord, Charge, InstanceLink, Label, OutcomeStatus, Ruling, Unenforced,
};

body! {
    /// A call was decided. Written before the call is forwarded.
    pub struct Decision = "decision" in Gateway {
        /// The execution; its outcome carries the same.
        execution: ExecutionId,
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The place in the instance's chain.
        link: InstanceLink,
        /// The digest of the chain that was presented.
        chain: Digest,
        /// The leaf of that chain (`jti`).
        leaf: Label,
        /// The digest of the proof of possession.
        proof: Digest,
        /// The call.
        request: CallRecord,
        /// The digest of the policy bundle that was asked.
        policy: Digest,
        /// What was decided.
        outcome: Ruling,
        /// Which check decided it.
        reason: Label,
        /// The policies that determined it; `chain:` and a jti where the chain did.
        determining: Vec<Label>,
        /// The approvals that it rests on.
        approvals: Vec<ApprovalId>,
        /// What the call costs, in millionths.
        cost_micros: u64,
        /// The limits that it counts against; empty unless it was allowed.
        charges: Vec<Charge>,
        [optional]
        /// The step of the mission that the caller says it serves.
        step: Label,
        /// What of the chain was revoked, where that is why it was denied.
        revoked: RevocationKind,
        /// The digest of the opinion that came with the call.
        opinion: Digest,
        /// What the rules for sessions made of it, where it was judged.
        facts: CallFacts,
        /// What policy said, where that was not enforced: the call went on, or a person was asked, though
        /// policy denied it or asked.
        unenforced: Unenforced,
    }
}

body! {
    /// A former run of the gateway left an allowed execution without an outcome: it may have happened,
    /// and nobody here knows. Written when the gateway starts again, before the outcome that says so.
    pub struct GapDisclose = "gap.disclose" in Gateway {
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The execution.
        execution: ExecutionId,
        /// The index of the decision in this log.
        decision: u64,
    }
}

body! {
    /// An execution ended.
    pub struct Outcome = "outcome" in Gateway {
        /// The execution.
        execution: ExecutionId,
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The place in the instance's chain.
        link: InstanceLink,
        /// The index of the decision in this log.
        decision: u64,
        /// How it ended.
        status: OutcomeStatus,
        /// How many bytes the answer has.
        bytes: u64,
        /// How many microseconds it took.
        micros: u64,
        [optional]
        /// The digest of the answer.
        result: Digest,
    }
}
