use std::collections::BTreeSet;

use chancery_identity::InstanceSpiffeId;

/// Which identities are revoked: nobody is handed their SVIDs, and open streams end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Withdrawn {
    agents: BTreeSet<String>,
    instances: BTreeSet<String>,
}

impl Withdrawn {
    /// Agents, each with all of its instances, and single instances; all by their SPIFFE IDs.
    pub const fn new(agents: BTreeSet<String>, instances: BTreeSet<String>) -> Self {
        Self { agents, instances }
    }

    /// Whether an instance is revoked itself, which is for good.
    pub fn names(&self, instance: &InstanceSpiffeId) -> bool {
        !self.instances.is_empty() && self.instances.contains(&instance.to_string())
    }

    /// Whether the two differ in which agents are revoked.
    pub(crate) fn other_agents(&self, other: &Self) -> bool {
        self.agents != other.agents
    }

    /// The instances that one of the two says are revoked and the other one does not.
    pub(crate) fn other_instances<'w>(
        &'w self,
        other: &'w Self,
    ) -> impl Iterator<Item = InstanceSpiffeId> {
        let differing = self.instances.symmetric_difference(&other.instances);
        differing.filter_map(|instance| instance.parse().ok())
    }

    /// Whether an instance is revoked, itself or with its agent.
    pub fn covers(&self, instance: &InstanceSpiffeId) -> bool {
        self.agents.contains(instance.agent().as_str()) || self.names(instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_covers_its_instances_and_an_instance_itself_alone() {
        let named = |name: &str| {
            format!("spiffe://td/agent/{name}/instance/ins_7zzzzzzzzzzzzzzzzzzzzzzzzz")
        };
        let instance = |name: &str| named(name).parse::<InstanceSpiffeId>().unwrap();
        let agents = BTreeSet::from(["spiffe://td/agent/a".to_owned()]);
        let instances = BTreeSet::from([named("b")]);
        let withdrawn = Withdrawn::new(agents, instances);
        for (name, covered) in [
            ("a", true),
            ("b", true),
            ("c", false),
            ("a/b", false),
            ("aa", false),
        ] {
            assert_eq!(withdrawn.covers(&instance(name)), covered, "{name}");
        }
        assert!(!Withdrawn::default().covers(&instance("a")));
    }
}
