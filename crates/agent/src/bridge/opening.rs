use chancery_api::server::RosterFilter;
use chancery_evidence::presentation::Challenge;
use chancery_types::{parse_strict, to_canonical};
use serde_json::{Map, Value};

use super::{MAX_CHILDREN, SpawnMany, SpawnRequest};
use crate::exchange::{DpopRequest, ExchangeRequest};

/// Most bytes of a line that is no first one.
pub(super) const MOST_BYTES: usize = 64 << 10;

/// Most bytes of a first line: a thousand children with their tasks stand in it.
pub(super) const MOST_FIRST_BYTES: usize = 4 << 20;

const MOST_NAME_BYTES: usize = 64;

/// What a connection is for: its first line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// MCP with a tool server from here on; with another chain than the own one where the client
    /// names it.
    Connect(String, Option<Vec<String>>),
    /// A child is to be started.
    Spawn(SpawnRequest),
    /// Many children are to be started.
    SpawnMany(SpawnMany),
    /// The ends of children are waited for.
    Ends(Vec<String>),
    /// The own descendants are to be shown, those of them that are asked for.
    Roster(RosterFilter),
    /// The chain is to be exchanged for an access token.
    Exchange(ExchangeRequest),
    /// The agent key is to be proven to a relying party.
    Dpop(DpopRequest),
    /// A relying party's challenge is to be answered with a presentation.
    Present(Challenge),
    /// The session is to be ended.
    End,
    /// The session is to be shown.
    View,
    /// The own delegation chain is to be shown. A chain is good for nobody but its holder.
    Chain,
}

/// Why a first line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpeningError {
    #[error("the first line is not a JSON object of a known form")]
    Malformed,
    #[error("the first line is of another version of this protocol")]
    Version,
    #[error(
        "the tool server's name is not 1 to 64 lower-case letters, digits, dots, dashes or underscores"
    )]
    Server,
    #[error("a command to start is missing")]
    NoCommand,
    #[error("one call starts 1 to {MAX_CHILDREN} children")]
    TooMany,
}

impl OpeningError {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Server => "bad_server",
            Self::NoCommand => "no_command",
            Self::TooMany => "spawn_too_many",
        }
    }
}

impl Opening {
    pub(super) fn parse(line: &str) -> Result<Self, OpeningError> {
        let Ok(Value::Object(mut members)) = parse_strict(line.as_bytes()) else {
            return Err(OpeningError::Malformed);
        };
        match members.remove("chancery") {
            Some(version) if version == 1 => {}
            Some(_) => return Err(OpeningError::Version),
            None => return Err(OpeningError::Malformed),
        }
        let chain = members.remove("chain");
        if chain.is_some() && !members.contains_key("connect") {
            return Err(OpeningError::Malformed);
        }
        let chain: Option<Vec<String>> = chain
            .map(serde_json::from_value)
            .transpose()
            .map_err(|_| OpeningError::Malformed)?;
        let (name, value) = only(members).ok_or(OpeningError::Malformed)?;
        match (name.as_str(), value) {
            ("connect", Value::String(server)) if is_server_name(&server) => {
                Ok(Self::Connect(server, chain))
            }
            ("connect", Value::String(_)) => Err(OpeningError::Server),
            ("session", Value::String(ask)) if ask == "end" => Ok(Self::End),
            ("session", Value::String(ask)) if ask == "view" => Ok(Self::View),
            ("session", Value::String(ask)) if ask == "chain" => Ok(Self::Chain),
            ("exchange", request) => serde_json::from_value(request)
                .map(Self::Exchange)
                .map_err(|_| OpeningError::Malformed),
            ("dpop", request) => serde_json::from_value(request)
                .map(Self::Dpop)
                .map_err(|_| OpeningError::Malformed),
            ("present", challenge) => to_canonical(&challenge)
                .ok()
                .and_then(|challenge| Challenge::parse(&challenge).ok())
                .map(Self::Present)
                .ok_or(OpeningError::Malformed),
            ("spawn", request) => {
                let request: SpawnRequest =
                    serde_json::from_value(request).map_err(|_| OpeningError::Malformed)?;
                if request.argv.first().is_none_or(String::is_empty) {
                    return Err(OpeningError::NoCommand);
                }
                Ok(Self::Spawn(request))
            }
            ("spawn_many", request) => many(request),
            ("ends", instances) => serde_json::from_value(instances)
                .map(Self::Ends)
                .map_err(|_| OpeningError::Malformed),
            ("roster", Value::String(whose)) if whose == "own" => {
                Ok(Self::Roster(RosterFilter::default()))
            }
            ("roster", filter) => serde_json::from_value(filter)
                .map(Self::Roster)
                .map_err(|_| OpeningError::Malformed),
            _ => Err(OpeningError::Malformed),
        }
    }
}

