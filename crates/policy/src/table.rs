//! Tables of tests: calls, and what the bundle that they travel in is to say to each.

use std::collections::BTreeSet;

use chancery_types::parse_strict;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Bundle, BundleError, Cause, Decision, Files, Outcome, Place, Question, files};

/// What a table says that it is.
const FORMAT: &str = "chancery/policy-tests/v1";

/// Members of a row that say what is expected; all others say what is asked.
const ROW: &str = "row";
const EXPECTATION: [&str; 4] = [ROW, "expect", "cause", "by"];

/// A file `tests/NAME.json` of a bundle. Every row is whole: it asks one question and says which
/// policies are to determine which answer. A table is covered by the digest of its bundle; loading a
/// bundle neither reads nor runs it.
///
/// ```json
/// {"tests": "chancery/policy-tests/v1",
///  "given": {"tool": "bank/pay", "now": "2027-01-31T09:30:00Z", "principal": {
///    "instance": "spiffe://example.org/agent/clerk/instance/1",
///    "agent": "spiffe://example.org/agent/clerk", "principal": "person-1",
///    "mission": "mission-1", "depth": 1, "attestation_level": 2, "isolated": true,
///    "asserted": false}},
///  "rows": [
///    {"row": "small amounts are paid", "args": {"amount": 5}, "expect": "allow", "by": ["small"]},
///    {"row": "not by who is not isolated", "principal": {"isolated": false},
///     "args": {"amount": 5}, "expect": "deny", "by": ["never-unisolated"]}]}
/// ```
///
/// A row has the members of `given` that it does not have itself; of `principal`, `session` and
/// `annotations` that goes member by member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    path: String,
    rows: Vec<Row>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    name: String,
    place: Place,
    question: Question,
    expected: Expected,
}

/// What a row expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The outcome.
    #[serde(rename = "expect")]
    pub outcome: Outcome,
    /// The rule that decides, where the row says it. A call that cannot be evaluated meets no
    /// expectation that does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// All policies that determine it.
    pub by: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    tests: String,
    #[serde(default)]
    given: Map<String, Value>,
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
}

impl Table {
    /// Reads every table of a bundle, in the order of their paths.
    pub fn read(files: &Files) -> Result<Vec<Self>, BundleError> {
        let tables = files.keys().filter(|path| files::is_table(path));
        tables
            .map(|path| Self::parse(path, files::text(files, path)?))
            .collect()
    }

    /// Reads one table. Fails with the first thing that is wrong, its place and remedy.
    pub fn parse(path: &str, text: &str) -> Result<Self, BundleError> {
        let refused = |problem: String| BundleError::Table {
            place: Place::file(path),
            problem,
        };
        parse_strict(text.as_bytes()).map_err(|error| refused(error.to_string()))?;
        let document: Document<'_> =
            serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        if document.tests != FORMAT {
            return Err(refused(format!("tests: write {FORMAT:?}")));
        }
        if let Some(name) = EXPECTATION
            .iter()
            .find(|name| document.given.contains_key(**name))
        {
            return Err(refused(format!("given.{name}: it belongs to a row")));
        }
        if document.rows.is_empty() {
            return Err(refused(
                "rows: a table without rows tests nothing".to_owned(),
            ));
        }
        let mut names = BTreeSet::new();
        let mut rows = Vec::with_capacity(document.rows.len());
        for raw in document.rows {
            // The row is a part of the text.
            let offset = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            let place = Place::at(path, text, offset);
            let row = Row::parse(raw.get(), &document.given, place.clone())
                .map_err(|problem| BundleError::Table { place, problem })?;
            if !names.insert(row.name.clone()) {
                return Err(BundleError::Table {
                    place: row.place,
                    problem: format!(
                        "row {:?} stands before already: name it otherwise",
                        row.name
                    ),
                });
            }
            rows.push(row);
        }
        Ok(Self {
            path: path.to_owned(),
            rows,
        })
    }

    /// The path inside of the bundle.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its rows, at least one.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

impl Row {
    fn parse(text: &str, given: &Map<String, Value>, place: Place) -> Result<Self, String> {
        let mut own: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut expectation = Map::new();
        for name in EXPECTATION {
            expectation.extend(own.remove_entry(name));
        }
        let name = match expectation.remove(ROW) {
            Some(Value::String(name)) if is_name(&name) => name,
            _ => return Err("row: name it in 1 to 200 letters of one line".to_owned()),
        };
        let expected: Expected = serde_json::from_value(Value::Object(expectation))
            .map_err(|error| format!("row {name:?}: {error}"))?;
        let question = Question::from_value(Value::Object(complete(own, given)))
            .map_err(|error| format!("row {name:?}: {error}"))?;
        Ok(Self {
            name,
            place,
            question,
            expected,
        })
    }

    /// What it tests, in words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it begins.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What it asks.
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// What it expects.
    pub const fn expected(&self) -> &Expected {
        &self.expected
    }

    /// What the bundle decides, and whether that is what is expected.
    pub fn run(&self, bundle: &Bundle) -> (Decision, bool) {
        let decision = bundle.decide(&self.question.request());
        let met = self.expected.is_met_by(&decision);
        (decision, met)
    }
}

impl Expected {
    fn is_met_by(&self, decision: &Decision) -> bool {
        let cause = match self.cause {
            Some(cause) => cause == decision.cause,
            None => decision.cause != Cause::EvaluationError,
        };
        cause && self.outcome == decision.outcome && self.by.iter().eq(decision.determining.iter())
    }
}

/// A row with the given members that it does not have itself.
fn complete(mut own: Map<String, Value>, given: &Map<String, Value>) -> Map<String, Value> {
    for (name, given) in given {
        let merged = ["principal", "session", "annotations"].contains(&name.as_str());
        match (own.get_mut(name), given) {
            (Some(Value::Object(own)), Value::Object(given)) if merged => {
                for (name, value) in given {
                    own.entry(name).or_insert_with(|| value.clone());
                }
            }
            (Some(_), _) => {}
            (None, given) => {
                own.insert(name.clone(), given.clone());
            }
        }
    }
    own
}

fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
