//! Which brokers may obtain the SVIDs of which workloads (SPIFFE Broker API section 4.1).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{InstanceSpiffeId, SpiffeId};

/// The most prefixes of one rule.
pub const MAX_BROKER_PREFIXES: usize = 64;

/// How a broker may name a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferenceKind {
    /// By the id of a process of the same host.
    Pid,
    /// As an instance that the broker itself started.
    Agent,
}

/// What one broker may: by which references, and for workloads below which SPIFFE IDs. Whatever is not
/// in a rule is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct BrokerRule {
    broker: SpiffeId,
    references: BTreeSet<ReferenceKind>,
    within: BTreeSet<SpiffeId>,
}

/// The rules of all brokers, at most one for each SPIFFE ID.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokerRules(Vec<BrokerRule>);

/// Why there is no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerRuleError {
    /// The broker has no path.
    #[error("a broker is a workload: its SPIFFE ID has a path")]
    NoWorkload,
    /// It may name workloads in no way.
    #[error("a broker needs a kind of reference: pid or agent")]
    NoReference,
    /// It may have no workload's SVIDs.
    #[error("a broker needs a SPIFFE ID that its workloads are below")]
    NoPrefix,
    /// Too many prefixes.
    #[error("a broker has {MAX_BROKER_PREFIXES} prefixes at most")]
    TooManyPrefixes,
    /// A prefix of another trust domain.
    #[error("a broker's workloads are of its own trust domain")]
    TrustDomain,
}

/// Neither `pid` nor `agent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind of reference is pid or agent")]
pub struct ReferenceKindError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    broker: SpiffeId,
    references: BTreeSet<ReferenceKind>,
    within: BTreeSet<SpiffeId>,
}

impl BrokerRule {
    /// A rule for the workload `broker`, or for every instance of the agent of that SPIFFE ID.
    pub fn new(
        broker: SpiffeId,
        references: impl IntoIterator<Item = ReferenceKind>,
        within: impl IntoIterator<Item = SpiffeId>,
    ) -> Result<Self, BrokerRuleError> {
        let rule = Self {
            broker,
            references: references.into_iter().collect(),
            within: within.into_iter().collect(),
        };
        if rule.broker.path().is_empty() {
            return Err(BrokerRuleError::NoWorkload);
        }
        if rule.references.is_empty() {
            return Err(BrokerRuleError::NoReference);
        }
        if rule.within.is_empty() {
            return Err(BrokerRuleError::NoPrefix);
        }
        if rule.within.len() > MAX_BROKER_PREFIXES {
            return Err(BrokerRuleError::TooManyPrefixes);
        }
        let domain = rule.broker.trust_domain();
        if rule.within.iter().any(|one| one.trust_domain() != domain) {
            return Err(BrokerRuleError::TrustDomain);
        }
        Ok(rule)
    }

    /// The broker, or the agent whose instances are.
    pub const fn broker(&self) -> &SpiffeId {
        &self.broker
    }

    /// By which references.
    pub fn references(&self) -> impl Iterator<Item = ReferenceKind> {
        self.references.iter().copied()
    }

    /// Below which SPIFFE IDs.
    pub fn within(&self) -> impl Iterator<Item = &SpiffeId> {
        self.within.iter()
    }

    /// Whether workloads may be named like that.
    pub fn allows(&self, kind: ReferenceKind) -> bool {
        self.references.contains(&kind)
    }

