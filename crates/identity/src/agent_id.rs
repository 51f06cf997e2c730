//! The IDs of agents and of their instances (decision 27).

use std::fmt;
use std::str::FromStr;

use chancery_types::id::InstanceId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spiffe_id::MAX_MINTED_ID_BYTES;
use crate::{SpiffeId, SpiffeIdError, TrustDomain};

const INFIX: &str = "/instance/";
/// `/instance/ins_` and 26 digits.
const SUFFIX_BYTES: usize = INFIX.len() + 4 + 26;

/// The ID of an agent: a SPIFFE ID with a path that does not contain `/instance/` and leaves room
/// for the ID of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(SpiffeId);

impl AgentId {
    /// The SPIFFE ID.
    pub const fn as_spiffe_id(&self) -> &SpiffeId {
        &self.0
    }

    /// The trust domain.
    pub const fn trust_domain(&self) -> &TrustDomain {
        self.0.trust_domain()
    }

    /// The whole ID.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The ID of one instance of this agent.
    pub fn instance(&self, instance: InstanceId) -> InstanceSpiffeId {
        InstanceSpiffeId {
            agent: self.clone(),
            instance,
        }
    }
}

impl TryFrom<SpiffeId> for AgentId {
    type Error = SpiffeIdError;

    fn try_from(id: SpiffeId) -> Result<Self, SpiffeIdError> {
        if id.path().is_empty() {
            return Err(SpiffeIdError::NoPath);
        }
        if id.path().contains(INFIX) {
            return Err(SpiffeIdError::InstanceInAgentId);
        }
        if id.as_str().len() + SUFFIX_BYTES > MAX_MINTED_ID_BYTES {
            return Err(SpiffeIdError::TooLong);
        }
        Ok(Self(id))
    }
}

impl From<AgentId> for SpiffeId {
    fn from(agent: AgentId) -> Self {
        agent.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The ID of one run of an agent: `<agent id>/instance/<instance id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceSpiffeId {
    agent: AgentId,
    instance: InstanceId,
}

impl InstanceSpiffeId {
    /// The agent that this is an instance of.
    pub const fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// The last segment.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The trust domain.
    pub const fn trust_domain(&self) -> &TrustDomain {
        self.agent.trust_domain()
    }

    /// The whole as a SPIFFE ID.
    pub fn to_spiffe_id(&self) -> SpiffeId {
        SpiffeId::extended(&self.agent.0, &format!("{INFIX}{}", self.instance))
    }
}

impl TryFrom<&SpiffeId> for InstanceSpiffeId {
    type Error = SpiffeIdError;

    fn try_from(id: &SpiffeId) -> Result<Self, SpiffeIdError> {
        let (agent, instance) = id
            .as_str()
            .rsplit_once(INFIX)
            .ok_or(SpiffeIdError::NotAnInstance)?;
        Ok(Self {
            agent: agent.parse()?,
            instance: instance.parse().map_err(|_| SpiffeIdError::NotAnInstance)?,
        })
    }
}

impl From<&InstanceSpiffeId> for SpiffeId {
    fn from(instance: &InstanceSpiffeId) -> Self {
        instance.to_spiffe_id()
    }
}

impl fmt::Display for InstanceSpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INFIX}{}", self.agent, self.instance)
    }
}

impl FromStr for AgentId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        text.parse::<SpiffeId>()?.try_into()
    }
}

impl FromStr for InstanceSpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        Self::try_from(&text.parse::<SpiffeId>()?)
    }
}

impl Serialize for AgentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(SpiffeId::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for InstanceSpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InstanceSpiffeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(&SpiffeId::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: &str = "spiffe://td/agent/a/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz";

    #[test]
    fn an_instance_names_its_agent() {
        let id: InstanceSpiffeId = INSTANCE.parse().unwrap();
        assert_eq!(id.agent().as_str(), "spiffe://td/agent/a");
        assert_eq!(id.to_string(), INSTANCE);
        assert_eq!(id.to_spiffe_id().as_str(), INSTANCE);
        assert_eq!(
            id.to_spiffe_id().path(),
            INSTANCE.trim_start_matches("spiffe://td")
        );
        assert_eq!(id.agent().instance(id.instance()), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<InstanceSpiffeId>(&json).unwrap(), id);
    }

    #[test]
    fn an_agent_called_instance_is_no_ambiguity() {
        let agent: AgentId = "spiffe://td/agent/instance".parse().unwrap();
        let id = agent.instance(InstanceId::from_random([3; 16]));
        assert_eq!(id.to_string().parse::<InstanceSpiffeId>().unwrap(), id);
    }

    #[test]
    fn refuses_what_is_not_an_agent() {
        for (text, error) in [
            ("spiffe://td", SpiffeIdError::NoPath),
            (INSTANCE, SpiffeIdError::InstanceInAgentId),
            ("spiffe://td/instance/x", SpiffeIdError::InstanceInAgentId),
            ("spiffe://td/a/", SpiffeIdError::EmptySegment),
        ] {
            assert_eq!(text.parse::<AgentId>(), Err(error), "{text}");
        }
        let room = MAX_MINTED_ID_BYTES - SUFFIX_BYTES - "spiffe://td/".len();
        let longest = format!("spiffe://td/{}", "a".repeat(room));
        let agent: AgentId = longest.parse().unwrap();
        let instance = agent.instance(InstanceId::from_random([0; 16]));
        assert_eq!(instance.to_spiffe_id().as_str().len(), MAX_MINTED_ID_BYTES);
        assert_eq!(
            format!("{longest}a").parse::<AgentId>(),
            Err(SpiffeIdError::TooLong)
        );
    }

    #[test]
    fn refuses_what_is_not_an_instance() {
        for text in [
            "spiffe://td/agent/a",
            "spiffe://td/agent/a/instance/",
            "spiffe://td/agent/a/instance/ins_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "spiffe://td/agent/a/instance/ses_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "spiffe://td/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "spiffe://td/a/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz/b",
            "spiffe://td/a/instance/x/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(text.parse::<InstanceSpiffeId>().is_err(), "{text}");
        }
    }
}
