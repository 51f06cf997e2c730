//! Instances that start others: what a registration lets them, and on which node.

use chancery_api::server::{
    InstanceState, LaunchTerms, LaunchedInstance, MaySpawn, OpenInstance, RegisterAgent, Roster,
    RosterEntry, RosterFilter,
};
use chancery_attestation::Evidence;
use chancery_identity::{Isolation, RegistrationTerms};
use chancery_types::Digest;
use chancery_types::id::InstanceId;
use serde_json::{Value, json};

use super::domain::Domain;
use super::instances::{CODE, reason};
use super::nodes::refusal;

mod ending;
mod roster;

fn agent(name: &str) -> String {
    format!("spiffe://own.example/agent/{name}")
}

fn may(names: &[&str]) -> MaySpawn {
    MaySpawn {
        agents: names
            .iter()
            .map(|name| agent(name).parse().unwrap())
            .collect(),
        at_once: 2,
        outlive: false,
    }
}

fn evidence() -> Evidence {
    let evidence = json!({
        "kind": "process", "executable": Digest::of(CODE), "uid": 1000,
    });
    serde_json::from_value(evidence).unwrap()
}

fn outliving() -> LaunchTerms {
    LaunchTerms {
        outlive: true,
        ..LaunchTerms::default()
    }
}

fn lasting(seconds: u64) -> LaunchTerms {
    LaunchTerms {
        lifetime_seconds: Some(seconds),
        ..LaunchTerms::default()
    }
}

/// A domain with an orchestrator and a worker, registered with what they may start.
async fn peopled(orchestrator: MaySpawn, worker: Option<MaySpawn>) -> Domain {
    let domain = Domain::start("own.example").await;
    domain.registered("orchestrator", Some(orchestrator)).await;
    domain.registered("worker", worker).await;
    domain
}

impl Domain {
    async fn registered(&self, name: &str, may_spawn: Option<MaySpawn>) {
        self.registering(name, may_spawn).await.unwrap();
    }

    async fn registering(&self, name: &str, may_spawn: Option<MaySpawn>) -> Result<(), String> {
        self.registering_with(name, may_spawn, RegistrationTerms::default())
            .await
    }

    async fn registering_with(
        &self,
        name: &str,
        may_spawn: Option<MaySpawn>,
        terms: RegistrationTerms,
    ) -> Result<(), String> {
        let request = RegisterAgent {
            manifest: self.signed(&agent(name)),
            may_spawn,
            terms,
            ..RegisterAgent::default()
        };
        let registered = self.client().register_agent(&request).await;
        registered.map(drop).map_err(reason)
    }

    async fn begin(
        &self,
        name: &str,
        parent: Option<InstanceId>,
        terms: LaunchTerms,
    ) -> Result<LaunchedInstance, String> {
        let request = OpenInstance {
            agent_id: agent(name),
            evidence: evidence(),
            parent,
            terms,
        };
        self.client().open_instance(&request).await.map_err(reason)
    }

    async fn opened(&self, name: &str, parent: Option<InstanceId>) -> InstanceId {
        let opened = self.begin(name, parent, LaunchTerms::default()).await;
        opened.unwrap().instance_id
    }

    async fn all(&self) -> Roster {
        self.client()
            .roster(&RosterFilter::default())
            .await
            .unwrap()
    }

    async fn of(&self, id: InstanceId) -> RosterEntry {
        let all = self.all().await.instances.into_iter();
        let mut all = all.filter(|entry| entry.instance_id == id);
        all.next().unwrap()
    }