    /// Whether that workload's SVIDs are among what the broker may have: it is one of the prefixes, or
    /// below one at the end of a segment.
    pub fn covers(&self, workload: &SpiffeId) -> bool {
        self.within.iter().any(|prefix| {
            let rest = workload.as_str().strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    fn is_for(&self, broker: &SpiffeId) -> bool {
        let instance = broker.as_str().parse::<InstanceSpiffeId>();
        self.broker == *broker
            || instance.is_ok_and(|instance| instance.agent().as_str() == self.broker.as_str())
    }
}

impl BrokerRules {
    /// The rule of that broker: its own, or else that of the agent it is an instance of.
    pub fn of(&self, broker: &SpiffeId) -> Option<&BrokerRule> {
        let own = self.0.iter().find(|rule| rule.broker == *broker);
        own.or_else(|| self.0.iter().find(|rule| rule.is_for(broker)))
    }

    /// All rules.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BrokerRule> {
        self.0.iter()
    }

    /// With that rule, in the place of the one that its broker had.
    #[must_use]
    pub fn with(mut self, rule: BrokerRule) -> Self {
        self.0.retain(|known| known.broker != rule.broker);
        self.0.push(rule);
        self.0.sort_by(|one, other| one.broker.cmp(&other.broker));
        self
    }

    /// Without the rule of that SPIFFE ID; none where there was none.
    pub fn without(mut self, broker: &SpiffeId) -> Option<Self> {
        let before = self.0.len();
        self.0.retain(|known| known.broker != *broker);
        (self.0.len() < before).then_some(self)
    }
}

impl TryFrom<Fields> for BrokerRule {
    type Error = BrokerRuleError;

    fn try_from(fields: Fields) -> Result<Self, BrokerRuleError> {
        Self::new(fields.broker, fields.references, fields.within)
    }
}

impl FromStr for ReferenceKind {
    type Err = ReferenceKindError;

    fn from_str(text: &str) -> Result<Self, ReferenceKindError> {
        match text {
            "pid" => Ok(Self::Pid),
            "agent" => Ok(Self::Agent),
            _ => Err(ReferenceKindError),
        }
    }
}

impl fmt::Display for ReferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pid => "pid",
            Self::Agent => "agent",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "spiffe://td/agent/office/instance/ins_00000000000000000000000000";

    fn id(text: &str) -> SpiffeId {
        text.parse().unwrap()
    }

    fn rule(broker: &str, within: &[&str]) -> Result<BrokerRule, BrokerRuleError> {
        let within = within.iter().map(|text| id(text));
        BrokerRule::new(id(broker), [ReferenceKind::Pid], within)
    }

    #[test]
    fn a_prefix_ends_with_a_segment() {
        let rule = rule("spiffe://td/broker", &["spiffe://td/agent/a"]).unwrap();
        for inside in ["spiffe://td/agent/a", "spiffe://td/agent/a/instance/x"] {
            assert!(rule.covers(&id(inside)), "{inside}");
        }
        for outside in [
            "spiffe://td/agent/ab",
            "spiffe://td/agent",
            "spiffe://td",
            "spiffe://other/agent/a",
            "spiffe://td/Agent/a",
        ] {
            assert!(!rule.covers(&id(outside)), "{outside}");
        }
        assert!(rule.allows(ReferenceKind::Pid) && !rule.allows(ReferenceKind::Agent));
    }

    #[test]
    fn a_rule_is_of_one_trust_domain_and_says_what_is_allowed() {
        let refused = |broker: &str, within: &[&str]| rule(broker, within).unwrap_err();
        assert_eq!(
            refused("spiffe://td", &["spiffe://td"]),
            BrokerRuleError::NoWorkload
        );
        assert_eq!(refused("spiffe://td/b", &[]), BrokerRuleError::NoPrefix);
        let other = refused("spiffe://td/b", &["spiffe://td/a", "spiffe://other/a"]);
        assert_eq!(other, BrokerRuleError::TrustDomain);
        let none = BrokerRule::new(id("spiffe://td/b"), [], [id("spiffe://td")]);
        assert_eq!(none, Err(BrokerRuleError::NoReference));
        let many: Vec<_> = (0..=MAX_BROKER_PREFIXES)
            .map(|number| id(&format!("spiffe://td/{number}")))
            .collect();
        let many = BrokerRule::new(id("spiffe://td/b"), [ReferenceKind::Pid], many);
        assert_eq!(many, Err(BrokerRuleError::TooManyPrefixes));
        for text in [
            r#"{"broker":"spiffe://td/b","references":["pid"],"within":[]}"#,
            r#"{"broker":"spiffe://td/b","references":["all"],"within":["spiffe://td"]}"#,
            r#"{"broker":"spiffe://td/b","references":["pid"],"within":["spiffe://td"],"more":1}"#,
        ] {
            assert!(serde_json::from_str::<BrokerRule>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rule_is_for_one_workload_or_for_the_instances_of_an_agent() {
        let agents = rule("spiffe://td/agent/office", &["spiffe://td/agent"]).unwrap();
        let own = rule(INSTANCE, &["spiffe://td/agent/a"]).unwrap();
        let rules = BrokerRules::default().with(agents.clone());
        assert_eq!(rules.of(&id(INSTANCE)), Some(&agents));
        for nobody in [
            "spiffe://td/agent/office/instance/x",
            "spiffe://td/agent/office2",
            "spiffe://td/agent/office/other",
            "spiffe://td/agent",
        ] {
            assert_eq!(rules.of(&id(nobody)), None, "{nobody}");
        }
        let rules = rules.with(own.clone());
        assert_eq!(rules.of(&id(INSTANCE)), Some(&own));
        let again = rules.clone().with(own.clone());
        assert_eq!(again, rules);
        let rules = rules.without(&id(INSTANCE)).unwrap();
        assert_eq!(rules.of(&id(INSTANCE)), Some(&agents));
        assert_eq!(rules.without(&id(INSTANCE)), None);
    }
}
