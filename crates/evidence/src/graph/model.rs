use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chancery_audit::{Assurance, CallKind, Commitment, Verdict};
use chancery_types::id::{ApprovalId, PersonId, SessionId};
use chancery_types::{Digest, RevocationKind, Timestamp};
use serde::Serialize;
use serde_json::Value;

/// Who could do what on whose behalf, and who did. Made of verified entries and objects alone; the
/// same logs and objects give the same graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The format.
    pub format: GraphFormat,
    /// What it is the graph of.
    pub subject: Subject,
    /// What it rests on.
    pub basis: Basis,
    /// The nodes, in the order in which the logs name them.
    pub nodes: Vec<Node>,
    /// The edges, in the order in which the logs name them.
    pub edges: Vec<Edge>,
    /// What the logs and objects at hand do not say.
    pub unknown: Vec<String>,
}

/// The one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum GraphFormat {
    /// Version 1.
    #[serde(rename = "chancery/graph/v1")]
    V1,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum Subject {
    /// One session.
    Session(SessionId),
    /// The sessions on behalf of a person, and those in which the person answered.
    Person(PersonId),
    /// What the instances of an agent hold and did, with what stands above and below.
    Agent(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session) => write!(f, "session {session}"),
            Self::Person(person) => write!(f, "person {person}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
        }
    }
}

/// What a graph rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// How much was verified.
    pub verified: Extent,
    /// The trust document.
    pub trust: Digest,
    /// The logs that were read.
    pub logs: Vec<LogBasis>,
}

/// How much was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// The whole evidence: every object, and every decision again.
    Evidence,
    /// The logs, and every delegation whose signed form is at hand. Decisions were not replayed.
    Logs,
    /// The logs; the evidence around them does not verify.
    EvidenceFailed,
}

impl Extent {
    /// What it is called in pictures.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Evidence => "evidence verified",
            Self::Logs => "logs verified, decisions not replayed",
            Self::EvidenceFailed => "EVIDENCE DOES NOT VERIFY: run verify and read its findings",
        }
    }
}

/// A log that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogBasis {
    /// Its origin.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// Its root hash.
    pub root: Digest,
}

/// One node; its id names its kind and is unique in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The id.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
    /// The revocations that name it, in the order of the log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revoked>,
}

/// How authority is withdrawn before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "&'static str")]
pub enum Withdrawal {
    /// A revocation of what it names.
    Revocation(RevocationKind),
    /// A higher epoch, which ends what was signed before.
    Epoch,
}

impl Withdrawal {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revocation(kind) => kind.name(),
            Self::Epoch => "epoch",
        }
    }
}

impl From<Withdrawal> for &'static str {
    fn from(withdrawal: Withdrawal) -> Self {
        withdrawal.name()
    }
}

/// A revocation. Who made it is a commitment, which no person of the trust document is behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revoked {
    /// Its kind, or the epoch.
    pub what: Withdrawal,
    /// When.
    pub at: Timestamp,
    /// Who made it.
    pub by: Commitment,
    /// When the root keys lifted it, where they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Timestamp>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A person; by name only where a disclosure or a root says it.
    Person {
        /// Who, where that is disclosed.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<String>,
        /// How the logs name the person.
        commitments: BTreeSet<Commitment>,
    },
    /// Who signs roots.
    Authority {
        /// Its URL.
        authority: String,
    },
    /// A kind of actor.
    Agent {
        /// Its SPIFFE ID.
        agent: String,
        /// The manifests of its instances.
        manifests: BTreeSet<Digest>,
    },
    /// One run of an agent.
    Instance(Box<InstanceNode>),
    /// One grant.
    Delegation(Box<DelegationNode>),
    /// One mission under one gateway.
    Session(Box<SessionNode>),
    /// A tool, prompt or resource of a server.
    Tool {
        /// The server.
        server: String,
        /// What kind of thing.
        call: CallKind,
        /// Its name or URI.
        name: String,
    },
    /// A question to a person.
    Approval {
        /// The request.
        approval: ApprovalId,
        /// The session.
        session: SessionId,
        /// When it was asked.
        asked_at: Timestamp,
        /// What was answered, where it was.
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
    },
    /// A policy bundle.
    Policy {
        /// Its digest.
        policy: Digest,
        /// Its name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its version.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
    },
}

