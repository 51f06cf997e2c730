use chancery_identity::SpiffeId;
use chancery_identity::broker::{BrokerRule, BrokerRules};
use chancery_types::Digest;
use serde::{Deserialize, Serialize};

/// Admits a broker, or changes what it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowBroker {
    /// What it may.
    pub rule: BrokerRule,
}

/// Takes a broker's admission back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveBroker {
    /// Whose rule it is.
    pub broker: SpiffeId,
}

/// A change of who is a broker, in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerChanged {
    /// Whose rule it is.
    pub broker: SpiffeId,
    /// The entry that says so.
    pub log_index: u64,
}

/// Who is a broker, and what each of them may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brokers {
    /// Another one after every change.
    pub state: Digest,
    /// The rules.
    pub rules: BrokerRules,
    /// Whether the deployment opted in to the Broker API; the rules are without effect where it did not.
    pub served: bool,
}
