//! Who publishes policy, and that its version only rises.

use chancery_api::ClientError;
use chancery_audit::Event;
use chancery_crypto::SigningKey;
use chancery_policy::SignedBundle;
use chancery_types::Algorithm;
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
