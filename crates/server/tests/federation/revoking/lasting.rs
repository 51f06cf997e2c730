//! Revocations that do not end: in every turn others come.

use std::time::Duration;

use super::*;

/// Many who revoke, each one thing after the other; every turn lasts until others wait.
fn revoke_on(client: &ServerClient, dam: &Arc<Dam>) -> JoinSet<()> {
    let mut lasting = JoinSet::new();
    for first in 0..usize::from(MANY) {
        let client = client.clone();
        lasting.spawn(async move {
            for round in 0.. {
                revoke(&client, RevocationKind::Key, &key(first * 1_000 + round)).await;
            }
        });
    }
    let dam = Arc::clone(dam);
    lasting.spawn(async move {
        loop {
            dam.hold(REVOKE);
            dam.holds(REVOKE).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            dam.release(REVOKE);
        }
    });
    lasting
}

async fn ended(mut lasting: JoinSet<()>, dam: &Dam) {
    lasting.shutdown().await;
    dam.release(REVOKE);
}

/// Whoever was answered leads no turn: a gateway waits for those that go on when it comes, and not for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_told_while_revocations_go_on() {
    let (domain, dam, _signer) = watched().await;
    let client = domain.client();
    let lasting = revoke_on(&client, &dam);
    let mut after = client.snapshot().await.unwrap().snapshot.sequence;
    let mut turns = Vec::new();
    for _ in 0..3 {
        let before = dam.syncs(REVOKE);
        let signed = client.snapshot_after(after, 60).await.unwrap();
        assert!(signed.snapshot.sequence > after);
        after = signed.snapshot.sequence;
        turns.push(dam.syncs(REVOKE) - before);
    }
    ended(lasting, &dam).await;
    assert!(turns.iter().all(|turns| *turns < 10), "{turns:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_wait_together_share_what_is_signed() {
    const GATEWAYS: usize = 12;
    let (domain, dam, signer) = watched().await;
    let client = domain.client();
    let lasting = revoke_on(&client, &dam);
    let (snapshots, turns) = (signer.snapshots(), dam.syncs(REVOKE));
    let mut gateways = JoinSet::new();
    for _ in 0..GATEWAYS {
        let client = client.clone();
        gateways.spawn(async move {
            let mut after = 1;
            for _ in 0..4 {
                let signed = client.snapshot_after(after, 60).await.unwrap();
                after = signed.snapshot.sequence;
            }
        });
    }
    gateways.join_all().await;
    let (snapshots, turns) = (signer.snapshots() - snapshots, dam.syncs(REVOKE) - turns);
    ended(lasting, &dam).await;
    // Not one for each gateway.
    assert!(snapshots <= 4 * turns + 4, "{snapshots} in {turns} turns");
    assert!(snapshots < GATEWAYS * 4 / 2, "{snapshots} snapshots");
}

/// Of the snapshots of whoever served before a server knows none, also once it has taken its first.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_snapshot_of_before_the_start_is_told_at_once() {
    let (mut domain, _dam, _signer) = watched().await;
    let known = domain.client().snapshot().await.unwrap().snapshot;
    let one = added(RevocationKind::Instance, &instance(1));
    domain.enrolled(vec![one]).await;
    domain.restart().await;
    let client = domain.client();
    let first = client.snapshot().await.unwrap().snapshot;
    let told = client.snapshot_after(known.sequence, 60);
    let told = tokio::time::timeout(Duration::from_secs(20), told).await;
    let told = told.unwrap().unwrap().snapshot;
    assert_eq!(told.revoked, first.revoked);
    assert_eq!(told.revoked.len(), 1);
}

/// What is revoked, lifted and erased at the same time: each snapshot holds what the log says, and after a start
/// everything is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn lifts_and_erasures_take_nothing_from_a_turn() {
    let (mut domain, _dam, _signer) = watched().await;
    let client = domain.client();
    let revoking = async |first: u8| {
        for number in first..first + 8 {
            revoked(&client, number).await;
        }
    };
    let lifting = async {
        for number in 0..6 {
            let agent = format!("spiffe://own.example/agent/{number}");
            let done = revoke(&client, RevocationKind::Agent, &agent).await;
            let what = Revocable::new(RevocationKind::Agent, &agent).unwrap();
            let lift = domain.lifts(Revocation { what, at: done.at });
            client.lift_revocation(&lift).await.unwrap();
            let again = client.lift_revocation(&lift).await.unwrap_err();
            assert_eq!(reason_of(again), "not_revoked");
        }
    };
    let people = (0..6).map(|number| PersonId::from_random([number; 16]));
    let people: Vec<_> = people.collect();
    let erasing = async {
        for person in &people {
            revoke(&client, RevocationKind::Person, &person.to_string()).await;
            let reason = "asked".to_owned();
            let erased = client
                .erase(*person, &ErasePerson { reason })
                .await
                .unwrap();
            assert_eq!(erased.values, 1);
        }
    };
    let mut taken = Vec::new();
    let taking = async {
        let mut after = 1;
        for _ in 0..12 {
            let signed = client.snapshot_after(after, 1).await.unwrap();
            after = signed.snapshot.sequence;
            taken.push(signed.snapshot);
        }
    };
    tokio::join!(
        revoking(0),
        revoking(8),
        revoking(16),
        lifting,
        erasing,
        taking
    );
    let before = client.revocations().await.unwrap().revocations;
    domain.restart().await;
    let after = domain.client().revocations().await.unwrap().revocations;
    assert_eq!(after.len(), 24 + people.len());
    for (one, same) in before.iter().zip(&after) {
        assert_eq!(
            (&one.revocation, &one.reason),
            (&same.revocation, &same.reason)
        );
        let is_person = one.revocation.what.kind() == RevocationKind::Person;
        let kept = if is_person { "erased" } else { "lost" };
        assert_eq!(one.reason, kept);
    }
    let entries = domain.entries().await;
    for snapshot in taken {
        let mut said = Withdrawn::default();
        let until = entries
            .iter()
            .filter(|entry| entry.at <= snapshot.issued_at);
        until.for_each(|entry| said.take(&entry.event, entry.at));
        assert_eq!(said.revoked, snapshot.revoked);
    }
}
