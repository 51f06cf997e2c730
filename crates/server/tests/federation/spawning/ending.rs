//! How instances end, and who ends with them.

use std::collections::BTreeSet;

use chancery_api::server::{EndInstance, RetireAgent};
use chancery_audit::Event;
use chancery_store::LineageRow;
use chancery_types::RevocationKind;

use super::*;
use crate::domain::now;
use crate::instances::revoke;

impl Domain {
    fn ends_logged(&self) -> usize {
        let logged = self.logged();
        let ends = logged
            .iter()
            .filter(|entry| matches!(entry.event, Event::IdentityEnd(_)));
        ends.count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_end_with_their_parent_unless_told_otherwise() {
    let outlive = MaySpawn {
        outlive: true,
        ..may(&["worker"])
    };
    let domain = peopled(outlive, Some(may(&["worker"]))).await;
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
    domain.x509(grandchild).await.unwrap();
    domain.end(parent).await;
    assert_eq!(
        domain.ended(parent).await.as_deref(),
        Some("process-exited")
    );
    for id in [child, grandchild] {
        assert_eq!(domain.ended(id).await.as_deref(), Some("parent-ended"));
        assert_eq!(domain.x509(id).await.unwrap_err(), "instance_ended");
    }
    for id in [stays.instance_id, below, other, others] {
        assert_eq!(domain.ended(id).await, None);
        domain.x509(id).await.unwrap();
    }
    // What went on alone takes its own along.
    domain.end(stays.instance_id).await;
    assert_eq!(domain.ended(below).await.as_deref(), Some("parent-ended"));
    assert_eq!(domain.ended(others).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_parent_starts_nothing_and_its_children_end() {
    let domain = peopled(may(&["worker"]), None).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let id = domain.of(parent).await.spiffe_id;
    revoke(&domain.client(), RevocationKind::Instance, &id).await;
    assert_eq!(domain.ended(parent).await.as_deref(), Some("revoked"));
    assert_eq!(domain.ended(child).await.as_deref(), Some("parent-ended"));
    let said = domain
        .begin("worker", Some(parent), LaunchTerms::default())
        .await;
    assert_eq!(said.map(drop), Err("parent_revoked".to_owned()));
    // With its agent as well, which may be lifted: whoever runs goes on.
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let client = domain.client();
    revoke(&client, RevocationKind::Agent, &agent("orchestrator")).await;
    let said = domain
        .begin("worker", Some(parent), LaunchTerms::default())
        .await;
    assert_eq!(said.map(drop), Err("parent_revoked".to_owned()));
    assert_eq!(domain.ended(child).await, None);
}

/// However a parent's end and its spawns fall together, no child runs whose parent has ended.
#[tokio::test(flavor = "multi_thread")]
async fn no_child_begins_once_its_parent_has_ended() {
    let many = MaySpawn {
        at_once: 100,
        ..may(&["worker"])
    };
    let domain = peopled(many, None).await;
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
async fn what_a_crash_left_running_is_ended() {
    let mut domain = peopled(may(&["worker"]), None).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let late = domain.opened("worker", None).await;
    let store = domain.tables().await;
    // The end of the parent is stored, and the server was killed before its child's.
    let ended = store.end_instance(parent, now(), "process-exited");
    assert!(ended.await.unwrap());
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

/// With an agent goes what its instances started, revoked as they are; each ends once.
#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agents_descendants_are_revoked_with_it() {
    let outlive = MaySpawn {
        outlive: true,
        ..may(&["worker"])
    };
    let mut domain = peopled(outlive, Some(may(&["worker"]))).await;
    let parent = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(parent)).await;
    let grandchild = domain.opened("worker", Some(child)).await;
    let stays = domain.begin("worker", Some(parent), outliving()).await;
    let stays = stays.unwrap().instance_id;
    domain.x509(grandchild).await.unwrap();
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
    domain.x509(stays).await.unwrap();
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
    let many = MaySpawn {
        at_once: 100,
        ..may(&["worker"])
    };
    let mut domain = peopled(many, None).await;
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
    let many = || MaySpawn {
        at_once: 1_000,
        ..may(&["worker"])
    };
    let domain = peopled(many(), None).await;
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
