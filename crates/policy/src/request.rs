//! What is asked.

use std::collections::BTreeSet;

use chancery_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of thing a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tool is called.
    Tool,
    /// A resource is read.
    Resource,
    /// A prompt is taken.
    Prompt,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The server that has it; never holds a slash.
    pub server: &'a str,
    /// The name of the tool or prompt, or the URI of the resource.
    pub name: &'a str,
}

/// Who asks, as the session knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    /// The SPIFFE ID of the instance.
    pub instance: &'a str,
    /// The agent that it is a run of.
    pub agent: &'a str,
    /// The pseudonymous id of the person at the root of its chain.
    pub principal: &'a str,
    /// The mission that it serves.
    pub mission: &'a str,
    /// How many links stand between it and the root.
    pub depth: u64,
    /// How strongly it was attested; larger is stronger.
    pub attestation_level: u8,
    /// Whether it runs isolated.
    pub isolated: bool,
    /// Whether the root rests on a sign-in alone, without the person's own consent.
    pub asserted: bool,
}

/// What the pinned catalog says of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotations {
    /// The tool changes nothing.
    pub read_only: bool,
    /// The tool may destroy something.
    pub destructive: bool,
}

/// What the session has seen so far, this call not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionFacts {
    /// Calls that were allowed.
    pub calls: u64,
    /// What they cost.
    pub cost_micros: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Calls that were escalated.
    pub escalated: u64,
    /// Whole minutes since the session was opened.
    pub minutes: u64,
    /// Rows that the allowed calls asked for.
    pub rows: u64,
    /// Distinct resources that the allowed calls reached.
    pub resources: u64,
    /// What the calling instance's conduct in this session has earned; a new one has the base.
    pub trust: u64,
    /// Whether content of an untrusted source reached the session.
    pub tainted: bool,
}

/// One question to a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// For what.
    pub target: Target<'a>,
    /// What the catalog says of the tool.
    pub annotations: Annotations,
    /// The arguments as they were sent; null stands for none.
    pub arguments: &'a Value,
    /// The session so far.
    pub session: SessionFacts,
    /// The time of the call.
    pub now: Timestamp,
    /// The asks that an approval granted for this very call, by policy id.
    pub grants: &'a BTreeSet<String>,
}
