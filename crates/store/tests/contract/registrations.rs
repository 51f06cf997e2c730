//! Registrations: what stands beside a manifest, and what is left of an agent that was retired.

use chancery_identity::{Isolation, RegistrationTerms};
use chancery_store::AgentRow;
use chancery_types::{Digest, Timestamp};

use crate::World;
use crate::rows::instance;

const CLERK: &str = "spiffe://example.org/agent/clerk";

fn row(agent_id: &str) -> AgentRow {
    AgentRow {
        agent_id: agent_id.into(),
        manifest_id: "one".into(),
        manifest_digest: Digest::of("one"),
        expires_at: Timestamp::from_seconds(9),
        federates_with: vec!["partner.example".into()],
        may_spawn: Some(serde_json::json!({"agents": [], "at_once": 3, "outlive": true})),
        terms: RegistrationTerms {
            dns_names: ["b.example", "a.example"]
                .map(|name| name.parse().unwrap())
                .into(),
            hint: Some("internal".parse().unwrap()),
            x509_svid_seconds: Some("60".parse().unwrap()),
            jwt_svid_seconds: None,
            isolation: Some(Isolation::Isolated),
            attestation_level: None,
        },
        owner: Some("team-a".parse().unwrap()),
        log_index: 4,
    }
}

pub(crate) async fn terms_and_owner_are_kept_and_replaced_whole(world: World) {
    let store = world.open().await;
    let first = row(CLERK);
    let other = row("spiffe://example.org/agent/other");
    for row in [&first, &other] {
        store.put_agent(row, b"one").await.unwrap();
    }
    let again = world.open().await;
    assert_eq!(again.agent(CLERK).await.unwrap().as_ref(), Some(&first));
    assert_eq!(
        again.agents().await.unwrap(),
        [first.clone(), other.clone()]
    );
    // By hand, with less: nothing of what was is left.
    let next = AgentRow {
        federates_with: vec![],
        may_spawn: None,
        terms: RegistrationTerms::default(),
        owner: None,
        log_index: 5,
        ..first
    };
    store.put_agent(&next, b"one").await.unwrap();
    assert_eq!(again.agents().await.unwrap(), [next, other]);
}

pub(crate) async fn the_terms_of_many_agents_are_found_together(world: World) {
    let store = world.open().await;
    let name = |number: u64| format!("spiffe://example.org/agent/{number}");
    for number in 0..20 {
        let mut row = row(&name(number));
        if number % 2 == 0 {
            row.terms = RegistrationTerms::default();
        }
        store.put_agent(&row, b"one").await.unwrap();
    }
    store.retire_agent(&name(3), 9).await.unwrap();
    let all: Vec<_> = (0..90).map(name).collect();
    for count in [0, 1, 2, 4, 5, 17, 64, 65, 90] {
        let asked: Vec<_> = all.iter().take(count).map(String::as_str).collect();
        let found = store.terms_of(&asked).await.unwrap();
        // Those that are not registered, and the one that is not any more, are not among them.
        let known = all
            .iter()
            .take(count.min(20))
            .filter(|one| **one != name(3));
        let mut expected: Vec<_> = known.cloned().collect();
        expected.sort();
        assert!(found.keys().eq(&expected), "{count}");
        for (agent, terms) in found {
            let known = store.agent(&agent).await.unwrap().unwrap();
            assert_eq!(terms, known.terms, "{agent}");
        }
    }
}

pub(crate) async fn what_was_registered_before_there_were_terms_has_none(world: World) {
    let store = world.open().await;
    store.put_agent(&row(CLERK), b"one").await.unwrap();
    store.set_meta("schema_version", "3").await.unwrap();
    world.run("DROP TABLE registrations").await;
    world.run("DROP TABLE retirements").await;
    drop(store);
    let store = world.open().await;
    let read = store.agent(CLERK).await.unwrap().unwrap();
    assert!(read.terms.is_empty() && read.owner.is_none());
    assert!(store.terms_of(&[CLERK]).await.unwrap()[CLERK].is_empty());
    assert_eq!(read.federates_with, ["partner.example"]);
    assert_eq!(store.agents().await.unwrap(), [read]);
    assert_eq!(store.retirement(CLERK).await.unwrap(), None);
}

