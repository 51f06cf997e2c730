use serde_json::{Value, json};

use super::a2a::A2A_EXTENSION;
use super::routes::HandshakeRoute;

/// What an agent says of itself to A2A clients. Nothing in it is believed by the handshake: who an
/// agent is comes from its X.509-SVID and its credential.
#[derive(Debug, Clone)]
pub struct AgentCard {
    /// The agent's name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// Where it is served.
    pub url: String,
    /// The agent's own version.
    pub version: String,
}

impl AgentCard {
    /// The card as JSON: the extension stands among the capabilities, with where its messages go and
    /// whose delegations it takes.
    pub fn to_json(&self, authorities: &[&str]) -> Value {
        let mut card = json!({
            "protocolVersion": "0.3.0",
            "name": self.name,
            "description": self.description,
            "url": self.url,
            "version": self.version,
            "preferredTransport": "JSONRPC",
            "defaultInputModes": ["application/json"],
            "defaultOutputModes": ["application/json"],
            "skills": [],
        });
        if let Value::Object(members) = &mut card {
            let capabilities = json!({ "extensions": [Self::extension(authorities)] });
            members.insert("capabilities".to_owned(), capabilities);
        }
        card
    }

    /// The extension's entry, for a card that somebody else makes.
    pub fn extension(authorities: &[&str]) -> Value {
        json!({
            "uri": A2A_EXTENSION,
            "description": "mutual handshake of agent keys on this TLS channel, and delegation",
            "required": false,
            "params": {
                "offer": HandshakeRoute::Offer.path(),
                "conclusion": HandshakeRoute::Conclusion.path(),
                "authorities": authorities,
            },
        })
    }
}
