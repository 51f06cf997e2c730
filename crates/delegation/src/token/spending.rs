use chancery_types::Json;
use chancery_types::limits::MAX_SAFE_INTEGER;
use serde_json::{Map, Value};

use crate::Reason;

/// How often and for how much an entry may be used. Counted by the session, against the root and
/// each ancestor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most calls.
    pub max_calls: Option<u64>,
    /// Most cost, in millionths of the currency.
    pub max_cost_micros: Option<u64>,
}

impl Limits {
    pub(crate) fn parse(value: &Json<'_>) -> Result<Self, Reason> {
        let members = value.as_members().ok_or(Reason::ConstraintUnknown)?;
        let mut limits = Self::default();
        for (name, value) in members {
            let amount = value
                .as_u64()
                .filter(|amount| *amount <= MAX_SAFE_INTEGER)
                .ok_or(Reason::ConstraintUnknown)?;
            match name.as_ref() {
                "max_calls" => limits.max_calls = Some(amount),
                "max_cost_micros" => limits.max_cost_micros = Some(amount),
                _ => return Err(Reason::ConstraintUnknown),
            }
        }
        Ok(limits)
    }

    pub(crate) fn to_json(self) -> Option<Value> {
        let members = [
            ("max_calls", self.max_calls),
            ("max_cost_micros", self.max_cost_micros),
        ];
        let members: Map<_, _> = members
            .into_iter()
            .filter_map(|(name, amount)| Some((name.to_owned(), Value::from(amount?))))
            .collect();
        (!members.is_empty()).then_some(Value::Object(members))
    }

    /// Whether `child` has every limit that this has, and none that is larger.
    pub fn subsumes(&self, child: &Self) -> bool {
        let within = |mine: Option<u64>, theirs: Option<u64>| {
            mine.is_none_or(|mine| theirs.is_some_and(|theirs| theirs <= mine))
        };
        within(self.max_calls, child.max_calls)
            && within(self.max_cost_micros, child.max_cost_micros)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refuses_what_is_no_amount() {
        for bad in [
            json!({"max_calls": true}),
            json!({"max_calls": -1}),
            json!({"max_calls": 1.0}),
            json!({"max_calls": "1"}),
            json!({"max_calls": null}),
            json!({"max_calls": 9_007_199_254_740_992_u64}),
            json!({"max_bytes": 1}),
            json!([]),
            json!(null),
        ] {
            assert_eq!(
                Limits::parse(&Json::of(&bad)),
                Err(Reason::ConstraintUnknown),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_limit_is_kept_and_never_raised() {
        let limits = |calls, cost| Limits {
            max_calls: calls,
            max_cost_micros: cost,
        };
        assert!(limits(None, None).subsumes(&limits(Some(9), None)));
        assert!(limits(Some(5), None).subsumes(&limits(Some(5), Some(1))));
        assert!(limits(Some(0), None).subsumes(&limits(Some(0), None)));
        for (parent, child) in [
            (limits(Some(5), None), limits(None, None)),
            (limits(Some(5), None), limits(Some(6), None)),
            (limits(Some(5), Some(1)), limits(Some(5), None)),
            (limits(None, Some(1)), limits(Some(5), Some(2))),
        ] {
            assert!(!parent.subsumes(&child));
        }
    }
}
