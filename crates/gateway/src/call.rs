use std::sync::Arc;

use crate::envelope::{EnvelopeError, Kind, Message, unambiguous};
use crate::era::Era;
use crate::method::{Method, MethodClass};
use crate::server_name::ServerName;
use crate::transport_id::TransportId;

/// A message on its way to a server, before anybody judged it.
#[derive(Debug, Clone)]
pub struct Visit {
    server: ServerName,
    era: Era,
    transport: Option<TransportId>,
    class: MethodClass,
    message: Arc<Message>,
}

impl Visit {
    pub(crate) fn new(
        server: ServerName,
        era: Era,
        transport: Option<TransportId>,
        message: Arc<Message>,
    ) -> Self {
        let class = match message.kind() {
            Kind::Request { method, .. } => MethodClass::of_request(method),
            Kind::Notification { method } => MethodClass::of_notification(method),
            Kind::Response { .. } => MethodClass::Response,
        };
        Self {
            server,
            era,
            transport,
            class,
            message,
        }
    }

    /// The server that the message is for.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// The era of the protocol that the message speaks.
    pub fn era(&self) -> Era {
        self.era
    }

    /// The transport session that the message came in, in the legacy era.
    pub fn transport(&self) -> Option<&TransportId> {
        self.transport.as_ref()
    }

    /// What the message is to the gateway.
    pub fn class(&self) -> MethodClass {
        self.class
    }

    /// The message.
    pub fn message(&self) -> &Arc<Message> {
        &self.message
    }
}

/// A call that is decided on its own. Holds what a decision needs, all of it from the one reading
/// of the message: a named target, arguments that are an object without ambiguous names.
#[derive(Debug)]
pub struct Call {
    visit: Visit,
    method: Method,
    target: String,
}

impl Call {
    pub(crate) fn new(visit: Visit, method: Method) -> Result<Self, EnvelopeError> {
        let message = &visit.message;
        let target = message
            .param_text(method.target_member())
            .ok_or(EnvelopeError::Params)?;
        if let Some(arguments) = message.param("arguments") {
            if !arguments.starts_with('{') {
                return Err(EnvelopeError::Params);
            }
            unambiguous(arguments, &(0..arguments.len()), &[])?;
        }
        Ok(Self {
            visit,
            method,
            target,
        })
    }

    /// The message around the call.
    pub fn visit(&self) -> &Visit {
        &self.visit
    }

    /// What is done.
    pub fn method(&self) -> Method {
        self.method
    }

    /// What it is done to: the name of the tool or prompt, the URI of the resource.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The raw JSON object of the arguments, as it is forwarded.
    pub fn arguments(&self) -> Option<&str> {
        self.visit.message.param("arguments")
    }

    /// The raw JSON of the delegation chain, already taken out of what is forwarded.
    pub fn delegation(&self) -> Option<&str> {
        self.visit.message.delegation()
    }

    /// The raw JSON of the proof, already taken out of what is forwarded.
    pub fn proof(&self) -> Option<&str> {
        self.visit.message.proof()
    }

    /// The raw JSON of an opinion of the call, already taken out of what is forwarded.
    pub fn opinion(&self) -> Option<&str> {
        self.visit.message.opinion()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(params: &str) -> Result<Call, EnvelopeError> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let message = Arc::new(Message::from_client(text.into_bytes()).unwrap());
        let visit = Visit::new("s".parse().unwrap(), Era::Stateless, None, message);
        Call::new(visit, Method::ToolsCall)
    }

    #[test]
    fn reads_what_a_decision_needs() {
        let call = call(
            r#"{"name":"r\u0065ad","arguments":{"n": 1.0},"_meta":{"io.chancery/proof":"p"}}"#,
        );
        let call = call.unwrap();
        assert_eq!(call.target(), "read");
        assert_eq!(call.arguments(), Some(r#"{"n": 1.0}"#));
        assert_eq!((call.delegation(), call.proof()), (None, Some("\"p\"")));
    }

    #[test]
    fn refuses_what_cannot_be_decided() {
        for (bad, error) in [
            ("{}", EnvelopeError::Params),
            (r#"{"name":7}"#, EnvelopeError::Params),
            (r#"{"name":null}"#, EnvelopeError::Params),
            (r#"{"name":"t","arguments":[1]}"#, EnvelopeError::Params),
            (r#"{"name":"t","arguments":null}"#, EnvelopeError::Params),
            (
                r#"{"name":"t","arguments":{"path":"a","Path":"b"}}"#,
                EnvelopeError::Ambiguous,
            ),
        ] {
            assert_eq!(call(bad).unwrap_err(), error, "{bad}");
        }
    }
}
