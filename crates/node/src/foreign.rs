use std::collections::{BTreeMap, BTreeSet};

use chancery_identity::{AgentId, BundleDocument, BundleKeys, TrustDomain};

/// The bundles of foreign trust domains, and the instances of which agents are handed which. The
/// name of a trust domain goes with its bundle; bundles are never merged (Federation sections 4.2
/// and 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignBundles {
    bundles: BTreeMap<TrustDomain, BundleKeys>,
    agents: BTreeMap<String, BTreeSet<TrustDomain>>,
}

impl ForeignBundles {
    /// The documents in force, and which trust domains each agent, by its SPIFFE ID, was registered
    /// with.
    pub fn new(
        documents: impl IntoIterator<Item = BundleDocument>,
        agents: BTreeMap<String, BTreeSet<TrustDomain>>,
    ) -> Self {
        let named = |document: BundleDocument| {
            let name = document.trust_domain().clone();
            (name, document.keys().clone())
        };
        Self {
            bundles: documents.into_iter().map(named).collect(),
            agents,
        }
    }

    /// What who speaks as instances of these agents is handed beside the bundle of its own trust
    /// domain, which is never among it: what any of them was registered with, each once.
    pub(crate) fn of<'a>(&self, agents: impl Iterator<Item = &'a AgentId>) -> Vec<BundleKeys> {
        let named = agents.flat_map(|agent| {
            let named = self.agents.get(agent.as_str()).into_iter().flatten();
            named.filter(|name| *name != agent.trust_domain())
        });
        let named: BTreeSet<_> = named.collect();
        let bundles = named.into_iter().filter_map(|name| self.bundles.get(name));
        bundles.cloned().collect()
    }
}
