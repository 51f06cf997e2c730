//! Revocations while the signer or the tables hang.

use std::time::Duration;

use super::*;

const AGENT: &str = "spiffe://own.example/agent/a";

/// Until nodes are told of so many instances.
async fn told(client: &ServerClient, instances: usize) {
    let mut state = Digest::of("");
    let telling = async {
        loop {
            let known = client.withdrawn(state, 10).await.unwrap();
            if known.instances.len() >= instances {
                return;
            }
            state = known.state;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), telling)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_hangs_keeps_nobody_from_revoking_or_being_erased() {
    let (domain, _dam, signer) = watched().await;
    let client = domain.client();
    signer.hold("snapshot");
    let snapshots = signer.snapshots();
    let ask = |number| {
        let client = client.clone();
        tokio::spawn(async move { revoked(&client, number).await })
    };
    let first = ask(0);
    signer.was_asked("snapshot", snapshots + 1).await;
    let others = [1, 2, 2].map(ask);
    told(&client, 3).await;
    // Whoever erases waits for nobody who waits for the signer, and nobody revokes behind who erases.
    let erase = ErasePerson {
        reason: "asked".to_owned(),
    };
    let erasing = client.erase(PersonId::from_random([1; 16]), &erase);
    let refused = tokio::time::timeout(Duration::from_secs(20), erasing).await;
    assert_eq!(reason_of(refused.unwrap().unwrap_err()), "person_unknown");
    let last = ask(3);
    told(&client, 4).await;
    // Nobody is told that it stands for gateways.
    assert!(!first.is_finished() && !last.is_finished());
    assert!(others.iter().all(|one| !one.is_finished()));
    signer.release();
    for asked in others.into_iter().chain([first, last]) {
        let done = asked.await.unwrap();
        assert!(done.before || done.sequence.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_hangs_over_a_lift_keeps_nobody_from_revoking() {
    let (domain, _dam, signer) = watched().await;
    let client = domain.client();
    let done = revoke(&client, RevocationKind::Agent, AGENT).await;
    let what = Revocable::new(RevocationKind::Agent, AGENT).unwrap();
    let lift = domain.lifts(Revocation { what, at: done.at });
    signer.hold("/v1/lift");
    let lifting = {
        let client = client.clone();
        tokio::spawn(async move { client.lift_revocation(&lift).await })
    };
    signer.was_asked("/v1/lift", 1).await;
    let asked = {
        let client = client.clone();
        tokio::spawn(async move { revoked(&client, 1).await })
    };
    told(&client, 1).await;
    // What the signer was asked to let go of stands until it did.
    let listed = client.revocations().await.unwrap().revocations;
    assert_eq!(listed.len(), 2);
    assert!(!lifting.is_finished());
    signer.release();
    lifting.await.unwrap().unwrap();
    assert!(asked.await.unwrap().sequence.is_some());
    let snapshot = client.snapshot().await.unwrap().snapshot;
    assert_eq!(snapshot.revoked.len(), 1);
}

/// The signer may have a snapshot yet that nobody waits for: by it, it would hold again what was lifted.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_nobody_waits_for_takes_no_lift_back() {
    let (domain, _dam, signer) = watched().await;
    let client = domain.client();
    let done = revoke(&client, RevocationKind::Agent, AGENT).await;
    let what = Revocable::new(RevocationKind::Agent, AGENT).unwrap();
    let lift = domain.lifts(Revocation { what, at: done.at });
    // One that was signed a moment ago is shared.
    tokio::time::sleep(Duration::from_millis(200)).await;
    signer.hold("snapshot");
    let snapshots = signer.snapshots();
    let abandoned = {
        let client = client.clone();
        tokio::spawn(async move { client.snapshot().await })
    };
    signer.was_asked("snapshot", snapshots + 1).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    signer.pass_others();
    client.lift_revocation(&lift).await.unwrap();
    signer.release();
    signer.has_answered().await;
    // Nothing of it is held.
    assert!(revoked(&client, 1).await.sequence.is_some());
    let snapshot = client.snapshot().await.unwrap().snapshot;
    assert_eq!(snapshot.revoked.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_do_not_wait_for_tables_that_hang() {
    let (domain, _dam, _signer) = watched().await;
    let client = domain.client();
    let after = client.snapshot().await.unwrap().snapshot.sequence;
    let mut beside = domain.beside().await;
    let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut beside);
    begin.await.unwrap();
    let what = Revocable::new(RevocationKind::Instance, &instance(1)).unwrap();
    let asked = {
        let (client, reason) = (client.clone(), "lost".to_owned());
        tokio::spawn(async move { client.revoke(&Revoke { what, reason }).await })
    };
    told(&client, 1).await;
    let gateway = client.snapshot_after(after, 60);
    let snapshot = tokio::time::timeout(Duration::from_secs(9), gateway).await;
    let snapshot = snapshot.unwrap().unwrap().snapshot;
    assert!(snapshot.revoked.of_instance(&instance(1)).is_some());
    // Whoever asked is told that it is not kept who did it and why.
    let Err(ClientError::Refused(problem)) = asked.await.unwrap() else {
        panic!("it was kept");
    };
    assert_eq!(problem.reason, "store");
    let commit = sqlx::query("COMMIT").execute(&mut beside);
    commit.await.unwrap();
    assert!(!revoked(&client, 2).await.before);
}
