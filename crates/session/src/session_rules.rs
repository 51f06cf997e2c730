//! The operator's rules for sessions. They travel as `session.json` in the policy bundle, so that they
//! share its signature, digest and version.

mod parse;

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::Label;

pub use parse::SessionRulesError;

/// What the member `rules` of every document says: its form.
pub const SESSION_RULES_FORM: &str = "chancery/session-rules/v1";

/// Rules for sessions. Without any, a session has the mission's limits alone, nothing is an untrusted
/// source, and nothing is known to be irreversible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionRules {
    pub(crate) ask_beyond: Ceilings,
    pub(crate) suspend_beyond: Option<u64>,
    untrusted_servers: BTreeSet<String>,
    tools: BTreeMap<String, ToolRules>,
    /// The stores of each server, by what is said of its tools.
    stores: BTreeMap<String, BTreeSet<Label>>,
    observe: Option<Observe>,
}

/// What of policy is enrolled and not enforced. Without it, all of policy is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observe {
    /// Every call.
    Everything,
    /// Some; at least one of the two.
    Parts {
        /// The calls of these tools, as `server/tool`.
        tools: BTreeSet<String>,
        /// All calls of the sessions that the operator has observed at the gateway.
        sessions: bool,
    },
}

impl Observe {
    /// The tools that are named.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        let tools = match self {
            Self::Everything => None,
            Self::Parts { tools, .. } => Some(tools),
        };
        tools.into_iter().flatten().map(String::as_str)
    }

    /// Whether a tool is named.
    pub fn names(&self, server: &str, tool: &str) -> bool {
        match self {
            Self::Everything => false,
            Self::Parts { tools, .. } => tools.contains(&format!("{server}/{tool}")),
        }
    }

    /// Whether the operator may have sessions observed.
    pub const fn offers_sessions(&self) -> bool {
        matches!(self, Self::Parts { sessions: true, .. })
    }
}

impl std::fmt::Display for Observe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("every call"),
            Self::Parts { tools, sessions } => {
                let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
                let sessions = sessions.then_some("the sessions that an operator names");
                let parts: Vec<&str> = tools.into_iter().chain(sessions).collect();
                f.write_str(&parts.join(", "))
            }
        }
    }
}

/// What a whole session may use up before a person is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Allowed calls.
    pub calls: Option<u64>,
    /// What they cost, in millionths.
    pub cost_micros: Option<u64>,
    /// Rows that they ask for.
    pub rows: Option<u64>,
    /// Distinct resources.
    pub resources: Option<u64>,
    /// Minutes since the session was opened.
    pub minutes: Option<u64>,
}

/// What is said of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolRules {
    resource_arg: Option<String>,
    rows_arg: Option<String>,
    untrusted: bool,
    reads_only: bool,
    store: Option<Label>,
    irreversible: bool,
    irreversible_unless: BTreeSet<String>,
    grant_seconds: Option<u64>,
}

impl SessionRules {
    /// Reads the document strictly.
    pub fn parse(bytes: &[u8]) -> Result<Self, SessionRulesError> {
        parse::read(bytes)
    }

    /// What a whole session may use up before a person is asked.
    pub const fn ask_beyond(&self) -> Ceilings {
        self.ask_beyond
    }

    /// How many distinct resources a session may reach before it is suspended.
    pub const fn suspend_beyond_resources(&self) -> Option<u64> {
        self.suspend_beyond
    }

    /// What of policy is not enforced.
    pub const fn observe(&self) -> Option<&Observe> {
        self.observe.as_ref()
    }

    /// What is said of a tool.
    pub fn tool(&self, server: &str, name: &str) -> Option<&ToolRules> {
        self.tools.get(&format!("{server}/{name}"))
    }

    /// What is said of each tool, by `server/tool`.
    pub const fn tools(&self) -> &BTreeMap<String, ToolRules> {
        &self.tools
    }

    /// The stores that the tools of a server read and write.
    pub fn stores(&self, server: &str) -> impl Iterator<Item = &Label> {
        self.stores.get(server).into_iter().flatten()
    }

    /// The servers whose answers are content of an untrusted source.
    pub const fn untrusted_servers(&self) -> &BTreeSet<String> {
        &self.untrusted_servers
    }

    /// Whether all that a server answers is content of an untrusted source.
    pub fn is_untrusted(&self, server: &str) -> bool {
        self.untrusted_servers.contains(server)
    }
}

impl ToolRules {
    /// The argument that names the resource that a call is about.
    pub fn resource_arg(&self) -> Option<&str> {
        self.resource_arg.as_deref()
    }

    /// The argument that says how many rows a call asks for.
    pub fn rows_arg(&self) -> Option<&str> {
        self.rows_arg.as_deref()
    }

    /// Whether what it answers is content of an untrusted source.
    pub const fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    /// Whether it changes nothing. The operator says so; what a server says of itself lowers nothing.
    pub const fn reads_only(&self) -> bool {
        self.reads_only
    }

    /// The store that it reads and, where it does more than read, writes.
    pub const fn store(&self) -> Option<&Label> {
        self.store.as_ref()
    }

    /// Whether what it does cannot be undone: a person is asked, unless one of these policies permits
    /// the call.
    pub const fn irreversible(&self) -> Option<&BTreeSet<String>> {
        if self.irreversible {
            Some(&self.irreversible_unless)
        } else {
            None
        }
    }

    /// How long a person's approval of a call holds for the same tool and resource; without it, for
    /// that one action once.
    pub const fn grant_seconds(&self) -> Option<u64> {
        self.grant_seconds
    }
}

#[cfg(test)]
mod tests;