/// One run of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceNode {
    /// Its SPIFFE ID.
    pub instance: String,
    /// The agent, where an entry says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_level: Option<String>,
    /// Whether it has namespaces of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<&'static str>,
    /// When and why it ended; without it the log knows of no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Over>,
}

/// An end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Over {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DelegationNode {
    /// The `jti`.
    pub delegation: String,
    /// The session.
    pub session: SessionId,
    /// How many links stand above it.
    pub depth: u64,
    /// The link above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The SPIFFE ID of the holder.
    pub delegate: String,
    /// When it expires.
    pub expires: Timestamp,
    /// The digest of its signed form.
    pub link: Digest,
    /// Whether a gateway has seen it.
    pub used: bool,
    /// What it says, where its signed form is at hand and verifies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
    /// Why what it grants is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// What a delegation says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// The deepest link that may stand below.
    pub max_depth: u64,
    /// What the holder may do.
    pub entries: Vec<Value>,
    /// What nobody below may do.
    pub forbid: Vec<Value>,
    /// What nobody below may do without an approval.
    pub ask: Vec<Value>,
}

/// One mission under one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionNode {
    /// The session.
    pub session: SessionId,
    /// The gateway, where it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The digest of the mission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<Digest>,
    /// When it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// When and why it ended; without it the log knows of no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Over>,
}

/// One edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// The node that it starts from.
    pub from: String,
    /// The node that it leads to.
    pub to: String,
    /// What it says.
    #[serde(flatten)]
    pub how: How,
}

/// What an edge says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum How {
    /// A person consents to a root.
    Consents {
        /// What the root rests on.
        assurance: Assurance,
        /// When the root was enrolled.
        at: Timestamp,
    },
    /// The authority signs a root.
    Signs,
    /// An instance passes a part of its own authority on.
    Delegates,
    /// Who holds a delegation.
    HeldBy,
    /// The session that a delegation is for.
    Within,
    /// The agent that an instance is a run of.
    InstanceOf,
    /// An instance joined a session.
    Joined {
        /// When.
        at: Timestamp,
        /// When and why it left.
        #[serde(skip_serializing_if = "Option::is_none")]
        left: Option<Over>,
    },
    /// An instance was refused a session.
    Refused {
        /// Why, and how often.
        reasons: BTreeMap<String, u64>,
        /// When last.
        last: Timestamp,
    },
    /// The policy that decides in a session.
    Governs,
    /// COULD: the chain covers it. Policy decides each call besides.
    MayCall(Box<MayCall>),
    /// DID: what was asked for and what was decided.
    Called(Box<Called>),
    /// An instance's call waited for a person.
    Asked {
        /// The session.
        session: SessionId,
        /// The delegation that it called with.
        delegation: String,
    },
    /// What a question is about.
    About,
    /// A person answered.
    Answered {
        /// What.
        verdict: Verdict,
        /// When.
        at: Timestamp,
    },
}

/// What a chain covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MayCall {
    /// The session.
    pub session: SessionId,
    /// The delegation.
    pub delegation: String,
    /// What each constrained argument is held to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Value>,
    /// Its limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Value>,
    /// Whether a link of the chain forbids it without condition.
    pub forbidden: bool,
    /// Whether a link of the chain asks for an approval of some or all of it.
    pub ask: bool,
}

/// What was asked for and what was decided, of one instance, tool and delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Called {
    /// The session.
    pub session: SessionId,
    /// The leaf of the chain that was presented.
    pub delegation: String,
    /// Calls allowed.
    pub allowed: u64,
    /// Those of them in which what policy said was not enforced.
    #[serde(skip_serializing_if = "is_zero")]
    pub unenforced: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls that waited for a person.
    pub escalated: u64,
    /// Which check denied, and how often.
    pub denied_for: BTreeMap<String, u64>,
    /// How the allowed ones ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// When last.
    pub last: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl How {
    /// The word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Consents { .. } => "consents",
            Self::Signs => "signs",
            Self::Delegates => "delegates",
            Self::HeldBy => "held-by",
            Self::Within => "within",
            Self::InstanceOf => "instance-of",
            Self::Joined { .. } => "joined",
            Self::Refused { .. } => "refused",
            Self::Governs => "governs",
            Self::MayCall(_) => "may-call",
            Self::Called(_) => "called",
            Self::Asked { .. } => "asked",
            Self::About => "about",
            Self::Answered { .. } => "answered",
        }
    }
}
