//! The names of things in the books.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const LONGEST: usize = 32;

/// What a code names, and of which characters it may consist.
pub trait CodeKind: Clone + Copy + Ord + fmt::Debug + Send + Sync + 'static {
    /// The noun for messages and schemas.
    const NOUN: &'static str;
    /// Whether letters are upper case (numbers of papers) or lower case (names).
    const UPPER: bool;
}

/// A name in the books: 1 to 32 letters of one case, digits and inner hyphens, starting with a
/// letter. Display and parsing round-trip; no other spelling is accepted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code<K> {
    text: String,
    kind: PhantomData<K>,
}

/// Why a text is not a name in the books.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {noun}: expected {case} letters, digits and inner hyphens, {LONGEST} at most")]
pub struct CodeError {
    noun: &'static str,
    case: &'static str,
}

macro_rules! code_kinds {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident, $noun:literal, $upper:literal;)*) => {$(
        $(#[$doc])*
        pub type $alias = Code<kind::$kind>;
    )*
        /// The kinds of code.
        pub mod kind {
            $(
                $(#[$doc])*
                #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
                pub struct $kind;

                impl super::CodeKind for $kind {
                    const NOUN: &'static str = $noun;
                    const UPPER: bool = $upper;
                }
            )*
        }
    };
}

code_kinds! {
    /// One region's books.
    Book = BookKind, "a book", false;
    /// An account of a book.
    AccountCode = AccountKind, "an account", false;
    /// The number of an invoice.
    InvoiceNumber = InvoiceKind, "an invoice number", true;
    /// The number of a bank line.
    PaymentNumber = PaymentKind, "a payment number", true;
}

impl<K: CodeKind> Code<K> {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K: CodeKind> FromStr for Code<K> {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let letter = |byte: u8| match K::UPPER {
            true => byte.is_ascii_uppercase(),
            false => byte.is_ascii_lowercase(),
        };
        let inner = |byte: u8| letter(byte) || byte.is_ascii_digit() || byte == b'-';
        let well_formed = text.len() <= LONGEST
            && text.bytes().next().is_some_and(letter)
            && text.bytes().all(inner)
            && !text.ends_with('-');
        if !well_formed {
            return Err(CodeError {
                noun: K::NOUN,
                case: if K::UPPER { "upper-case" } else { "lower-case" },
            });
        }
        Ok(Self {
            text: text.to_owned(),
            kind: PhantomData,
        })
    }
}

impl<K: CodeKind> fmt::Display for Code<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K: CodeKind> fmt::Debug for Code<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K: CodeKind> Serialize for Code<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, K: CodeKind> Deserialize<'de> for Code<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<K: CodeKind> JsonSchema for Code<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        K::NOUN.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let letters = if K::UPPER { "A-Z" } else { "a-z" };
        json_schema!({
            "type": "string",
            "maxLength": LONGEST,
            "pattern": format!("^[{letters}](?:[{letters}0-9-]*[{letters}0-9])?$"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_spelling_and_round_trips() {
        for text in ["INV-N-0001", "A", "PAY1"] {
            assert_eq!(text.parse::<InvoiceNumber>().unwrap().to_string(), text);
        }
        assert_eq!(
            "bank-fees".parse::<AccountCode>().unwrap().as_str(),
            "bank-fees"
        );
    }

    #[test]
    fn refuses_everything_else() {
        let long = "A".repeat(33);
        for text in [
            "",
            "inv-1",
            "1NV",
            "-INV",
            "INV-",
            "INV 1",
            "INV\u{130}",
            "INV\0",
            &long,
        ] {
            assert!(text.parse::<InvoiceNumber>().is_err(), "{text:?}");
        }
        for text in ["North", "north ", "north'--", "../north", "*"] {
            assert!(text.parse::<Book>().is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<Book>("7").is_err());
    }
}
