use std::collections::BTreeSet;

use chancery_types::Json;
use serde_json::{Map, Value};

use super::network::Position;
use super::{CleanPath, Network};
use crate::Reason;

/// A constraint on one argument of a call. The set is closed so that whether one constraint implies
/// another is always decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Constraint {
    /// This value.
    Exact(Scalar),
    /// One of these values; never empty.
    OneOf(BTreeSet<Scalar>),
    /// This path or one below it.
    PathPrefix(CleanPath),
    /// An integer in this range, both ends included.
    IntRange(i64, i64),
    /// An address or network in this network.
    Cidr(Network),
}

/// A value that an argument can be held to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scalar {
    /// A boolean.
    Boolean(bool),
    /// An integer within what every JSON reader represents exactly.
    Integer(i64),
    /// A text, compared byte by byte.
    Text(String),
}

/// What a constraint says about a value. Only [`Judgement::Holds`] permits; only
/// [`Judgement::Fails`] escapes a prohibition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// The value does not satisfy the constraint.
    Fails,
    /// It cannot be said: the value is missing, of another type or of several readings.
    Unclear,
    /// The value satisfies the constraint.
    Holds,
}

const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

impl Constraint {
    pub(crate) fn parse(value: &Json<'_>) -> Result<Self, Reason> {
        Self::read(value).ok_or(Reason::ConstraintUnknown)
    }

    fn read(value: &Json<'_>) -> Option<Self> {
        let mut members = value.as_members()?.iter();
        let (kind, value) = members.next()?;
        if members.next().is_some() {
            return None;
        }
        match kind.as_ref() {
            "exact" => Scalar::parse(value).map(Self::Exact),
            "one_of" => {
                let values: Option<BTreeSet<_>> =
                    value.as_list()?.iter().map(Scalar::parse).collect();
                values.filter(|values| !values.is_empty()).map(Self::OneOf)
            }
            "path_prefix" => value.as_str()?.parse().ok().map(Self::PathPrefix),
            "int_range" => match value.as_list()? {
                [low, high] => {
                    let (low, high) = (integer(low)?, integer(high)?);
                    (low <= high).then_some(Self::IntRange(low, high))
                }
                _ => None,
            },
            "cidr" => value.as_str()?.parse().ok().map(Self::Cidr),
            _ => None,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let (kind, value) = match self {
            Self::Exact(value) => ("exact", value.to_json()),
            Self::OneOf(values) => ("one_of", values.iter().map(Scalar::to_json).collect()),
            Self::PathPrefix(path) => ("path_prefix", path.as_str().into()),
            Self::IntRange(low, high) => ("int_range", Value::from(vec![*low, *high])),
            Self::Cidr(network) => ("cidr", network.to_string().into()),
        };
        Value::Object(Map::from_iter([(kind.to_owned(), value)]))
    }

    /// Whether every value that satisfies `child` satisfies this, by the rules of the format and
    /// by no others.
    pub fn subsumes(&self, child: &Self) -> bool {
        match (self, child) {
            (Self::Exact(mine), Self::Exact(value)) => mine == value,
            (Self::OneOf(mine), Self::Exact(value)) => mine.contains(value),
            (Self::OneOf(mine), Self::OneOf(values)) => values.is_subset(mine),
            (Self::PathPrefix(_) | Self::IntRange(..) | Self::Cidr(_), Self::Exact(value)) => {
                self.judge_scalar(value) == Judgement::Holds
            }
            (Self::PathPrefix(_), Self::OneOf(values)) => values
                .iter()
                .all(|value| self.judge_scalar(value) == Judgement::Holds),
            (Self::PathPrefix(mine), Self::PathPrefix(path)) => mine.covers(path),
            (Self::IntRange(low, high), Self::IntRange(from, to)) => low <= from && to <= high,
            (Self::Cidr(mine), Self::Cidr(network)) => mine.covers(network),
            _ => false,
        }
    }

    /// Judges an argument; `None` is a call without it.
    pub fn judge(&self, value: Option<&Value>) -> Judgement {
        value
            .and_then(Scalar::read)
            .map_or(Judgement::Unclear, |value| self.judge_scalar(&value))
    }

    fn judge_scalar(&self, value: &Scalar) -> Judgement {
        let decide = |holds: bool| {
            if holds {
                Judgement::Holds
            } else {
                Judgement::Fails
            }
        };
        match (self, value) {
            (Self::Exact(mine), value) if mine.same_type(value) => decide(mine == value),
            (Self::OneOf(mine), value) if mine.contains(value) => Judgement::Holds,
            (Self::OneOf(mine), value) if mine.iter().all(|known| known.same_type(value)) => {
                Judgement::Fails
            }
            (Self::PathPrefix(mine), Scalar::Text(text)) => text
                .parse()
                .map_or(Judgement::Unclear, |path| decide(mine.covers(&path))),
            (Self::IntRange(low, high), Scalar::Integer(value)) => {
                decide((low..=high).contains(&value))
            }
            (Self::Cidr(mine), Scalar::Text(text)) => match mine.position_of(text) {
                Position::Inside => Judgement::Holds,
                Position::Outside => Judgement::Fails,
                Position::Unclear => Judgement::Unclear,
            },
            _ => Judgement::Unclear,
        }
    }
}

impl Scalar {
    pub(crate) fn parse(value: &Json<'_>) -> Option<Self> {
        match value {
            Json::Bool(value) => Some(Self::Boolean(*value)),
            Json::Text(text) => Some(Self::Text(text.as_ref().to_owned())),
            Json::Number(_) => integer(value).map(Self::Integer),
            Json::Null | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// As [`Scalar::parse`], of an argument.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Array(_) | Value::Object(_) => None,
            scalar => Self::parse(&Json::of(scalar)),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Boolean(value) => Value::from(*value),
            Self::Integer(value) => Value::from(*value),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    fn same_type(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

fn integer(value: &Json<'_>) -> Option<i64> {
    value
        .as_i64()
        .filter(|integer| (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(integer))
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
