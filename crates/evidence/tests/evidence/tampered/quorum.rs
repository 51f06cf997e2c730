//! Bundles that several people must sign.

use std::collections::BTreeMap;

use chancery_crypto::{AwsLc, SigningKey};
use chancery_evidence::{ObjectKind, Report, verify};
use chancery_identity::trust::{PolicyQuorum, VerifiedTrust};
use chancery_policy::{BundleSignature, SignedBundle, bundle_digest};
use chancery_types::{Algorithm, Digest, Timestamp, base64url, to_canonical};

use super::has;
use crate::scene::{Scene, approver, at, make_index, person};

/// Long before the session.
fn before() -> Timestamp {
    at(0).minus_seconds(10_000)
}

/// The scene's trust with a second signer, and a quorum of that many people.
fn demanding(
    scene: &Scene,
    second: &SigningKey,
    people: u32,
    since: Timestamp,
    same: bool,
) -> VerifiedTrust {
    let first = scene.signers.policy.public().kid();
    let other = if same { person() } else { approver() };
    scene.trust_with(|trust| {
        trust.policy_signers.push(*second.public());
        trust.people.push(chancery_identity::trust::Person {
            id: crate::scene::id(7),
            roles: Vec::new(),
            credentials: Vec::new(),
        });
        // A third one is able, so that the document can be met.
        let third = SigningKey::generate(Algorithm::Ed25519).unwrap();
        trust.policy_signers.push(*third.public());
        trust.policy_quorum = Some(PolicyQuorum {
            people,
            since,
            signers: BTreeMap::from([
                (first, person()),
                (second.public().kid(), other),
                (third.public().kid(), crate::scene::id(7)),
            ]),
        });
    })
}

/// The scene's policy, signed by that key as well.
fn signed_by_two(scene: &mut Scene, second: &SigningKey) {
    let of_kind = |(_, (kind, _)): &(&Digest, &(ObjectKind, Vec<u8>))| *kind == ObjectKind::Policy;
    let (digest, _) = scene.objects.iter().find(of_kind).unwrap();
    let (kind, bytes) = scene.objects.remove(&digest.clone()).unwrap();
    let mut signed: SignedBundle = serde_json::from_slice(&bytes).unwrap();
    let statement = SignedBundle::statement(bundle_digest(&signed.to_files()).unwrap());
    signed.approvals.push(BundleSignature {
        kid: second.public().kid(),
        signature: base64url::encode(second.sign(&statement).unwrap()),
    });
    let bytes = to_canonical(&signed).unwrap();
    scene.objects.insert(Digest::of(&bytes), (kind, bytes));
    scene.index = make_index(&scene.objects);
}

fn check(scene: &Scene, trust: &VerifiedTrust) -> Report {
    verify(&scene.files(), Some(trust), &AwsLc, at(100))
}

#[test]
fn what_too_few_people_signed_is_found() {
    let second = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let scene = Scene::new();
    let trust = demanding(&scene, &second, 2, before(), false);
    assert!(has(&check(&scene, &trust), "policy_quorum"));
    // One is enough where one is demanded.
    let trust = demanding(&scene, &second, 1, before(), false);
    assert!(!has(&check(&scene, &trust), "policy_quorum"));

    let mut scene = Scene::new();
    signed_by_two(&mut scene, &second);
    let trust = demanding(&scene, &second, 2, before(), false);
    let report = check(&scene, &trust);
    assert!(!has(&report, "policy_quorum"), "{:#?}", report.findings);
    assert!(!has(&report, "policy_malformed"));
    let trust = demanding(&scene, &second, 3, before(), false);
    assert!(has(&check(&scene, &trust), "policy_quorum"));
    // Two keys of one person are one person.
    let trust = demanding(&scene, &second, 2, before(), true);
    assert!(has(&check(&scene, &trust), "policy_quorum"));
}

/// What was decided before the quorum was demanded rests on what was demanded then.
#[test]
fn a_quorum_holds_from_its_beginning_on() {
    let second = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let scene = Scene::new();
    let trust = demanding(&scene, &second, 2, at(0), false);
    assert!(!has(&check(&scene, &trust), "policy_quorum"));
}
