//! Why one action happened: the five facts, each with its places in the logs.

mod tell;
mod text;

use chancery_audit::{CallKind, ObservedBy, OutcomeStatus, Ruling, Verdict};
use chancery_types::id::{ApprovalId, ExecutionId, LaunchId, PersonId, SessionId};
use chancery_types::{Digest, Timestamp};
use serde::Serialize;

pub use tell::{WhyError, why};

use crate::{NoteValue, Replay, ReportOutcome};

/// The five facts of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The action.
    pub execution: ExecutionId,
    /// The session.
    pub session: SessionId,
    /// What the evidence as a whole is; where it failed, so may everything below.
    pub evidence: ReportOutcome,
    /// What of the story was erased with whoever it was about: `principal`, `mission`, `arguments`,
    /// `chain`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<&'static str>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// What was done.
    pub action: ActionFact,
    /// Which instance did it.
    pub instance: InstanceFact,
    /// What that instance was.
    pub made_of: MakeupFact,
    /// On whose behalf, and for which goal.
    pub on_behalf: BehalfFact,
    /// Who or what allowed it, and whether it was in scope.
    pub allowed: ScopeFact,
    /// Whether that authority is still valid.
    pub authority: AuthorityFact,
}

/// An entry of a log whose inclusion under the log's checkpoint was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogPlace {
    /// The log.
    pub origin: String,
    /// The index of the entry.
    pub index: u64,
    /// What kind of entry it is.
    pub entry: &'static str,
    /// Its leaf hash.
    pub leaf: Digest,
    /// When it was written.
    pub at: Timestamp,
    /// The size of the tree under the checkpoint.
    pub tree_size: u64,
    /// The inclusion proof, the leaf's sibling first.
    pub proof: Vec<Digest>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionFact {
    /// The tool server.
    pub server: String,
    /// What kind of thing was called.
    pub kind: CallKind,
    /// The tool, the prompt or the URI.
    pub name: String,
    /// The arguments, as they were presented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeStatus>,
    /// Whether a run of the gateway that broke off left it, so that nobody knows whether it happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// Decision, gap and outcome.
    pub places: Vec<LogPlace>,
}

/// Which instance did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceFact {
    /// Its SPIFFE ID.
    pub instance: String,
    /// The agent that it is a run of.
    pub agent: String,
    /// The launch that it came from, where it was launched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<LaunchId>,
    /// The node that vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Why and when its process ended; without it the log does not know of an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<EndFact>,
    /// Issuances, join and end.
    pub places: Vec<LogPlace>,
}

/// An end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndFact {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// What the instance was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MakeupFact {
    /// The digest of its signed manifest.
    pub manifest: Digest,
    /// The manifest's own id.
    pub manifest_id: String,
    /// What the issuer says that the agent is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// The digest of the code that the manifest binds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Digest>,
    /// The digest of the file that was executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Digest>,
    /// The digest of the system prompt that the manifest binds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Digest>,
    /// The digest of the tool catalog of the session.
    pub tools: Digest,
    /// The digest of the policy bundle that decided.
    pub policy: Digest,
    /// What vouches for it.
    pub attestation_level: String,
    /// Whether it has namespaces of its own.
    pub isolation: &'static str,
    /// The registration of the manifest and the publication of the policy.
    pub places: Vec<LogPlace>,
}

/// On whose behalf, for which goal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BehalfFact {
    /// The person, as the session's commitment discloses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Who runs the agent, where it is disclosed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// What the root rests on.
    pub assurance: &'static str,
    /// What the mission is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// The step that the call cites, with its text where the mission has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The mission document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<String>,
    /// The digest of its bytes.
    pub mission_digest: Digest,
    /// The chain, root first.
    pub chain: Vec<LinkFact>,
    /// The opening, the root and the links.
    pub places: Vec<LogPlace>,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkFact {
    /// The delegation.
    pub delegation: String,
    /// Who delegates.
    pub delegator: String,
    /// Who holds it.
    pub delegate: String,
    /// When it is over.
    pub expires: Timestamp,
}

/// Who or what allowed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScopeFact {
    /// What was decided.
    pub ruling: Ruling,
    /// Which check decided.
    pub reason: String,
    /// The policies and links that determined it.
    pub determining: Vec<PolicyFact>,
    /// What policy said, where that was not enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unenforced: Option<UnenforcedFact>,
    /// The people who approved it.
    pub approvals: Vec<ApprovalFact>,
    /// What deciding again gave.
    pub replay: Replay,
    /// Requests and answers.
    pub places: Vec<LogPlace>,
}

/// What policy said, and was not enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnenforcedFact {
    /// What policy decided.
    pub verdict: Ruling,
    /// Which of its rules decided.
    pub reason: String,
    /// The policies that determined it.
    pub determining: Vec<PolicyFact>,
    /// What had the call observed.
    pub by: ObservedBy,
}

/// A policy that determined a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyFact {
    /// Its id; `chain:` and a delegation where a link asked or forbade.
    pub id: String,
    /// What its authors say to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalFact {
    /// The request.
    pub approval: ApprovalId,
    /// The person, by a pseudonymous id.
    pub approver: PersonId,
    /// What was answered.
    pub verdict: Verdict,
    /// What the signature rests on, where that is less than a person's own hardware.
    pub marks: Vec<NoteValue>,
}

/// Whether the authority is still valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuthorityFact {
    /// Whether the same call could still be made by it at that time, with all that was revoked up to
    /// the checkpoint of the server's log. What was revoked since then is not in it.
    pub valid: bool,
    /// Why it could not.
    pub over: Vec<String>,
    /// When the chain is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_expires: Option<Timestamp>,
    /// When the instance's credential is over.
    pub credential_expires: Timestamp,
    /// When and why the session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_ended: Option<EndFact>,
    /// The ends.
    pub places: Vec<LogPlace>,
}
