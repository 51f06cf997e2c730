//! A loaded bundle: the three-valued decision.

use std::collections::BTreeMap;

use cedar_policy::{Authorizer, Decision as CedarDecision, Response, Schema};
use chancery_types::Digest;
use serde_json::Value;

use crate::slices::Slices;
use crate::tool::{CostError, Tool};
use crate::vocabulary::{Vocabulary, qualified};
use crate::{
    BundleError, Cause, Decision, Effect, Files, Index, Kind, Place, Request, Target,
    bundle_digest, files, policies, projection, schema,
};

/// A policy bundle whose every policy is named, strictly valid under its schema, and whose schema
/// fits the requests that will be made. Named by its digest ([`bundle_digest`]).
#[derive(Debug, Clone)]
pub struct Bundle {
    index: Index,
    digest: Digest,
    pub(crate) schema: Schema,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) slices: Slices,
    reasons: BTreeMap<String, String>,
    pub(crate) places: BTreeMap<String, Place>,
    /// Every policy's id, and what it is for.
    ids: BTreeMap<String, Effect>,
}

impl Bundle {
    /// Reads and checks a bundle. Fails with the first thing that is wrong, its place and remedy.
    pub fn load(files: &Files) -> Result<Self, BundleError> {
        files::check(files)?;
        let index = Index::parse(files)?;
        let digest = bundle_digest(files).map_err(BundleError::engine)?;
        let vocabulary = Vocabulary::new()?;
        let schema = schema::load(files, &index, &vocabulary)?;
        let policies = policies::load(files, &index, &schema, &vocabulary)?;
        let actions = schema.action_entities().map_err(BundleError::engine)?;
        let slices = Slices::new(&policies, &index, &actions, &vocabulary)?;
        let ids = policies
            .rules
            .iter()
            .map(|policy| {
                let effect = match policy.effect() {
                    cedar_policy::Effect::Forbid => Effect::Forbid,
                    cedar_policy::Effect::Permit => Effect::Permit,
                };
                (policy.id().to_string(), effect)
            })
            .chain(
                policies
                    .asks
                    .iter()
                    .map(|policy| (policy.id().to_string(), Effect::Ask)),
            )
            .collect();
        Ok(Self {
            index,
            digest,
            schema,
            vocabulary,
            slices,
            reasons: policies.reasons,
            places: policies.places,
            ids,
        })
    }

    /// The digest that names this bundle.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The content of its `bundle.json`.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// Whether the bundle has an ask of this id; only asks can be granted.
    pub fn is_ask(&self, policy: &str) -> bool {
        self.ids.get(policy) == Some(&Effect::Ask)
    }

    /// Every policy's id and what it is for, sorted by id.
    pub fn effects(&self) -> impl Iterator<Item = (&str, Effect)> {
        self.ids.iter().map(|(id, effect)| (id.as_str(), *effect))
    }

    /// The ids of all policies, sorted.
    pub fn policy_ids(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(String::as_str)
    }

    /// The `@reason` of a policy, to be shown to people.
    pub fn reason(&self, policy: &str) -> Option<&str> {
        self.reasons.get(policy).map(String::as_str)
    }

    /// What the bundle declares for the target; resources and prompts have no declaration.
    pub fn tool(&self, target: &Target<'_>) -> Option<&Tool> {
        (target.kind == Kind::Tool)
            .then(|| self.index.tools().get(&qualified(target)))
            .flatten()
    }

    /// What the call costs, in micros; zero where nothing is declared.
    pub fn cost_micros(&self, target: &Target<'_>, arguments: &Value) -> Result<u64, CostError> {
        self.tool(target)
            .map_or(Ok(0), |tool| tool.cost_micros(arguments))
    }