pub(crate) async fn a_retired_agent_is_gone_and_what_it_was_stays(world: World) {
    let store = world.open().await;
    let clerk = row(CLERK);
    let other = row("spiffe://example.org/agent/other");
    for row in [&clerk, &other] {
        store.put_agent(row, b"one").await.unwrap();
    }
    for number in [1, 2] {
        store.put_instance(&instance(number)).await.unwrap();
    }
    let mut stranger = instance(3);
    stranger.agent_id.clone_from(&other.agent_id);
    store.put_instance(&stranger).await.unwrap();
    let at = Timestamp::from_seconds(9);
    let ended = store.end_instance(instance(2).instance_id, at, "gone");
    assert!(ended.await.unwrap());
    for index in [7, 7, 8] {
        store.retire_agent(CLERK, index).await.unwrap();
        assert_eq!(store.retirement(CLERK).await.unwrap(), Some(index));
    }
    assert_eq!(store.agent(CLERK).await.unwrap(), None);
    assert_eq!(store.agents().await.unwrap(), std::slice::from_ref(&other));
    let retired = async |since| {
        let since = Timestamp::from_seconds(since);
        let recent = store.recent_of_retired(since).await.unwrap();
        recent.iter().map(|row| row.instance_id).collect::<Vec<_>>()
    };
    // Those that have ended come first, as long as that is not too long ago.
    let ids = [2, 1].map(|number| instance(number).instance_id);
    assert_eq!(retired(9).await, ids);
    assert_eq!(retired(10).await, ids[1..]);
    assert_eq!(store.retirement(&other.agent_id).await.unwrap(), None);
    assert!(
        store
            .manifest(clerk.manifest_digest)
            .await
            .unwrap()
            .is_some()
    );
    let kept = store.instance(instance(1).instance_id).await.unwrap();
    assert_eq!(kept.unwrap().agent_id, CLERK);
    // Registered again it is retired no more, and has what it is registered with now.
    let again = AgentRow {
        federates_with: vec![],
        may_spawn: None,
        terms: RegistrationTerms::default(),
        ..clerk
    };
    store.put_agent(&again, b"one").await.unwrap();
    assert_eq!(store.retirement(CLERK).await.unwrap(), None);
    assert!(retired(0).await.is_empty());
    assert_eq!(store.agents().await.unwrap(), [again, other]);
}

pub(crate) async fn running_instances_are_those_of_that_agent_alone(world: World) {
    let store = world.open().await;
    for number in [2, 1, 3] {
        store.put_instance(&instance(number)).await.unwrap();
    }
    let mut stranger = instance(4);
    stranger.agent_id = format!("{CLERK}/deputy");
    store.put_instance(&stranger).await.unwrap();
    let at = Timestamp::from_seconds(9);
    store
        .end_instance(instance(3).instance_id, at, "gone")
        .await
        .unwrap();
    let running = store.running_of(CLERK).await.unwrap();
    assert_eq!(running, [instance(1), instance(2)]);
    // Those that have ended come first, as long as that is not too long ago.
    let since = instance(3).opened_at.max(at);
    let recent = store.recent_of(CLERK, since.plus_seconds(1)).await.unwrap();
    assert_eq!(recent, running);
    let recent = store.recent_of(CLERK, at).await.unwrap();
    let ids: Vec<_> = recent.iter().map(|row| row.instance_id).collect();
    assert_eq!(ids, [3, 1, 2].map(|number| instance(number).instance_id));
    assert!(
        store
            .running_of("spiffe://example.org/agent")
            .await
            .unwrap()
            .is_empty()
    );
}
