//! Instances that start others: what a registration lets them, how they end, what the roster says.

use std::collections::BTreeSet;
use std::path::Path;

use chancery_api::ClientError;
use chancery_api::server::{
    EndInstance, InstanceState, IssueX509, IssueX509s, IssuedX509, LaunchTerms, LaunchedInstance,
    Leaf, MaySpawn, OpenInstance, RegisterAgent, RetireAgent, Revoke, Roster, RosterEntry,
    RosterFilter,
};
use chancery_attestation::Evidence;
use chancery_audit::Event;
use chancery_crypto::SigningKey;
use chancery_delegation::Revocable;
use chancery_delegation::manifest::{CatalogTool, catalog_root, sign_manifest};
use chancery_identity::{Isolation, RegistrationTerms, spki_der};
use chancery_store::LineageRow;
use chancery_types::id::InstanceId;
use chancery_types::{Algorithm, Digest, RevocationKind, Timestamp, base64url};
use serde_json::{Value, json};

use super::domain::{Domain, now};
use super::nodes::refusal;

const CODE: &str = "program";
const TASK: &str = "count the books of Ada";

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

impl Domain {
    fn manifest(&self, name: &str) -> Vec<u8> {
        let second = |at: Timestamp| {
            let at = Timestamp::from_seconds(at.as_seconds());
            at.to_string().replace(".000000Z", "Z")
        };
        let bound_at = second(now());
        let tool = CatalogTool::of("spiffe://own.example/tool/s/t", &json!({}), "t").unwrap();
        let tools = json!([{
            "tool_id": tool.tool_id, "tool_name": "t", "endpoint_id": "s",
            "schema_hash": tool.schema_hash, "description_hash": tool.description_hash,
            "version": "1",
        }]);
        let document = json!({
            "@context": "https://manifest.agentrust-io.com/v0.2/context.json",
            "@type": "AgentManifest",
            "manifest_id": "018f4a3b-2c1d-7e5f-a8b9-0d1e2f3a4b5c",
            "agent_id": agent(name),
            "version": "0.2",
            "issued_at": bound_at,
            "expires_at": second(now().plus_seconds(86_400)),
            "issuer": "spiffe://own.example/issuer/manifests",
            "crypto_profile": "standard",
            "profile": "composition-only",
            "unbound_artifacts": ["model_identity", "system_prompt"],
            "artifacts": {
                "policy_bundle": {
                    "hash": Digest::of("policy"), "policy_language": "cedar", "version": "1",
                    "enforcement_mode": "enforce", "bound_at": bound_at,
                },
                "tool_manifest": {
                    "catalog_hash": catalog_root(&[tool]).unwrap(), "tools": tools,
                    "rug_pull_policy": "deny-and-alert", "bound_at": bound_at,
                },
                "supply_chain": {
                    "container_image_digest": Digest::of(CODE), "bound_at": bound_at,
                },
            },
            "intent": {"statement": "is tested"},
        });
        let key = &self.manifests;
        sign_manifest(&document, key.public(), &|message| key.sign(message)).unwrap()
    }

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
            manifest: base64url::encode(self.manifest(name)),
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

    async fn end(&self, id: InstanceId) {
        let request = EndInstance {
            reason: "process-exited".to_owned(),
        };
        self.client().end_instance(id, &request).await.unwrap();
    }

    async fn svid(&self, id: InstanceId) -> Result<IssuedX509, String> {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let request = IssueX509 {
            instance_id: id,
            spki: base64url::encode(spki_der(key.public())),
            broker: None,
        };
        self.client().issue_x509(&request).await.map_err(reason)
    }

