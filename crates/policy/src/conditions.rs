//! The conditions of a policy, one by one: what has to hold for it to match.

use cedar_policy::{Policy, PolicyId};
use serde_json::{Value, json};

use crate::BundleError;

/// What has to hold, or not to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) body: Value,
    pub(crate) holds: bool,
}

/// A policy taken apart: whom its scope names, and its conditions in the order in which they are
/// evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) principal: Value,
    pub(crate) all: Vec<Condition>,
}

impl Conditions {
    pub(crate) fn of(policy: &Policy) -> Result<Self, BundleError> {
        let json = policy.to_json().map_err(BundleError::engine)?;
        let mut all = Vec::new();
        for clause in json
            .get("conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let holds = clause.get("kind").and_then(Value::as_str) == Some("when");
            if let Some(body) = clause.get("body") {
                split(body, holds, &mut all);
            }
        }
        let principal = json.get("principal").cloned().unwrap_or_default();
        Ok(Self { principal, all })
    }

    /// Whether the scope names anybody; there is one type of principals.
    pub(crate) fn names_principal(&self) -> bool {
        !matches!(
            self.principal.get("op").and_then(Value::as_str),
            Some("All" | "is")
        ) || self.principal.get("in").is_some()
    }

    /// Each as a policy of its own that matches where it holds, the scope first.
    pub(crate) fn policies(&self) -> Result<Vec<Policy>, BundleError> {
        let scope = self
            .names_principal()
            .then(|| (self.principal.clone(), json!([])));
        let conditions = self.all.iter().map(|condition| {
            let kind = if condition.holds { "when" } else { "unless" };
            let clause = json!([{"kind": kind, "body": condition.body}]);
            (json!({"op": "All"}), clause)
        });
        let each = scope.into_iter().chain(conditions).enumerate();
        each.map(|(place, (principal, conditions))| {
            let json = json!({
                "effect": "permit", "principal": principal, "action": {"op": "All"},
                "resource": {"op": "All"}, "conditions": conditions,
            });
            let id = PolicyId::new(place.to_string());
            Policy::from_json(Some(id), json).map_err(BundleError::engine)
        })
        .collect()
    }
}

/// Takes apart what holds only where both sides do.
fn split(body: &Value, holds: bool, into: &mut Vec<Condition>) {
    let joined = if holds { "&&" } else { "||" };
    let sides = body
        .get(joined)
        .map(|both| (both.get("left"), both.get("right")));
    match sides {
        Some((Some(left), Some(right))) => {
            split(left, holds, into);
            split(right, holds, into);
        }
        _ => into.push(Condition {
            body: body.clone(),
            holds,
        }),
    }
}

/// The one scope or condition of a policy of [`Conditions::policies`], as Cedar writes it.
pub(crate) fn text(policy: &Policy) -> String {
    let text = policy.to_string();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches(';').trim_end();
    match text.find("when {").or_else(|| text.find("unless {")) {
        Some(at) => text.get(at..).unwrap_or(text).to_owned(),
        None => text
            .trim_start_matches("permit")
            .trim_start_matches(['(', ' '])
            .split(", action")
            .next()
            .unwrap_or(text)
            .to_owned(),
    }
}
