//! Why a question is decided as it is: what every policy that speaks of its target says.

use cedar_policy::{Authorizer, Entities, Policy, PolicySet, Request as CedarRequest};
use serde::Serialize;

use crate::conditions::{self, Conditions};
use crate::projection::{self, Unfit};
use crate::{Bundle, BundleError, Decision, Place, Request};

/// A decision, and what each policy whose scope can match its target said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What [`Bundle::decide`] answers.
    pub decision: Decision,
    /// Why nothing could be evaluated: the call does not have the shape that the bundle declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
    /// The policies, by their ids. Policies that speak of other targets only are left out.
    pub policies: Vec<Account>,
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It denies.
    Forbid,
    /// It has a person asked.
    Ask,
    /// It allows.
    Permit,
}

/// A policy, and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub effect: Effect,
    /// Where it stands.
    pub place: Place,
    /// What its authors say to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its text.
    pub text: String,
    /// What it said.
    pub said: Said,
}

/// What a policy said to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It matches.
    Matches,
    /// It does not: these of its conditions are false, each as Cedar writes it.
    False(Vec<String>),
    /// It could not be evaluated.
    Fails(String),
}

impl Effect {
    /// The name, as JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forbid => "forbid",
            Self::Ask => "ask",
            Self::Permit => "permit",
        }
    }
}

impl Bundle {
    /// Decides, and says what each policy said. Each condition is evaluated by itself by the same
    /// engine. Slow beside [`Bundle::decide`]: for people.
    pub fn explain(&self, request: &Request<'_>) -> Result<Explanation, BundleError> {
        let mut explanation = Explanation {
            decision: self.decide(request),
            unfit: None,
            policies: Vec::new(),
        };
        let resource = self.vocabulary.resource_uid(&request.target);
        let Some(slice) = self.slices.of(&request.target, &resource) else {
            return Ok(explanation);
        };
        let tool = self.tool(&request.target);
        let projected = projection::project(
            &self.vocabulary,
            tool,
            &slice.actions,
            &self.schema,
            request,
        );
        match projected {
            Ok((question, entities)) => {
                let policies = slice.rules.policies().chain(slice.asks.policies());
                explanation.policies = policies
                    .map(|policy| self.account(policy, &question, &entities))
                    .collect::<Result<_, _>>()?;
                explanation.policies.sort_by(|a, b| a.id.cmp(&b.id));
            }
            Err(Unfit(problem)) => explanation.unfit = Some(problem),
        }
        Ok(explanation)
    }

    /// What a policy of this bundle is for.
    pub(crate) fn effect(&self, policy: &Policy) -> Effect {
        match policy.effect() {
            cedar_policy::Effect::Forbid => Effect::Forbid,
            cedar_policy::Effect::Permit if self.is_ask(policy.id().as_ref()) => Effect::Ask,
            cedar_policy::Effect::Permit => Effect::Permit,
        }
    }

    /// Where a policy of this bundle stands.
    pub fn place(&self, policy: &str) -> Place {
        let place = self.places.get(policy);
        place.map_or_else(|| Place::file(policy), Place::clone)
    }

    fn account(
        &self,
        policy: &Policy,
        question: &CedarRequest,
        entities: &Entities,
    ) -> Result<Account, BundleError> {
        let id = policy.id().to_string();
        Ok(Account {
            effect: self.effect(policy),
            place: self.place(&id),
            reason: self.reason(&id).map(str::to_owned),
            text: policy.to_string(),
            said: said(policy, question, entities)?,
            id,
        })
    }
}

fn said(
    policy: &Policy,
    question: &CedarRequest,
    entities: &Entities,
) -> Result<Said, BundleError> {
    let ask = |policies: Vec<Policy>| -> Result<_, BundleError> {
        let set = PolicySet::from_policies(policies).map_err(BundleError::engine)?;
        Ok(Authorizer::new().is_authorized(question, &set, entities))
    };
    let whole = ask(vec![policy.clone()])?;
    if let Some(error) = whole.diagnostics().errors().next() {
        return Ok(Said::Fails(crate::policies::with_sources(error)));
    }
    if whole.diagnostics().reason().next().is_some() {
        return Ok(Said::Matches);
    }
    let mut is_false = Vec::new();
    for part in Conditions::of(policy)?.policies()? {
        let text = conditions::text(&part);
        let alone = ask(vec![part])?;
        // What fails by itself was not reached: what guards it is false.
        let fails = alone.diagnostics().errors().next().is_some();
        if !fails && alone.diagnostics().reason().next().is_none() {
            is_false.push(text);
        }
    }
    Ok(Said::False(is_false))
}
