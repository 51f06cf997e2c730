//! X.509-SVIDs of several instances, when the disk or the signer is slow or away.

use std::sync::Arc;

use chancery_api::server::{IssuedX509s, Leaf};
use chancery_audit::{Entry, Event};
use chancery_types::RevocationKind;
use chancery_types::id::InstanceId;

use super::dam::{Dam, Watched};
use super::domain::Domain;
use super::instances::{asking_together, meanwhile, revoke};
use super::nodes::AGENT;

const ISSUE: &str = "identity.issue";
const REVOKE: &str = "revocation.add";

/// A domain with that many instances of an agent, whose disk and signer are watched.
async fn watched(count: usize) -> (Domain, Arc<Dam>, Arc<Watched>, Vec<InstanceId>) {
    let mut domain = Domain::start("own.example").await;
    let (dam, signer) = domain.watch();
    let instances = domain.with_instances(&vec![None; count]).await;
    (domain, dam, signer, instances)
}

fn reasons(issued: &IssuedX509s) -> Vec<String> {
    let outcome = |leaf: &Leaf| match leaf {
        Leaf::Issued(_) => "issued".to_owned(),
        Leaf::Refused(problem) => format!("{} {}", problem.status, problem.reason),
    };
    issued.leaves.iter().map(outcome).collect()
}

fn enrolled(entries: &[Entry]) -> usize {
    let mut events = entries.iter().map(|entry| &entry.event);
    let issued = events.by_ref().filter(|event| match event {
        Event::IdentityIssue(issue) => issue.agent.as_str() == AGENT,
        _ => false,
    });
    issued.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_before_every_entry_is_on_the_disk() {
    for count in [1, 3] {
        let (domain, dam, signer, instances) = watched(count).await;
        let client = domain.client();
        dam.hold(ISSUE);
        let before = signer.x509();
        let issuing = {
            let (client, request) = (client.clone(), asking_together(&instances));
            tokio::spawn(async move { client.issue_x509s(&request).await })
        };
        dam.holds(ISSUE).await;
        meanwhile(&client).await;
        assert_eq!(signer.x509(), before);
        assert!(!issuing.is_finished());
        dam.release(ISSUE);
        let issued = issuing.await.unwrap().unwrap();
        assert_eq!(reasons(&issued), vec!["issued"; count]);
        assert_eq!(signer.x509(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_revoked_agent_nothing_is_enrolled_or_signed() {
    let (mut domain, _dam, signer, instances) = watched(2).await;
    let client = domain.client();
    revoke(&client, RevocationKind::Agent, AGENT).await;
    let before = signer.x509();
    let issued = client
        .issue_x509s(&asking_together(&instances))
        .await
        .unwrap();
    assert_eq!(reasons(&issued), ["403 revoked", "403 revoked"]);
    assert_eq!(signer.x509(), before);
    assert_eq!(enrolled(&domain.entries().await), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_while_its_entry_is_written_is_not_signed() {
    let (mut domain, dam, signer, instances) = watched(2).await;
    let client = domain.client();
    dam.hold(ISSUE);
    dam.hold(REVOKE);
    let revoking = {
        let client = client.clone();
        tokio::spawn(async move { revoke(&client, RevocationKind::Agent, AGENT).await })
    };
    // The revocation is in the log and not in force, and what is issued is admitted behind it.
    dam.holds(REVOKE).await;
    let before = signer.x509();
    let issuing = {
        let (client, request) = (client.clone(), asking_together(&instances));
        tokio::spawn(async move { client.issue_x509s(&request).await })
    };
    meanwhile(&client).await;
    dam.release(REVOKE);
    revoking.await.unwrap();
    dam.holds(ISSUE).await;
    dam.release(ISSUE);
    let issued = issuing.await.unwrap().unwrap();
    assert_eq!(reasons(&issued), ["403 revoked", "403 revoked"]);
    assert_eq!(signer.x509(), before);
    assert_eq!(enrolled(&domain.entries().await), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_fails_fails_those_alone_who_were_to_be_signed_for() {
    let (domain, _dam, signer, instances) = watched(3).await;
    let client = domain.client();
    let gone = format!("{AGENT}/instance/{}", instances[0]);
    revoke(&client, RevocationKind::Instance, &gone).await;
    signer.breaks(true);
    // With one that is left to sign and with several.
    for count in [2, 3] {
        let request = asking_together(&instances[..count]);
        let issued = client.issue_x509s(&request).await.unwrap();
        let mut expected = vec!["409 instance_ended"];
        expected.resize(count, "503 signer");
        assert_eq!(reasons(&issued), expected);
    }
    signer.breaks(false);
    let issued = client
        .issue_x509s(&asking_together(&instances))
        .await
        .unwrap();
    assert_eq!(reasons(&issued), ["409 instance_ended", "issued", "issued"]);
}
