//! JSON read strictly: one reading per text, so that no two parsers can disagree about it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::Json;
use crate::limits::MAX_JSON_DEPTH;

/// Up to so many members, each new name is compared with those before it; beyond, all are sorted once.
const FEW_MEMBERS: usize = 16;

/// Whether `serde_json` takes a member of that name for a mark of its own, with its features `raw_value` and
/// `arbitrary_precision`: what stands there is read as another value than was written.
pub fn is_mark_of_reader(name: &str) -> bool {
    name.starts_with("$serde_json::private::")
}

/// Why a text is refused. The message names what was found, never the content.
#[derive(Debug, thiserror::Error)]
#[error("not strict JSON: {0}")]
pub struct StrictJsonError(#[source] serde_json::Error);

/// Parses one JSON text. Refuses duplicate members, members that some readers take for marks of their own
/// (`$serde_json::private::`), floating point numbers, nesting beyond [`MAX_JSON_DEPTH`] and anything after the
/// value.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    parse(bytes, false).map(Value::from)
}

/// As [`parse_strict`], without a copy of what the text holds.
pub fn parse_strict_borrowed(bytes: &[u8]) -> Result<Json<'_>, StrictJsonError> {
    parse(bytes, false)
}

/// As [`parse_strict`], but admits floating point numbers: for what others wrote.
pub fn parse_strict_with_floats(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    parse(bytes, true).map(Value::from)
}

fn parse(bytes: &[u8], floats: bool) -> Result<Json<'_>, StrictJsonError> {
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
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        if !self.floats {
            return Err(E::custom("a floating point number"));
        }
        Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let deeper = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(deeper)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let deeper = self.deeper()?;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(name) = access.next_key_seed(Name)? {
            if is_mark_of_reader(&name) {
                return Err(A::Error::custom("a member that readers take for a mark"));
            }
            let few = members.iter().take(FEW_MEMBERS);
            if few.into_iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("a duplicate member"));
            }
            let value = access.next_value_seed(deeper)?;
            members.push((name, value));
        }
        if members.len() > FEW_MEMBERS && !are_unique(&members) {
            return Err(A::Error::custom("a duplicate member"));
        }
        Ok(Json::Object(members))
    }
}

fn are_unique(members: &[(Cow<'_, str>, Json<'_>)]) -> bool {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair.first() != pair.last())
}

/// The name of a member.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
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
            r#"{"$serde_json::private::RawValue":"7"}"#,
            r#"{"a":[{"\u0024serde_json::private::RawValue":"{}"}]}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
            r#"{"a":1,"$serde_json::private::":null}"#,
            &deep,
            "",
        ] {
            assert!(parse_strict(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(parse_strict(b"\"\xff\"").is_err());
    }

    #[test]
    fn finds_a_duplicate_among_many() {
        let object = |names: &[usize]| {
            let members = names.iter().map(|name| format!(r#""{name}":0"#));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        for count in [2, FEW_MEMBERS, FEW_MEMBERS + 1, FEW_MEMBERS + 2, 100] {
            let mut names: Vec<usize> = (0..count).collect();
            assert!(parse_strict(object(&names).as_bytes()).is_ok());
            for at in [0, count / 2, count - 1] {
                names.push(at);
                assert!(
                    parse_strict(object(&names).as_bytes()).is_err(),
                    "{count} {at}"
                );
                names.pop();
            }
        }
    }

    #[test]
    fn borrows_and_owns_alike() {
        let text = r#"{"a":"b","\u0063":"\u0064","e":[{"f":1}]}"#;
        let borrowed = parse_strict_borrowed(text.as_bytes()).unwrap();
        let members = borrowed.as_members().unwrap();
        assert!(matches!(
            members[0],
            (Cow::Borrowed("a"), Json::Text(Cow::Borrowed("b")))
        ));
        assert_eq!(
            members[1],
            (Cow::Borrowed("c"), Json::Text(Cow::Borrowed("d")))
        );
        assert_eq!(
            Value::from(borrowed.clone()),
            parse_strict(text.as_bytes()).unwrap()
        );
        assert!(parse_strict_borrowed(b"{\"a\":1.0}").is_err());
    }

    #[test]
    fn admits_the_rest() {
        assert!(parse_strict(br#" {"a":[1,-2,true,null,"x"]} "#).is_ok());
        assert!(parse_strict_with_floats(br#"{"a":1.5}"#).is_ok());
        assert!(parse_strict_with_floats(br#"{"a":1.5,"a":2}"#).is_err());
    }
}
