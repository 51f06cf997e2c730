use std::collections::BTreeMap;
use std::sync::Arc;

use chancery_identity::{AgentId, RegistrationTerms};

/// What the instances of agents are issued, as far as it was said when those were registered. A clone copies
/// nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registrations(Arc<BTreeMap<String, RegistrationTerms>>);

impl Registrations {
    /// What was said of each agent, by its SPIFFE ID.
    pub fn new(terms: BTreeMap<String, RegistrationTerms>) -> Self {
        Self(Arc::new(terms))
    }

    /// The hint that an agent was registered with.
    pub(crate) fn hint(&self, agent: &AgentId) -> Option<&str> {
        Some(self.0.get(agent.as_str())?.hint.as_ref()?.as_str())
    }

    /// What an SVID of an instance of the agent is issued by. One that was issued by something else is
    /// issued again.
    pub(crate) fn issued(&self, agent: &AgentId) -> RegistrationTerms {
        let terms = self.0.get(agent.as_str());
        terms.map(RegistrationTerms::issued).unwrap_or_default()
    }
}
