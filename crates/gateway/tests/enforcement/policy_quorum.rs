//! Bundles that two people must sign: what a server that was taken over can and cannot do.

use std::collections::BTreeMap;

use chancery_api::ClientError;
use chancery_crypto::SigningKey;
use chancery_identity::trust::PolicyQuorum;
use chancery_policy::{BundleSignature, SignedBundle, bundle_digest};
use chancery_types::{Algorithm, Digest, base64url};
use serde_json::json;

use super::plane::{Plane, now};
use super::said;
use super::world::{World, tools};

/// Lets everything happen, `fs/wipe` too.
const ALL: &str = "@id(\"all\") permit(principal, action, resource);";

const FEW: &str = "1 of the 2 people whom the trust document demands signed the policy bundle";

fn digest(bundle: &SignedBundle) -> Digest {
    bundle_digest(&bundle.to_files()).unwrap()
}

fn signature(key: &SigningKey, bundle: &SignedBundle) -> BundleSignature {
    let statement = SignedBundle::statement(digest(bundle));
    BundleSignature {
        kid: key.public().kid(),
        signature: base64url::encode(key.sign(&statement).unwrap()),
    }
}

fn by_two(plane: &Plane, second: &SigningKey, version: u64, policies: &str) -> SignedBundle {
    let mut bundle = plane.bundle(version, policies);
    bundle.approvals.push(signature(second, &bundle));
    bundle
}

/// Two people must sign from here on; the bundle in force was signed by both before.
async fn demand_two(world: &World, second: &SigningKey) {
    let plane = &world.plane;
    let both = by_two(plane, second, 2, super::plane::POLICIES);
    let first = plane.policy_key.public().kid();
    plane
        .change_trust(|trust| trust.policy_signers.push(*second.public()))
        .await;
    plane.client().publish_policy(&both).await.unwrap();
    let manifest = plane.manifest(|_| {}).await;
    plane.register(&manifest).await;
    plane
        .change_trust(|trust| {
            trust.policy_quorum = Some(PolicyQuorum {
                people: 2,
                since: trust.issued_at,
                signers: BTreeMap::from([
                    (first, plane.principal.id),
                    (second.public().kid(), plane.approver.id),
                ]),
            });
        })
        .await;
    // Longer than the gateway takes to go by all of it.
    tokio::time::sleep(std::time::Duration::from_millis(3_500)).await;
}

async fn refused(plane: &Plane, bundle: &SignedBundle) -> String {
    match plane.client().publish_policy(bundle).await {
        Err(ClientError::Refused(problem)) => problem.reason,
        other => panic!("{other:?}"),
    }
}

/// The signer signs no snapshot that names a bundle of one person, and where one was signed for a bundle of
/// two, the gateway takes no copy of it with one signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_taken_over_puts_no_bundle_of_one_person_in_force() {
    said::listen();
    let (world, between) = World::behind_an_intermediary().await;
    let second = SigningKey::generate(Algorithm::Ed25519).unwrap();
    demand_two(&world, &second).await;
    let mut opened = world.open(&tools()).await;
    let plane = &world.plane;

    // The honest server refuses it.
    let one = plane.bundle(3, ALL);
    assert_eq!(refused(plane, &one).await, "policy_quorum");
    // So does the signer, whoever asks it.
    for signatures in [
        Vec::new(),
        one.signatures(),
        [one.signatures(), one.signatures()].concat(),
    ] {
        let said = between.try_snapshot(digest(&one), signatures).await;
        assert!(
            ["policy_signer", "policy_quorum"].contains(&said.as_str()),
            "{said}"
        );
    }
    // A signature over another bundle is none over this one.
    let mut lent = one.signatures();
    lent.push(signature(&second, &plane.bundle(4, ALL)));
    assert_eq!(
        between.try_snapshot(digest(&one), lent).await,
        "policy_quorum"
    );

    // A snapshot that two people's signatures made possible, and a bundle with one of them.
    let both = by_two(plane, &second, 3, ALL);
    between.show_signatures(both.signatures());
    let mark = said::mark();
    between.impose(digest(&one), one.clone());
    said::hear(mark, FEW).await;
    assert_eq!(
        opened.call("wipe", json!({})).await.reason(),
        "policy_forbid"
    );
    let twice = SignedBundle {
        approvals: one.signatures(),
        ..one.clone()
    };
    between.impose(digest(&one), twice);
    // It is asked again and again, and said once.
    tokio::time::sleep(std::time::Duration::from_millis(3_000)).await;
    assert_eq!(
        opened.call("wipe", json!({})).await.reason(),
        "policy_forbid"
    );
    // The way itself is open.
    let mark = said::mark();
    between.impose(digest(&both), both);
    said::hear(mark, "policy in force").await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(opened.call("wipe", json!({})).await.reason(), "ok");
}

/// The same bundle with a further person's signature needs no further version, and evidence holds under the
/// document that demands two.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_a_further_person_signs_stays_in_force_when_two_must() {
    said::listen();
    let world = World::start().await;
    let plane = &world.plane;
    let second = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let mut early = world.open(&tools()).await;
    let mut opened = world.open(&tools()).await;
    for one in [&mut early, &mut opened] {
        let read = one.call("read", json!({"path": "/a"})).await;
        assert_eq!(read.reason(), "ok");
    }
    early.end().await;
    // What one person signed.
    let by_one = world.evidence(&early.session).await;
    let first = plane.policy_key.public().kid();
    plane
        .change_trust(|trust| trust.policy_signers.push(*second.public()))
        .await;
    let both = by_two(plane, &second, 1, super::plane::POLICIES);
    let alone = plane
        .client()
        .publish_policy(&plane.bundle(1, super::plane::POLICIES))
        .await;
    let signed = plane.client().publish_policy(&both).await.unwrap();
    assert!(signed.log_index > alone.unwrap().log_index);
    // Fewer signatures take none away.
    let fewer = plane.bundle(1, super::plane::POLICIES);
    let again = plane.client().publish_policy(&fewer).await.unwrap();
    assert_eq!(again.log_index, signed.log_index);
    plane
        .change_trust(|trust| {
            trust.policy_quorum = Some(PolicyQuorum {
                people: 2,
                // So long ago that no grace is left.
                since: now().minus_seconds(1_000),
                signers: BTreeMap::from([
                    (first, plane.principal.id),
                    (second.public().kid(), plane.approver.id),
                ]),
            });
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        opened.call("read", json!({"path": "/a"})).await.reason(),
        "ok"
    );
    opened.end().await;
    let trust = plane.client().trust().await.unwrap().document;
    let trust = chancery_identity::trust::SignedTrust::parse(trust.as_bytes()).unwrap();
    let trust = trust.verify(&chancery_crypto::AwsLc).unwrap();
    let files = world.evidence(&opened.session).await;
    let report = chancery_evidence::verify(&files, Some(&trust), &chancery_crypto::AwsLc, now());
    assert_eq!(report.findings, [], "{report:?}");
    let report = chancery_evidence::verify(&by_one, Some(&trust), &chancery_crypto::AwsLc, now());
    let mut reasons = report.findings.iter().map(|finding| finding.reason);
    assert!(
        reasons.any(|reason| reason == "policy_quorum"),
        "{report:?}"
    );
}
