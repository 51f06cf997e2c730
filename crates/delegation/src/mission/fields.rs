use chancery_types::limits::MAX_SAFE_INTEGER;
use serde_json::{Map, Value};

use super::{MissionError, MissionProblem};

/// The members of one object of the document, taken out one by one, and where the object stands.
/// What is left over at the end is unknown and refused.
pub(super) struct Fields {
    path: String,
    members: Map<String, Value>,
}

impl Fields {
    pub(super) fn of(path: &str, value: Value) -> Result<Self, MissionError> {
        match value {
            Value::Object(members) => Ok(Self {
                path: path.to_owned(),
                members,
            }),
            _ => Err(MissionError::new(path, MissionProblem::Type("an object"))),
        }
    }

    /// The path of a member.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn error(&self, name: &str, problem: MissionProblem) -> MissionError {
        MissionError::new(self.at(name), problem)
    }

    pub(super) fn value(&mut self, name: &str) -> Result<Value, MissionError> {
        self.members
            .remove(name)
            .ok_or_else(|| MissionError::new(self.at(name), MissionProblem::Missing))
    }

    /// A list, each item with its path.
    pub(super) fn list(
        &mut self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<Vec<(String, Value)>, MissionError> {
        let Value::Array(items) = self.value(name)? else {
            return Err(self.error(name, MissionProblem::Type("a list")));
        };
        if !(least..=most).contains(&items.len()) {
            return Err(self.error(name, MissionProblem::Count { least, most }));
        }
        let path = self.at(name);
        let items = items.into_iter().enumerate();
        Ok(items
            .map(|(place, item)| (format!("{path}[{place}]"), item))
            .collect())
    }

    /// A text that people read as it is.
    pub(super) fn text(&mut self, name: &str, most: usize) -> Result<String, MissionError> {
        match self.value(name)? {
            Value::String(text) if is_readable(&text, most) => Ok(text),
            Value::String(_) => Err(self.error(name, MissionProblem::Text(most))),
            _ => Err(self.error(name, MissionProblem::Type("a text"))),
        }
    }

    pub(super) fn amount(&mut self, name: &str, least: u64) -> Result<u64, MissionError> {
        match self.value(name)?.as_u64() {
            Some(amount) if (least..=MAX_SAFE_INTEGER).contains(&amount) => Ok(amount),
            _ => Err(self.error(name, MissionProblem::Amount(least))),
        }
    }

    pub(super) fn finish(self) -> Result<(), MissionError> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.error(name, MissionProblem::Unknown)),
        }
    }
}

/// A person reads the document before they sign: what is not seen, or turns what is seen around, is
/// refused.
fn is_readable(text: &str, most: usize) -> bool {
    let hidden = |c: char| {
        c.is_control() && c != '\n'
            || matches!(
                c,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            )
    };
    (1..=most).contains(&text.len()) && !text.trim().is_empty() && !text.chars().any(hidden)
}
