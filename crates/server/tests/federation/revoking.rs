//! Revocations that come at the same time.

use std::sync::Arc;

use chancery_api::ClientError;
use chancery_api::server::{
    ErasePerson, RaiseEpoch, RevocationDone, Revocations, Revoke, ServerClient,
};
use chancery_audit::{Event, RevocationAdd, commit};
use chancery_delegation::{Revocable, Revocation};
use chancery_evidence::Withdrawn;
use chancery_types::id::{InstanceId, PersonId};
use chancery_types::limits::MAX_REVOCATIONS;
use chancery_types::{Digest, RevocationKind};
use tokio::task::JoinSet;

use super::dam::{Dam, Watched};
use super::domain::Domain;
use super::instances::{meanwhile, reason as reason_of, revoke};

mod failing;
mod hanging;
mod lasting;

const REVOKE: &str = "revocation.add";

const MANY: u8 = 24;

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
async fn what_the_server_knows_nothing_of_is_revoked_and_that_is_said() {
    let domain = Domain::start("own.example").await;
    let client = domain.client();
    let session = format!("ses_{}", "0".repeat(26));
    let mission = Digest::of("no mission").to_string();
    for (kind, id) in [
        (RevocationKind::Token, "nonsense"),
        (RevocationKind::Session, &session),
        (RevocationKind::Mission, &mission),
        (RevocationKind::Agent, "spiffe://own.example/agent/nobody"),
        (RevocationKind::Instance, &instance(1)),
        // No instance at all, and one of another trust domain.
        (
            RevocationKind::Instance,
            "spiffe://own.example/agent/nobody",
        ),
        (
            RevocationKind::Instance,
            &instance(2).replace("own.example", "other.example"),
        ),
    ] {
        let done = revoke(&client, kind, id).await;
        assert!(done.unknown && !done.before, "{kind} {id}");
        // It is revoked all the same, and said once more.
        let again = revoke(&client, kind, id).await;
        assert!(again.unknown && again.before, "{kind} {id}");
    }
    // Whose a key is, is not asked.
    assert!(!revoke(&client, RevocationKind::Key, &key(1)).await.unknown);
    let listed = client.revocations().await.unwrap().revocations;
    assert_eq!(listed.len(), 8);
}

/// What the log says of a revocation by itself.
fn added(kind: RevocationKind, id: &str) -> Event {
    let commitment = commit("revoker", &[0; 32], b"x");
    let add = RevocationAdd {
        kind,
        id: id.parse().unwrap(),
        by: commitment,
        reason: commitment,
    };
    add.into()
}