    /// Decides. Total: whatever is asked has an answer. A matching forbid denies; else a matching
    /// ask that is not granted escalates; else a matching permit or granted ask allows; else deny.
    /// Whatever cannot be evaluated denies.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let resource = self.vocabulary.resource_uid(&request.target);
        let Some(slice) = self.slices.of(&request.target, &resource) else {
            return Decision::new(Cause::NoMatch, Vec::new());
        };
        let projected = projection::project(
            &self.vocabulary,
            self.tool(&request.target),
            &slice.actions,
            &self.schema,
            request,
        );
        let Ok((question, entities)) = projected else {
            return Decision::new(Cause::EvaluationError, Vec::new());
        };
        let authorizer = Authorizer::new();
        let rules = authorizer.is_authorized(&question, &slice.rules, &entities);
        let matched = matching(&rules);
        if rules.decision() == CedarDecision::Deny && !matched.is_empty() {
            return Decision::new(Cause::Forbid, matched);
        }
        let asks = authorizer.is_authorized(&question, &slice.asks, &entities);
        let failed: Vec<String> = failing(&rules).chain(failing(&asks)).collect();
        if !failed.is_empty() {
            return Decision::new(Cause::EvaluationError, failed);
        }
        let (granted, open): (Vec<_>, Vec<_>) = matching(&asks)
            .into_iter()
            .partition(|ask| request.grants.contains(ask));
        if !open.is_empty() {
            Decision::new(Cause::Ask, open)
        } else if !granted.is_empty() {
            Decision::new(Cause::Granted, granted)
        } else if rules.decision() == CedarDecision::Allow {
            Decision::new(Cause::Permit, matched)
        } else {
            Decision::new(Cause::NoMatch, Vec::new())
        }
    }
}

fn matching(response: &Response) -> Vec<String> {
    response
        .diagnostics()
        .reason()
        .map(ToString::to_string)
        .collect()
}

fn failing(response: &Response) -> impl Iterator<Item = String> + '_ {
    response.diagnostics().errors().map(
        |cedar_policy::AuthorizationError::PolicyEvaluationError(error)| {
            error.policy_id().to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// The cost of a decision follows from the size of its slice.
    #[test]
    fn slices_do_not_grow_with_policies_for_other_targets() {
        let mut tools = String::new();
        let mut text = "@id(\"all\") permit (principal, action, resource);".to_owned();
        for n in 0..300 {
            let comma = if n > 0 { "," } else { "" };
            write!(tools, "{comma}\"s/t{n}\":{{}}").unwrap();
            write!(
                text,
                "@id(\"a{n}\") permit (principal, action == Chancery::Action::\"s/t{n}\", resource);
                 @id(\"r{n}\") @effect(\"ask\") permit (principal, action, resource == Chancery::Tool::\"s/t{n}\");
                 @id(\"u{n}\") forbid (principal, action, resource == Chancery::Resource::\"s/u{n}\");"
            )
            .unwrap();
        }
        let index = format!("{{\"name\":\"n\",\"version\":1,\"tools\":{{{tools}}}}}");
        let mut files = Files::from([
            (crate::BUNDLE_FILE.to_owned(), index.into_bytes()),
            ("a.cedar".to_owned(), text.into_bytes()),
        ]);
        let schema = crate::schema_text(&Index::parse(&files).unwrap());
        files.insert(crate::SCHEMA_FILE.to_owned(), schema.into_bytes());
        let bundle = Bundle::load(&files).unwrap();
        for (kind, name, rules, asks) in [
            (Kind::Tool, "t7", 2, 1),
            (Kind::Resource, "u7", 2, 0),
            (Kind::Resource, "u", 1, 0),
            (Kind::Prompt, "t7", 1, 0),
        ] {
            let target = Target {
                kind,
                server: "s",
                name,
            };
            let resource = bundle.vocabulary.resource_uid(&target);
            let slice = bundle.slices.of(&target, &resource).unwrap();
            let sizes = (slice.rules.num_of_policies(), slice.asks.num_of_policies());
            assert_eq!(sizes, (rules, asks), "{name}");
        }
    }
}
