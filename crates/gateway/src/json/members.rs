use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::guard::Name;
use super::{Flaw, Span, part};

/// One member of an object: its decoded name and where its value stands.
#[derive(Debug)]
pub(crate) struct Member<'t> {
    pub(crate) name: Cow<'t, str>,
    pub(crate) value: Span,
}

/// The members of the object at `object`, in order. Refuses a name that occurs twice; values are
/// skipped over, not read.
pub(crate) fn members<'t>(text: &'t str, object: &Span) -> Result<Vec<Member<'t>>, Flaw> {
    let raw = read(part(text, object), Members)?.into_iter();
    let member = |(name, value)| Member {
        name,
        value: span(text, value),
    };
    let members: Vec<Member<'t>> = raw.map(member).collect();
    let names = members.iter().map(|member| member.name.as_ref());
    match names.collect::<HashSet<&str>>().len() == members.len() {
        true => Ok(members),
        false => Err(Flaw::Duplicate),
    }
}

/// Where the items of the array at `array` stand, in order.
pub(crate) fn items(text: &str, array: &Span) -> Result<Vec<Span>, Flaw> {
    let raw: Vec<&RawValue> = serde_json::from_str(part(text, array)).map_err(|_| Flaw::Syntax)?;
    Ok(raw.into_iter().map(|item| span(text, item)).collect())
}

fn read<'t, V: Visitor<'t>>(text: &'t str, visitor: V) -> Result<V::Value, Flaw> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = deserializer
        .deserialize_map(visitor)
        .map_err(|_| Flaw::Syntax)?;
    deserializer.end().map_err(|_| Flaw::Syntax)?;
    Ok(value)
}

/// A raw value borrowed from `text` is a part of it: the distance of the two is its offset.
fn span(text: &str, value: &RawValue) -> Span {
    let value = value.get();
    let start = value.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + value.len()
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = access.next_key_seed(Name)? {
            members.push((name, access.next_value()?));
        }
        Ok(members)
    }
}
