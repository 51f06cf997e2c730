//! A question to a bundle that is kept: the rows of tables hold it, and the replay of a log finds it.

use std::collections::BTreeSet;

use chancery_types::{Timestamp, parse_instant, parse_strict_with_floats};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::vocabulary::qualified;
use crate::{Annotations, Kind, Principal, Request, SessionFacts, Target};

/// A [`Request`] that owns what it asks. Its JSON is what the row of a [`crate::Table`] says of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Document")]
pub struct Question {
    asker: Asker,
    kind: Kind,
    server: String,
    name: String,
    annotations: Annotations,
    arguments: Value,
    session: SessionFacts,
    now: Timestamp,
    grants: BTreeSet<String>,
}

/// What is wrong with a question, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QuestionError(pub(crate) String);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asker {
    instance: String,
    agent: String,
    principal: String,
    mission: String,
    depth: u64,
    attestation_level: u8,
    isolated: bool,
    asserted: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    principal: Asker,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    session: SessionFacts,
    now: String,
    #[serde(default)]
    grants: BTreeSet<String>,
}

impl Question {
    /// Reads one question. Every member of `principal`, the time, and one of `tool`, `resource` and
    /// `prompt` must be there; what is not said of the session is zero, of a tool false.
    pub fn parse(bytes: &[u8]) -> Result<Self, QuestionError> {
        let value = parse_strict_with_floats(bytes);
        Self::from_value(value.map_err(|error| QuestionError(error.to_string()))?)
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, QuestionError> {
        let document: Document =
            serde_json::from_value(value).map_err(|error| QuestionError(error.to_string()))?;
        let (kind, target) = match (document.tool, document.resource, document.prompt) {
            (Some(tool), None, None) => (Kind::Tool, tool),
            (None, Some(resource), None) => (Kind::Resource, resource),
            (None, None, Some(prompt)) => (Kind::Prompt, prompt),
            _ => return Err(wrong("write one of tool, resource and prompt")),
        };
        let (server, name) = target
            .split_once('/')
            .filter(|(server, name)| !server.is_empty() && !name.is_empty())
            .ok_or_else(|| wrong("write a tool, resource or prompt as server/name"))?;
        Ok(Self {
            asker: document.principal,
            kind,
            server: server.to_owned(),
            name: name.to_owned(),
            annotations: document.annotations,
            arguments: Value::Object(document.args),
            session: document.session,
            now: instant(&document.now)
                .ok_or_else(|| wrong("now: write a time of UTC as 2027-01-31T09:30:00Z"))?,
            grants: document.grants,
        })
    }

    /// What is asked.
    pub fn request(&self) -> Request<'_> {
        Request {
            principal: Principal {
                instance: &self.asker.instance,
                agent: &self.asker.agent,
                principal: &self.asker.principal,
                mission: &self.asker.mission,
                depth: self.asker.depth,
                attestation_level: self.asker.attestation_level,
                isolated: self.asker.isolated,
                asserted: self.asker.asserted,
            },
            target: Target {
                kind: self.kind,
                server: &self.server,
                name: &self.name,
            },
            annotations: self.annotations,
            arguments: &self.arguments,
            session: self.session,
            now: self.now,
            grants: &self.grants,
        }
    }
}

impl From<&Request<'_>> for Question {
    fn from(request: &Request<'_>) -> Self {
        let Principal {
            instance,
            agent,
            principal,
            mission,
            depth,
            attestation_level,
            isolated,
            asserted,
        } = request.principal;
        Self {
            asker: Asker {
                instance: instance.to_owned(),
                agent: agent.to_owned(),
                principal: principal.to_owned(),
                mission: mission.to_owned(),
                depth,
                attestation_level,
                isolated,
                asserted,
            },
            kind: request.target.kind,
            server: request.target.server.to_owned(),
            name: request.target.name.to_owned(),
            annotations: request.annotations,
            arguments: request.arguments.clone(),
            session: request.session,
            now: request.now,
            grants: request.grants.clone(),
        }
    }
}

impl From<Question> for Document {
    fn from(question: Question) -> Self {
        let target = qualified(&question.request().target);
        let of = |kind| (question.kind == kind).then(|| target.clone());
        Self {
            tool: of(Kind::Tool),
            resource: of(Kind::Resource),
            prompt: of(Kind::Prompt),
            principal: question.asker,
            args: match question.arguments {
                Value::Object(members) => members,
                _ => Map::new(),
            },
            annotations: question.annotations,
            session: question.session,
            now: question.now.to_string(),
            grants: question.grants,
        }
    }
}

/// Reads RFC 3339 in UTC. Parts of a millisecond, which policies do not see, are dropped.
fn instant(text: &str) -> Option<Timestamp> {
    let instant = parse_instant(text).filter(|_| text.ends_with('Z'))?;
    Some(Timestamp::from_micros(instant.as_micros() / 1_000 * 1_000))
}

fn wrong(text: &str) -> QuestionError {
    QuestionError(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_of_the_calendar() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-30T00:26:51Z", 1_795_998_411_000_000),
            ("2026-11-30T00:26:51.250Z", 1_795_998_411_250_000),
            ("2026-11-30T00:26:51.250999Z", 1_795_998_411_250_000),
        ] {
            assert_eq!(
                instant(text),
                Some(Timestamp::from_micros(micros)),
                "{text}"
            );
        }
        for bad in [
            "",
            "Z",
            "2026-11-30",
            "2026-11-30T00:26:51",
            "2026-11-30T00:26:51+01:00",
            "2026-02-30T00:00:00Z",
            "2026-11-30T25:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-30T00:26:51é9999Z",
            // Seven and twenty bytes and more: none of them goes unread.
            "2026-11-30T00:26:51.25099xZ",
            "2026-11-30T00:26:51.250-99Z",
            "2026-11-30T00:26:51.250Z99Z",
            "2026-11-30T00:26:51.2501234567Z",
            "2026-11-30T00:26:51.250999Z2030-01-01T00:00:00Z",
            "2026-01-01\").toDate() == datetime(\"2026-01-01Z",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
    }
}
