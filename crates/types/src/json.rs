//! JSON that borrows its texts from where they were read.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// A JSON value whose texts and names stand in the bytes that were read, wherever no escape had to
/// be resolved. What a token says is read once and mostly compared: copies would cost more than the
/// reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// The members of an object as they were written, each name once.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The same value, its texts borrowed.
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                let members = members.iter();
                let borrowed =
                    |(name, value)| (Cow::Borrowed(String::as_str(name)), Self::of(value));
                Self::Object(members.map(borrowed).collect())
            }
        }
    }

    /// The text, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, where this is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The integer, where this is one that fits and is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// The items, where this is an array.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The members, where this is an object.
    pub fn as_members(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }
}

impl From<Json<'_>> for Value {
    fn from(json: Json<'_>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => Self::Number(number),
            Json::Text(text) => Self::String(text.into_owned()),
            Json::List(items) => items.into_iter().map(Self::from).collect(),
            Json::Object(members) => {
                let owned = |(name, value): (Cow<'_, str>, Json<'_>)| {
                    (name.into_owned(), Self::from(value))
                };
                Self::Object(members.into_iter().map(owned).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_value_says() {
        let value = serde_json::json!({
            "a": [null, true, -1, 18_446_744_073_709_551_615_u64, 1.5, "x"],
            "b": {"c": {}, "d": []},
        });
        assert_eq!(Value::from(Json::of(&value)), value);
        let json = Json::of(&value);
        let members = json.as_members().unwrap();
        let items = members[0].1.as_list().unwrap();
        assert_eq!(items[2].as_i64(), Some(-1));
        assert_eq!(items[2].as_u64(), None);
        assert_eq!(items[3].as_i64(), None);
        assert_eq!(items[4].as_u64(), None);
        assert_eq!(items[5].as_str(), Some("x"));
        assert_eq!(items[5].as_u64(), None);
        assert_eq!(members[1].1.as_list(), None);
        assert_eq!(members[0].1.as_members(), None);
        assert_eq!(json.as_str(), None);
    }
}
