//! The life of a session.

use chancery_types::id::{InstanceId, PersonId, SessionId};
use chancery_types::{Digest, RevocationKind, Timestamp};

use crate::{
    Assurance, Commitment, Counts, EndReason, InstanceLink, Isolation, Label, LeaveReason,
};

body! {
    /// A session was opened. It holds no permission yet.
    pub struct SessionOpen = "session.open" in Gateway {
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of its home gateway.
        gateway: Label,
        /// The agent that opened it.
        agent: Label,
        /// The SPIFFE ID of the instance that opened it.
        instance: Label,
        /// The digest of that agent's manifest.
        manifest: Digest,
        /// The digest of the chain that it was opened with.
        chain: Digest,
        /// The root of that chain (`jti`).
        root: Label,
        /// The person on whose behalf (`principal`).
        principal: Commitment,
        /// Who runs the agent (`operator`).
        operator: Commitment,
        /// The digest of the mission's exact bytes.
        mission: Digest,
        /// What the root rests on.
        assurance: Assurance,
        /// The digest of the policy bundle in force.
        policy: Digest,
        /// The digest of the tool catalog in force.
        catalog: Digest,
        /// The version of the trust document in force.
        trust: u64,
        /// When the session ends at the latest.
        expires: Timestamp,
        [optional]
        /// Most calls of all instances together.
        max_calls: u64,
        /// Most cost of all instances together, in millionths.
        max_cost_micros: u64,
        /// Who alone answers escalations, where the mission names one person.
        approver: PersonId,
    }
}

body! {
    /// An instance joined: the first entry of its chain.
    pub struct SessionJoin = "session.join" in Gateway {
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The place in the instance's chain.
        link: InstanceLink,
        /// The agent that it is a run of.
        agent: Label,
        /// The digest of its manifest.
        manifest: Digest,
        /// The digest of the chain that it joined with.
        chain: Digest,
        /// The leaf of that chain (`jti`).
        leaf: Label,
        /// The thumbprint of its agent key.
        agent_key: Digest,
        /// What vouches for it, as its token says it.
        attestation_level: Label,
        /// Whether it has namespaces of its own.
        isolation: Isolation,
        /// When its credential expires.
        expires: Timestamp,
        [optional]
        /// The last segment of its SPIFFE ID, where it has our form.
        id: InstanceId,
    }
}

body! {
    /// An instance is about to hear from a server whose words may come from an untrusted source, without
    /// a decision. Written before the first of them is passed on, and when there is more to say.
    pub struct SessionVisit = "session.visit" in Gateway {
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The server.
        server: Label,
        /// The digest of the policy bundle that says so.
        policy: Digest,
        /// The untrusted sources whose content the session has from now on.
        taint: Vec<Label>,
        /// The stores that the server may answer from: once one holds such content, the session has it.
        reads: Vec<Label>,
    }
}

body! {
    /// An instance left: the last entry of its chain, with what it did.
    pub struct SessionLeave = "session.leave" in Gateway {
        /// The session.
        session: SessionId,
        /// The SPIFFE ID of the instance.
        instance: Label,
        /// The place in the instance's chain.
        link: InstanceLink,
        /// Why.
        reason: LeaveReason,
        /// How many entries its chain has, this one included.
        entries: u64,
        /// What was decided.
        counts: Counts,
    }
}

body! {
    /// A session ended. There is one such entry for every session that was opened.
    pub struct SessionEnd = "session.end" in Gateway {
        /// The session.
        session: SessionId,
        /// Why.
        reason: EndReason,
        /// How many instances joined it.
        instances: u64,
        /// What was decided.
        counts: Counts,
        [optional]
        /// The digest of the index of its evidence.
        evidence: Digest,
        /// What was revoked of its root, where that is why: a kind of revocation, or `epoch`.
        cause: Label,
    }
}

body! {
    /// An instance was refused a session.
    pub struct SessionRefuse = "session.refuse" in Gateway {
        /// Why.
        reason: Label,
        [optional]
        /// The session that it wanted to join.
        session: SessionId,
        /// The SPIFFE ID of its certificate.
        instance: Label,
        /// The digest of the chain that it presented.
        chain: Digest,
        /// The digest of the manifest that it presented.
        manifest: Digest,
        /// Which link the reason is about.
        link: u64,
        /// What of that link was revoked, where that is why.
        revoked: RevocationKind,
    }
}
