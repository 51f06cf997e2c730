//! What `bundle.json` says about one tool.

use std::collections::BTreeMap;

use serde_json::Value;

/// The type that policy sees an argument with. No type has a fraction: money is an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgType {
    /// A 64-bit integer.
    Long,
    /// A text.
    String,
    /// True or false.
    Bool,
}

impl ArgType {
    pub(crate) const fn cedar(self) -> &'static str {
        match self {
            Self::Long => "Long",
            Self::String => "String",
            Self::Bool => "Bool",
        }
    }

    /// Whether `value` is of this type.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::Long => value.as_i64().is_some(),
            Self::String => value.is_string(),
            Self::Bool => value.is_boolean(),
        }
    }
}

/// One declared argument of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    kind: ArgType,
    optional: bool,
}

impl Argument {
    /// Reads `long`, `string` or `bool`, with a question mark when a call may leave it out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, optional) = match text.strip_suffix('?') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let kind = match name {
            "long" => ArgType::Long,
            "string" => ArgType::String,
            "bool" => ArgType::Bool,
            _ => return None,
        };
        Some(Self { kind, optional })
    }

    /// Its type.
    pub const fn kind(&self) -> ArgType {
        self.kind
    }

    /// Whether a call may leave it out.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }
}

/// What one unit of a cost argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostUnit {
    /// A millionth of the currency's unit.
    Micros,
    /// A hundredth of the currency's unit.
    Cents,
}

impl CostUnit {
    pub(crate) const fn micros(self) -> u64 {
        match self {
            Self::Micros => 1,
            Self::Cents => 10_000,
        }
    }
}

/// Why a call's cost is unknown. A call of unknown cost is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CostError {
    /// The cost argument is absent, not an integer, or negative.
    #[error("the cost argument is not a non-negative integer")]
    NotAnAmount,
    /// The cost is beyond what any budget holds.
    #[error("the cost is too large")]
    TooLarge,
}

/// One tool as `bundle.json` declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub(crate) args: BTreeMap<String, Argument>,
    pub(crate) clear: Vec<String>,
    pub(crate) cost: Option<(String, CostUnit)>,
}

/// Longest text that stands in clear in a log entry; longer ones stay behind their digest.
const MAX_CLEAR_BYTES: usize = 1_024;

/// Largest integer that a log entry carries.
const MAX_CLEAR_INTEGER: u64 = (1 << 53) - 1;

impl Tool {
    /// The declared arguments. Policy sees these and no others.
    pub const fn args(&self) -> &BTreeMap<String, Argument> {
        &self.args
    }

    /// Whether policy can see the arguments of a call: none that is required is absent, and each has
    /// its declared type.
    pub(crate) fn fits(&self, arguments: &Value) -> bool {
        self.args
            .iter()
            .all(|(name, argument)| match arguments.get(name) {
                Some(value) => argument.kind.admits(value),
                None => argument.optional,
            })
    }

    /// The arguments of a call whose values may stand in clear in the log: declared so, of the
    /// declared type, and short.
    pub fn clear_args(&self, arguments: &Value) -> BTreeMap<String, Value> {
        self.clear
            .iter()
            .filter_map(|name| {
                let kind = self.args.get(name)?.kind;
                let value = arguments.get(name)?;
                let short = match value {
                    Value::String(text) => text.len() <= MAX_CLEAR_BYTES,
                    Value::Number(number) => number
                        .as_i64()
                        .is_some_and(|number| number.unsigned_abs() <= MAX_CLEAR_INTEGER),
                    _ => true,
                };
                (kind.admits(value) && short).then(|| (name.clone(), value.clone()))
            })
            .collect()
    }

    /// What a call costs, in micros; zero for a tool without a cost argument.
    pub fn cost_micros(&self, arguments: &Value) -> Result<u64, CostError> {
        let Some((name, unit)) = &self.cost else {
            return Ok(0);
        };
        arguments
            .get(name)
            .and_then(Value::as_u64)
            .ok_or(CostError::NotAnAmount)?
            .checked_mul(unit.micros())
            .filter(|micros| *micros <= MAX_CLEAR_INTEGER)
            .ok_or(CostError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool() -> Tool {
        let argument = |text| Argument::parse(text).unwrap();
        Tool {
            args: BTreeMap::from([
                ("amount".to_owned(), argument("long")),
                ("to".to_owned(), argument("string?")),
            ]),
            clear: vec!["amount".to_owned(), "to".to_owned()],
            cost: Some(("amount".to_owned(), CostUnit::Cents)),
        }
    }

    #[test]
    fn a_cost_that_is_not_an_amount_is_refused() {
        for bad in [
            json!({}),
            json!(null),
            json!({"amount": -1}),
            json!({"amount": "5"}),
            json!({"amount": 5.0}),
            json!({"amount": null}),
        ] {
            assert_eq!(
                tool().cost_micros(&bad),
                Err(CostError::NotAnAmount),
                "{bad}"
            );
        }
        for bad in [u64::MAX, 1 << 53, 900_719_925_475] {
            let bad = json!({"amount": bad});
            assert_eq!(tool().cost_micros(&bad), Err(CostError::TooLarge), "{bad}");
        }
        assert_eq!(
            tool().cost_micros(&json!({"amount": 30_000})),
            Ok(300_000_000)
        );
    }

    #[test]
    fn only_short_values_of_the_declared_type_stand_in_clear() {
        let long = "x".repeat(1_025);
        for bad in [
            json!({"to": long}),
            json!({"to": 5}),
            json!({"amount": "secret"}),
            json!({"amount": 1_u64 << 53}),
            json!({"amount": 1.5}),
            json!({"undeclared": "secret"}),
            json!(["to"]),
        ] {
            assert!(tool().clear_args(&bad).is_empty(), "{bad}");
        }
        assert_eq!(
            tool()
                .clear_args(&json!({"amount": 5, "to": "x", "memo": "m"}))
                .len(),
            2
        );
    }

    #[test]
    fn unknown_types_are_refused() {
        for bad in ["", "?", "long??", "Long", "decimal", "float", "long ?"] {
            assert_eq!(Argument::parse(bad), None, "{bad:?}");
        }
    }
}
