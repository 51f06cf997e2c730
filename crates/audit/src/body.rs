//! One macro makes the type of an event, its reader, its writer and its documentation, so that the
//! four cannot differ.

use std::collections::BTreeMap;

use chancery_types::id::{Id, Kind};
use chancery_types::limits::MAX_SAFE_INTEGER;
use chancery_types::{Digest, RevocationKind, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Content, Label};

/// Whose log holds a type of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Writer {
    /// The server's.
    Server,
    /// A gateway's.
    Gateway,
    /// Either of them.
    Either,
    /// That of a recorder, which holds what other programs send and nothing else.
    Recorder,
}

impl Writer {
    /// Whether the log of `other` may hold what this one writes.
    pub fn may_write_as(self, other: Self) -> bool {
        self == Self::Either || self == other
    }
}

/// The body of one type of entry.
pub trait Body: Serialize + DeserializeOwned {
    /// The `type` of the entry.
    const TYPE: &'static str;
    /// Whose log holds it.
    const WRITER: Writer;

    /// Its documentation.
    fn documentation() -> TypeDoc;
}

/// What one type of entry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeDoc {
    /// The `type` of the entry.
    pub name: &'static str,
    /// Whose log holds it.
    pub writer: Writer,
    /// What it says.
    pub meaning: String,
    /// The members of its body.
    pub fields: Vec<FieldDoc>,
}

/// What one member of a body means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDoc {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: String,
    /// The JSON Schema of its values.
    pub schema: Value,
    /// Whether every entry of the type has it.
    pub required: bool,
    /// What it says.
    pub meaning: String,
}

/// A type that members of bodies have.
pub trait FieldType {
    /// What the documentation calls it.
    fn describe() -> String;

    /// The JSON Schema (2020-12) of its values: every one that is read, and as little else as a
    /// schema can say.
    fn schema() -> Value;
}

macro_rules! described {
    ($($type:ty => $text:literal, $schema:expr;)*) => {$(
        impl FieldType for $type {
            fn describe() -> String {
                $text.to_owned()
            }

            fn schema() -> Value {
                $schema
            }
        }
    )*};
}

described! {
    Label => "text", json!({
        "type": "string",
        "minLength": 1,
        "maxLength": Label::MAX_BYTES,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
    });
    Content => "base64url", json!({
        "type": "string",
        "minLength": 2,
        // Four characters for each three bytes.
        "maxLength": (Content::MAX_BYTES * 4).div_ceil(3),
        "pattern": "^[A-Za-z0-9_-]*$",
    });
    Digest => "digest", json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" });
    Timestamp => "microseconds since the epoch", u64::schema();
    u64 => "integer", json!({ "type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER });
    bool => "boolean", json!({ "type": "boolean" });
    RevocationKind => "token | session | mission | agent | instance | person | key | consent",
        one_of(&Self::describe().split(" | ").collect::<Vec<_>>());
}

/// The schema of a closed set of words.
pub(crate) fn one_of(words: &[&str]) -> Value {
    json!({ "enum": words })
}

/// The schema of an object with these members and no others.
pub(crate) fn object(fields: Vec<FieldDoc>) -> Value {
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut properties = serde_json::Map::new();
    for mut field in fields.clone() {
        if let Some(schema) = field.schema.as_object_mut() {
            schema.insert("description".to_owned(), field.meaning.into());
        }
        properties.insert(field.name.to_owned(), field.schema);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

impl<K: Kind> FieldType for Id<K> {
    fn describe() -> String {
        format!("{}_ id", K::PREFIX)
    }

    fn schema() -> Value {
        // 128 bits in 26 digits of five bits: the first one carries three.
        let pattern = format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX);
        json!({ "type": "string", "pattern": pattern })
    }
}

impl<T: FieldType> FieldType for Vec<T> {
    fn describe() -> String {
        format!("array of {}", T::describe())
    }

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl<T: FieldType> FieldType for BTreeMap<Label, T> {
    fn describe() -> String {
        format!("object of {}", T::describe())
    }

    fn schema() -> Value {
        json!({
            "type": "object",
            "propertyNames": Label::schema(),
            "additionalProperties": T::schema(),
        })
    }
}

/// Joins the lines of a doc comment.
pub(crate) fn joined(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A struct of named members, read strictly, with its documentation.
macro_rules! record {
    (
        $(#[doc = $meaning:literal])+
        pub struct $name:ident {
            $($(#[doc = $field_meaning:literal])+ $field:ident: $type:ty,)*
            $([optional] $($(#[doc = $optional_meaning:literal])+ $optional:ident: $optional_type:ty,)*)?
        }
    ) => {
        $(#[doc = $meaning])+
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $field_meaning])+ pub $field: $type,)*
            $($(
                $(#[doc = $optional_meaning])+
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $optional: Option<$optional_type>,
            )*)?
        }

        impl $name {
            fn fields() -> Vec<$crate::FieldDoc> {
                vec![
                    $($crate::FieldDoc {
                        name: stringify!($field),
                        kind: <$type as $crate::FieldType>::describe(),
                        schema: <$type as $crate::FieldType>::schema(),
                        required: true,
                        meaning: $crate::body::joined(&[$($field_meaning),+]),
                    },)*
                    $($($crate::FieldDoc {
                        name: stringify!($optional),
                        kind: <$optional_type as $crate::FieldType>::describe(),
                        schema: <$optional_type as $crate::FieldType>::schema(),
                        required: false,
                        meaning: $crate::body::joined(&[$($optional_meaning),+]),
                    },)*)?
                ]
            }
        }
    };
}

/// The body of one type of entry.
macro_rules! body {
    (
        $(#[doc = $meaning:literal])+
        pub struct $name:ident = $kind:literal in $writer:ident { $($members:tt)* }
    ) => {
        record! {
            $(#[doc = $meaning])+
            pub struct $name { $($members)* }
        }

        impl $crate::Body for $name {
            const TYPE: &'static str = $kind;
            const WRITER: $crate::Writer = $crate::Writer::$writer;

            fn documentation() -> $crate::TypeDoc {
                $crate::TypeDoc {
                    name: $kind,
                    writer: $crate::Writer::$writer,
                    meaning: $crate::body::joined(&[$($meaning),+]),
                    fields: Self::fields(),
                }
            }
        }
    };
}

/// Part of a body: documented by the names of its members.
macro_rules! part {
    (
        $(#[doc = $meaning:literal])+
        pub struct $name:ident { $($members:tt)* }
    ) => {
        record! {
            $(#[doc = $meaning])+
            pub struct $name { $($members)* }
        }

        impl $crate::FieldType for $name {
            fn describe() -> String {
                let members: Vec<String> = Self::fields()
                    .into_iter()
                    .map(|field| {
                        let optional = if field.required { "" } else { "?" };
                        format!("{}{optional}: {}", field.name, field.kind)
                    })
                    .collect();
                format!("{{{}}}", members.join(", "))
            }

            fn schema() -> serde_json::Value {
                $crate::body::object(Self::fields())
            }
        }
    };
}

/// A closed set of words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// The word in the entry.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::FieldType for $name {
            fn describe() -> String {
                [$($word),*].join(" | ")
            }

            fn schema() -> serde_json::Value {
                $crate::body::one_of(&[$($word),*])
            }
        }
    };
}
