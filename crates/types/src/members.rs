//! How objects and their members are read where a derived reader takes more than one spelling.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads an object and nothing else: a derived reader of a struct takes a list of the values as
/// well. `expected` is said where something else is found.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    deserializer.deserialize_map(ObjectVisitor {
        expected,
        read: PhantomData,
    })
}

/// Reads a member that may be missing but is never null: for `Option` members, with `default`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

struct ObjectVisitor<T> {
    expected: &'static str,
    read: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Named {
        name: String,
        #[serde(default, deserialize_with = "present")]
        age: Option<u64>,
    }

    fn read(text: &str) -> Result<Named, serde_json::Error> {
        object(&mut serde_json::Deserializer::from_str(text), "a person")
    }

    #[test]
    fn a_list_is_no_object_and_null_is_not_absence() {
        let read_whole = read(r#"{"name":"a","age":1}"#).unwrap();
        assert_eq!(read_whole.age, Some(1));
        assert_eq!(read(r#"{"name":"a"}"#).unwrap().age, None);
        for bad in [r#"["a",1]"#, r#"{"name":"a","age":null}"#, "null", "\"a\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let said = read(r#"["a",1]"#).unwrap_err().to_string();
        assert!(said.contains("expected a person"), "{said}");
    }
}
