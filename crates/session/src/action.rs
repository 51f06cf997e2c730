//! The exact action that an approval is for.

use chancery_audit::{CallKind, Label};
use chancery_delegation::{Call, Principal, Restriction, Target};
use chancery_types::id::SessionId;
use chancery_types::{CanonicalError, Digest, to_canonical};
use serde_json::json;

/// The name under which a person is committed to in the log.
pub const PRINCIPAL: &str = "principal";

/// One exact action: what an approval binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// The session.
    pub session: SessionId,
    /// The SPIFFE ID of the instance.
    pub instance: Label,
    /// The server.
    pub server: Label,
    /// What kind of thing is called.
    pub kind: CallKind,
    /// The tool, the prompt or the URI.
    pub name: Label,
    /// The digest of the arguments in RFC 8785 form.
    pub args_digest: Digest,
}

impl Action {
    /// The digest of the canonical object `{args_digest, instance, kind, name, server, session}`.
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        to_canonical(&json!({
            "session": self.session,
            "instance": self.instance,
            "server": self.server,
            "kind": self.kind,
            "name": self.name,
            "args_digest": self.args_digest,
        }))
        .map(Digest::of)
    }
}

/// How a log names an ask of a chain: `chain:` and the link's `jti`.
pub fn chain_ask(restriction: &Restriction) -> String {
    format!("chain:{}", restriction.jti)
}

/// The text that the log commits to for a person: the canonical object `{iss, sub}`.
pub fn principal_text(principal: &Principal) -> Result<String, CanonicalError> {
    let bytes = to_canonical(&json!({"iss": principal.issuer, "sub": principal.subject}))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) const fn call_kind(call: &Call<'_>) -> CallKind {
    match call.target {
        Target::Tool(_) => CallKind::Tool,
        Target::Resource(_) => CallKind::Resource,
        Target::Prompt(_) => CallKind::Prompt,
    }
}
