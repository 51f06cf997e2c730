use chancery_audit::{CallKind, CallRecord, Label};
use chancery_delegation::{Call as Judged, Reason, Target, read_arguments};
use chancery_session::Opinion;
use chancery_types::Digest;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::method::Method;

/// Most bytes of arguments that are judged.
const MAX_ARGUMENT_BYTES: usize = 1 << 20;

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
    /// An opinion as it was presented.
    opinion: Option<String>,
    pub(crate) arguments: Map<String, Value>,
    /// The arguments in RFC 8785 form.
    pub(crate) canonical: Vec<u8>,
    pub(crate) server: String,
    pub(crate) name: String,
    method: Method,
    /// Whether parameters came that no decision covers.
    pub(crate) is_ungoverned: bool,
    /// Whether the chain came by reference.
    pub(crate) is_referred: bool,
    /// Whether an access token of ours stands in what would be forwarded.
    pub(crate) holds_token: bool,
    /// Why the call cannot be judged.
    pub(crate) fault: Option<&'static str>,
}

impl Material {
    /// Reads a call; `referred` finds the links of a chain that this peer presented before.
    pub(crate) fn read(call: &Call, referred: impl FnOnce(&Digest) -> Option<Vec<String>>) -> Self {
        let mut fault = None;
        // What cannot be read was not presented: evidence holds no other form of it.
        let field: Option<Value> = call
            .delegation()
            .and_then(|raw| serde_json::from_str(raw).ok());
        let is_referred = matches!(field, Some(Value::String(_)));
        let links = match field {
            Some(Value::String(chain)) => {
                let known = chain.parse().ok().and_then(|chain| referred(&chain));
                if known.is_none() {
                    fault = Some("delegation_reference_unknown");
                }
                known.unwrap_or_default()
            }
            Some(links) => serde_json::from_value(links).unwrap_or_default(),
            None => Vec::new(),
        };
        // Evidence keeps the chain as one text, and reads from it what is read here.
        let links: Vec<String> = links
            .iter()
            .flat_map(|link: &String| link.split(','))
            .map(str::to_owned)
            .collect();
        let presented = links.join(",");
        let proof = call.proof().and_then(|raw| serde_json::from_str(raw).ok());
        let raw = call.arguments().unwrap_or("{}");
        let (arguments, canonical) = match arguments(raw) {
            Ok(read) => read,
            Err(code) => {
                fault = fault.or(Some(code));
                (Map::new(), Vec::new())
            }
        };
        let names = call.visit().message().param_names();
        let is_ungoverned = names.iter().any(|name| !GOVERNED.contains(&name.as_str()));
        if fault.is_none() && presented.is_empty() {
            fault = Some("delegation_missing");
        }
        Self {
            chain: Digest::of(presented),
            links,
            proof,
            opinion: call.opinion().map(str::to_owned),
            arguments,
            canonical,
            server: call.visit().server().to_string(),
            name: call.target().to_owned(),
            method: call.method(),
            is_ungoverned,
            is_referred,
            holds_token: false,
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

    /// What came with the call as a model's opinion of it.
    pub(crate) fn opinion(&self) -> Option<Opinion> {
        let text = self.opinion.as_deref();
        text.map(|text| Opinion::read(text.as_bytes()))
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
        let texts = self.proof.iter().chain(&self.opinion);
        objects.extend(texts.map(|text| text.clone().into_bytes()));
        objects
    }
}

fn arguments(raw: &str) -> Result<(Map<String, Value>, Vec<u8>), &'static str> {
    if raw.len() > MAX_ARGUMENT_BYTES {
        return Err("too_long");
    }
    read_arguments(raw).map_err(Reason::code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_or_too_long_is_refused() {
        assert_eq!(arguments("[]"), Err("malformed"));
        assert_eq!(arguments("{"), Err("malformed"));
        assert_eq!(arguments(r#"{"a":9007199254740993}"#), Err("malformed"));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_ARGUMENT_BYTES));
        assert_eq!(arguments(&long), Err("too_long"));
    }
}
