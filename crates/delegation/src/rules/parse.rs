use chancery_identity::{AttestationLevel, SpiffeId, TrustDomain};
use chancery_types::{Digest, StrictJsonError, members, parse_strict};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{AgentPattern, ChainRules, Lifetimes, Lists, RULES_FORM};

/// Largest document.
const MAX_BYTES: usize = 262_144;

/// Most entries of one list.
const MAX_ENTRIES: usize = 4_096;

/// Why bytes are not rules for chains: the member and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainRulesError {
    /// Too many bytes.
    #[error("more than {MAX_BYTES} bytes: split the lists or name prefixes")]
    TooLarge,
    /// Not strict JSON.
    #[error(transparent)]
    Json(StrictJsonError),
    /// Not one object with the form's name.
    #[error("expected one JSON object with \"rules\": \"{RULES_FORM}\"")]
    Form,
    /// A member that is not known.
    #[error(
        "{0}: no such member; known are root, link, max_depth, agents, trust_domains, keys and \
         min_attestation"
    )]
    Unknown(String),
    /// A member's value.
    #[error("{member}: {problem}")]
    Member {
        /// Which member.
        member: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    #[serde(default, deserialize_with = "members::present")]
    default_seconds: Option<u64>,
    #[serde(default, deserialize_with = "members::present")]
    max_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Listed<T> {
    #[serde(default, deserialize_with = "members::present")]
    allow: Option<Vec<T>>,
    #[serde(default = "Vec::new")]
    block: Vec<T>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
enum Pattern {
    #[serde(rename = "exact")]
    Exact(SpiffeId),
    #[serde(rename = "path_prefix")]
    PathPrefix(SpiffeId),
}

pub(super) fn read(bytes: &[u8]) -> Result<ChainRules, ChainRulesError> {
    if bytes.len() > MAX_BYTES {
        return Err(ChainRulesError::TooLarge);
    }
    let Value::Object(mut members) = parse_strict(bytes).map_err(ChainRulesError::Json)? else {
        return Err(ChainRulesError::Form);
    };
    if members
        .remove("rules")
        .is_none_or(|form| form != RULES_FORM)
    {
        return Err(ChainRulesError::Form);
    }
    let rules = ChainRules {
        root: lifetimes(&mut members, "root")?,
        link: lifetimes(&mut members, "link")?,
        max_depth: take(&mut members, "max_depth")?,
        agents: lists(&mut members, "agents", |pattern| {
            Ok(match pattern {
                Pattern::Exact(id) => AgentPattern::Exact(id),
                Pattern::PathPrefix(id) => AgentPattern::Below(id),
            })
        })?,
        trust_domains: lists(&mut members, "trust_domains", |name: String| {
            name.parse::<TrustDomain>()
                .map_err(|error| error.to_string())
        })?,
        keys: lists(&mut members, "keys", |kid: String| {
            Digest::from_base64url(&kid)
                .map_err(|_| format!("{kid:?} is not a key's thumbprint in base64url"))
        })?,
        min_attestation: take::<AttestationLevel>(&mut members, "min_attestation")?,
    };
    match members.into_iter().next() {
        None => Ok(rules),
        Some((name, _)) => Err(ChainRulesError::Unknown(name)),
    }
}

fn take<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    member: &'static str,
) -> Result<Option<T>, ChainRulesError> {
    let value = members.remove(member);
    let value = value.map(serde_json::from_value).transpose();
    value.map_err(|error| refused(member, error.to_string()))
}

/// Takes a member that is an object.
fn take_object<T: DeserializeOwned>(
    members: &mut Map<String, Value>,
    member: &'static str,
) -> Result<Option<T>, ChainRulesError> {
    let value = members.remove(member);
    let value = value
        .map(|value| members::object(value, "an object"))
        .transpose();
    value.map_err(|error: serde_json::Error| refused(member, error.to_string()))
}

fn lifetimes(
    members: &mut Map<String, Value>,
    member: &'static str,
) -> Result<Lifetimes, ChainRulesError> {
    let Some(times) = take_object::<Times>(members, member)? else {
        return Ok(Lifetimes::default());
    };
    let (default, most) = (times.default_seconds, times.max_seconds);
    let positive = default.is_none_or(|it| it > 0) && most.is_none_or(|it| it > 0);
    let ordered = default
        .zip(most)
        .is_none_or(|(default, most)| default <= most);
    if !positive || !ordered {
        let problem = "lifetimes are at least a second, and the default is not more than the most";
        return Err(refused(member, problem.to_owned()));
    }
    Ok(Lifetimes {
        default_seconds: default,
        max_seconds: most,
    })
}

fn lists<W: DeserializeOwned, T>(
    members: &mut Map<String, Value>,
    member: &'static str,
    read: impl Fn(W) -> Result<T, String>,
) -> Result<Lists<T>, ChainRulesError> {
    let Some(listed) = take_object::<Listed<W>>(members, member)? else {
        return Ok(Lists::default());
    };
    let all = |items: Vec<W>| {
        if items.len() > MAX_ENTRIES {
            let problem = format!("more than {MAX_ENTRIES} entries: name prefixes instead");
            return Err(refused(member, problem));
        }
        let items: Result<Vec<T>, String> = items.into_iter().map(&read).collect();
        items.map_err(|problem| refused(member, problem))
    };
    Ok(Lists {
        allow: listed.allow.map(&all).transpose()?,
        block: all(listed.block)?,
    })
}

fn refused(member: &'static str, problem: String) -> ChainRulesError {
    ChainRulesError::Member { member, problem }
}
