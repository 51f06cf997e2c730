//! The completeness index: what a log says that it holds of an instance, proven and attacked.

mod attacks;
mod proofs;
mod world;

use chancery_audit::{Event, IndexRoot};
use chancery_crypto::AwsLc;
use chancery_evidence::completeness::{IndexChecker, InstanceIndex};
use chancery_evidence::{Axis, ReportOutcome, verify};
use proptest::prelude::*;

use crate::scene::{Scene, at};
use world::{World, folded};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What a gateway holds after a crash is what it held before, wherever it was cut.
    #[test]
    fn replaying_gives_what_going_on_gave(
        steps in prop::collection::vec((0_u8..2, 0_u8..6, any::<bool>()), 1..60),
        cut in 0_usize..90,
    ) {
        let mut world = World::new();
        for (session, instance, root) in steps {
            world.act(session, instance);
            if root {
                world.root();
            }
        }
        let entries = world.parsed();
        let cut = cut.min(entries.len());
        let mut recovered = folded(entries.get(..cut).unwrap());
        for (leaf, entry) in entries.get(cut..).unwrap() {
            recovered.take(leaf, &entry.event);
        }
        prop_assert_eq!(&recovered, &folded(&entries));
        prop_assert_eq!(recovered.to_entry(), world.index.to_entry());
        // Every root that was enrolled is the one that the entries make, also for who looks at the
        // log again from a place in the middle.
        let mut checker = IndexChecker::default();
        for (at, (leaf, entry)) in entries.iter().enumerate() {
            prop_assert_eq!(checker.take(leaf, &entry.event), Ok(()));
            if at == cut {
                let text = checker.to_string();
                let again: IndexChecker = text.parse().unwrap();
                prop_assert_eq!(again.to_string(), text);
                checker = again;
            }
        }
        prop_assert_eq!(checker.size(), entries.len() as u64);
    }
}

#[test]
fn an_index_without_instances_is_that_of_nothing() {
    let index = InstanceIndex::default().to_entry();
    assert_eq!((index.size, index.instances), (0, 0));
    assert_eq!(index.root, chancery_types::Digest::of(""));
}

fn completeness(scene: &Scene) -> Vec<&'static str> {
    let report = verify(&scene.files(), Some(&scene.trust), &AwsLc, at(100));
    let findings = report.findings.iter();
    let findings = findings.filter(|finding| finding.axis == Axis::Completeness);
    findings
        .filter(|finding| finding.reason.starts_with("index_"))
        .map(|finding| finding.reason)
        .collect()
}

/// The scene with an index at its end.
fn indexed(change: impl FnOnce(&mut IndexRoot)) -> Scene {
    let mut scene = Scene::new();
    scene.gateway.note = None;
    let mut index = InstanceIndex::default();
    for (leaf, entry) in world::leaves(&scene.gateway) {
        index.take(&leaf, &entry.event);
    }
    let mut root = index.to_entry();
    change(&mut root);
    scene.gateway.append(at(60), Event::IndexRoot(root));
    scene
}

#[test]
fn evidence_with_the_right_index_says_nothing_about_it() {
    let scene = indexed(|_| {});
    assert_eq!(completeness(&scene), [""; 0]);
}

#[test]
fn evidence_of_a_log_with_a_wrong_index_fails() {
    type Change = fn(&mut IndexRoot);
    let changes: [(&str, Change); 4] = [
        ("index_wrong", |root| root.instances += 1),
        ("index_wrong", |root| root.size = 1),
        ("index_wrong", |root| {
            root.root = chancery_types::Digest::of("other")
        }),
        ("index_ahead", |root| root.size += 1),
    ];
    for (reason, change) in changes {
        let scene = indexed(change);
        assert_eq!(completeness(&scene), [reason]);
        let report = verify(&scene.files(), Some(&scene.trust), &AwsLc, at(100));
        assert_eq!(report.outcome, ReportOutcome::Failed);
    }
}
