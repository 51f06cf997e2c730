//! X.509-SVIDs of several instances, when the disk or the signer is slow or away.

use std::sync::Arc;

use chancery_api::server::{IssueX509, IssueX509s, IssuedX509s, Leaf, Revoke, ServerClient};
use chancery_audit::{Entry, Event};
use chancery_crypto::SigningKey;
use chancery_delegation::Revocable;
use chancery_types::id::InstanceId;
use chancery_types::{Algorithm, RevocationKind, base64url};

use super::dam::{Dam, Watched};
use super::domain::Domain;
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

fn asked(instances: &[InstanceId]) -> IssueX509s {
    let requests = instances.iter().map(|instance| {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        IssueX509 {
            instance_id: *instance,
            spki: base64url::encode(chancery_identity::spki_der(key.public())),
            broker: None,
        }
    });
    IssueX509s {
        requests: requests.collect(),
    }
}

fn reasons(issued: &IssuedX509s) -> Vec<String> {
    let outcome = |leaf: &Leaf| match leaf {
        Leaf::Issued(_) => "issued".to_owned(),
        Leaf::Refused(problem) => format!("{} {}", problem.status, problem.reason),
    };
    issued.leaves.iter().map(outcome).collect()
}

async fn revoke(client: &ServerClient, kind: RevocationKind, id: &str) {
    let what = Revocable::new(kind, id).unwrap();
    let reason = "lost".to_owned();
    client.revoke(&Revoke { what, reason }).await.unwrap();
}

/// Lets the server do whatever it does meanwhile.
async fn meanwhile(client: &ServerClient) {
    for _ in 0..100 {
        client.trust().await.unwrap();
    }
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
            let (client, request) = (client.clone(), asked(&instances));
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
    let issued = client.issue_x509s(&asked(&instances)).await.unwrap();
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
        let (client, request) = (client.clone(), asked(&instances));
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
        let request = asked(&instances[..count]);
        let issued = client.issue_x509s(&request).await.unwrap();
        let mut expected = vec!["409 instance_ended"];
        expected.resize(count, "503 signer");
        assert_eq!(reasons(&issued), expected);
    }
    signer.breaks(false);
    let issued = client.issue_x509s(&asked(&instances)).await.unwrap();
    assert_eq!(reasons(&issued), ["409 instance_ended", "issued", "issued"]);
}
