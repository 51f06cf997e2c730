//! Revocations that the tables do not take.

use super::*;

async fn run(domain: &Domain, statement: &'static str) {
    let mut beside = domain.beside().await;
    sqlx::query(statement).execute(&mut beside).await.unwrap();
}

/// What came of a revocation: whether there was one before, or the reason of the refusal.
async fn asked(client: &ServerClient, number: u8) -> Result<bool, String> {
    let what = Revocable::new(RevocationKind::Instance, &instance(number)).unwrap();
    let reason = "lost".to_owned();
    let answer = client.revoke(&Revoke { what, reason }).await;
    answer.map(|done| done.before).map_err(reason_of)
}

fn names(domain_reasons: &Revocations) -> Vec<(String, bool)> {
    let known = domain_reasons.revocations.iter();
    let mut names: Vec<_> = known
        .map(|one| (one.revocation.what.id().to_owned(), one.reason == "lost"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_turn_that_the_tables_refuse_the_others_are_kept() {
    let (mut domain, dam, _signer) = watched().await;
    let client = domain.client();
    run(
        &domain,
        "CREATE TRIGGER refused BEFORE INSERT ON revocations
         WHEN (SELECT count(*) FROM revocations) = 2 BEGIN SELECT RAISE(ABORT, 'refused'); END",
    )
    .await;
    dam.hold(REVOKE);
    let ask = |number| {
        let client = client.clone();
        tokio::spawn(async move { asked(&client, number).await })
    };
    let first = ask(0);
    dam.holds(REVOKE).await;
    let others = [1, 2].map(ask);
    meanwhile(&client).await;
    dam.release(REVOKE);
    assert_eq!(first.await.unwrap(), Ok(false));
    let mut answers = Vec::new();
    for other in others {
        answers.push(other.await.unwrap());
    }
    answers.sort();
    assert_eq!(answers, [Ok(false), Err("store".to_owned())]);
    for _ in 0..2 {
        let listed = names(&domain.client().revocations().await.unwrap());
        assert_eq!(listed.len(), 3);
        assert_eq!(listed.iter().filter(|(_, is_kept)| *is_kept).count(), 2);
        domain.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_tables_do_not_take_is_revoked_told_and_ended() {
    let (mut domain, dam, _signer) = watched().await;
    let instances = domain.with_instances(&[None; 3]).await;
    let client = domain.client();
    assert_eq!(asked(&client, 1).await, Ok(false));
    let after = client.snapshot().await.unwrap().snapshot.sequence;
    run(&domain, "ALTER TABLE revocations RENAME TO elsewhere").await;
    dam.hold(REVOKE);
    let ask = |number| {
        let client = client.clone();
        tokio::spawn(async move { asked(&client, number).await })
    };
    let first = ask(2);
    dam.holds(REVOKE).await;
    // One of before, whose entry cannot be looked up, and one that is new.
    let others = [1, 3].map(ask);
    meanwhile(&client).await;
    dam.release(REVOKE);
    for asked in [first].into_iter().chain(others) {
        assert_eq!(asked.await.unwrap(), Err("store".to_owned()));
    }
    assert_eq!(client.status().await.unwrap().running_instances, 0);
    let snapshot = client.snapshot_after(after, 60).await.unwrap().snapshot;
    for instance in instances {
        let id = format!("spiffe://own.example/agent/a/instance/{instance}");
        assert!(snapshot.revoked.of_instance(&id).is_some());
        assert_eq!(domain.x509(instance).await.unwrap_err(), "instance_ended");
    }
    run(&domain, "ALTER TABLE elsewhere RENAME TO revocations").await;
    for number in 1..=3 {
        assert_eq!(asked(&client, number).await, Ok(true));
    }
}
