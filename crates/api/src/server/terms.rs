use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// What the one who starts an instance says of it. Nothing here grants anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchTerms {
    /// What it is to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<Task>,
    /// How long it lives at most: 1 second to 30 days. Without, until its process ends.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lifetime_seconds: Option<u64>,
    /// Whether it goes on when the instance that started it has ended.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub outlive: bool,
}

impl LaunchTerms {
    /// The longest life that can be asked for.
    pub const MAX_LIFETIME_SECONDS: u64 = 30 * 86_400;

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A task in words, or in JSON that a person can read: 1 to 1,024 bytes without control characters. JSON
/// is an object or an array, and is kept as its text.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Task(String);

/// Why a text is no task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a task is a text, a JSON object or an array of 1 to 1024 bytes without control characters"
)]
pub struct TaskError;

impl Task {
    /// Most bytes.
    pub const MAX_BYTES: usize = 1_024;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Task {
    type Err = TaskError;

    fn from_str(text: &str) -> Result<Self, TaskError> {
        let blank = text.trim().is_empty();
        if blank || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(TaskError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Task {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            value @ (Value::Object(_) | Value::Array(_)) => value.to_string(),
            _ => return Err(serde::de::Error::custom(TaskError)),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task may be about a person: it is shown where it is asked for, and in no log of a process.
impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_a_bounded_text_or_json() {
        let read = |text: &str| serde_json::from_str::<Task>(text);
        assert_eq!(read("\"count\"").unwrap().as_str(), "count");
        let json = read(r#"{"book": "north", "pages": [1, 2]}"#).unwrap();
        assert_eq!(json.as_str(), r#"{"book":"north","pages":[1,2]}"#);
        assert_eq!(json.to_string().parse(), Ok(json));
        assert!(read(&format!("\"{}\"", "a".repeat(1_024))).is_ok());
        for bad in [
            "1".to_owned(),
            "null".to_owned(),
            "true".to_owned(),
            "\"\"".to_owned(),
            "\"  \"".to_owned(),
            "\"a\\nb\"".to_owned(),
            "\"\\u001b[2J\"".to_owned(),
            format!("\"{}\"", "a".repeat(1_025)),
            format!("[\"{}\"]", "a".repeat(1_024)),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_task_does_not_print() {
        let task: Task = "call Ada".parse().unwrap();
        assert!(!format!("{task:?}").contains("Ada"));
    }
}
