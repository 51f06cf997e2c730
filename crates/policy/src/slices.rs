//! Slices: for each target the policies whose scope can match it, so that the cost of a decision
//! does not grow with the number of policies. Scope constraints are conjuncts of a policy, so a
//! policy outside of the slice can neither match nor fail.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cedar_policy::{
    ActionConstraint, Entities, Entity, EntityUid, Policy, PolicySet, ResourceConstraint,
};

use crate::policies::Policies;
use crate::vocabulary::Vocabulary;
use crate::{BundleError, Index, Kind, Target};

/// What is evaluated for one target.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    pub(crate) rules: PolicySet,
    pub(crate) asks: PolicySet,
    /// The action and the groups that it is in.
    pub(crate) actions: Vec<Entity>,
}

/// All slices of a bundle.
#[derive(Debug, Clone)]
pub(crate) struct Slices {
    tools: HashMap<EntityUid, Slice>,
    /// Resources and prompts that a policy names.
    named: HashMap<EntityUid, Slice>,
    /// Other resources and prompts, by kind and server that a policy names.
    servers: BTreeMap<(Kind, String), Slice>,
    /// All the rest, by kind.
    others: BTreeMap<Kind, Slice>,
}

impl Slices {
    pub(crate) fn new(
        policies: &Policies,
        index: &Index,
        actions: &Entities,
        vocabulary: &Vocabulary,
    ) -> Result<Self, BundleError> {
        let builder = Builder {
            rules: Scoped::new(&policies.rules),
            asks: Scoped::new(&policies.asks),
            actions,
            vocabulary,
        };
        let mut tools = HashMap::new();
        for name in index.tools().keys() {
            if let Some((server, name)) = name.split_once('/') {
                let target = Target {
                    kind: Kind::Tool,
                    server,
                    name,
                };
                tools.insert(vocabulary.resource_uid(&target), builder.slice(&target)?);
            }
        }
        let literals: BTreeSet<EntityUid> = builder
            .rules
            .by_resource
            .keys()
            .chain(builder.asks.by_resource.keys())
            .cloned()
            .collect();
        let (mut named, mut servers, mut others) =
            (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        for kind in [Kind::Resource, Kind::Prompt] {
            // A slash cannot stand in a server name, so this one is nobody's.
            let nobody = Target {
                kind,
                server: "/",
                name: "",
            };
            others.insert(kind, builder.slice(&nobody)?);
            for literal in &literals {
                let id = literal.id().unescaped();
                if literal.type_name() == vocabulary.resource_type(kind) {
                    if let Some((server, name)) = id.split_once('/') {
                        let target = Target { kind, server, name };
                        named.insert(literal.clone(), builder.slice(&target)?);
                    }
                } else if literal.type_name() == &vocabulary.server {
                    let target = Target {
                        kind,
                        server: id,
                        name: "",
                    };
                    servers.insert((kind, id.to_owned()), builder.slice(&target)?);
                }
            }
        }
        Ok(Self {
            tools,
            named,
            servers,
            others,
        })
    }

    /// Every slice. Together they are all that can be asked of a bundle: a policy that is in none
    /// matches nothing.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Slice> {
        let named = self.tools.values().chain(self.named.values());
        named
            .chain(self.servers.values())
            .chain(self.others.values())
    }

    pub(crate) fn of(&self, target: &Target<'_>, resource: &EntityUid) -> Option<&Slice> {
        match target.kind {
            Kind::Tool => self.tools.get(resource),
            kind => self
                .named
                .get(resource)
                .or_else(|| self.servers.get(&(kind, target.server.to_owned())))
                .or_else(|| self.others.get(&kind)),
        }
    }
}

struct Builder<'a> {
    rules: Scoped<'a>,
    asks: Scoped<'a>,
    actions: &'a Entities,
    vocabulary: &'a Vocabulary,
}

impl Builder<'_> {
    fn slice(&self, target: &Target<'_>) -> Result<Slice, BundleError> {
        let action = self.vocabulary.action_uid(target);
        let groups: Vec<&EntityUid> = std::iter::once(&action)
            .chain(self.actions.ancestors(&action).into_iter().flatten())
            .collect();
        let resource = self.vocabulary.resource_uid(target);
        let server = self.vocabulary.server_uid(target.server);
        let resources = [&resource, &server];
        Ok(Slice {
            rules: policy_set(self.rules.matching(&groups, resources))?,
            asks: policy_set(self.asks.matching(&groups, resources))?,
            actions: groups
                .iter()
                .filter_map(|group| self.actions.get(group).cloned())
                .collect(),
        })
    }
}

/// Policies, found by what their scope names.
struct Scoped<'a> {
    policies: &'a [Policy],
    by_action: HashMap<EntityUid, Vec<usize>>,
    by_resource: HashMap<EntityUid, Vec<usize>>,
    unscoped: Vec<usize>,
}

impl<'a> Scoped<'a> {
    fn new(policies: &'a [Policy]) -> Self {
        let mut scoped = Self {
            policies,
            by_action: HashMap::new(),
            by_resource: HashMap::new(),
            unscoped: Vec::new(),
        };
        for (place, policy) in policies.iter().enumerate() {
            // By the resource first: it is the more selective one.
            if let Some(resource) = named_resource(policy) {
                scoped.by_resource.entry(resource).or_default().push(place);
                continue;
            }
            match policy.action_constraint() {
                ActionConstraint::Any => scoped.unscoped.push(place),
                ActionConstraint::Eq(action) => {
                    scoped.by_action.entry(action).or_default().push(place);
                }
                ActionConstraint::In(actions) => {
                    for action in actions {
                        scoped.by_action.entry(action).or_default().push(place);
                    }
                }
            }
        }
        scoped
    }

    /// `actions` are the action and its groups, `resources` the resource and its server.
    fn matching(&self, actions: &[&EntityUid], resources: [&EntityUid; 2]) -> Vec<Policy> {
        let places: BTreeSet<usize> = actions
            .iter()
            .filter_map(|action| self.by_action.get(*action))
            .chain(
                resources
                    .iter()
                    .filter_map(|uid| self.by_resource.get(*uid)),
            )
            .flatten()
            .chain(&self.unscoped)
            .copied()
            .collect();
        places
            .into_iter()
            .filter_map(|place| self.policies.get(place))
            .filter(|policy| {
                action_can_match(policy, actions) && resource_can_match(policy, resources)
            })
            .cloned()
            .collect()
    }
}

fn policy_set(policies: Vec<Policy>) -> Result<PolicySet, BundleError> {
    PolicySet::from_policies(policies).map_err(BundleError::engine)
}

fn named_resource(policy: &Policy) -> Option<EntityUid> {
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        ResourceConstraint::In(uid)
        | ResourceConstraint::Eq(uid)
        | ResourceConstraint::IsIn(_, uid) => Some(uid),
    }
}

fn action_can_match(policy: &Policy, actions: &[&EntityUid]) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(named) => actions.first() == Some(&&named),
        ActionConstraint::In(named) => named.iter().any(|uid| actions.contains(&uid)),
    }
}

fn resource_can_match(policy: &Policy, [resource, server]: [&EntityUid; 2]) -> bool {
    match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(kind) => kind == *resource.type_name(),
        ResourceConstraint::Eq(uid) => uid == *resource,
        ResourceConstraint::In(uid) => uid == *resource || uid == *server,
        ResourceConstraint::IsIn(kind, uid) => {
            kind == *resource.type_name() && (uid == *resource || uid == *server)
        }
    }
}