fn key(number: usize) -> String {
    Digest::of(number.to_be_bytes()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_wait_are_enrolled_by_one_sync_and_told_by_one_snapshot() {
    let (domain, dam, signer) = watched().await;
    let client = domain.client();
    dam.hold(REVOKE);
    let (snapshots, syncs) = (signer.snapshots(), dam.syncs(REVOKE));
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
    // A few, and not one for each: what is written while a sync goes on is in the next one.
    let (snapshots, syncs) = (signer.snapshots() - snapshots, dam.syncs(REVOKE) - syncs);
    assert!(snapshots <= done.len() / 4, "{snapshots} snapshots");
    assert!(syncs <= done.len() / 4, "{syncs} syncs");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_in_force_before_its_entry_is_on_the_disk() {
    let (domain, dam, signer) = watched().await;
    let client = domain.client();
    let known = client.withdrawn(Digest::of(""), 0).await.unwrap();
    for first in [0, 2] {
        dam.hold(REVOKE);
        let snapshots = signer.snapshots();
        let asked = [first, first + 1].map(|number| {
            let client = client.clone();
            tokio::spawn(async move { revoked(&client, number).await })
        });
        dam.holds(REVOKE).await;
        meanwhile(&client).await;
        let now = client.withdrawn(known.state, 0).await.unwrap();
        assert_eq!(now.instances.len(), usize::from(first));
        assert_eq!(signer.snapshots(), snapshots);
        assert!(asked.iter().all(|asked| !asked.is_finished()));
        dam.release(REVOKE);
        for asked in asked {
            asked.await.unwrap();
        }
    }
    let now = client.withdrawn(known.state, 0).await.unwrap();
    assert_eq!(now.instances, (0..4).map(instance).collect());
}

/// Those of one turn are refused by themselves where the place of all is full, and counted with each other.
#[tokio::test(flavor = "multi_thread")]
async fn those_of_one_turn_do_not_pass_the_bound_together() {
    let (mut domain, dam, _signer) = watched().await;
    let known = (0..MAX_REVOCATIONS - 3).map(|number| added(RevocationKind::Key, &key(number)));
    domain.enrolled(known.collect()).await;
    domain.restart().await;
    let client = domain.client();
    let ask = |kind, id: String| {
        let client = client.clone();
        let what = Revocable::new(kind, &id).unwrap();
        let reason = "lost".to_owned();
        tokio::spawn(async move {
            let answer = client.revoke(&Revoke { what, reason }).await;
            answer.map(|done| done.before).map_err(reason_of)
        })
    };
    dam.hold(REVOKE);
    let first = ask(RevocationKind::Instance, instance(0));
    dam.holds(REVOKE).await;
    let known = ask(RevocationKind::Key, key(7));
    let fresh = [1, 2, 3, 4, 1, 1, 1].map(|number| ask(RevocationKind::Instance, instance(number)));
    meanwhile(&client).await;
    dam.release(REVOKE);
    assert_eq!(first.await.unwrap(), Ok(false));
    assert_eq!(known.await.unwrap(), Ok(true));
    let mut answers = Vec::new();
    for asked in fresh {
        answers.push(asked.await.unwrap());
    }
    // Two had room, whichever came first; who asked for one that had none is refused as well.
    let full = Err("too_many_revocations".to_owned());
    assert_eq!(answers.iter().filter(|it| **it == Ok(false)).count(), 2);
    let refused = answers.iter().filter(|it| **it == full).count();
    assert!([2, 5].contains(&refused), "{answers:?}");
    let listed = client.revocations().await.unwrap().revocations;
    assert_eq!(listed.len(), MAX_REVOCATIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_repeats_a_revocation_is_told_the_entry_of_the_first() {
    let (mut domain, dam, _signer) = watched().await;
    let client = domain.client();
    dam.hold(REVOKE);
    let ask = |number| {
        let client = client.clone();
        tokio::spawn(async move { revoked(&client, number).await })
    };
    let other = ask(0);
    dam.holds(REVOKE).await;
    let asked = [1; 4].map(ask);
    meanwhile(&client).await;
    dam.release(REVOKE);
    other.await.unwrap();
    let mut done = Vec::new();
    for asked in asked {
        done.push(asked.await.unwrap());
    }
    done.push(revoked(&client, 1).await);
    assert_eq!(done.iter().filter(|done| !done.before).count(), 1);
    let (index, at) = (done[0].log_index, done[0].at);
    assert!(
        done.iter()
            .all(|done| (done.log_index, done.at) == (index, at))
    );
    let entries = domain.entries().await;
    let Event::RevocationAdd(add) = &entries[usize::try_from(index).unwrap()].event else {
        panic!("another entry");
    };
    assert_eq!(add.id.as_str(), instance(1));
}

/// Whoever comes first revokes for all who wait: it is done also when that one has gone.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_loses_no_revocation_neither_those_of_others() {
    let (domain, dam, _signer) = watched().await;
    let client = domain.client();
    dam.hold(REVOKE);
    let ask = |number| {
        let client = client.clone();
        tokio::spawn(async move { revoked(&client, number).await })
    };
    let first = ask(0);
    dam.holds(REVOKE).await;
    let (leaves, stays) = (ask(1), ask(2));
    meanwhile(&client).await;
    for gone in [first, leaves] {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    meanwhile(&client).await;
    dam.release(REVOKE);
    assert!(!stays.await.unwrap().before);
    // Both were handed over before their askers left.
    for number in [0, 1] {
        assert!(revoked(&client, number).await.before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_kept_from_the_tables_is_revoked_all_the_same() {
    let (mut domain, _dam, _signer) = watched().await;
    let together = (0..3).map(|number| added(RevocationKind::Instance, &instance(number)));
    domain.enrolled(together.collect()).await;
    domain.restart().await;
    let client = domain.client();
    let known = client.withdrawn(Digest::of(""), 0).await.unwrap();
    assert_eq!(known.instances, (0..3).map(instance).collect());
    assert!(revoked(&client, 1).await.before);
    let snapshot = client.snapshot().await.unwrap().snapshot;
    assert_eq!(snapshot.revoked.len(), 3);
}

/// Whatever comes at the same time: what is in force is what the log says, and each snapshot holds what was
/// enrolled up to its own time.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_tables_say_what_the_log_says_whatever_comes_together() {
    let (mut domain, _dam, _signer) = watched().await;
    let client = domain.client();
    let revoking = async |first: u8| {
        for number in first..first + 8 {
            revoked(&client, number).await;
            revoke(&client, RevocationKind::Token, &format!("token-{number}")).await;
        }
    };
    let raising = async {
        for _ in 0..4 {
            meanwhile(&client).await;
            let reason = "measured".to_owned();
            client.raise_epoch(&RaiseEpoch { reason }).await.unwrap();
        }
    };
    let mut taken = Vec::new();
    let taking = async {
        let mut after = 0;
        for _ in 0..24 {
            let signed = client.snapshot_after(after, 1).await.unwrap();
            after = signed.snapshot.sequence;
            taken.push(signed.snapshot);
        }
    };
    tokio::join!(revoking(0), revoking(8), revoking(16), raising, taking);
    let before = client.revocations().await.unwrap();
    domain.restart().await;
    let after = domain.client().revocations().await.unwrap();
    assert_eq!(before.epoch, 5);
    let instances = before.revocations.iter().map(|one| &one.revocation.what);
    let instances = instances.filter(|what| what.kind() == RevocationKind::Instance);
    assert_eq!(instances.count(), 24);
    assert_eq!(after.epoch, before.epoch);
    let all = |known: Revocations| {
        let known = known.revocations.into_iter();
        known
            .map(|one| (one.revocation, one.log_index))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(after), all(before));
    let entries = domain.entries().await;
    for snapshot in taken {
        let mut said = Withdrawn::default();
        let until = entries
            .iter()
            .filter(|entry| entry.at <= snapshot.issued_at);
        until.for_each(|entry| said.take(&entry.event, entry.at));
        assert_eq!(
            (said.epoch, said.revoked),
            (snapshot.epoch, snapshot.revoked)
        );
    }
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
