use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use chancery_types::is_mark_of_reader;
use chancery_types::limits::MAX_JSON_DEPTH;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// What makes a text unfit to be judged: two parsers could read it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Not JSON.
    Syntax,
    /// A member name twice in one object, however it is escaped, or one that a reader takes for a mark of its
    /// own.
    Duplicate,
    /// Nested beyond [`MAX_JSON_DEPTH`].
    Depth,
}

/// Reads `text` to its end. Whatever passes has one reading: valid JSON, no member twice in any
/// object, none that a reader takes for a mark of its own, no unpaired surrogate, bounded nesting, nothing after the value.
pub(crate) fn guard(text: &str) -> Result<(), Flaw> {
    let flaw = Cell::new(Flaw::Syntax);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Guard {
        flaw: &flaw,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end())
    .map_err(|_| flaw.get())
}

#[derive(Clone, Copy)]
struct Guard<'f> {
    flaw: &'f Cell<Flaw>,
    depth: usize,
}

impl Guard<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_JSON_DEPTH {
            self.flaw.set(Flaw::Depth);
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Guard<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Guard<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while access.next_element_seed(deeper)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut seen = HashSet::new();
        while let Some(name) = access.next_key_seed(Name)? {
            if is_mark_of_reader(&name) || !seen.insert(name) {
                self.flaw.set(Flaw::Duplicate);
                return Err(A::Error::custom("a member of several readings"));
            }
            access.next_value_seed(deeper)?;
        }
        Ok(())
    }
}

/// A member name, borrowed where it holds no escape.
pub(super) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_parsers_disagree_about() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        for (bad, flaw) in [
            (r#"{"a":1,"a":1}"#, Flaw::Duplicate),
            (r#"{"a":1,"\u0061":1}"#, Flaw::Duplicate),
            (r#"[{"x":{"y":[{"b":1,"b":2}]}}]"#, Flaw::Duplicate),
            (
                r#"{"a":{"$serde_json::private::RawValue":"7"}}"#,
                Flaw::Duplicate,
            ),
            (
                r#"[{"\u0024serde_json::private::Number":"7"}]"#,
                Flaw::Duplicate,
            ),
            (deep.as_str(), Flaw::Depth),
            (r#"{"a":1,}"#, Flaw::Syntax),
            (r#"{"a":01}"#, Flaw::Syntax),
            (r#"{"a":NaN}"#, Flaw::Syntax),
            (r#"{"a":"\ud800"}"#, Flaw::Syntax),
            ("{\"a\":\"\n\"}", Flaw::Syntax),
            ("{} {}", Flaw::Syntax),
            ("\u{feff}{}", Flaw::Syntax),
            ("// x\n{}", Flaw::Syntax),
            ("", Flaw::Syntax),
        ] {
            assert_eq!(guard(bad), Err(flaw), "{bad:?}");
        }
    }

    #[test]
    fn admits_every_unambiguous_text() {
        let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
        for good in [
            r#" {"a":[1,-2.50,1E3,true,null,"\u00e9"],"b":{"a":1}} "#,
            "12345678901234567890123",
            &deep,
        ] {
            assert_eq!(guard(good), Ok(()), "{good:?}");
        }
    }
}
