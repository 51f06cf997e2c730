use std::collections::BTreeMap;

use chancery_types::Json;
use serde_json::{Map, Value};

use super::{Call, Constraint, Judgement, Limits, Target};
use crate::Reason;

/// One entry of `authorization_details`, `forbid` or `ask`: a tool, resource or prompt of one
/// server by its exact name, what its arguments are held to, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    server: String,
    kind: Kind,
    name: String,
    args: BTreeMap<String, Constraint>,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tool,
    Resource,
    Prompt,
}

impl Entry {
    /// An entry for a target, without constraints and limits. Fails with
    /// [`Reason::ConstraintUnknown`] on a name that is empty or holds a wildcard.
    pub fn new(server: &str, target: Target<'_>) -> Result<Self, Reason> {
        let kind = match target {
            Target::Tool(_) => Kind::Tool,
            Target::Resource(_) => Kind::Resource,
            Target::Prompt(_) => Kind::Prompt,
        };
        Ok(Self {
            server: exact_name(server, true)?,
            kind,
            // A question mark is part of a URI's syntax; resources are compared, never matched.
            name: exact_name(target.name(), kind != Kind::Resource)?,
            args: BTreeMap::new(),
            limits: Limits::default(),
        })
    }

    /// Adds a constraint. Resources have no arguments and refuse it.
    pub fn constrain(mut self, argument: &str, constraint: Constraint) -> Result<Self, Reason> {
        if self.kind == Kind::Resource {
            return Err(Reason::ConstraintUnknown);
        }
        self.args.insert(argument.to_owned(), constraint);
        Ok(self)
    }

    /// Sets the limits.
    #[must_use]
    pub const fn limit(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads an entry of a token. What is not known is [`Reason::ConstraintUnknown`].
    pub fn parse(value: &Value) -> Result<Self, Reason> {
        Self::read(&Json::of(value))
    }

    /// As [`Entry::parse`].
    pub(crate) fn read(value: &Json<'_>) -> Result<Self, Reason> {
        let members = value.as_members().ok_or(Reason::ConstraintUnknown)?;
        let text = |name: &str| {
            let found = members.iter().find(|(known, _)| known == name);
            found
                .and_then(|(_, value)| value.as_str())
                .ok_or(Reason::ConstraintUnknown)
        };
        let (target, named) = match text("type")? {
            "mcp_tool" => (Target::Tool(text("tool")?), "tool"),
            "mcp_resource" => (Target::Resource(text("uri")?), "uri"),
            "mcp_prompt" => (Target::Prompt(text("prompt")?), "prompt"),
            _ => return Err(Reason::ConstraintUnknown),
        };
        let mut entry = Self::new(text("server")?, target)?;
        for (name, value) in members {
            match name.as_ref() {
                "type" | "server" => {}
                name if name == named => {}
                "args" => {
                    let args = value.as_members().ok_or(Reason::ConstraintUnknown)?;
                    for (argument, constraint) in args {
                        entry = entry.constrain(argument, Constraint::parse(constraint)?)?;
                    }
                }
                "limits" => entry.limits = Limits::parse(value)?,
                _ => return Err(Reason::ConstraintUnknown),
            }
        }
        Ok(entry)
    }

    /// The JSON form; reading it gives the same entry.
    pub fn to_json(&self) -> Value {
        let named = match self.kind {
            Kind::Tool => "tool",
            Kind::Resource => "uri",
            Kind::Prompt => "prompt",
        };
        let mut members = Map::from_iter([
            ("type".to_owned(), self.target().kind().into()),
            ("server".to_owned(), self.server.as_str().into()),
            (named.to_owned(), self.name.as_str().into()),
        ]);
        if !self.args.is_empty() {
            let args = self.args.iter();
            let args = args.map(|(name, constraint)| (name.clone(), constraint.to_json()));
            members.insert("args".to_owned(), Value::Object(args.collect()));
        }
        if let Some(limits) = self.limits.to_json() {
            members.insert("limits".to_owned(), limits);
        }
        Value::Object(members)
    }

    /// The server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What the entry is about.
    pub fn target(&self) -> Target<'_> {
        match self.kind {
            Kind::Tool => Target::Tool(&self.name),
            Kind::Resource => Target::Resource(&self.name),
            Kind::Prompt => Target::Prompt(&self.name),
        }
    }

    /// What the arguments are held to.
    pub const fn args(&self) -> &BTreeMap<String, Constraint> {
        &self.args
    }

    /// The limits.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether everything that `child` permits, this permits: same type, server and name, every
    /// argument that this constrains constrained as much, every limit kept.
    pub fn subsumes(&self, child: &Self) -> bool {
        self.kind == child.kind
            && self.server == child.server
            && self.name == child.name
            && self.limits.subsumes(&child.limits)
            && self.args.iter().all(|(argument, mine)| {
                let theirs = child.args.get(argument);
                theirs.is_some_and(|theirs| mine.subsumes(theirs))
            })
    }

    /// Whether this entry permits the call: every constraint holds.
    pub fn permits(&self, call: &Call<'_>) -> bool {
        self.judge(call) == Judgement::Holds
    }

    /// Whether this entry, as a prohibition or question, applies to the call: no constraint is
    /// known to fail. Its limits say nothing here: it applies in full.
    pub fn applies_to(&self, call: &Call<'_>) -> bool {
        self.judge(call) != Judgement::Fails
    }

    fn judge(&self, call: &Call<'_>) -> Judgement {
        if self.server != call.server || self.target() != call.target {
            return Judgement::Fails;
        }
        let judgements = self.args.iter();
        judgements
            .map(|(argument, constraint)| constraint.judge(call.args.get(argument)))
            .min()
            .unwrap_or(Judgement::Holds)
    }
}

fn exact_name(text: &str, refuse_question_mark: bool) -> Result<String, Reason> {
    let wild = text.contains('*') || refuse_question_mark && text.contains('?');
    if text.is_empty() || wild || text.chars().any(char::is_control) {
        return Err(Reason::ConstraintUnknown);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