    async fn ended(&self, id: InstanceId) -> Option<String> {
        let entry = self.of(id).await;
        assert_eq!(
            entry.state == InstanceState::Ended,
            entry.ended_at.is_some()
        );
        assert_eq!(entry.ended_at.is_some(), entry.end_reason.is_some());
        entry.end_reason
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_starts_what_its_registration_names_and_nothing_else() {
    let domain = peopled(may(&["worker", "gone"]), None).await;
    let parent = domain.opened("orchestrator", None).await;
    let own = Some(parent);
    let child = domain.opened("worker", own).await;
    let nothing = LaunchTerms::default;
    for (name, parent, terms, refused) in [
        // Not even its like, and nobody who is not registered.
        ("orchestrator", own, nothing(), "spawn_not_allowed"),
        ("stranger", own, nothing(), "spawn_not_allowed"),
        ("gone", own, nothing(), "agent_unknown"),
        // A registration without the right has none.
        ("worker", Some(child), nothing(), "spawn_not_allowed"),
        (
            "worker",
            Some(InstanceId::from_random([9; 16])),
            nothing(),
            "parent_unknown",
        ),
        ("worker", own, outliving(), "spawn_outlive_not_allowed"),
        ("worker", own, lasting(0), "launch_lifetime"),
        ("worker", own, lasting(u64::MAX), "launch_lifetime"),
        ("worker", None, outliving(), "outlive_without_parent"),
    ] {
        let said = domain.begin(name, parent, terms).await.map(drop);
        assert_eq!(said, Err(refused.to_owned()), "{name} {parent:?}");
    }
    // So many at once.
    let second = domain.opened("worker", own).await;
    let third = domain.begin("worker", own, nothing()).await.map(drop);
    assert_eq!(third, Err("spawn_limit".to_owned()));
    domain.end(second).await;
    domain.opened("worker", own).await;
    // The next registration counts, also for who runs already.
    domain.registered("orchestrator", None).await;
    domain.end(child).await;
    let said = domain.begin("worker", own, nothing()).await.map(drop);
    assert_eq!(said, Err("spawn_not_allowed".to_owned()));
    domain.end(parent).await;
    let said = domain.begin("worker", own, nothing()).await.map(drop);
    assert_eq!(said, Err("parent_ended".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_names_agents_of_its_own_domain_within_bounds() {
    let domain = Domain::start("own.example").await;
    let foreign = MaySpawn {
        agents: ["spiffe://other.example/agent/worker".parse().unwrap()].into(),
        ..may(&[])
    };
    let none = MaySpawn {
        at_once: 0,
        ..may(&["worker"])
    };
    let many = MaySpawn {
        at_once: 10_001,
        ..may(&["worker"])
    };
    let names: Vec<String> = (0..65).map(|number| format!("a{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Few enough, and more than an entry of the log holds.
    let long = "a".repeat(1_000);
    let long: Vec<String> = (0..20).map(|number| format!("{long}{number}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    for bad in [foreign, none, many, may(&[]), may(&names), may(&long)] {
        let said = domain.registering("orchestrator", Some(bad)).await;
        assert_eq!(said, Err("may_spawn".to_owned()));
    }
    assert!(domain.client().agents().await.unwrap().agents.is_empty());
    domain
        .registered("orchestrator", Some(may(&["worker", "worker"])))
        .await;
    let agents = domain.client().agents().await.unwrap().agents;
    assert_eq!(agents[0].may_spawn, Some(may(&["worker"])));
}

/// Nobody has a child start what it may not start itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_may_outlive_has_no_grandchild_that_does() {
    let outlive = || MaySpawn {
        outlive: true,
        ..may(&["worker"])
    };
    let domain = peopled(may(&["worker"]), Some(outlive())).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let said = domain.begin("worker", Some(child), outliving()).await;
    assert_eq!(said.map(drop), Err("spawn_outlive_not_allowed".to_owned()));
    // Where every one above lets it, and of one that nobody started.
    domain.registered("orchestrator", Some(outlive())).await;
    domain
        .begin("worker", Some(child), outliving())
        .await
        .unwrap();
    let alone = domain.opened("worker", None).await;
    domain
        .begin("worker", Some(alone), outliving())
        .await
        .unwrap();
}

/// What is required of who is issued something is required of who starts another one.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_meet_its_registration_any_more_starts_nothing() {
    let domain = peopled(may(&["worker"]), None).await;
    let parent = domain.opened("orchestrator", None).await;
    domain.opened("worker", Some(parent)).await;
    let isolated = RegistrationTerms {
        isolation: Some(Isolation::Isolated),
        ..RegistrationTerms::default()
    };
    let worker = || Some(may(&["worker"]));
    let registered = domain.registering_with("orchestrator", worker(), isolated);
    registered.await.unwrap();
    let nothing = LaunchTerms::default;
    let said = domain.begin("worker", Some(parent), nothing()).await;
    assert_eq!(said.map(drop), Err("isolation_required".to_owned()));
    domain.registered("orchestrator", worker()).await;
    domain
        .begin("worker", Some(parent), nothing())
        .await
        .unwrap();
}

/// A node on another host speaks for its own instances alone, also as parents.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_names_its_own_instances_alone_as_parents() {
    let domain = peopled(may(&["worker"]), None).await;
    let (one, two) = (domain.joined().await, domain.joined().await);
    let [as_one, as_two] = [&one, &two].map(|joined| {
        let node = joined.spiffe_id().node();
        domain.with_svid(&format!("/service/node/{node}"), 0)
    });
    let open = |name: &str, parent: Option<InstanceId>| {
        let mut body = json!({"agent_id": agent(name), "evidence": evidence()});
        if let Some(parent) = parent {
            body["parent"] = json!(parent);
        }
        body
    };
    let path = "/v1/instances";
    let launched: LaunchedInstance = as_one
        .post(path, &open("orchestrator", None))
        .await
        .unwrap();
    let there = launched.instance_id;
    let here = domain.opened("orchestrator", None).await;
    for (client, parent) in [(&as_two, there), (&as_two, here), (&as_one, here)] {
        let said = refusal(client, "POST", path, &open("worker", Some(parent))).await;
        assert_eq!(said, "parent_elsewhere");
    }
    let said = domain
        .begin("worker", Some(there), LaunchTerms::default())
        .await;
    assert_eq!(said.map(drop), Err("parent_elsewhere".to_owned()));
    let child: LaunchedInstance = as_one
        .post(path, &open("worker", Some(there)))
        .await
        .unwrap();
    let descendants = format!("{path}/{there}/descendants");
    let roster: Roster = as_one.get(&descendants).await.unwrap();
    assert_eq!(roster.instances[0].instance_id, child.instance_id);
    assert_eq!(roster.instances[0].node, Some(one.spiffe_id().node()));
    let said = refusal(&as_two, "GET", &descendants, &Value::Null).await;
    assert_eq!(said, "other_node");
}
