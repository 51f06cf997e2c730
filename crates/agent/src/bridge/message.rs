use chancery_delegation::token::{Call, Target};
use chancery_types::parse_strict_with_floats;
use serde_json::{Map, Value};

use crate::json::{Member, NotAnObject, Span, insert_first, members, part};

const RESERVED: [&str; 2] = ["io.chancery/delegation", "io.chancery/proof"];
const STEP: &str = "io.chancery/step";
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A JSON-RPC message of a client and where its parts stand. Its text is never rebuilt.
#[derive(Debug)]
pub(super) struct Message {
    text: String,
    id: Option<Span>,
    method: Option<String>,
    params: Option<Span>,
    meta: Option<Span>,
    version: Option<String>,
    step: Option<String>,
    reserved: bool,
    /// `io.chancery/step` is there and names no step.
    bad_step: bool,
}

/// A call that needs authority, by the client's own words.
#[derive(Debug)]
pub(super) struct Acting {
    kind: Kind,
    target: String,
    args: Map<String, Value>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tool,
    Resource,
    Prompt,
}

impl Message {
    /// Reads one message. What is not one JSON object without duplicate members is refused.
    pub(super) fn parse(text: String) -> Result<Self, NotAnObject> {
        let whole = 0..text.len();
        let (mut id, mut method, mut params) = (None, None, None);
        for member in members(&text, &whole)? {
            match member.name.as_ref() {
                "id" => id = Some(member.value),
                "method" => {
                    let value = serde_json::from_str(part(&text, &member.value));
                    method = Some(value.map_err(|_| NotAnObject)?);
                }
                "params" => params = Some(member.value),
                _ => {}
            }
        }
        let mut message = Self {
            id,
            method,
            params,
            meta: None,
            version: None,
            step: None,
            reserved: false,
            bad_step: false,
            text,
        };
        message.meta = message.param("_meta")?;
        if let Some(meta) = &message.meta
            && part(&message.text, meta).starts_with('{')
        {
            let (mut version, mut step) = (None, None);
            let (mut reserved, mut bad_step) = (false, false);
            for Member { name, value } in members(&message.text, meta)? {
                reserved |= RESERVED.contains(&name.as_ref());
                if name == VERSION {
                    version = serde_json::from_str(part(&message.text, &value)).ok();
                } else if name == STEP {
                    let named = serde_json::from_str(part(&message.text, &value));
                    step = named.ok().filter(|step: &String| is_step(step));
                    bad_step = step.is_none();
                }
            }
            (message.version, message.reserved) = (version, reserved);
            (message.step, message.bad_step) = (step, bad_step);
        }
        Ok(message)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The id as it was written; of requests and of answers to the server.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_ref().map(|id| part(&self.text, id))
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Whether an answer is expected.
    pub(super) fn is_request(&self) -> bool {
        self.id.is_some() && self.method.is_some()
    }

    /// The protocol version that the message itself names.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The step of the mission that the client says the call serves.
    pub(super) fn step(&self) -> Option<&str> {
        self.step.as_deref()
    }

    /// Whether the client named a step that cannot be one.
    pub(super) fn has_bad_step(&self) -> bool {
        self.bad_step
    }

    /// Whether the client wrote something where only the bridge writes.
    pub(super) fn has_reserved(&self) -> bool {
        self.reserved
    }

    /// The value of a text member of `params`.
    pub(super) fn param_text(&self, name: &str) -> Option<String> {
        let value = self.param(name).ok()??;
        serde_json::from_str(part(&self.text, &value)).ok()
    }

    /// The request that a cancellation is about.
    pub(super) fn cancelled(&self) -> Option<String> {
        if self.method() != Some("notifications/cancelled") {
            return None;
        }
        let value = self.param("requestId").ok()??;
        id_key(part(&self.text, &value))
    }

    /// The call, where the message is one that needs authority and can be read. What cannot be read
    /// goes to the gateway as it is, without a proof, and is refused there.
    pub(super) fn acting(&self) -> Option<Acting> {
        let (kind, name) = match self.method()? {
            "tools/call" => (Kind::Tool, "name"),
            "resources/read" => (Kind::Resource, "uri"),
            "prompts/get" => (Kind::Prompt, "name"),
            _ => return None,
        };
        self.id.as_ref()?;
        let args = match self.param("arguments").ok()? {
            Some(span) => parse_strict_with_floats(part(&self.text, &span).as_bytes()).ok()?,
            None => Value::Object(Map::new()),
        };
        let Value::Object(args) = args else {
            return None;
        };
        Some(Acting {
            kind,
            target: self.param_text(name)?,
            args,
        })
    }

    /// The message with these members in `params._meta`, which is made where there is none. Every
    /// byte of the client's stays. `None` where `params` or `_meta` is no object.
    pub(super) fn with_meta(&self, added: &str) -> Option<String> {
        match &self.meta {
            Some(meta) => insert_first(&self.text, meta, added),
            None => {
                let added = format!(r#""_meta":{{{added}}}"#);
                insert_first(&self.text, self.params.as_ref()?, &added)
            }
        }
    }

    fn param(&self, name: &str) -> Result<Option<Span>, NotAnObject> {
        let Some(params) = &self.params else {
            return Ok(None);
        };
        if !part(&self.text, params).starts_with('{') {
            return Ok(None);
        }
        let mut members = members(&self.text, params)?.into_iter();
        Ok(members
            .find(|member| member.name == name)
            .map(|member| member.value))
    }
}

impl Acting {
    pub(super) fn call<'a>(&'a self, server: &'a str) -> Call<'a> {
        let target = match self.kind {
            Kind::Tool => Target::Tool(&self.target),
            Kind::Resource => Target::Resource(&self.target),
            Kind::Prompt => Target::Prompt(&self.target),
        };
        Call {
            server,
            target,
            args: &self.args,
        }
    }
}

/// Whether a proof can carry it; whether the mission has it is for the gateway to say.
fn is_step(step: &str) -> bool {
    (1..=128).contains(&step.len()) && step.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An id by which requests are told apart, however it is written. `None` for what is no id.
pub(super) fn id_key(raw: &str) -> Option<String> {
    match serde_json::from_str(raw).ok()? {
        id @ (Value::String(_) | Value::Number(_)) => Some(id.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Message {
        Message::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn every_byte_of_the_client_stays() {
        let added = r#""x":1"#;
        for (params, expected) in [
            (
                r#"{ "name" : "t","arguments":{"n":1.50, "big":1E400} }"#,
                r#"{"_meta":{"x":1}, "name" : "t","arguments":{"n":1.50, "big":1E400} }"#,
            ),
            (
                r#"{"name":"t", "_meta" : { "a\u0062":0.0 } }"#,
                r#"{"name":"t", "_meta" : {"x":1, "a\u0062":0.0 } }"#,
            ),
            (
                r#"{"name":"t","_meta":{ }}"#,
                r#"{"name":"t","_meta":{"x":1 }}"#,
            ),
            ("{}", r#"{"_meta":{"x":1}}"#),
        ] {
            let around = |params| {
                format!(
                    r#" {{"future":[1.0],"jsonrpc":"2.0","method":"tools/call","params":{params} ,"id":"é"}} "#
                )
            };
            let message = parse(&around(params));
            assert_eq!(message.with_meta(added).unwrap(), around(expected));
        }
    }

    #[test]
    fn what_has_no_object_to_add_to_stays_alone() {
        for params in [
            r#""params":[1],"#,
            r#""params":{"_meta":[]},"#,
            r#""params":null,"#,
            "",
        ] {
            let message = parse(&format!(r#"{{{params}"id":1,"method":"tools/call"}}"#));
            assert_eq!(message.with_meta(r#""x":1"#), None, "{params}");
            assert!(message.acting().is_none(), "{params}");
        }
    }

    #[test]
    fn refuses_what_could_be_read_in_two_ways() {
        for bad in [
            "",
            "x",
            "[]",
            r#"[{"id":1,"method":"ping"}]"#,
            r#"{"id":1,"id":2,"method":"ping"}"#,
            r#"{"id":1,"method":"a","meth\u006fd":"b"}"#,
            r#"{"id":1,"method":7}"#,
            r#"{"id":1,"method":"a","params":{"_meta":{},"_meta":{}}}"#,
            r#"{"id":1,"method":"a","params":{"_meta":{"x":1,"x":1}}}"#,
        ] {
            assert!(Message::parse(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn knows_which_messages_need_authority() {
        let acting = |method: &str, params: &str| {
            let text = format!(r#"{{"id":1,"method":"{method}","params":{params}}}"#);
            parse(&text).acting()
        };
        let call = acting("tools/call", r#"{"name":"t","arguments":{"a":1.5}}"#).unwrap();
        assert_eq!(call.call("s").target, Target::Tool("t"));
        let read = acting("resources/read", r#"{"uri":"file:///a"}"#).unwrap();
        assert_eq!(read.call("s").target, Target::Resource("file:///a"));
        assert!(acting("prompts/get", r#"{"name":"p"}"#).is_some());
        for (method, params) in [
            ("tools/list", "{}"),
            ("tools/call", "{}"),
            ("tools/call", r#"{"name":1}"#),
            ("tools/call", r#"{"name":"t","arguments":null}"#),
            ("tools/call", r#"{"name":"t","arguments":{"a":1,"a":2}}"#),
            ("resources/read", r#"{"name":"t"}"#),
        ] {
            assert!(acting(method, params).is_none(), "{method} {params}");
        }
    }

    #[test]
    fn sees_what_only_the_bridge_may_write() {
        let with = |meta: &str| {
            parse(&format!(
                r#"{{"id":1,"method":"ping","params":{{"_meta":{{{meta}}}}}}}"#
            ))
        };
        assert!(with(r#""io.chancery/proof":"x""#).has_reserved());
        assert!(with(r#""io.chancery\/delegation":[]"#).has_reserved());
        assert!(!with(r#""io.chancery/other":1"#).has_reserved());
    }

    #[test]
    fn reads_the_step_that_the_client_names() {
        let with = |step: &str| {
            parse(&format!(
                r#"{{"id":1,"method":"ping","params":{{"_meta":{{"io.chancery/step":{step}}}}}}}"#
            ))
        };
        assert_eq!(with(r#""look""#).step(), Some("look"));
        assert!(!with(r#""look""#).has_bad_step() && !with(r#""look""#).has_reserved());
        for bad in ["1", "null", r#""""#, r#""a b""#, r#"["look"]"#, r#""é""#] {
            let message = with(bad);
            assert!(message.has_bad_step() && message.step().is_none(), "{bad}");
        }
        let long = format!("\"{}\"", "x".repeat(129));
        assert!(with(&long).has_bad_step());
        assert!(!parse(r#"{"id":1,"method":"ping"}"#).has_bad_step());
    }

    #[test]
    fn ids_are_compared_by_value() {
        assert_eq!(id_key(r#""a\u0062""#), id_key(r#""ab""#));
        assert_ne!(id_key("1"), id_key(r#""1""#));
        for bad in ["null", "{}", "[1]", "true", ""] {
            assert_eq!(id_key(bad), None, "{bad}");
        }
    }
}
