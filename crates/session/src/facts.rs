//! What the rules for sessions make of a call before anything is decided.

use std::collections::BTreeSet;

use chancery_audit::{CallFacts, CallKind, Decision, Label, Ruling, Unenforced};
use chancery_delegation::{Call, Target};
use chancery_types::{Digest, Timestamp, to_jcs};
use serde_json::{Map, Value, json};

use crate::action::call_kind;
use crate::judge::IRREVERSIBLE;
use crate::session_rules::ToolRules;
use crate::state::{Instance, Open};
use crate::{Commons, Reason, Rulebook, SessionRules, limits, observe, trust};

/// Most sources that a decision names: there is room for no more in an entry.
const MAX_SOURCES: usize = 32;

/// The facts of a call. Whatever the call is then refused for, they are known.
pub(crate) struct Facts {
    /// The resource that the call is about, or why that is not known.
    resource: Result<Digest, Reason>,
    /// How many rows it asks for, or why that is not known.
    rows: Result<u64, Reason>,
    /// Sources whose content was in the session, or is by now in a store that it read or reads.
    before: BTreeSet<Label>,
    /// The call's own target, where that is such a source.
    own: Option<Label>,
    /// The stores that it reads.
    reads: BTreeSet<Label>,
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
        // What the operator says nothing of may reach every store of its server.
        let reads: BTreeSet<Label> = match known {
            Some(known) => known.store().into_iter().cloned().collect(),
            None => rules.stores(call.server).cloned().collect(),
        };
        let mut before = open.taint.clone();
        let tainted = open.reads.union(&reads);
        let tainted = tainted.filter(|store| commons.is_tainted(store.as_str()));
        before.extend(tainted.map(|store| Label::or_digest(&format!("store:{store}"))));
        let reads_only = match (known, call.target) {
            (Some(known), _) => known.reads_only(),
            (None, Target::Resource(_)) => true,
            // What is sent along leaves the session.
            (None, Target::Prompt(_)) => call.args.is_empty(),
            (None, Target::Tool(_)) => false,
        };
        Self {
            resource: resource(known, call),
            rows: rows(known, call),
            before,
            own: untrusted(rules, known, call),
            reads,
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
            taints: match taint.is_empty() || self.reads_only {
                true => Vec::new(),
                false => self.reads.iter().cloned().collect(),
            },
            reads: self.reads.iter().cloned().collect(),
            taint: taint.into_iter().take(MAX_SOURCES).cloned().collect(),
            grant_seconds: self.grant_seconds,
        }
    }
}

impl Open {
    /// Holds what a decision says to what follows without the arguments, which were erased: its facts,
    /// and that what is beyond a sum was asked about. The error names what differs.
    ///
    /// That the resource and the rows are those of the arguments is not shown.
    pub fn check_erased(
        &self,
        at: Timestamp,
        decision: &Decision,
        policy: &Rulebook,
        commons: &Commons,
    ) -> Result<(), &'static str> {
        let rules = policy.sessions();
        let said = decision.facts.as_ref().ok_or("facts")?;
        let instance = self
            .joined(decision.instance.as_str())
            .map_err(|_| "instance")?;
        let request = &decision.request;
        let mut args = Map::new();
        if request.args_digest != Digest::of(b"{}") {
            args.insert("erased".to_owned(), Value::Null);
        }
        let name = request.name.as_str();
        let call = Call {
            server: request.server.as_str(),
            target: match request.kind {
                CallKind::Tool => Target::Tool(name),
                CallKind::Resource => Target::Resource(name),
                CallKind::Prompt => Target::Prompt(name),
            },
            args: &args,
        };
        let facts = Facts::of(self, instance, rules, commons, &call, at);
        let expected = CallFacts {
            resource: said.resource,
            rows: said.rows,
            ..facts.to_record()
        };
        if *said != expected {
            return Err("facts");
        }
        let unenforced = decision.unenforced.as_ref();
        let by = observe::observed(self.id(), &call, policy, commons);
        let is_backed = |said: &Unenforced| is_verdict(said) && by == Some(said.by);
        if !unenforced.is_none_or(is_backed) {
            return Err("unenforced");
        }
        if decision.outcome != Ruling::Allow {
            return Ok(());
        }
        if unenforced.is_some() != (decision.reason == Reason::Observed.code()) {
            return Err("unenforced");
        }
        limits::check_breadth(self, rules, said.resource).map_err(|_| "breadth")?;
        let sums = (said.resource, said.rows, decision.cost_micros);
        let exceeded = limits::exceeded(self, rules, sums, at).into_iter();
        let mut asked = exceeded.map(str::to_owned).chain(facts.asks());
        let named = |ask: String| decision.determining.contains(&Label::or_digest(&ask));
        let tool = rules.tool(call.server, name);
        let irreversible = tool.is_some_and(|tool| tool.irreversible().is_some());
        if unenforced.is_some() && irreversible && !named(IRREVERSIBLE.to_owned()) {
            return Err("asks");
        }
        match asked.all(named) {
            true => Ok(()),
            false => Err("asks"),
        }
    }
}

/// Whether this is what policy can say of a call that it judges, with a reason of its own.
fn is_verdict(said: &Unenforced) -> bool {
    let reasons: &[Reason] = match said.outcome {
        Ruling::Allow => &[],
        Ruling::Deny => &[Reason::PolicyForbid, Reason::PolicyNoMatch],
        Ruling::Escalate => &[Reason::Ask],
    };
    reasons.iter().any(|reason| said.reason == reason.code())
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

/// The digest of `{server, resource}` where a resource is named; elsewhere every other call is about
/// another one.
fn resource(known: Option<&ToolRules>, call: &Call<'_>) -> Result<Digest, Reason> {
    let named = match (known.and_then(ToolRules::resource_arg), call.target) {
        (Some(name), _) => match call.args.get(name) {
            Some(value @ (Value::String(_) | Value::Number(_))) => {
                json!({"server": call.server, "resource": value})
            }
            _ => return Err(Reason::ResourceUnknown),
        },
        (None, Target::Resource(uri)) => json!({"server": call.server, "resource": uri}),
        (None, Target::Tool(name) | Target::Prompt(name)) => json!({
            "server": call.server, "kind": call_kind(call), "name": name, "args": call.args,
        }),
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
        // Servers read 0 as all of them.
        .filter(|rows| (1..=chancery_types::limits::MAX_SAFE_INTEGER).contains(rows))
        .ok_or(Reason::RowsUnknown)
}
