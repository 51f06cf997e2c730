use chancery_identity::SpiffeId;
use chancery_types::{Digest, parse_instant};
use serde_json::Value;

use super::ManifestError;

/// The form of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A text of at least one character.
    Text,
    /// `sha256:` or `shake256:` and 64 hex digits.
    Hash,
    /// A version 7 UUID.
    Uuid7,
    /// RFC 3339 in UTC.
    Instant,
    /// A SPIFFE ID of at most 2,048 bytes, with a path.
    Spiffe,
    /// A boolean.
    Boolean,
    /// An integer in a range.
    Integer(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list, empty or not.
    List(&'static Shape),
    /// An object of exactly these members.
    Object(&'static [Member]),
    /// As [`Shape::Object`]; where completeness is not asked for, members may be missing in it.
    Artifacts(&'static [Member]),
}

/// A member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

pub(super) const fn required(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        required: true,
        shape,
    }
}

pub(super) const fn optional(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        required: false,
        shape,
    }
}

/// Whether members may be missing inside of artifact bindings, as the reference implementation of
/// the format tolerates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// Missing members of artifact bindings are tolerated.
    Tolerant,
    /// Every required member is there.
    Full,
}

/// Checks a value against a shape. Unknown members and wrong types are refused at either
/// completeness; a null stands for an absent member.
pub(super) fn check(
    value: &Value,
    shape: &Shape,
    completeness: Completeness,
) -> Result<(), ManifestError> {
    Checker {
        completeness,
        tolerant: false,
    }
    .check(value, shape, "")
}

#[derive(Debug, Clone, Copy)]
struct Checker {
    completeness: Completeness,
    tolerant: bool,
}

impl Checker {
    fn check(self, value: &Value, shape: &Shape, path: &str) -> Result<(), ManifestError> {
        let text = value.as_str();
        let (holds, problem) = match shape {
            Shape::Text => (text.is_some_and(|text| !text.is_empty()), "not a text"),
            Shape::Hash => (text.is_some_and(is_hash), "not a digest"),
            Shape::Uuid7 => (text.is_some_and(is_uuid7), "not a version 7 UUID"),
            Shape::Instant => (
                text.and_then(parse_instant).is_some(),
                "not a time in RFC 3339 and UTC",
            ),
            Shape::Spiffe => (text.is_some_and(is_workload_id), "not a SPIFFE ID"),
            Shape::Boolean => (value.is_boolean(), "not a boolean"),
            Shape::Integer(low, high) => (
                value.as_i64().is_some_and(|n| (low..=high).contains(&&n)),
                "not an integer in its range",
            ),
            Shape::Word(words) => (
                text.is_some_and(|text| words.contains(&text)),
                "not one of its words",
            ),
            Shape::List(shape) => {
                return match value {
                    Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| {
                        self.check(item, shape, &format!("{path}/{at}"))
                    }),
                    _ => Err(problem_at(path, "not a list")),
                };
            }
            Shape::Object(members) => return self.check_members(value, members, path),
            Shape::Artifacts(members) => {
                let inside = Self {
                    tolerant: self.completeness == Completeness::Tolerant,
                    ..self
                };
                return inside.check_members(value, members, path);
            }
        };
        if holds {
            Ok(())
        } else {
            Err(problem_at(path, problem))
        }
    }

    fn check_members(
        self,
        value: &Value,
        members: &[Member],
        path: &str,
    ) -> Result<(), ManifestError> {
        let Value::Object(found) = value else {
            return Err(problem_at(path, "not an object"));
        };
        for name in found.keys() {
            if !members.iter().any(|member| member.name == name) {
                return Err(problem_at(&format!("{path}/{name}"), "unknown"));
            }
        }
        for member in members {
            let path = format!("{path}/{}", member.name);
            match found.get(member.name) {
                Some(value) if !value.is_null() => self.check(value, &member.shape, &path)?,
                _ if member.required && !self.tolerant => {
                    return Err(problem_at(&path, "missing"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn problem_at(path: &str, problem: &'static str) -> ManifestError {
    ManifestError::Schema {
        path: path.to_owned(),
        problem,
    }
}

fn is_hash(text: &str) -> bool {
    let hex = text
        .strip_prefix("sha256:")
        .or_else(|| text.strip_prefix("shake256:"));
    hex.is_some_and(|hex| Digest::from_hex(hex).is_ok())
}

fn is_uuid7(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').collect();
    let hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let variant = |group: &str| group.starts_with(['8', '9', 'a', 'b', 'A', 'B']);
    let lengths = groups.iter().map(|group| group.len());
    lengths.eq([8, 4, 4, 4, 12])
        && groups.iter().all(hex)
        && groups.get(2).is_some_and(|group| group.starts_with('7'))
        && groups.get(3).is_some_and(|group| variant(group))
}

fn is_workload_id(text: &str) -> bool {
    let id = text.parse::<SpiffeId>();
    id.is_ok_and(|id| id.is_mintable() && !id.path().is_empty())
}
