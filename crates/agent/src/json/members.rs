use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A part of a text, as byte offsets into it.
pub(crate) type Span = std::ops::Range<usize>;

/// One member of an object: its decoded name and where its value stands.
#[derive(Debug)]
pub(crate) struct Member<'t> {
    pub(crate) name: Cow<'t, str>,
    pub(crate) value: Span,
}

/// The text is not one JSON object, or has a member twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object without duplicate members")]
pub(crate) struct NotAnObject;

/// The part of `text` at `span`; empty when the span is not one of this text.
pub(crate) fn part<'t>(text: &'t str, span: &Span) -> &'t str {
    text.get(span.clone()).unwrap_or_default()
}

/// The members of the object at `object`, in order. Values are skipped over, not read.
pub(crate) fn members<'t>(text: &'t str, object: &Span) -> Result<Vec<Member<'t>>, NotAnObject> {
    let mut deserializer = serde_json::Deserializer::from_str(part(text, object));
    let raw = deserializer
        .deserialize_map(Members)
        .map_err(|_| NotAnObject)?;
    deserializer.end().map_err(|_| NotAnObject)?;
    let member = |(Name(name), value): (Name<'t>, &'t RawValue)| Member {
        name,
        value: span(text, value),
    };
    Ok(raw.into_iter().map(member).collect())
}

/// A raw value borrowed from `text` is a part of it: the distance of the two is its offset.
fn span(text: &str, value: &RawValue) -> Span {
    let value = value.get();
    let start = value.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start.saturating_add(value.len())
}

/// A member name, borrowed where it holds no escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Name<'de>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        while let Some(name) = access.next_key::<Name<'de>>()? {
            if members.iter().any(|(known, _)| known.0 == name.0) {
                return Err(A::Error::custom("a duplicate member"));
            }
            members.push((name, access.next_value()?));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_where_values_stand() {
        let text = r#" {"a" : 1.50 ,"\u0062":{"a":[ ]} } "#;
        let found = members(text, &(0..text.len())).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|m| (m.name.as_ref(), part(text, &m.value)))
            .collect();
        assert_eq!(found, [("a", "1.50"), ("b", r#"{"a":[ ]}"#)]);
    }

    #[test]
    fn refuses_what_is_no_single_object() {
        for bad in [
            "",
            "[]",
            "1",
            "{",
            "{} {}",
            r#"{"a":1,}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":01}"#,
        ] {
            assert_eq!(
                members(bad, &(0..bad.len())).unwrap_err(),
                NotAnObject,
                "{bad}"
            );
        }
    }
}
