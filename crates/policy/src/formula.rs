//! What conditions say, as far as it can be compared: bounds of integers, equality with literals, and
//! everything else by its exact form.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::conditions::Condition;

/// A condition. What is not understood is an atom that holds or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Formula {
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Atom(String, Is),
}

/// What is said of one expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Is {
    /// An integer between these, both included.
    Within(i64, i64),
    Equal(String),
    Unequal(String),
    Holds(bool),
}

impl From<&Condition> for Formula {
    fn from(condition: &Condition) -> Self {
        read(&condition.body, condition.holds)
    }
}

/// INVARIANT: where the result holds, the expression evaluates to `holds`, and the other way round.
fn read(body: &Value, holds: bool) -> Formula {
    let Some((operator, operands)) = only_member(body) else {
        return opaque(body, holds);
    };
    let side = |name| operands.get(name);
    match (operator, side("left"), side("right"), side("arg")) {
        ("&&", Some(left), Some(right), _) => {
            junction(holds, vec![read(left, holds), read(right, holds)])
        }
        ("||", Some(left), Some(right), _) => {
            junction(!holds, vec![read(left, holds), read(right, holds)])
        }
        ("!", _, _, Some(arg)) => read(arg, !holds),
        ("Value", ..) if operands.is_boolean() => {
            junction(operands.as_bool() == Some(holds), Vec::new())
        }
        ("==", Some(left), Some(right), _) => equality(body, left, right, holds),
        ("!=", Some(left), Some(right), _) => equality(body, left, right, !holds),
        ("<" | "<=" | ">" | ">=", Some(left), Some(right), _) => {
            comparison(body, operator, left, right, holds)
        }
        _ => opaque(body, holds),
    }
}

fn junction(all: bool, parts: Vec<Formula>) -> Formula {
    match all {
        true => Formula::All(parts),
        false => Formula::Any(parts),
    }
}

fn opaque(body: &Value, holds: bool) -> Formula {
    Formula::Atom(body.to_string(), Is::Holds(holds))
}

fn equality(body: &Value, left: &Value, right: &Value, holds: bool) -> Formula {
    let (subject, literal) = match (literal(left), literal(right)) {
        (None, Some(literal)) => (left, literal),
        (Some(literal), None) => (right, literal),
        // `!=` and `==` of the same operands are each other's opposite.
        _ => return Formula::Atom(format!("{left} == {right}"), Is::Holds(holds)),
    };
    match literal {
        Value::Number(number) => match number.as_i64() {
            Some(number) => within(subject, number, number, holds),
            None => opaque(body, holds),
        },
        Value::Bool(value) => read(subject, value == holds),
        other if holds => Formula::Atom(subject.to_string(), Is::Equal(other.to_string())),
        other => Formula::Atom(subject.to_string(), Is::Unequal(other.to_string())),
    }
}

fn comparison(body: &Value, operator: &str, left: &Value, right: &Value, holds: bool) -> Formula {
    let long = |value| literal(value).and_then(|literal| literal.as_i64());
    let (subject, number, subject_first) = match (long(left), long(right)) {
        (None, Some(number)) => (left, number, true),
        (Some(number), None) => (right, number, false),
        _ => return opaque(body, holds),
    };
    let below = operator.starts_with('<') == subject_first;
    let included = operator.ends_with('=');
    // Nothing is below the least integer or above the largest.
    let bound = match (included, below) {
        (true, _) => Some(number),
        (false, true) => number.checked_sub(1),
        (false, false) => number.checked_add(1),
    };
    match (bound, below) {
        (Some(bound), true) => within(subject, i64::MIN, bound, holds),
        (Some(bound), false) => within(subject, bound, i64::MAX, holds),
        (None, _) => junction(!holds, Vec::new()),
    }
}

fn within(subject: &Value, low: i64, high: i64, holds: bool) -> Formula {
    let atom = |low, high| Formula::Atom(subject.to_string(), Is::Within(low, high));
    if holds {
        return atom(low, high);
    }
    let below = low.checked_sub(1).map(|high| atom(i64::MIN, high));
    let above = high.checked_add(1).map(|low| atom(low, i64::MAX));
    match (below, above) {
        (Some(only), None) | (None, Some(only)) => only,
        (below, above) => Formula::Any(below.into_iter().chain(above).collect()),
    }
}

