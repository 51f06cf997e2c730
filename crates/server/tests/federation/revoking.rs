//! Revocations that come at the same time.

use std::sync::Arc;

use chancery_api::server::{RevocationDone, ServerClient};
use chancery_audit::Event;
use chancery_types::id::InstanceId;
use chancery_types::{Digest, RevocationKind};
use tokio::task::JoinSet;

use super::dam::{Dam, Watched};
use super::domain::Domain;
use super::instances::{meanwhile, revoke};

const REVOKE: &str = "revocation.add";

const MANY: u8 = 24;

/// So many are told by one snapshot at most.
const TOLD_TOGETHER: usize = 16;

fn instance(number: u8) -> String {
    let id = InstanceId::from_random([number; 16]);
    format!("spiffe://own.example/agent/a/instance/{id}")
}

/// A domain that publishes snapshots, whose disk and signer are watched.
async fn watched() -> (Domain, Arc<Dam>, Arc<Watched>) {
    let mut domain = Domain::start("own.example").await;
    let (dam, signer) = domain.watch();
    domain.restart().await;
    domain.publish_policy().await;
    (domain, dam, signer)
}

async fn revoked(client: &ServerClient, number: u8) -> RevocationDone {
    revoke(client, RevocationKind::Instance, &instance(number)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_many_does_not_wait_for_all_of_them() {
    let (domain, dam, signer) = watched().await;
    let client = domain.client();
    dam.hold(REVOKE);
    let before = signer.snapshots();
    let mut asked = JoinSet::new();
    for number in 0..2 * MANY {
        let client = client.clone();
        asked.spawn(async move { revoked(&client, number).await });
    }
    // All of them stand behind the first one.
    dam.holds(REVOKE).await;
    meanwhile(&client).await;
    dam.release(REVOKE);
    let done = asked.join_all().await;
    assert!(done.iter().all(|done| done.sequence.is_some()));
    let snapshots = signer.snapshots() - before;
    assert!(snapshots >= done.len() / TOLD_TOGETHER, "{snapshots}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_revokes_what_is_revoked_is_answered_once_the_signer_knows() {
    let (domain, dam, signer) = watched().await;
    let client = domain.client();
    dam.hold(REVOKE);
    let mut asked = JoinSet::new();
    for _ in 0..2 {
        let client = client.clone();
        let signer = Arc::clone(&signer);
        let before = signer.snapshots();
        asked.spawn(async move {
            let done = revoked(&client, 1).await;
            (done.before, signer.snapshots() > before)
        });
    }
    dam.holds(REVOKE).await;
    meanwhile(&client).await;
    dam.release(REVOKE);
    let done = asked.join_all().await;
    assert!(done.iter().all(|(_, told)| *told));
    assert_eq!(done.iter().filter(|(before, _)| *before).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_at_once_is_each_enrolled_once_and_told_to_nodes() {
    let mut domain = Domain::start("own.example").await;
    let client = domain.client();
    let known = client.withdrawn(Digest::of(""), 0).await.unwrap();
    assert!(known.instances.is_empty());
    let waiting = {
        let (client, state) = (client.clone(), known.state);
        tokio::spawn(async move { client.withdrawn(state, 30).await })
    };
    let mut asked = JoinSet::new();
    for number in 0..MANY {
        // Each of them is revoked by two at once.
        for _ in 0..2 {
            let client = client.clone();
            asked.spawn(async move { revoked(&client, number).await });
        }
    }
    let done = asked.join_all().await;
    let first = done.iter().filter(|done| !done.before).count();
    assert_eq!(first, usize::from(MANY));
    // Whoever waited was told of some of them, and whoever asks now of all.
    assert!(!waiting.await.unwrap().unwrap().instances.is_empty());
    let now = client.withdrawn(known.state, 0).await.unwrap();
    let all: Vec<_> = (0..MANY).map(instance).collect();
    assert!(all.iter().all(|one| now.instances.contains(one)));
    assert_eq!(now.instances.len(), all.len());
    // The same state is the same answer.
    let same = client.withdrawn(now.state, 0).await.unwrap();
    assert_eq!(same.state, now.state);
    let listed = client.revocations().await.unwrap().revocations;
    assert_eq!(listed.len(), all.len());
    let entries = domain.entries().await;
    assert!(entries.is_sorted_by_key(|entry| entry.at));
    for one in &listed {
        let index = usize::try_from(one.log_index).unwrap();
        let Event::RevocationAdd(added) = &entries[index].event else {
            panic!("another entry");
        };
        assert_eq!(added.id.as_str(), one.revocation.what.id());
        assert_eq!(entries[index].at, one.revocation.at);
    }
    let added = entries.iter().map(|entry| &entry.event);
    let added = added.filter(|event| matches!(event, Event::RevocationAdd(_)));
    assert_eq!(added.count(), all.len());
}
