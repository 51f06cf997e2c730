use chancery_audit::{CallKind, CallRecord, Label};
use chancery_delegation::{Call as Judged, Target};
use chancery_types::{Digest, to_jcs};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::method::Method;

/// Most bytes of arguments that are judged.
const MAX_ARGUMENT_BYTES: usize = 1 << 20;

/// Largest integer that every reader represents exactly.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The members of `params` that a decision covers.
const GOVERNED: [&str; 4] = ["_meta", "arguments", "name", "uri"];

/// A call, read once: what is judged, what is digested and what is recorded come from here, even
/// when the call is denied for what was read.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) links: Vec<String>,
    /// `cth` of what was presented.
    pub(crate) chain: Digest,
    pub(crate) proof: Option<String>,
    pub(crate) arguments: Map<String, Value>,
    /// The arguments in RFC 8785 form.
    pub(crate) canonical: Vec<u8>,
    pub(crate) server: String,
    pub(crate) name: String,
    method: Method,
    /// Whether parameters came that no decision covers.
    pub(crate) is_ungoverned: bool,
    /// Why the call cannot be judged.
    pub(crate) fault: Option<&'static str>,
}

impl Material {
    pub(crate) fn read(call: &Call) -> Self {
        let mut fault = None;
        // What cannot be read was not presented: evidence holds no other form of it.
        let links: Vec<String> = call
            .delegation()
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default();
        let proof = call.proof().and_then(|raw| serde_json::from_str(raw).ok());
        let raw = call.arguments().unwrap_or("{}");
        let (arguments, canonical) = match arguments(raw) {
            Ok(read) => read,
            Err(code) => {
                fault = Some(code);
                (Map::new(), Vec::new())
            }
        };
        let names = call.visit().message().param_names();
        let is_ungoverned = names.iter().any(|name| !GOVERNED.contains(&name.as_str()));
        if fault.is_none() && links.join(",").is_empty() {
            fault = Some("delegation_missing");
        }
        Self {
            chain: Digest::of(links.join(",")),
            links,
            proof,
            arguments,
            canonical,
            server: call.visit().server().to_string(),
            name: call.target().to_owned(),
            method: call.method(),
            is_ungoverned,
            fault,
        }
    }

    /// The call as chains, proofs and the session machine judge it.
    pub(crate) fn call(&self) -> Judged<'_> {
        Judged {
            server: &self.server,
            target: self.target(),
            args: &self.arguments,
        }
    }

    pub(crate) fn target(&self) -> Target<'_> {
        match self.method {
            Method::ToolsCall => Target::Tool(&self.name),
            Method::ResourcesRead => Target::Resource(&self.name),
            Method::PromptsGet => Target::Prompt(&self.name),
        }
    }

    pub(crate) const fn kind(&self) -> CallKind {
        match self.method {
            Method::ToolsCall => CallKind::Tool,
            Method::ResourcesRead => CallKind::Resource,
            Method::PromptsGet => CallKind::Prompt,
        }
    }

    pub(crate) fn args_digest(&self) -> Digest {
        Digest::of(&self.canonical)
    }

    /// The digest of the proof as presented; of nothing where there was none.
    pub(crate) fn proof_digest(&self) -> Digest {
        Digest::of(self.proof.as_deref().unwrap_or_default())
    }

    /// The call as the log records one that was not judged: nothing of it in clear.
    pub(crate) fn record(&self) -> CallRecord {
        CallRecord {
            server: Label::or_digest(&self.server),
            kind: self.kind(),
            name: Label::or_digest(&self.name),
            args_digest: self.args_digest(),
            clear: std::collections::BTreeMap::new(),
        }
    }

    /// What evidence needs of the call.
    pub(crate) fn objects(&self) -> Vec<Vec<u8>> {
        let mut objects = vec![self.links.join(",").into_bytes(), self.canonical.clone()];
        objects.extend(self.links.iter().map(|link| link.clone().into_bytes()));
        objects.extend(self.proof.as_ref().map(|proof| proof.clone().into_bytes()));
        objects
    }
}

/// Reads arguments. Refuses integers beyond what every reader represents exactly: RFC 8785 rounds
/// them, so that two calls would share one digest and one proof.
fn arguments(raw: &str) -> Result<(Map<String, Value>, Vec<u8>), &'static str> {
    if raw.len() > MAX_ARGUMENT_BYTES {
        return Err("too_long");
    }
    if !integers_are_exact(raw) {
        return Err("malformed");
    }
    let read: Value = serde_json::from_str(raw).map_err(|_| "malformed")?;
    let canonical = to_jcs(&read).map_err(|_| "malformed")?;
    // What is judged is what is kept: `5.0` and `5` are one number, and a verifier that has only the
    // canonical text must come to the same decision.
    let kept = std::str::from_utf8(&canonical).map_err(|_| "malformed")?;
    if !integers_are_exact(kept) {
        return Err("malformed");
    }
    match serde_json::from_str(kept).map_err(|_| "malformed")? {
        Value::Object(members) => Ok((members, canonical)),
        _ => Err("malformed"),
    }
}

/// Looks at the text itself: a parser turns large integers into floats and does not say so.
fn integers_are_exact(json: &str) -> bool {
    let mut bytes = json.bytes().peekable();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'0'..=b'9' if !in_string => {
                let mut digits = String::from(char::from(byte));
                let mut is_integer = true;
                while let Some(next) = bytes
                    .next_if(|next| matches!(next, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                {
                    is_integer &= next.is_ascii_digit();
                    digits.push(char::from(next));
                }
                let exact = digits
                    .parse::<u64>()
                    .is_ok_and(|value| value <= MAX_SAFE_INTEGER);
                if is_integer && !exact {
                    return false;
                }
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_that_readers_round_are_refused() {
        for bad in [
            r#"{"a":9007199254740992}"#,
            r#"{"a":-9007199254740992}"#,
            r#"{"a":[{"b":123456789012345678901234567890}]}"#,
            r#"{"a\"":1,"b":9007199254740993}"#,
            r#"{"a":18446744073709551616}"#,
            r#"{"a":1e16}"#,
            r#"{"a":9007199254740992.0}"#,
        ] {
            assert_eq!(arguments(bad), Err("malformed"), "{bad}");
        }
        for good in [
            r#"{"a":9007199254740991,"b":-9007199254740991}"#,
            r#"{"a":"9007199254740993","9007199254740993":1}"#,
            r#"{"a":"\\","b":"\"9007199254740993"}"#,
            r#"{"a":1.5e10,"b":0.1}"#,
            "{}",
        ] {
            assert!(arguments(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_judged_is_what_is_kept() {
        let (judged, kept) = arguments(r#"{"b":5.0,"a":1e2}"#).unwrap();
        assert_eq!(kept, br#"{"a":100,"b":5}"#);
        assert_eq!(judged["b"].as_i64(), Some(5));
        assert_eq!(
            Value::Object(judged),
            serde_json::from_slice::<Value>(&kept).unwrap()
        );
    }

    #[test]
    fn what_is_no_object_or_too_long_is_refused() {
        assert_eq!(arguments("[]"), Err("malformed"));
        assert_eq!(arguments("{"), Err("malformed"));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_ARGUMENT_BYTES));
        assert_eq!(arguments(&long), Err("too_long"));
    }
}
