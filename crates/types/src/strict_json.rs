//! JSON read strictly: one reading per text, so that no two parsers can disagree about it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::MAX_JSON_DEPTH;

/// Why a text is refused. The message names what was found, never the content.
#[derive(Debug, thiserror::Error)]
#[error("not strict JSON: {0}")]
pub struct StrictJsonError(#[source] serde_json::Error);

/// Parses one JSON text. Refuses duplicate members, floating point numbers, nesting beyond
/// [`MAX_JSON_DEPTH`] and anything after the value.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    parse(bytes, false)
}

/// As [`parse_strict`], but admits floating point numbers: for what others wrote.
pub fn parse_strict_with_floats(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    parse(bytes, true)
}

fn parse(bytes: &[u8], floats: bool) -> Result<Value, StrictJsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { floats, depth: 0 }
        .deserialize(&mut deserializer)
        .map_err(StrictJsonError)?;
    deserializer.end().map_err(StrictJsonError)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict {
    floats: bool,
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_JSON_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if !self.floats {
            return Err(E::custom("a floating point number"));
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(deeper)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom("a duplicate member"));
            }
            let value = access.next_value_seed(deeper)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_parsers_disagree_about() {
        let deep = "[".repeat(65) + &"]".repeat(65);
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            "NaN",
            "{} {}",
            "{}x",
            r#"{"a":1,}"#,
            "\u{feff}{}",
            r#""\ud800""#,
            &deep,
            "",
        ] {
            assert!(parse_strict(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(parse_strict(b"\"\xff\"").is_err());
    }

    #[test]
    fn admits_the_rest() {
        assert!(parse_strict(br#" {"a":[1,-2,true,null,"x"]} "#).is_ok());
        assert!(parse_strict_with_floats(br#"{"a":1.5}"#).is_ok());
        assert!(parse_strict_with_floats(br#"{"a":1.5,"a":2}"#).is_err());
    }
}