    async fn revoke(&self, kind: RevocationKind, id: &str) {
        let request = Revoke {
            what: Revocable::new(kind, id).unwrap(),
            reason: "lost".to_owned(),
        };
        self.client().revoke(&request).await.unwrap();
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

impl Domain {
    fn ends_logged(&self) -> usize {
        let logged = self.logged();
        let ends = logged
            .iter()
            .filter(|entry| matches!(entry.event, Event::IdentityEnd(_)));
        ends.count()
    }
}

fn reason(error: ClientError) -> String {
    match error {
        ClientError::Refused(problem) => problem.reason,
        other => panic!("{other}"),
    }
}

/// The text of all files below a folder.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        // Sockets are no text.
        let bytes = path.is_file().then(|| std::fs::read(path).unwrap());
        bytes.is_some_and(|bytes| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_starts_what_its_registration_names_and_nothing_else() {
    let domain = Domain::start("own.example").await;
    domain
        .registered("orchestrator", Some(may(&["worker", "gone"])))
        .await;
    domain.registered("worker", None).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn instances_end_with_their_parent_unless_told_otherwise() {
    let domain = Domain::start("own.example").await;
    let outlive = MaySpawn {
        outlive: true,
        ..may(&["worker"])
    };
    domain.registered("orchestrator", Some(outlive)).await;
    domain.registered("worker", Some(may(&["worker"]))).await;
    let parent = domain.opened("orchestrator", None).await;
    let other = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let grandchild = domain.opened("worker", Some(child)).await;
    let stays = domain
        .begin("worker", Some(parent), outliving())
        .await
        .unwrap();
    let below = domain.opened("worker", Some(stays.instance_id)).await;
    let others = domain.opened("worker", Some(other)).await;
    domain.svid(grandchild).await.unwrap();
    domain.end(parent).await;
    assert_eq!(
        domain.ended(parent).await.as_deref(),
        Some("process-exited")
    );
    for id in [child, grandchild] {
        assert_eq!(domain.ended(id).await.as_deref(), Some("parent-ended"));
        assert_eq!(domain.svid(id).await.unwrap_err(), "instance_ended");
    }
    for id in [stays.instance_id, below, other, others] {
        assert_eq!(domain.ended(id).await, None);
        domain.svid(id).await.unwrap();
    }
    // What went on alone takes its own along.
    domain.end(stays.instance_id).await;
    assert_eq!(domain.ended(below).await.as_deref(), Some("parent-ended"));
    assert_eq!(domain.ended(others).await, None);
}

/// Nobody has a child start what it may not start itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_may_outlive_has_no_grandchild_that_does() {
    let domain = Domain::start("own.example").await;
    let outlive = || MaySpawn {
        outlive: true,
        ..may(&["worker"])
    };
    domain
        .registered("orchestrator", Some(may(&["worker"])))
        .await;
    domain.registered("worker", Some(outlive())).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_parent_starts_nothing_and_its_children_end() {
    let domain = Domain::start("own.example").await;
    domain
        .registered("orchestrator", Some(may(&["worker"])))
        .await;
    domain.registered("worker", None).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let id = domain.of(parent).await.spiffe_id;
    domain.revoke(RevocationKind::Instance, &id).await;
    assert_eq!(domain.ended(parent).await.as_deref(), Some("revoked"));
    assert_eq!(domain.ended(child).await.as_deref(), Some("parent-ended"));
    let said = domain
        .begin("worker", Some(parent), LaunchTerms::default())
        .await;
    assert_eq!(said.map(drop), Err("parent_revoked".to_owned()));
    // With its agent as well, which may be lifted: whoever runs goes on.
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    domain
        .revoke(RevocationKind::Agent, &agent("orchestrator"))
        .await;
    let said = domain
        .begin("worker", Some(parent), LaunchTerms::default())
        .await;
    assert_eq!(said.map(drop), Err("parent_revoked".to_owned()));
    assert_eq!(domain.ended(child).await, None);
}

/// However a parent's end and its spawns fall together, no child runs whose parent has ended.
#[tokio::test(flavor = "multi_thread")]
async fn no_child_begins_once_its_parent_has_ended() {
    let domain = Domain::start("own.example").await;
    let many = MaySpawn {
        at_once: 100,
        ..may(&["worker"])
    };
    domain.registered("orchestrator", Some(many)).await;
    domain.registered("worker", None).await;
    for round in 0..4_u32 {
        let parent = domain.opened("orchestrator", None).await;
        let open = || domain.begin("worker", Some(parent), LaunchTerms::default());
        let ending = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            domain.end(parent).await;
        };
        let (a, b, (), c, d) = tokio::join!(open(), open(), ending, open(), open());
        for opened in [a, b, c, d] {
            match opened {
                Ok(child) => assert!(domain.ended(child.instance_id).await.is_some()),
                Err(reason) => assert_eq!(reason, "parent_ended"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_nothing_beyond_its_time() {
    let domain = Domain::start("own.example").await;
    domain.registered("worker", None).await;
    let short = domain.begin("worker", None, lasting(1)).await.unwrap();
    let until = short.until.unwrap();
    let svid = domain.svid(short.instance_id).await;
    if let Ok(svid) = svid {
        assert!(svid.not_after.as_seconds() <= until.as_seconds() + 1);
    }
    loop {
        match domain.svid(short.instance_id).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            Err(reason) => break assert_eq!(reason, "instance_over"),
        }
    }
    assert!(now() >= until);
    let long = domain.begin("worker", None, lasting(3_000)).await.unwrap();
    let svid = domain.svid(long.instance_id).await.unwrap();
    let entry = domain.of(long.instance_id).await;
    assert_eq!(entry.svid_until, Some(svid.not_after));
    assert_eq!(entry.until, long.until);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_running_is_ended() {
    let mut domain = Domain::start("own.example").await;
    domain
        .registered("orchestrator", Some(may(&["worker"])))
        .await;
    domain.registered("worker", None).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let late = domain.opened("worker", None).await;
    let store = domain.tables().await;
    // The end of the parent is stored, and the server was killed before its child's.
    store
        .put_end_reason(parent, "process-exited")
        .await
        .unwrap();
    assert!(store.end_instance(parent, now()).await.unwrap());
    let row = LineageRow {
        instance_id: late,
        parent: None,
        outlive: false,
        until: Some(now()),
        task: None,
        log_index: 0,
    };
    store.put_lineage(&row).await.unwrap();
    drop(store);
    domain.restart().await;
    assert_eq!(domain.ended(child).await.as_deref(), Some("parent-ended"));
    assert_eq!(domain.ended(late).await.as_deref(), Some("lifetime-over"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roster_tells_the_living_and_the_dead_and_no_log_tells_a_task() {
    let domain = Domain::start("own.example").await;
    domain
        .registered("orchestrator", Some(may(&["worker"])))
        .await;
    domain.registered("worker", None).await;
    let parent = domain.opened("orchestrator", None).await;
    let terms = LaunchTerms {
        task: Some(TASK.parse().unwrap()),
        ..lasting(600)
    };
    let child = domain.begin("worker", Some(parent), terms).await.unwrap();
    let dead = domain.opened("worker", Some(parent)).await;
    domain.end(dead).await;
    let entry = domain.of(child.instance_id).await;
    assert_eq!(entry.task.as_deref(), Some(TASK));
    assert_eq!((entry.parent, entry.until), (Some(parent), child.until));
    assert_eq!((entry.node, entry.on_behalf_of.as_deref()), (None, None));
    assert!(!entry.outlive && entry.since <= now());
    // Neither in the log nor in the tables, where it is sealed.
    assert!(!holds(domain.file("log").parent().unwrap(), TASK));
    let client = domain.client();
    let listed = async |filter: RosterFilter| {
        let roster = client.roster(&filter).await.unwrap();
        let ids = roster.instances.iter().map(|entry| entry.instance_id);
        (ids.collect::<Vec<_>>(), roster.more)
    };
    let nothing = RosterFilter::default;
    let by_agent = RosterFilter {
        agent: Some(agent("orchestrator").parse().unwrap()),
        ..nothing()
    };
    assert_eq!(listed(by_agent).await, (vec![parent], false));
    let by_parent = RosterFilter {
        parent: Some(parent),
        state: Some(InstanceState::Ended),
        ..nothing()
    };
    assert_eq!(listed(by_parent).await, (vec![dead], false));
    let newest = RosterFilter {
        limit: Some(1),
        ..nothing()
    };
    assert_eq!(listed(newest).await, (vec![dead], true));
    for limit in [0, 10_001] {
        let filter = RosterFilter {
            limit: Some(limit),
            ..nothing()
        };
        let refused = client.roster(&filter).await.map(drop).map_err(reason);
        assert_eq!(refused, Err("limit".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_sees_what_it_started_and_nobody_elses() {
    let domain = Domain::start("own.example").await;
    domain
        .registered("orchestrator", Some(may(&["worker"])))
        .await;
    domain.registered("worker", Some(may(&["worker"]))).await;
    let one = domain.opened("orchestrator", None).await;
    let other = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(one)).await;
    let grandchild = domain.opened("worker", Some(child)).await;
    domain.opened("worker", Some(other)).await;
    domain.end(grandchild).await;
    let ids = async |id: InstanceId| {
        let roster = domain.client().descendants(id).await.unwrap();
        let ids = roster.instances.iter().map(|entry| entry.instance_id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(one).await, [grandchild, child]);
    assert_eq!(ids(child).await, [grandchild]);
    assert!(ids(grandchild).await.is_empty());
    let unknown = domain
        .client()
        .descendants(InstanceId::from_random([9; 16]))
        .await;
    assert_eq!(
        unknown.map(drop).map_err(reason),
        Err("instance_unknown".to_owned())
    );
}

/// What is required of who is issued something is required of who starts another one.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_meet_its_registration_any_more_starts_nothing() {
    let domain = Domain::start("own.example").await;
    let worker = || Some(may(&["worker"]));
    domain.registered("orchestrator", worker()).await;
    domain.registered("worker", None).await;
    let parent = domain.opened("orchestrator", None).await;
    domain.opened("worker", Some(parent)).await;
    let isolated = RegistrationTerms {
        isolation: Some(Isolation::Isolated),
        ..RegistrationTerms::default()
    };
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

/// An SVID lives as long as its registration says, and never longer than its instance.
#[tokio::test(flavor = "multi_thread")]
async fn the_shorter_of_two_times_counts() {
    let domain = Domain::start("own.example").await;
    let terms = RegistrationTerms {
        x509_svid_seconds: Some("120".parse().unwrap()),
        ..RegistrationTerms::default()
    };
    let registered = domain.registering_with("worker", None, terms);
    registered.await.unwrap();
    for (instance, most) in [(lasting(40), 40), (lasting(3_000), 120)] {
        let opened = domain.begin("worker", None, instance).await.unwrap();
        let svid = domain.svid(opened.instance_id).await.unwrap();
        let lives = svid.not_after.micros_since(now()) / 1_000_000;
        assert!((most - 20..=most).contains(&lives), "{lives} of {most}");
        let noted = domain.of(opened.instance_id).await.svid_until;
        assert_eq!(noted, Some(svid.not_after));
    }
}

/// The same for those that are asked for together; one whose time is over is refused alone.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_those_issued_together_has_its_own_time() {
    let domain = Domain::start("own.example").await;
    domain.registered("worker", None).await;
    let mut instances = Vec::new();
    for terms in [lasting(1), lasting(40), LaunchTerms::default()] {
        let opened = domain.begin("worker", None, terms).await.unwrap();
        instances.push(opened.instance_id);
    }
    while domain.svid(instances[0]).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let before = domain.of(instances[0]).await.svid_until;
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let requests = instances.iter().map(|id| IssueX509 {
        instance_id: *id,
        spki: base64url::encode(spki_der(key.public())),
        broker: None,
    });
    let request = IssueX509s {
        requests: requests.collect(),
    };
    let issued = domain.client().issue_x509s(&request).await.unwrap();
    let reasons = issued.leaves.into_iter().map(Leaf::into_result);
    let reasons: Vec<_> = reasons.map(|leaf| leaf.map_err(|it| it.reason)).collect();
    // It may have been found over and ended meanwhile.
    let over = reasons[0].as_ref().unwrap_err().as_str();
    assert!(matches!(over, "instance_over" | "instance_ended"), "{over}");
    assert!(reasons[1..].iter().all(Result::is_ok), "{reasons:?}");
    assert_eq!(domain.of(instances[0]).await.svid_until, before);
    for (id, most) in [(instances[1], 40), (instances[2], 600)] {
        let until = domain.of(id).await.svid_until.unwrap();
        let lives = until.micros_since(now()) / 1_000_000;
        assert!((most - 20..=most).contains(&lives), "{lives} of {most}");
    }
}

/// With an agent goes what its instances started, revoked as they are; each ends once.
#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agents_descendants_are_revoked_with_it() {
    let mut domain = Domain::start("own.example").await;
    let outlive = MaySpawn {
        outlive: true,
        ..may(&["worker"])
    };
    domain.registered("orchestrator", Some(outlive)).await;
    domain.registered("worker", Some(may(&["worker"]))).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let grandchild = domain.opened("worker", Some(child)).await;
    let stays = domain.begin("worker", Some(parent), outliving()).await;
    let stays = stays.unwrap().instance_id;
    domain.svid(grandchild).await.unwrap();
    let request = RetireAgent {
        agent_id: agent("orchestrator"),
        reason: "not needed any more".to_owned(),
        expected: None,
    };
    let retired = domain.client().retire_agent(&request).await.unwrap();
    let known = domain.client().withdrawn(Digest::of(""), 0).await.unwrap();
    let mut expected = Vec::new();
    for id in [parent, child, grandchild] {
        let entry = domain.of(id).await;
        assert!(known.instances.contains(&entry.spiffe_id));
        assert_eq!(entry.state, InstanceState::Ended);
        expected.push(entry.spiffe_id);
    }
    expected.sort();
    assert_eq!(retired.instances, expected);
    assert_eq!(domain.ended(stays).await, None);
    domain.svid(stays).await.unwrap();
    // Registered again without the right it has none, and nothing is left of the earlier one.
    domain.registered("orchestrator", None).await;
    let agents = domain.client().agents().await.unwrap().agents;
    let again = agents
        .iter()
        .find(|one| one.agent_id == agent("orchestrator"));
    assert_eq!(again.unwrap().may_spawn, None);
    domain.restart().await;
    assert_eq!(domain.ends_logged(), 3);
}

/// A parent's end takes its children along while the node reports the same ones, and children are
/// opened: each instance ends once in the log, and none begins after its parent's end.
#[tokio::test(flavor = "multi_thread")]
async fn each_end_stands_once_in_the_log_and_no_child_after_its_parents() {
    let mut domain = Domain::start("own.example").await;
    let many = MaySpawn {
        at_once: 100,
        ..may(&["worker"])
    };
    domain.registered("orchestrator", Some(many)).await;
    domain.registered("worker", None).await;
    let mut instances = 0;
    for _ in 0..4 {
        let parent = domain.opened("orchestrator", None).await;
        let mut children = Vec::new();
        for _ in 0..3 {
            children.push(domain.opened("worker", Some(parent)).await);
        }
        let client = domain.client();
        let request = || EndInstance {
            reason: "process-exited".to_owned(),
        };
        let end = async |id: InstanceId| {
            // The second one hears that it has ended, or nothing.
            let ended = client.end_instance(id, &request()).await.map_err(reason);
            assert!(matches!(
                ended.as_ref().err().map(String::as_str),
                None | Some("instance_ended")
            ));
        };
        let open = || domain.begin("worker", Some(parent), LaunchTerms::default());
        let (a, b, ..) = tokio::join!(
            open(),
            open(),
            end(parent),
            end(parent),
            end(children[0]),
            end(children[1]),
            end(children[2])
        );
        instances += 4 + [a, b].iter().filter(|opened| opened.is_ok()).count();
    }
    domain.restart().await;
    assert_eq!(domain.ends_logged(), instances);
    let mut over = BTreeSet::new();
    for entry in domain.logged() {
        match entry.event {
            Event::IdentityEnd(ended) => assert!(over.insert(ended.instance.to_string())),
            Event::InstanceOpen(opened) => {
                let parent = opened.parent.map(|parent| parent.to_string());
                assert!(parent.is_none_or(|parent| !over.contains(&parent)));
            }
            _ => {}
        }
    }
}

/// Those who register, retire and start others wait for each other, and not in a ring.
#[tokio::test(flavor = "multi_thread")]
async fn starting_registering_and_retiring_at_once_come_to_an_end() {
    let domain = Domain::start("own.example").await;
    let many = || MaySpawn {
        at_once: 1_000,
        ..may(&["worker"])
    };
    domain.registered("orchestrator", Some(many())).await;
    domain.registered("worker", None).await;
    domain.registered("other", None).await;
    let parent = domain.opened("orchestrator", None).await;
    let starting = async || {
        for _ in 0..8 {
            let started = domain.begin("worker", Some(parent), LaunchTerms::default());
            started.await.unwrap();
        }
    };
    let registering = async {
        for _ in 0..8 {
            domain.registered("orchestrator", Some(many())).await;
        }
    };
    let retiring = async {
        for _ in 0..4 {
            domain.opened("other", None).await;
            let request = RetireAgent {
                agent_id: agent("other"),
                reason: "again".to_owned(),
                expected: None,
            };
            domain.client().retire_agent(&request).await.unwrap();
            domain.registered("other", None).await;
        }
    };
    let together = async { tokio::join!(starting(), starting(), registering, retiring) };
    let limit = std::time::Duration::from_secs(120);
    tokio::time::timeout(limit, together).await.unwrap();
}

/// A node on another host speaks for its own instances alone, also as parents.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_names_its_own_instances_alone_as_parents() {
    let domain = Domain::start("own.example").await;
    domain
        .registered("orchestrator", Some(may(&["worker"])))
        .await;
    domain.registered("worker", None).await;
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
