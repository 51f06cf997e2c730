//! What is proven of a bundle's policies without asking it anything: which can never match, and
//! which change no answer.
//!
//! Scopes are compared exactly. Of conditions, bounds of integers and equality with literals are
//! understood; everything else is compared by its form. What is not named is not proven to be well: a
//! policy that several others cover together, for one, is not found.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Policy;
use serde::Serialize;
use serde_json::Value;

use crate::conditions::Conditions;
use crate::explain::Effect;
use crate::formula::{Facts, Formula};
use crate::{Bundle, BundleError, Place};

/// Something that is proven of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The policy.
    pub policy: String,
    /// Where it stands.
    pub place: Place,
    /// What is proven.
    pub proven: Proven,
    /// The policy that covers it: that one matches, or fails, whenever it matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The expressions of which its conditions say what cannot be together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contradict: Vec<String>,
}

/// What can be proven of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proven {
    /// No call has the action and the resource that its scope names.
    NoTarget,
    /// Its conditions contradict each other.
    Contradiction,
    /// A permit or an ask that a forbid always covers.
    AlwaysForbidden,
    /// A permit that an ask always covers.
    AlwaysAsked,
    /// Another policy of the same effect always covers it.
    Redundant,
}

impl Proven {
    /// What that means, in words.
    pub const fn said(self) -> &'static str {
        match self {
            Self::NoTarget => "never matches: no call has the action and resource of its scope",
            Self::Contradiction => "never matches: its conditions contradict each other",
            Self::AlwaysForbidden => "never allows: a forbid matches whenever it does",
            Self::AlwaysAsked => "never allows by itself: an ask matches whenever it does",
            Self::Redundant => "changes nothing: another one matches whenever it does",
        }
    }
}

/// A policy as it is compared.
struct Compared<'a> {
    policy: &'a Policy,
    effect: Effect,
    /// The slices that it is in: all that its scope says of actions and resources.
    slices: Vec<usize>,
    /// Whom its scope names, if anybody.
    principal: Option<Value>,
    formulas: Vec<Formula>,
    facts: Facts,
}

impl Bundle {
    /// Everything that is proven, by the ids of the policies.
    pub fn analyse(&self) -> Result<Vec<Finding>, BundleError> {
        let compared = self.compared()?;
        let mut in_slice: BTreeMap<usize, Vec<&Compared<'_>>> = BTreeMap::new();
        for one in compared.values() {
            for slice in &one.slices {
                in_slice.entry(*slice).or_default().push(one);
            }
        }
        let mut findings = Vec::new();
        for id in self.policy_ids() {
            let Some(one) = compared.get(id) else {
                findings.push(self.finding(id, Proven::NoTarget, None, BTreeSet::new()));
                continue;
            };
            if let Some(subjects) = one.facts.contradiction() {
                findings.push(self.finding(id, Proven::Contradiction, None, subjects));
                continue;
            }
            let fewest = one
                .slices
                .iter()
                .filter_map(|slice| in_slice.get(slice))
                .min_by_key(|others| others.len());
            let covering = fewest.into_iter().flatten().filter_map(|other| {
                let proven = one.if_covered_by(other)?;
                Some((proven, other.policy.id().to_string()))
            });
            if let Some((proven, by)) = covering.min() {
                findings.push(self.finding(id, proven, Some(by), BTreeSet::new()));
            }
        }
        Ok(findings)
    }

    /// Every policy that is in a slice at all.
    fn compared(&self) -> Result<BTreeMap<String, Compared<'_>>, BundleError> {
        let mut compared: BTreeMap<String, Compared<'_>> = BTreeMap::new();
        for (number, slice) in self.slices.all().enumerate() {
            for policy in slice.rules.policies().chain(slice.asks.policies()) {
                let id: &str = policy.id().as_ref();
                if let Some(known) = compared.get_mut(id) {
                    known.slices.push(number);
                    continue;
                }
                let conditions = Conditions::of(policy)?;
                let formulas: Vec<Formula> = conditions.all.iter().map(Formula::from).collect();
                let named = conditions.names_principal();
                compared.insert(
                    id.to_owned(),
                    Compared {
                        policy,
                        effect: self.effect(policy),
                        slices: vec![number],
                        principal: named.then_some(conditions.principal),
                        facts: Facts::of(&formulas),
                        formulas,
                    },
                );
            }
        }
        Ok(compared)
    }

    fn finding(
        &self,
        policy: &str,
        proven: Proven,
        by: Option<String>,
        subjects: BTreeSet<String>,
    ) -> Finding {
        Finding {
            policy: policy.to_owned(),
            place: self.place(policy),
            proven,
            by,
            contradict: subjects.iter().map(|subject| written(subject)).collect(),
        }
    }
}

impl Compared<'_> {
    /// What it means for this one that another matches whenever it does; none where that is not
    /// proven or means nothing.
    fn if_covered_by(&self, other: &Self) -> Option<Proven> {
        let proven = match (self.effect, other.effect) {
            (Effect::Permit | Effect::Ask, Effect::Forbid) => Proven::AlwaysForbidden,
            (Effect::Permit, Effect::Ask) => Proven::AlwaysAsked,
            (mine, theirs) if mine == theirs => Proven::Redundant,
            _ => return None,
        };
        let is_other = self.policy.id() != other.policy.id();
        if !is_other || !self.is_within(other) || other.facts.contradiction().is_some() {
            return None;
        }
        // Of two that say the same, one changes nothing.
        let same = proven == Proven::Redundant && other.is_within(self);
        (!same || self.policy.id() > other.policy.id()).then_some(proven)
    }

    fn is_within(&self, other: &Self) -> bool {
        let slices: &[usize] = &other.slices;
        (other.principal.is_none() || self.principal == other.principal)
            && self
                .slices
                .iter()
                .all(|slice| slices.binary_search(slice).is_ok())
            && other.formulas.iter().all(|goal| self.facts.imply(goal))
    }
}

/// An expression as people write it, where it is a path; its JSON where it is something else.
fn written(subject: &str) -> String {
    let json: Option<Value> = serde_json::from_str(subject).ok();
    let path = json.as_ref().and_then(path);
    path.unwrap_or_else(|| subject.to_owned())
}

fn path(expression: &Value) -> Option<String> {
    if let Some(variable) = expression.get("Var").and_then(Value::as_str) {
        return Some(variable.to_owned());
    }
    let access = expression.get(".")?;
    let attribute = access.get("attr").and_then(Value::as_str)?;
    Some(format!("{}.{attribute}", path(access.get("left")?)?))
}
