use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::Label;
use chancery_types::{StrictJsonError, members, parse_strict};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Ceilings, Observe, SESSION_RULES_FORM, SessionRules, ToolRules};

/// Largest document.
const MAX_BYTES: usize = 262_144;

/// Most stores of one server.
const MAX_STORES: usize = 16;

/// Longest grant that an approval makes.
const MAX_GRANT_SECONDS: u64 = 600;

/// Why bytes are not rules for sessions: the member and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionRulesError {
    /// Too many bytes.
    #[error("more than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not strict JSON.
    #[error(transparent)]
    Json(StrictJsonError),
    /// Not one object with the form's name.
    #[error("expected one JSON object with \"rules\": \"{SESSION_RULES_FORM}\"")]
    Form,
    /// A member that is not known.
    #[error(
        "{0}: no such member; known are ask_beyond, suspend_beyond, untrusted_servers, observe and tools"
    )]
    Unknown(String),
    /// A member's value.
    #[error("{member}: {problem}")]
    Member {
        /// Which member.
        member: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asks {
    #[serde(default, deserialize_with = "members::present")]
    calls: Option<u64>,
    #[serde(default, deserialize_with = "members::present")]
    cost_micros: Option<u64>,
    #[serde(default, deserialize_with = "members::present")]
    rows: Option<u64>,
    #[serde(default, deserialize_with = "members::present")]
    resources: Option<u64>,
    #[serde(default, deserialize_with = "members::present")]
    minutes: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspends {
    resources: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Observed {
    #[serde(default)]
    everything: bool,
    #[serde(default)]
    tools: BTreeSet<String>,
    #[serde(default)]
    named_sessions: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    #[serde(default, deserialize_with = "members::present")]
    resource_arg: Option<String>,
    #[serde(default, deserialize_with = "members::present")]
    rows_arg: Option<String>,
    #[serde(default)]
    untrusted: bool,
    #[serde(default)]
    reads_only: bool,
    #[serde(default, deserialize_with = "members::present")]
    store: Option<String>,
    #[serde(default)]
    irreversible: bool,
    #[serde(default)]
    irreversible_unless: BTreeSet<String>,
    #[serde(default, deserialize_with = "members::present")]
    grant_seconds: Option<u64>,
}

pub(super) fn read(bytes: &[u8]) -> Result<SessionRules, SessionRulesError> {
    if bytes.len() > MAX_BYTES {
        return Err(SessionRulesError::TooLarge);
    }
    let Value::Object(mut members) = parse_strict(bytes).map_err(SessionRulesError::Json)? else {
        return Err(SessionRulesError::Form);
    };
    if members
        .remove("rules")
        .is_none_or(|form| form != SESSION_RULES_FORM)
    {
        return Err(SessionRulesError::Form);
    }
    let asks: Asks = object(&mut members, "ask_beyond")?.unwrap_or_default();
    let suspends: Option<Suspends> = object(&mut members, "suspend_beyond")?;
    let observed: Option<Observed> = object(&mut members, "observe")?;
    let observe = observed.map(observe).transpose()?;
    let servers = members.remove("untrusted_servers");
    let servers = servers.map(serde_json::from_value).transpose();
    let servers: Option<BTreeSet<String>> =
        servers.map_err(|error| refused("untrusted_servers", error.to_string()))?;
    let tools = match members.remove("tools") {
        None => BTreeMap::new(),
        Some(Value::Object(tools)) => tools
            .into_iter()
            .map(|(name, value)| tool(&name, value).map(|rules| (name, rules)))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(refused("tools", "expected an object".to_owned())),
    };
    if let Some((name, _)) = members.into_iter().next() {
        return Err(SessionRulesError::Unknown(name));
    }
    let stores = stores(&tools)?;
    Ok(SessionRules {
        ask_beyond: Ceilings {
            calls: asks.calls,
            cost_micros: asks.cost_micros,
            rows: asks.rows,
            resources: asks.resources,
            minutes: asks.minutes,
        },
        suspend_beyond: suspends.map(|suspends| suspends.resources),
        untrusted_servers: servers.unwrap_or_default(),
        tools,
        stores,
        observe,
    })
}

/// What is observed is said once: a second word would look as if it narrowed the first.
fn observe(observed: Observed) -> Result<Observe, SessionRulesError> {
    let problem = |text: &str| Err(refused("observe", text.to_owned()));
    let parts = !observed.tools.is_empty() || observed.named_sessions;
    match (observed.everything, parts) {
        (true, true) => problem("everything holds tools and named_sessions: leave them out"),
        (true, false) => Ok(Observe::Everything),
        (false, true) => Ok(Observe::Parts {
            tools: observed.tools,
            sessions: observed.named_sessions,
        }),
        (false, false) => {
            problem("nothing is observed: say everything, tools or named_sessions, or leave it out")
        }
    }
}

/// The stores of each server; few enough for an entry to name them all.
fn stores(
    tools: &BTreeMap<String, ToolRules>,
) -> Result<BTreeMap<String, BTreeSet<Label>>, SessionRulesError> {
    let mut stores: BTreeMap<String, BTreeSet<Label>> = BTreeMap::new();
    for (name, tool) in tools {
        let server = name
            .split_once('/')
            .map_or(name.as_str(), |(server, _)| server);
        let of_server = stores.entry(server.to_owned()).or_default();
        of_server.extend(tool.store.clone());
        if of_server.len() > MAX_STORES {
            let problem = format!("store: server {server} has more than {MAX_STORES}");
            return Err(refused(&format!("tools.{name}"), problem));
        }
    }
    Ok(stores)
}

fn object<T: DeserializeOwned>(
    known: &mut Map<String, Value>,
    member: &str,
) -> Result<Option<T>, SessionRulesError> {
    let value = known.remove(member);
    let value = value.map(|value| members::object(value, "an object"));
    let value: Result<Option<T>, serde_json::Error> = value.transpose();
    value.map_err(|error| refused(member, error.to_string()))
}

fn tool(name: &str, value: Value) -> Result<ToolRules, SessionRulesError> {
    let member = format!("tools.{name}");
    let read: Result<Tool, serde_json::Error> = members::object(value, "an object");
    let tool = read.map_err(|error| refused(&member, error.to_string()))?;
    let problem = |text: &str| Err(refused(&member, text.to_owned()));
    if !tool.irreversible && !tool.irreversible_unless.is_empty() {
        return problem("irreversible_unless without irreversible: add \"irreversible\": true");
    }
    if tool.irreversible && tool.reads_only {
        return problem("what reads only is not irreversible: leave one of them out");
    }
    let most = 1..=MAX_GRANT_SECONDS;
    if tool.grant_seconds.is_some_and(|it| !most.contains(&it)) {
        return problem("grant_seconds: 1 to 600");
    }
    // What cannot be undone is approved one by one.
    if tool.grant_seconds.is_some() && (tool.irreversible || tool.resource_arg.is_none()) {
        return problem("grant_seconds: needs resource_arg, and nothing that is irreversible");
    }
    let store = tool.store.map(Label::try_from).transpose();
    let store = store.map_err(|error| refused(&member, format!("store: {error}")))?;
    Ok(ToolRules {
        resource_arg: tool.resource_arg,
        rows_arg: tool.rows_arg,
        untrusted: tool.untrusted,
        reads_only: tool.reads_only,
        store,
        irreversible: tool.irreversible,
        irreversible_unless: tool.irreversible_unless,
        grant_seconds: tool.grant_seconds,
    })
}

fn refused(member: &str, problem: String) -> SessionRulesError {
    SessionRulesError::Member {
        member: member.to_owned(),
        problem,
    }
}
