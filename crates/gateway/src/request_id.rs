use std::fmt;

/// The id of a JSON-RPC request, or a progress token: an integer or a string. Two spellings of the
/// same id are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestId {
    /// An integer.
    Integer(i64),
    /// A string.
    Text(Box<str>),
}

impl RequestId {
    /// Reads a JSON value. `None` for what MCP does not admit as an id: null, fractions, integers
    /// beyond 64 bits, arrays and objects.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        if text.starts_with('"') {
            return serde_json::from_str(text).ok().map(Self::Text);
        }
        text.parse().ok().map(Self::Integer)
    }

    /// The id as a JSON value.
    pub(crate) fn to_value(&self) -> serde_json::Value {
        match self {
            Self::Integer(integer) => (*integer).into(),
            Self::Text(text) => text.as_ref().into(),
        }
    }
}

impl fmt::Display for RequestId {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_integers_and_strings_only() {
        assert_eq!(RequestId::from_json("-7"), Some(RequestId::Integer(-7)));
        assert_eq!(
            RequestId::from_json(r#""a\u0062""#),
            RequestId::from_json(r#""ab""#)
        );
        assert_ne!(RequestId::from_json("1"), RequestId::from_json(r#""1""#));
        for bad in [
            "null",
            "1.0",
            "1e3",
            "9223372036854775808",
            "[]",
            "{}",
            "true",
            "",
        ] {
            assert_eq!(RequestId::from_json(bad), None, "{bad}");
        }
    }
}
