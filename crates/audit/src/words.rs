//! The words and parts that bodies are made of.

use std::collections::BTreeMap;

use chancery_types::id::CredentialId;
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{FieldType, Label};

words! {
    /// What was decided about a call.
    pub enum Ruling {
        /// It was forwarded.
        Allow = "allow",
        /// It was refused.
        Deny = "deny",
        /// A person was asked.
        Escalate = "escalate",
    }
}

words! {
    /// What a call is for.
    pub enum CallKind {
        /// A tool.
        Tool = "tool",
        /// A resource.
        Resource = "resource",
        /// A prompt.
        Prompt = "prompt",
    }
}

words! {
    /// Whether an instance has namespaces of its own.
    pub enum Isolation {
        /// It has.
        Isolated = "isolated",
        /// It has not.
        Unisolated = "unisolated",
    }
}

words! {
    /// What a node joined by.
    pub enum NodeProof {
        /// A one-use token of the operator.
        Token = "token",
        /// Possession of the key of a certificate of an admitted authority.
        X509 = "x509",
        /// A TPM that opened a credential and signed a quote.
        Tpm = "tpm",
    }
}

words! {
    /// What a root rests on.
    pub enum Assurance {
        /// The person's own signature over its claims.
        Consent = "consent",
        /// A sign-in alone.
        Asserted = "asserted",
        /// A standing consent: the person's own signature over what roots may be at most.
        Standing = "standing",
    }
}

words! {
    /// What a person answered.
    pub enum Verdict {
        /// The action may happen.
        Approve = "approve",
        /// It may not.
        Deny = "deny",
    }
}

words! {
    /// The form of a credential.
    pub enum CredentialForm {
        /// An X.509-SVID.
        X509Svid = "x509-svid",
        /// A workload identity token.
        Wit = "wit",
        /// A JWT-SVID: a bearer token, whose key is the one that signed it.
        JwtSvid = "jwt-svid",
        /// A WIT-SVID that a workload was handed together with its key; no agent key's credential.
        WitSvid = "wit-svid",
    }
}

words! {
    /// How the endpoint of a foreign bundle is authenticated.
    pub enum EndpointProfile {
        /// By a certificate of the Web's authorities.
        HttpsWeb = "https_web",
        /// By an X.509-SVID.
        HttpsSpiffe = "https_spiffe",
    }
}

words! {
    /// What an authority signs.
    pub enum AuthorityKind {
        /// X.509-SVIDs, by an intermediate of a root that the trust document names.
        X509 = "x509",
        /// JWT-SVIDs.
        Jwt = "jwt",
        /// Workload identity tokens.
        Wit = "wit",
    }
}

words! {
    /// What becomes of an authority.
    pub enum AuthorityStep {
        /// It has a key, and signs nothing yet.
        Prepare = "prepare",
        /// It signs from now on, and the one before it is old.
        Activate = "activate",
        /// It is old and not believed any more: what it signed is issued again.
        Taint = "taint",
        /// Its key is destroyed before what it signed has ended.
        Revoke = "revoke",
        /// Its key is destroyed once everything that it signed has ended.
        Retire = "retire",
    }
}

words! {
    /// Why a session ended.
    pub enum EndReason {
        /// The mission was done.
        Completed = "completed",
        /// Its time was over.
        Expired = "expired",
        /// Its authority was withdrawn.
        Revoked = "revoked",
        /// Nobody was left in it.
        Abandoned = "abandoned",
        /// A part of its log is missing: another log goes on from what is left.
        Interrupted = "interrupted",
        /// A person stopped it for ever.
        Killed = "killed",
    }
}

words! {
    /// What a brake is on.
    pub enum BrakeOn {
        /// Every call of every session.
        Everywhere = "everywhere",
        /// What is done on behalf of one person.
        Person = "person",
        /// One session.
        Session = "session",
        /// The instances of one agent.
        Agent = "agent",
        /// One instance.
        Instance = "instance",
        /// One tool, as `server/tool`.
        Tool = "tool",
    }
}

words! {
    /// How hard a brake is.
    pub enum BrakeMode {
        /// Until it is released.
        Pause = "pause",
        /// For ever.
        Kill = "kill",
    }
}

