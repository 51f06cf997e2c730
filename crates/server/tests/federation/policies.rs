//! Who publishes policy, and that its version only rises.

use std::collections::BTreeMap;

use chancery_api::ClientError;
use chancery_audit::Event;
use chancery_crypto::SigningKey;
use chancery_identity::trust::{Person, PolicyQuorum};
use chancery_policy::{BundleSignature, SignedBundle, bundle_digest};
use chancery_types::id::{Id, PersonId, PersonKind};
use chancery_types::{Algorithm, base64url};
use tokio::task::JoinSet;

use super::domain::Domain;

const NOBODY: &str = r#"@id("nobody") forbid (principal, action, resource);"#;
const EVERYBODY: &str = r#"@id("everybody") permit (principal, action, resource);"#;

async fn refusal(domain: &Domain, bundle: &SignedBundle) -> String {
    match domain.client().publish_policy(bundle).await {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_policy_signer_publishes_and_only_what_it_signed() {
    let domain = Domain::start("own.example").await;
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let foreign = domain.policy(1, EVERYBODY, Some(&stranger));
    assert_eq!(refusal(&domain, &foreign).await, "policy_signer");
    // The name of a signer makes no signature of it.
    let own = domain.policy(1, EVERYBODY, None);
    let mut named = foreign.clone();
    named.kid.clone_from(&own.kid);
    assert_eq!(refusal(&domain, &named).await, "policy_signer");
    let mut altered = own.clone();
    altered.files = domain.policy(1, NOBODY, None).files;
    assert_eq!(refusal(&domain, &altered).await, "policy_signer");
    // Nor does a signature cover files that were not there.
    let mut more = own.clone();
    more.files
        .insert("tests/a.json".to_owned(), "{}".to_owned());
    assert_eq!(refusal(&domain, &more).await, "policy_signer");
    domain.client().publish_policy(&own).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_names_one_bundle_and_only_rises_after_a_restart_too() {
    let mut domain = Domain::start("own.example").await;
    let second = domain.policy(2, NOBODY, None);
    let published = domain.client().publish_policy(&second).await.unwrap();
    for _ in 0..2 {
        for (version, policies) in [(2, EVERYBODY), (1, EVERYBODY), (1, NOBODY), (0, NOBODY)] {
            let other = domain.policy(version, policies, None);
            assert_eq!(
                refusal(&domain, &other).await,
                "policy_version",
                "{version}"
            );
        }
        // The same bundle again changes nothing.
        let again = domain.client().publish_policy(&second).await.unwrap();
        assert_eq!(again.log_index, published.log_index);
        domain.restart().await;
    }
    let third = domain.policy(3, EVERYBODY, None);
    domain.client().publish_policy(&third).await.unwrap();
    assert_eq!(refusal(&domain, &second).await, "policy_version");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_bundles_of_one_version_that_come_together_one_is_published() {
    let mut domain = Domain::start("own.example").await;
    let mut asked = JoinSet::new();
    for number in 0..8 {
        let policies = EVERYBODY.replace("everybody", &format!("everybody-{number}"));
        let (client, bundle) = (domain.client(), domain.policy(1, &policies, None));
        asked.spawn(async move { client.publish_policy(&bundle).await.is_ok() });
    }
    let published = asked.join_all().await;
    assert_eq!(published.iter().filter(|published| **published).count(), 1);
    let entries = domain.entries().await;
    let published = entries
        .iter()
        .filter(|entry| matches!(entry.event, Event::PolicyPublish(_)));
    assert_eq!(published.count(), 1);
}

/// Where two people must sign, one signs nothing into force: not with two keys, and not by lending a signature.
#[tokio::test(flavor = "multi_thread")]
async fn what_fewer_people_signed_than_the_trust_document_demands_is_not_published() {
    let mut domain = Domain::start("own.example").await;
    let (second, third) = (key(), key());
    let people = [1, 2].map(|number| Id::<PersonKind>::from_random([number; 16]));
    let [one, other] = people;
    domain
        .change_trust(|trust| {
            trust.people = people.map(nobody).to_vec();
            let first = trust.policy_signers[0].kid();
            trust
                .policy_signers
                .extend([*second.public(), *third.public()]);
            let signers = BTreeMap::from([
                (first, one),
                (second.public().kid(), other),
                // Another key of the first one.
                (third.public().kid(), one),
            ]);
            trust.policy_quorum = Some(PolicyQuorum {
                people: 2,
                since: trust.issued_at,
                signers,
            });
        })
        .await
        .unwrap();
    let alone = domain.policy(1, NOBODY, None);
    let sign = |key: &SigningKey, bundle: &SignedBundle| {
        let statement = SignedBundle::statement(bundle_digest(&bundle.to_files()).unwrap());
        BundleSignature {
            kid: key.public().kid(),
            signature: base64url::encode(key.sign(&statement).unwrap()),
        }
    };
    let with = |signatures: Vec<BundleSignature>| SignedBundle {
        approvals: signatures,
        ..alone.clone()
    };
    let lent = sign(&second, &domain.policy(2, NOBODY, None));
    for few in [
        alone.clone(),
        with(vec![sign(&third, &alone)]),
        with(alone.signatures()),
        with(vec![lent]),
        with(vec![sign(&key(), &alone)]),
    ] {
        assert_eq!(refusal(&domain, &few).await, "policy_quorum");
    }
    let many = with(vec![sign(&key(), &alone); 65]);
    assert_eq!(refusal(&domain, &many).await, "policy");
    let both = with(vec![sign(&second, &alone)]);
    domain.client().publish_policy(&both).await.unwrap();
    // What was published has both, also where it is asked for again.
    let entries = domain.entries().await;
    let published = entries.iter().find_map(|entry| match &entry.event {
        Event::PolicyPublish(publish) => Some(publish.clone()),
        _ => None,
    });
    let cosigners = published.unwrap().cosigners.unwrap();
    assert_eq!(cosigners, [second.public().thumbprint()]);
}

/// A bundle that the trust document of now does not back governs no more, after a restart neither; and nothing
/// is done as though there were none.
#[tokio::test(flavor = "multi_thread")]
async fn what_fewer_signed_than_a_later_trust_document_demands_governs_no_more() {
    let mut domain = Domain::start("own.example").await;
    let bundle = domain.policy(1, NOBODY, None);
    domain.client().publish_policy(&bundle).await.unwrap();
    assert!(domain.client().status().await.is_ok());
    let second = key();
    let people = [1, 2].map(|number| Id::<PersonKind>::from_random([number; 16]));
    domain
        .change_trust(|trust| {
            trust.people = people.map(nobody).to_vec();
            let first = trust.policy_signers[0].kid();
            trust.policy_signers.push(*second.public());
            let signers = [(first, people[0]), (second.public().kid(), people[1])];
            trust.policy_quorum = Some(PolicyQuorum {
                people: 2,
                since: trust.issued_at,
                signers: BTreeMap::from(signers),
            });
        })
        .await
        .unwrap();
    for _ in 0..2 {
        match domain.client().status().await {
            Err(ClientError::Refused(problem)) => assert_eq!(problem.reason, "policy_quorum"),
            other => panic!("{other:?}"),
        }
        assert_eq!(refusal(&domain, &bundle).await, "policy_quorum");
        domain.restart().await;
    }
    // Once the other one signs it, it governs again.
    let statement = SignedBundle::statement(bundle_digest(&bundle.to_files()).unwrap());
    let both = SignedBundle {
        approvals: vec![BundleSignature {
            kid: second.public().kid(),
            signature: base64url::encode(second.sign(&statement).unwrap()),
        }],
        ..bundle
    };
    domain.client().publish_policy(&both).await.unwrap();
    assert!(domain.client().status().await.is_ok());
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

fn nobody(id: PersonId) -> Person {
    Person {
        id,
        roles: Vec::new(),
        credentials: Vec::new(),
    }
}
