//! What the rules for sessions make of a call before anything is decided.

use std::collections::BTreeSet;

use chancery_audit::{CallFacts, Label};
use chancery_delegation::{Call, Target};
use chancery_types::{Digest, Timestamp, to_jcs};
use serde_json::{Value, json};

use crate::session_rules::ToolRules;
use crate::state::{Instance, Open};
use crate::{Commons, Reason, SessionRules, trust};

/// Most sources that a decision names: there is room for no more in an entry.
const MAX_SOURCES: usize = 32;

/// The facts of a call. Whatever the call is then refused for, they are known.
pub(crate) struct Facts {
    /// The resource that the call is about, or why that is not known.
    resource: Result<Digest, Reason>,
    /// How many rows it asks for, or why that is not known.
    rows: Result<u64, Reason>,
    /// Sources whose content was in the session, or is in the store that the call reads.
    before: BTreeSet<Label>,
    /// The call's own target, where that is such a source.
    own: Option<Label>,
    /// The store that it may write to.
    writes: Option<Label>,
    /// Whether it changes nothing, so that taint asks about nothing.
    reads_only: bool,
    trust: u64,
    grant_seconds: Option<u64>,
}

impl Facts {
    pub(crate) fn of(
        open: &Open,
        instance: &Instance,
        rules: &SessionRules,
        commons: &Commons,
        call: &Call<'_>,
        now: Timestamp,
    ) -> Self {
        let known = match call.target {
            Target::Tool(name) => rules.tool(call.server, name),
            Target::Resource(_) | Target::Prompt(_) => None,
        };
        let store = known.and_then(ToolRules::store);
        let mut before = open.taint.clone();
        if let Some(store) = store.filter(|store| commons.is_tainted(store)) {
            before.insert(Label::or_digest(&format!("store:{store}")));
        }
        let reads_only = match call.target {
            Target::Tool(_) => known.is_some_and(ToolRules::reads_only),
            Target::Resource(_) | Target::Prompt(_) => true,
        };
        Self {
            resource: resource(known, call),
            rows: rows(known, call),
            before,
            own: untrusted(rules, known, call),
            writes: store.filter(|_| !reads_only).map(Label::or_digest),
            reads_only,
            trust: instance.trust.at(now),
            grant_seconds: known.and_then(ToolRules::grant_seconds),
        }
    }

    pub(crate) fn resource(&self) -> Result<Digest, Reason> {
        self.resource
    }

    pub(crate) fn rows(&self) -> Result<u64, Reason> {
        self.rows
    }

    pub(crate) const fn trust(&self) -> u64 {
        self.trust
    }

    /// Whether content of an untrusted source stands before the call.
    pub(crate) fn is_tainted(&self) -> bool {
        !self.before.is_empty()
    }

    /// The sources that a person is asked about before the call acts.
    pub(crate) fn asks(&self) -> impl Iterator<Item = String> + '_ {
        self.before
            .iter()
            .filter(|_| !self.reads_only)
            .take(MAX_SOURCES)
            .map(|source| format!("taint:{source}"))
    }

    /// As the log has them.
    pub(crate) fn to_record(&self) -> CallFacts {
        let taint: BTreeSet<&Label> = self.before.iter().chain(&self.own).collect();
        CallFacts {
            trust: self.trust,
            formula: trust::formula(),
            // What is not known denies; the digest then names nothing.
            resource: self.resource.unwrap_or_else(|_| Digest::of(b"")),
            rows: self.rows.unwrap_or_default(),
            taints: self.writes.clone().filter(|_| !taint.is_empty()),
            taint: taint.into_iter().take(MAX_SOURCES).cloned().collect(),
            grant_seconds: self.grant_seconds,
        }
    }
}

fn untrusted(rules: &SessionRules, known: Option<&ToolRules>, call: &Call<'_>) -> Option<Label> {
    if known.is_some_and(ToolRules::is_untrusted) {
        let source = format!("tool:{}/{}", call.server, call.target.name());
        return Some(Label::or_digest(&source));
    }
    rules
        .is_untrusted(call.server)
        .then(|| Label::or_digest(&format!("server:{}", call.server)))
}

/// The digest of `{server, resource}` where a resource is named, of the target itself elsewhere.
fn resource(known: Option<&ToolRules>, call: &Call<'_>) -> Result<Digest, Reason> {
    let named = match (known.and_then(ToolRules::resource_arg), call.target) {
        (Some(name), _) => match call.args.get(name) {
            Some(value @ (Value::String(_) | Value::Number(_))) => {
                json!({"server": call.server, "resource": value})
            }
            _ => return Err(Reason::ResourceUnknown),
        },
        (None, Target::Resource(uri)) => json!({"server": call.server, "resource": uri}),
        (None, Target::Tool(name)) => json!({"server": call.server, "tool": name}),
        (None, Target::Prompt(name)) => json!({"server": call.server, "prompt": name}),
    };
    to_jcs(&named)
        .map(Digest::of)
        .map_err(|_| Reason::ResourceUnknown)
}

fn rows(known: Option<&ToolRules>, call: &Call<'_>) -> Result<u64, Reason> {
    let Some(name) = known.and_then(ToolRules::rows_arg) else {
        return Ok(0);
    };
    call.args
        .get(name)
        .and_then(Value::as_u64)
        .filter(|rows| *rows <= chancery_types::limits::MAX_SAFE_INTEGER)
        .ok_or(Reason::RowsUnknown)
}