fn many(request: Value) -> Result<Opening, OpeningError> {
    let mut request: SpawnMany =
        serde_json::from_value(request).map_err(|_| OpeningError::Malformed)?;
    if request.children.is_empty() || request.children.len() > MAX_CHILDREN {
        return Err(OpeningError::TooMany);
    }
    for child in &mut request.children {
        if child.argv.is_empty() {
            child.argv.clone_from(&request.argv);
        }
        if child.argv.first().is_none_or(String::is_empty) {
            return Err(OpeningError::NoCommand);
        }
    }
    Ok(Opening::SpawnMany(request))
}

/// The one member, where there is no other.
fn only(members: Map<String, Value>) -> Option<(String, Value)> {
    let mut members = members.into_iter();
    let one = members.next()?;
    members.next().is_none().then_some(one)
}

/// A name that is one segment of a path and nothing else.
fn is_server_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MOST_NAME_BYTES).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name
            .bytes()
            .all(|byte| plain(byte) || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_types::Timestamp;

    #[test]
    fn reads_what_a_connection_is_for() {
        let parse = |line| Opening::parse(line).unwrap();
        let server = parse(r#"{"chancery":1,"connect":"fs-1"}"#);
        assert_eq!(server, Opening::Connect("fs-1".to_owned(), None));
        let other = parse(r#"{"chancery":1,"connect":"fs","chain":["a"]}"#);
        assert_eq!(
            other,
            Opening::Connect("fs".to_owned(), Some(vec!["a".to_owned()]))
        );
        assert_eq!(parse(r#"{"session":"end","chancery":1}"#), Opening::End);
        assert_eq!(parse(r#"{"chancery":1,"session":"view"}"#), Opening::View);
        let spawn = parse(r#"{"chancery":1,"spawn":{"agent":"a","allow":["s/t"],"argv":["x"]}}"#);
        assert!(matches!(spawn, Opening::Spawn(request) if request.argv == ["x"]));
        let challenge = Challenge::new("https://a", [1; 32], Timestamp::from_seconds(1)).unwrap();
        let asked = serde_json::json!({"chancery": 1, "present": challenge}).to_string();
        assert_eq!(parse(&asked), Opening::Present(challenge));
        let exchange = parse(r#"{"chancery":1,"exchange":{"audience":"https://a"}}"#);
        let Opening::Exchange(request) = exchange else {
            panic!("{exchange:?}");
        };
        assert_eq!(
            (request.audience.as_str(), request.step),
            ("https://a", None)
        );
    }

    #[test]
    fn children_share_a_command_where_they_have_none() {
        let child = r#"{"agent":"a","allow":[],"task":{"book":"north"}}"#;
        let own =
            r#"{"agent":"a","allow":["s/t"],"argv":["y"],"lifetime_seconds":9,"outlive":true}"#;
        let line =
            format!(r#"{{"chancery":1,"spawn_many":{{"argv":["x"],"children":[{child},{own}]}}}}"#);
        let Ok(Opening::SpawnMany(request)) = Opening::parse(&line) else {
            panic!("{line}");
        };
        assert_eq!(request.children[0].argv, ["x"]);
        let task = request.children[0].task.as_ref().unwrap();
        assert_eq!(task.as_str(), r#"{"book":"north"}"#);
        assert_eq!(request.children[1].argv, ["y"]);
        let terms = request.children[1].terms();
        assert_eq!((terms.lifetime_seconds, terms.outlive), (Some(9), true));
        let many = |count: usize| {
            let children = vec![child; count].join(",");
            let line = format!(
                r#"{{"chancery":1,"spawn_many":{{"argv":["x"],"children":[{children}]}}}}"#
            );
            Opening::parse(&line).map(drop)
        };
        assert_eq!(many(MAX_CHILDREN), Ok(()));
        assert_eq!(many(MAX_CHILDREN + 1), Err(OpeningError::TooMany));
        assert_eq!(
            Opening::parse(r#"{"chancery":1,"roster":"own"}"#),
            Ok(Opening::Roster(RosterFilter::default()))
        );
        let filter = RosterFilter {
            agent: Some("a".parse().unwrap()),
            limit: Some(7),
            ..RosterFilter::default()
        };
        assert_eq!(
            Opening::parse(r#"{"chancery":1,"roster":{"agent":"a","limit":7}}"#),
            Ok(Opening::Roster(filter))
        );
    }

    #[test]
    fn refuses_everything_else() {
        for (line, error) in [
            ("", OpeningError::Malformed),
            ("hello", OpeningError::Malformed),
            ("[]", OpeningError::Malformed),
            (r#"{"connect":"a"}"#, OpeningError::Malformed),
            (r#"{"chancery":1}"#, OpeningError::Malformed),
            (r#"{"chancery":2,"connect":"a"}"#, OpeningError::Version),
            (r#"{"chancery":"1","connect":"a"}"#, OpeningError::Version),
            (
                r#"{"chancery":1,"chancery":1,"connect":"a"}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"connect":"a","x":1}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"connect":"a","session":"end"}"#,
                OpeningError::Malformed,
            ),
            (r#"{"chancery":1,"connect":["a"]}"#, OpeningError::Malformed),
            (r#"{"chancery":1,"present":{}}"#, OpeningError::Malformed),
            (
                r#"{"chancery":1,"session":"open"}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"connect":"a","chain":"x"}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"connect":"a","chain":[1]}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"session":"end","chain":[]}"#,
                OpeningError::Malformed,
            ),
            (r#"{"chancery":1,"chain":[]}"#, OpeningError::Malformed),
            (r#"{"chancery":1,"exchange":{}}"#, OpeningError::Malformed),
            (
                r#"{"chancery":1,"exchange":{"audience":"a","chain":[]}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"dpop":{"method":"GET","url":"u"}}"#,
                OpeningError::Malformed,
            ),
            (r#"{"chancery":1,"connect":""}"#, OpeningError::Server),
            (
                r#"{"chancery":1,"connect":"../v1/sessions"}"#,
                OpeningError::Server,
            ),
            (r#"{"chancery":1,"connect":"a/b"}"#, OpeningError::Server),
            (r#"{"chancery":1,"connect":"a?b"}"#, OpeningError::Server),
            (r#"{"chancery":1,"connect":"."}"#, OpeningError::Server),
            (
                r#"{"chancery":1,"spawn":{"agent":"a","argv":["x"]}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"spawn":{"agent":"a","allow":[],"argv":[]}}"#,
                OpeningError::NoCommand,
            ),
            (
                r#"{"chancery":1,"spawn":{"agent":"a","allow":[],"argv":["x"],"env":{}}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"spawn":{"agent":"a","allow":[]}}"#,
                OpeningError::NoCommand,
            ),
            // A child names no parent.
            (
                r#"{"chancery":1,"spawn":{"agent":"a","allow":[],"argv":["x"],"parent":"ins"}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"children":[]}}"#,
                OpeningError::TooMany,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"children":[{"agent":"a","allow":[]}]}}"#,
                OpeningError::NoCommand,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"children":[{"agent":"a","allow":[],"argv":[""]}]}}"#,
                OpeningError::NoCommand,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"argv":["x"],"children":[{"agent":"a"}]}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"argv":["x"],"children":[{"agent":"a","allow":[],"task":1}]}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"argv":["x"],"children":[{"agent":"a","allow":[],"task":"a\nb"}]}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"spawn_many":{"argv":["x"],"children":[],"wait":true}}"#,
                OpeningError::Malformed,
            ),
            (r#"{"chancery":1,"ends":"ins"}"#, OpeningError::Malformed),
            // A roster is one's own.
            (r#"{"chancery":1,"roster":"all"}"#, OpeningError::Malformed),
            (
                r#"{"chancery":1,"roster":{"instance":"ins"}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"roster":{"agent":"a&parent=b"}}"#,
                OpeningError::Malformed,
            ),
            (
                r#"{"chancery":1,"roster":{"after":"1"}}"#,
                OpeningError::Malformed,
            ),
        ] {
            assert_eq!(Opening::parse(line), Err(error), "{line}");
        }
    }
}
