//! A draft of the narrowest policies under which what was observed is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::tool::Tool;
use crate::vocabulary::{GET_PROMPT, READ_RESOURCE, qualified};
use crate::{ArgType, Cause, Index, Kind, Question};

/// The policies, as the text of a file: one permit for each agent and tool, resource or prompt. Of the
/// arguments that `bundle.json` declares, an integer lies between the least and the largest that were
/// seen, a text or a truth value is one of those that were seen, and one that never came stays away.
/// The same questions in another order give the same text.
///
/// Each question comes with the cause of what policy said of it: what policy asks a person about is drafted so
/// that it is asked about, and `@reason` says what policy said.
///
/// A question whose tool is not declared, or whose arguments are not as declared, is left out: no
/// policy can allow it.
pub fn suggest<'a>(
    index: &Index,
    observed: impl IntoIterator<Item = (&'a Question, Cause)>,
) -> String {
    let mut seen: BTreeMap<(Kind, String, String, Said), Vec<&Question>> = BTreeMap::new();
    for (question, cause) in observed {
        let request = question.request();
        let target = qualified(&request.target);
        let kind = request.target.kind;
        let fits = kind != Kind::Tool
            || index
                .tools()
                .get(&target)
                .is_some_and(|tool| tool.fits(request.arguments));
        if fits {
            let agent = request.principal.agent.to_owned();
            let key = (kind, target, agent, Said::of(cause));
            seen.entry(key).or_default().push(question);
        }
    }
    let mut text = String::new();
    for (number, ((kind, target, agent, said), questions)) in (1..).zip(&seen) {
        let (resource, action) = match kind {
            Kind::Tool => ("Tool", target.as_str()),
            Kind::Resource => ("Resource", READ_RESOURCE),
            Kind::Prompt => ("Prompt", GET_PROMPT),
        };
        let conditions = index
            .tools()
            .get(target)
            .filter(|_| *kind == Kind::Tool)
            .map(|tool| conditions(tool, questions))
            .unwrap_or_default();
        let when = match conditions.is_empty() {
            true => String::new(),
            false => format!("\nwhen {{\n    {}\n}}", conditions.join(" &&\n    ")),
        };
        let calls = questions.len();
        let (effect, said) = (said.effect(), said.text());
        let separator = if text.is_empty() { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{separator}@id(\"suggested-{number}\")\n{effect}@reason(\"Drafted from {calls} observed calls, {said}.\")\npermit (\n    \
             principal in Chancery::Agent::{},\n    action == Chancery::Action::{},\n    \
             resource == Chancery::{resource}::{}\n){when};\n",
            literal(agent),
            literal(action),
            literal(target)
        );
    }
    text
}

/// What policy said of a call that went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Permitted,
    Unmatched,
    Asked,
    Forbidden,
}

impl Said {
    const fn of(cause: Cause) -> Self {
        match cause {
            Cause::Permit => Self::Permitted,
            Cause::NoMatch => Self::Unmatched,
            Cause::Ask | Cause::Granted => Self::Asked,
            Cause::Forbid | Cause::EvaluationError => Self::Forbidden,
        }
    }

    const fn effect(self) -> &'static str {
        match self {
            Self::Asked => "@effect(\"ask\")\n",
            Self::Permitted | Self::Unmatched | Self::Forbidden => "",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Permitted => "which policy permitted",
            Self::Unmatched => "which no policy matched",
            Self::Asked => "which policy asks a person about",
            Self::Forbidden => "which policy forbade",
        }
    }
}

fn conditions(tool: &Tool, questions: &[&Question]) -> Vec<String> {
    let mut conditions = Vec::new();
    for (name, argument) in tool.args() {
        let path = format!("context.args[{}]", literal(name));
        let has = format!("context.args has {}", literal(name));
        let values: Vec<&Value> = questions
            .iter()
            .filter_map(|question| question.request().arguments.get(name))
            .collect();
        let always = values.len() == questions.len();
        if values.is_empty() {
            conditions.push(format!("!({has})"));
            continue;
        }
        let within = within(&path, argument.kind(), &values);
        match (argument.is_optional(), always) {
            (false, _) => conditions.extend(within),
            (true, true) => {
                conditions.push(has);
                conditions.extend(within);
            }
            (true, false) => {
                let within = within.join(" && ");
                if !within.is_empty() {
                    conditions.push(format!("(if {has} then {within} else true)"));
                }
            }
        }
    }
    conditions
}

/// What holds of every one of these values, and of as little else as can be said.
fn within(path: &str, kind: ArgType, values: &[&Value]) -> Vec<String> {
    match kind {
        ArgType::Long => {
            let numbers = values.iter().filter_map(|value| value.as_i64());
            let bounds = numbers.clone().min().zip(numbers.max());
            let bounds = bounds.map(|(least, largest)| {
                [format!("{path} >= {least}"), format!("{path} <= {largest}")]
            });
            bounds.into_iter().flatten().collect()
        }
        ArgType::String => {
            let texts = values.iter().filter_map(|value| value.as_str());
            let texts: BTreeSet<String> = texts.map(literal).collect();
            let texts: Vec<String> = texts.into_iter().collect();
            vec![format!("[{}].contains({path})", texts.join(", "))]
        }
        ArgType::Bool => {
            let seen: BTreeSet<bool> = values.iter().filter_map(|value| value.as_bool()).collect();
            match (seen.contains(&true), seen.contains(&false)) {
                (true, false) => vec![path.to_owned()],
                (false, true) => vec![format!("!{path}")],
                _ => Vec::new(),
            }
        }
    }
}

/// A text as Cedar writes it; its escapes are those of Rust.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}
