use std::collections::BTreeSet;

use chancery_types::{parse_instant, parse_strict};
use serde_json::Value;

use super::fields::Fields;
use super::{
    Approver, Budget, MAX_MISSION_BYTES, MISSION_FORM, Mission, MissionError, MissionProblem, Step,
    StopCondition,
};
use crate::token::{Entry, Limits};

const MOST_TEXT: usize = 4_096;
const MOST_STEPS: usize = 64;
const MOST_MEANS: usize = 64;
const MOST_FORBIDDEN: usize = 64;
const MOST_STOPS: usize = 8;
const MOST_ID: usize = 64;

pub(super) fn read(bytes: Vec<u8>) -> Result<Mission, MissionError> {
    const DOCUMENT: &str = "document";
    if !(1..=MAX_MISSION_BYTES).contains(&bytes.len()) {
        return Err(MissionError::new(DOCUMENT, MissionProblem::Size));
    }
    let value = parse_strict(&bytes)
        .map_err(|error| MissionError::new(DOCUMENT, MissionProblem::Json(error)))?;
    if !value.is_object() {
        let problem = MissionProblem::Type("one JSON object");
        return Err(MissionError::new(DOCUMENT, problem));
    }
    let mut fields = Fields::of("", value)?;
    if fields.value("mission")? != MISSION_FORM {
        return Err(fields.error("mission", MissionProblem::Form));
    }
    let mission = Mission {
        goal: fields.text("goal", MOST_TEXT)?,
        outcome: match fields.value("outcome")? {
            Value::Object(outcome) if !outcome.is_empty() => outcome,
            _ => {
                let problem = MissionProblem::Type("an object with at least one member");
                return Err(fields.error("outcome", problem));
            }
        },
        steps: steps(fields.list("steps", 1, MOST_STEPS)?)?,
        forbid: entries(fields.list("forbid", 0, MOST_FORBIDDEN)?)?,
        stop: stops(fields.list("stop", 0, MOST_STOPS)?)?,
        budget: budget(fields.value("budget")?)?,
        approver: approver(fields.value("approver")?)?,
        expires: match fields.value("expires")?.as_str().and_then(parse_instant) {
            Some(instant) => instant,
            None => return Err(fields.error("expires", MissionProblem::Instant)),
        },
        bytes,
    };
    fields.finish()?;
    Ok(mission)
}

fn steps(items: Vec<(String, Value)>) -> Result<Vec<Step>, MissionError> {
    let mut known = BTreeSet::new();
    let mut steps = Vec::with_capacity(items.len());
    for (path, item) in items {
        let mut fields = Fields::of(&path, item)?;
        let id = fields.value("id")?;
        let Some(id) = id.as_str().filter(|id| is_id(id)).map(str::to_owned) else {
            return Err(fields.error("id", MissionProblem::Id));
        };
        if !known.insert(id.clone()) {
            return Err(fields.error("id", MissionProblem::Twice(id)));
        }
        steps.push(Step {
            id,
            text: fields.text("text", MOST_TEXT)?,
            means: entries(fields.list("means", 0, MOST_MEANS)?)?,
        });
        fields.finish()?;
    }
    Ok(steps)
}

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MOST_ID).contains(&text.len()) && text.bytes().all(plain)
}

fn entries(items: Vec<(String, Value)>) -> Result<Vec<Entry>, MissionError> {
    let read = |(path, item): (String, Value)| match Entry::parse(&item) {
        Ok(entry) if entry.limits() == Limits::default() => Ok(entry),
        Ok(_) => Err(MissionError::new(
            format!("{path}.limits"),
            MissionProblem::Limits,
        )),
        Err(reason) => Err(MissionError::new(path, MissionProblem::Entry(reason))),
    };
    items.into_iter().map(read).collect()
}

fn stops(items: Vec<(String, Value)>) -> Result<Vec<StopCondition>, MissionError> {
    let mut stops = Vec::with_capacity(items.len());
    for (path, item) in items {
        let mut fields = Fields::of(&path, item)?;
        let when = fields.value("when")?;
        stops.push(match when.as_str() {
            Some("budget-used") => StopCondition::BudgetUsed,
            Some("elapsed") => StopCondition::Elapsed(fields.amount("seconds", 1)?),
            Some("denials-in-a-row") => StopCondition::DenialsInARow(fields.amount("count", 1)?),
            Some("escalations") => StopCondition::Escalations(fields.amount("count", 1)?),
            _ => return Err(fields.error("when", MissionProblem::Stop)),
        });
        fields.finish()?;
    }
    Ok(stops)
}

fn budget(value: Value) -> Result<Budget, MissionError> {
    let mut fields = Fields::of("budget", value)?;
    let budget = Budget {
        calls: fields.amount("calls", 1)?,
        cost_micros: fields.amount("cost_micros", 0)?,
        seconds: fields.amount("seconds", 1)?,
    };
    fields.finish()?;
    Ok(budget)
}

fn approver(value: Value) -> Result<Approver, MissionError> {
    let refused = || MissionError::new("approver", MissionProblem::Approver);
    let members = value.as_object().ok_or_else(refused)?;
    let mut members = members.iter();
    let approver = match members.next() {
        Some((name, Value::String(role))) if name == "role" && role == "approver" => {
            Approver::AnyApprover
        }
        Some((name, Value::String(person))) if name == "person" => {
            Approver::Person(person.parse().map_err(|_| refused())?)
        }
        _ => return Err(refused()),
    };
    match members.next() {
        None => Ok(approver),
        Some(_) => Err(refused()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
