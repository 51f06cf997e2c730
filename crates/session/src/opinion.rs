//! What a model thinks of a call: an input that can only lower the result.

use chancery_types::{Digest, parse_strict};
use serde_json::Value;

/// How a log names the question that an opinion raises.
pub(crate) const OPINION_ASK: &str = "opinion:escalate";

/// An opinion that came with a call: `{"verdict": "allow" | "escalate" | "deny", ...}`, whoever's it
/// is. No decision rests on it (invariant 7): it can only lower what comes out without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    verdict: OpinionVerdict,
    digest: Digest,
}

/// What an opinion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpinionVerdict {
    /// Nothing against it.
    Allow,
    /// A person should look at it.
    Escalate,
    /// It should not happen.
    Deny,
}

impl Opinion {
    /// Reads an opinion. Total: what is not understood is against the call.
    pub fn read(bytes: &[u8]) -> Self {
        let verdict = match parse_strict(bytes) {
            Ok(Value::Object(members)) => match members.get("verdict").and_then(Value::as_str) {
                Some("allow") => OpinionVerdict::Allow,
                Some("escalate") => OpinionVerdict::Escalate,
                _ => OpinionVerdict::Deny,
            },
            _ => OpinionVerdict::Deny,
        };
        Self {
            verdict,
            digest: Digest::of(bytes),
        }
    }

    /// What it says.
    pub const fn verdict(&self) -> OpinionVerdict {
        self.verdict
    }

    /// The digest of its exact bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_against_the_call() {
        let verdict = |text: &str| Opinion::read(text.as_bytes()).verdict();
        assert_eq!(
            verdict(r#"{"verdict":"allow","model":"m"}"#),
            OpinionVerdict::Allow
        );
        assert_eq!(
            verdict(r#"{"verdict":"escalate"}"#),
            OpinionVerdict::Escalate
        );
        for text in [
            "",
            "allow",
            "[]",
            "{}",
            r#"{"verdict":"deny"}"#,
            r#"{"verdict":"Allow"}"#,
            r#"{"verdict":true}"#,
            r#"{"verdict":"allow","verdict":"allow"}"#,
            r#"{"verdict":"allow","p":0.5}"#,
        ] {
            assert_eq!(verdict(text), OpinionVerdict::Deny, "{text}");
        }
    }
}
