//! Objects, records and keys that are changed with what names them.

use chancery_crypto::SigningKey;
use chancery_evidence::trust_record::{EnforcementMode, TrustRecord};
use chancery_evidence::{INDEX_PATH, ObjectKind, TRUST_RECORD_PATH, object_path};
use chancery_policy::{SignedBundle, bundle_digest};
use chancery_types::{Algorithm, Digest, base64url, to_canonical};

use super::{check, fails, names, set};
use crate::scene::{Scene, make_index};

/// The record, changed and signed again.
pub(crate) fn resigned(
    record: &[u8],
    key: &SigningKey,
    change: impl FnOnce(&mut TrustRecord),
) -> Vec<u8> {
    let mut record: TrustRecord = serde_json::from_slice(record).unwrap();
    change(&mut record);
    record.cnf.jwk = chancery_evidence::trust_record::ConfirmationKey::of(key.public()).unwrap();
    let signature = key.sign(&record.signing_input().unwrap()).unwrap();
    record.signature = Some(base64url::encode(signature));
    record.to_bytes().unwrap()
}

/// What a record may say that the log does not.
pub(crate) const RECORD_LIES: [fn(&mut TrustRecord); 14] = [
    |record| record.subject.push('x'),
    |record| record.policy.bundle_hash = Digest::of("x"),
    |record| record.policy.version = "2".to_owned(),
    |record| record.tool_transcript.hash = Digest::of("x"),
    |record| record.tool_transcript.call_count += 1,
    |record| record.tool_transcript.gap_count += 1,
    |record| record.tool_transcript.unenforced_count += 1,
    |record| record.policy.enforcement_mode = EnforcementMode::Advisory,
    |record| record.transparency.push('x'),
    |record| record.iat -= 1_000,
    |record| record.runtime.measurement = Digest::of("x"),
    |record| record.build_provenance.slsa_level = 3,
    |record| record.references[0].digest = Digest::of("x"),
    |record| record.references.truncate(3),
];

#[test]
fn a_record_signed_again_by_the_right_key_still_has_to_say_what_the_log_says() {
    for change in RECORD_LIES {
        let mut scene = Scene::new();
        scene.record = resigned(&scene.record, &scene.signers.record, change);
        let report = check(&scene, &scene.files());
        fails(&report, "record_differs");
        fails(&report, "record_not_enrolled");
        assert!(names(&report, TRUST_RECORD_PATH));
    }
}

#[test]
fn a_swapped_object_shows_as_its_name_and_as_its_use() {
    let scene = Scene::new();
    let proofs: Vec<Digest> = of_kind(&scene, ObjectKind::Proof);
    let mut files = scene.files();
    let (one, other) = (object_path(proofs[0]), object_path(proofs[1]));
    let (first, second) = (
        files.get(&one).unwrap().to_vec(),
        files.get(&other).unwrap().to_vec(),
    );
    set(&mut files, &one, second);
    set(&mut files, &other, first);
    let report = check(&scene, &files);
    fails(&report, "object_altered");
    assert!(names(&report, &one) && names(&report, &other));
}

pub(super) fn of_kind(scene: &Scene, kind: ObjectKind) -> Vec<Digest> {
    let objects = scene
        .objects
        .iter()
        .filter(|(_, (known, _))| *known == kind);
    objects.map(|(digest, _)| *digest).collect()
}

#[test]
fn an_object_and_its_index_cannot_be_changed_together() {
    for (digest, (kind, _)) in Scene::new().objects.clone() {
        let mut scene = Scene::new();
        // Keys differ between scenes, so that the digests of what is signed do too.
        let Some(digest) = of_kind(&scene, kind).first().copied().or(Some(digest)) else {
            continue;
        };
        let (_, mut bytes) = scene.objects.remove(&digest).unwrap();
        bytes.push(b' ');
        scene.objects.insert(Digest::of(&bytes), (kind, bytes));
        scene.index = make_index(&scene.objects);
        let report = check(&scene, &scene.files());
        fails(&report, "index_differs");
        assert!(names(&report, INDEX_PATH));
        let others = report
            .findings
            .iter()
            .filter(|finding| finding.reason != "index_differs");
        assert!(others.count() > 1, "{kind:?}: {:#?}", report.findings);
    }
}

#[test]
fn a_policy_changed_with_its_index_decides_nothing() {
    let mut scene = Scene::new();
    let digest = of_kind(&scene, ObjectKind::Policy)[0];
    let (kind, bytes) = scene.objects.remove(&digest).unwrap();
    let text = String::from_utf8(bytes)
        .unwrap()
        .replace("1000000", "9000000");
    let bytes = text.into_bytes();
    scene.objects.insert(Digest::of(&bytes), (kind, bytes));
    scene.index = make_index(&scene.objects);
    let report = check(&scene, &scene.files());
    fails(&report, "policy_missing");
    fails(&report, "policy_signature");
    fails(&report, "object_unreferenced");
    fails(&report, "index_differs");
}

#[test]
fn files_that_no_policy_signer_signed_are_no_policy() {
    let mut scene = Scene::new();
    let digest = of_kind(&scene, ObjectKind::Policy)[0];
    let (kind, bytes) = scene.objects.remove(&digest).unwrap();
    let mut signed: SignedBundle = serde_json::from_slice(&bytes).unwrap();
    let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let statement = SignedBundle::statement(bundle_digest(&signed.to_files()).unwrap());
    signed.signature = base64url::encode(other.sign(&statement).unwrap());
    let bytes = to_canonical(&signed).unwrap();
    scene.objects.insert(Digest::of(&bytes), (kind, bytes));
    scene.index = make_index(&scene.objects);
    fails(&check(&scene, &scene.files()), "policy_signature");
}

#[test]
fn an_object_that_nothing_refers_to_is_found() {
    let mut scene = Scene::new();
    let bytes = b"{\"more\":1}".to_vec();
    scene
        .objects
        .insert(Digest::of(&bytes), (ObjectKind::Arguments, bytes));
    scene.index = make_index(&scene.objects);
    fails(&check(&scene, &scene.files()), "object_unreferenced");
    let mut scene = Scene::new();
    let digest = of_kind(&scene, ObjectKind::Proof)[0];
    scene.objects.get_mut(&digest).unwrap().0 = ObjectKind::Mission;
    scene.index = make_index(&scene.objects);
    fails(&check(&scene, &scene.files()), "object_kind");
}