fn only_member(body: &Value) -> Option<(&str, &Value)> {
    let mut members = body.as_object()?.iter();
    let (name, value) = members.next()?;
    members.next().is_none().then_some((name.as_str(), value))
}

fn literal(expression: &Value) -> Option<Value> {
    match only_member(expression)? {
        ("Value", value) => Some(value.clone()),
        ("neg", operand) => {
            let number = literal(operand.get("arg")?)?.as_i64()?;
            number.checked_neg().map(Value::from)
        }
        _ => None,
    }
}

/// What holds together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    known: BTreeMap<String, Known>,
    /// Of each of these, one.
    choices: Vec<Vec<Formula>>,
}

#[derive(Debug, Clone)]
struct Known {
    low: i64,
    high: i64,
    equal: BTreeSet<String>,
    unequal: BTreeSet<String>,
    holds: BTreeSet<bool>,
}

impl Facts {
    pub(crate) fn of<'a>(all: impl IntoIterator<Item = &'a Formula>) -> Self {
        let mut facts = Self::default();
        for formula in all {
            facts.add(formula);
        }
        facts
    }

    fn add(&mut self, formula: &Formula) {
        match formula {
            Formula::All(parts) => parts.iter().for_each(|part| self.add(part)),
            Formula::Any(parts) => self.choices.push(parts.clone()),
            Formula::Atom(subject, is) => {
                let known = self.known.entry(subject.clone()).or_default();
                match is {
                    Is::Within(low, high) => {
                        known.low = known.low.max(*low);
                        known.high = known.high.min(*high);
                    }
                    Is::Equal(literal) => drop(known.equal.insert(literal.clone())),
                    Is::Unequal(literal) => drop(known.unequal.insert(literal.clone())),
                    Is::Holds(holds) => drop(known.holds.insert(*holds)),
                }
            }
        }
    }

    fn with(&self, formula: &Formula) -> Self {
        let mut more = self.clone();
        more.choices.clear();
        more.add(formula);
        more
    }

    /// The expressions of which something is said that cannot be; none where nothing is proven.
    pub(crate) fn contradiction(&self) -> Option<BTreeSet<String>> {
        let of_known = self.known.iter().find(|(_, known)| known.contradicts());
        if let Some((subject, _)) = of_known {
            return Some(BTreeSet::from([subject.clone()]));
        }
        self.choices.iter().find_map(|choice| {
            let each = choice.iter().map(|part| self.with(part).contradiction());
            let all: Option<Vec<_>> = each.collect();
            all.map(|subjects| subjects.into_iter().flatten().collect())
        })
    }

    /// Whether a formula holds wherever these do; `false` where that is not proven.
    pub(crate) fn imply(&self, goal: &Formula) -> bool {
        self.imply_at_once(goal)
            || self.choices.iter().any(|choice| {
                choice
                    .iter()
                    .all(|part| self.with(part).imply_at_once(goal))
            })
    }

    fn imply_at_once(&self, goal: &Formula) -> bool {
        match goal {
            Formula::All(parts) => parts.iter().all(|part| self.imply(part)),
            Formula::Any(parts) => parts.iter().any(|part| self.imply(part)),
            Formula::Atom(subject, is) => {
                self.known.get(subject).is_some_and(|known| known.imply(is))
            }
        }
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            low: i64::MIN,
            high: i64::MAX,
            equal: BTreeSet::new(),
            unequal: BTreeSet::new(),
            holds: BTreeSet::new(),
        }
    }
}

impl Known {
    fn contradicts(&self) -> bool {
        self.low > self.high
            || self.equal.len() > 1
            || !self.equal.is_disjoint(&self.unequal)
            || self.holds.len() > 1
    }

    fn imply(&self, is: &Is) -> bool {
        match is {
            Is::Within(low, high) => *low <= self.low && self.high <= *high,
            Is::Equal(literal) => self.equal.contains(literal),
            Is::Unequal(literal) => {
                self.unequal.contains(literal) || self.equal.iter().any(|equal| equal != literal)
            }
            Is::Holds(holds) => self.holds.contains(holds),
        }
    }
}
