//! Revocations that come at the same time.

use chancery_api::server::Revoke;
use chancery_audit::Event;
use chancery_delegation::Revocable;
use chancery_types::id::InstanceId;
use chancery_types::{Digest, RevocationKind};
use tokio::task::JoinSet;

use super::domain::Domain;

const MANY: u8 = 24;

/// So many are told by one snapshot at most.
const TOLD_TOGETHER: usize = 16;

fn instance(number: u8) -> String {
    let id = InstanceId::from_random([number; 16]);
    format!("spiffe://own.example/agent/a/instance/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_many_does_not_wait_for_all_of_them() {
    let mut domain = Domain::start("own.example").await;
    let (dam, signer) = domain.watch();
    domain.restart().await;
    domain.publish_policy().await;
    let client = domain.client();
    dam.hold("revocation.add");
    let before = signer.snapshots();
    let mut asked = JoinSet::new();
    for number in 0..2 * MANY {
        let client = client.clone();
        let what = Revocable::new(RevocationKind::Instance, &instance(number)).unwrap();
        asked.spawn(async move {
            let reason = "lost".to_owned();
            client.revoke(&Revoke { what, reason }).await.unwrap()
        });
    }
    // All of them stand behind the first one.
    dam.holds("revocation.add").await;
    for _ in 0..100 {
        client.trust().await.unwrap();
    }
    dam.release("revocation.add");
    let done = asked.join_all().await;
    assert!(done.iter().all(|done| done.sequence.is_some()));
    let snapshots = signer.snapshots() - before;
    assert!(snapshots >= done.len() / TOLD_TOGETHER, "{snapshots}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_revokes_what_is_revoked_is_answered_once_the_signer_knows() {
    let mut domain = Domain::start("own.example").await;
    let (dam, signer) = domain.watch();
    domain.restart().await;
    domain.publish_policy().await;
    let client = domain.client();
    dam.hold("revocation.add");
    let mut asked = JoinSet::new();
    for _ in 0..2 {
        let client = client.clone();
        let signer = std::sync::Arc::clone(&signer);
        let what = Revocable::new(RevocationKind::Instance, &instance(1)).unwrap();
        let before = signer.snapshots();
        asked.spawn(async move {
            let reason = "lost".to_owned();
            let done = client.revoke(&Revoke { what, reason }).await.unwrap();
            (done.before, signer.snapshots() > before)
        });
    }
    dam.holds("revocation.add").await;
    for _ in 0..100 {
        client.trust().await.unwrap();
    }
    dam.release("revocation.add");
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
            let what = Revocable::new(RevocationKind::Instance, &instance(number)).unwrap();
            asked.spawn(async move {
                let reason = "lost".to_owned();
                client.revoke(&Revoke { what, reason }).await.unwrap()
            });
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
