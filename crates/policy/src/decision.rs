//! The answer: allow, deny or escalate, and why.

use serde::{Deserialize, Serialize};

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call may go on.
    Allow,
    /// The call ends here.
    Deny,
    /// A person is to be asked.
    Escalate,
}

impl Outcome {
    /// The name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Escalate => "escalate",
        }
    }
}

/// Which of the rules of decision 8 gave the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A forbid matched: deny.
    Forbid,
    /// An ask matched that no approval granted: escalate.
    Ask,
    /// A permit matched and no ask: allow.
    Permit,
    /// Every ask that matched is granted: allow.
    Granted,
    /// Nothing matched: deny.
    NoMatch,
    /// A policy could not be evaluated or the call does not have the declared shape: deny.
    EvaluationError,
}

impl Cause {
    /// The name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forbid => "forbid",
            Self::Ask => "ask",
            Self::Permit => "permit",
            Self::Granted => "granted",
            Self::NoMatch => "no_match",
            Self::EvaluationError => "evaluation_error",
        }
    }
}

/// A decision. The same request under the same bundle digest gives the same canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What is decided.
    pub outcome: Outcome,
    /// The rule that decided it.
    pub cause: Cause,
    /// The policies that determined it, sorted: those that matched under `cause`, or those that
    /// failed. Empty when nothing matched or the request could not be built.
    pub determining: Vec<String>,
}

impl Decision {
    pub(crate) fn new(cause: Cause, mut determining: Vec<String>) -> Self {
        determining.sort_unstable();
        determining.dedup();
        let outcome = match cause {
            Cause::Forbid | Cause::NoMatch | Cause::EvaluationError => Outcome::Deny,
            Cause::Ask => Outcome::Escalate,
            Cause::Permit | Cause::Granted => Outcome::Allow,
        };
        Self {
            outcome,
            cause,
            determining,
        }
    }
}