words! {
    /// Why an instance left a session.
    pub enum LeaveReason {
        /// It was done.
        Completed = "completed",
        /// Its process or its connection was gone.
        Gone = "gone",
        /// Its credential or delegation was over.
        Expired = "expired",
        /// Its credential or delegation was withdrawn.
        Revoked = "revoked",
        /// The session ended.
        SessionEnd = "session-end",
    }
}

words! {
    /// How an execution ended.
    pub enum OutcomeStatus {
        /// The server answered with a result.
        Completed = "completed",
        /// The server answered that the tool failed.
        ToolError = "tool-error",
        /// The server wants more input first.
        InputRequired = "input-required",
        /// The server answered with a protocol error.
        Failed = "failed",
        /// The caller withdrew the call after it was forwarded.
        Cancelled = "cancelled",
        /// The server was silent for too long.
        TimedOut = "timed-out",
        /// The server ended before it answered.
        Gone = "gone",
        /// The call did not reach the server.
        NotForwarded = "not-forwarded",
        /// The answer was withheld from the caller.
        Withheld = "withheld",
        /// The gateway stopped before the end was known.
        Unknown = "unknown",
    }
}

part! {
    /// One credential that was issued.
    pub struct Credential {
        /// Its form.
        form: CredentialForm,
        /// Its id.
        id: CredentialId,
        /// The thumbprint of its key; of a bearer token, of the key that signed it.
        key: Digest,
        /// When it expires.
        expires: Timestamp,
    }
}

part! {
    /// A call as the log knows it.
    pub struct CallRecord {
        /// The server.
        server: Label,
        /// What kind of thing is called.
        kind: CallKind,
        /// The tool, the prompt or the URI of the resource.
        name: Label,
        /// The digest of the arguments in RFC 8785 form.
        args_digest: Digest,
        /// The arguments that the policy bundle lets stand in clear.
        clear: BTreeMap<Label, ClearValue>,
    }
}

part! {
    /// A limit of a delegation that an allowed call counts against.
    pub struct Charge {
        /// The delegation (`jti`).
        delegation: Label,
        /// Which of its entries.
        entry: u64,
    }
}

part! {
    /// What the rules for sessions made of a call.
    pub struct CallFacts {
        /// The instance's trust when it called.
        trust: u64,
        /// The digest of the formula that trust is computed by.
        formula: Digest,
        /// The digest of the resource that the call is about.
        resource: Digest,
        /// How many rows it asks for.
        rows: u64,
        /// The untrusted sources whose content the session has with this call.
        taint: Vec<Label>,
        /// The stores that it reads: once one holds such content, the session has it.
        reads: Vec<Label>,
        /// The stores that it may write such content to: whoever reads them is tainted.
        taints: Vec<Label>,
        [optional]
        /// For how many seconds a person's approval holds for the same tool and resource; without it,
        /// for this one action once.
        grant_seconds: u64,
    }
}

words! {
    /// What has it that policy is not enforced.
    pub enum ObservedBy {
        /// The bundle observes every call.
        Bundle = "bundle",
        /// The bundle observes this tool.
        Tool = "tool",
        /// The operator has the session observed, as the bundle lets them.
        Session = "session",
    }
}

part! {
    /// What policy said that was not enforced.
    pub struct Unenforced {
        /// What policy decided.
        outcome: Ruling,
        /// Which of its rules decided.
        reason: Label,
        /// The policies that determined it.
        determining: Vec<Label>,
        /// What has it that policy is not enforced.
        by: ObservedBy,
    }
}

part! {
    /// How often what was decided.
    pub struct Counts {
        /// Calls allowed.
        allowed: u64,
        /// Calls denied.
        denied: u64,
        /// Calls escalated.
        escalated: u64,
        /// Executions whose outcome is known.
        outcomes: u64,
        /// What the allowed calls cost, in millionths.
        cost_micros: u64,
        [optional]
        /// Those of them in which what policy said was not enforced; absent where there are none.
        unenforced: u64,
    }
}

/// A value that stands in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClearValue {
    /// True or false.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A text.
    Text(String),
}

impl FieldType for ClearValue {
    fn describe() -> String {
        "boolean, integer or text".to_owned()
    }

    fn schema() -> serde_json::Value {
        let largest = (1_i64 << 53) - 1;
        serde_json::json!({
            "type": ["boolean", "integer", "string"],
            "minimum": -largest,
            "maximum": largest,
        })
    }
}
