//! The evidence of one real demo, against everything that may be done to it on the way to whoever
//! verifies it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod flips;
mod forged;
mod forger;
mod offline;
mod policy;
mod program;
mod rng;
mod scene;

use std::time::Instant;

use rng::Rng;
use scene::Scene;

#[test]
fn evidence_of_a_demo_stands_and_falls_as_a_whole() {
    let started = Instant::now();
    let seed = rng::seed();
    println!("seed {seed} (CHANCERY_SEED={seed} repeats this run)");
    let mut rng = Rng::new(seed);
    let scene = Scene::of_demo();
    println!(
        "a demo with {} files of evidence, {:?}",
        scene.files.iter().count(),
        started.elapsed()
    );

    program::passes_as_it_is(&scene);
    program::nothing_is_proven_without_trust(&scene);
    program::fails_after_a_flip_a_deletion_and_an_addition(&scene, &mut rng);
    program::is_the_same_as_one_file(&scene, &mut rng);
    offline::holds_without_network_writes_or_processes(&scene);
    policy::can_be_asked_again(&scene);
    policy::is_drafted_from_what_was_allowed(&scene);
    policy::z9_is_held_to_what_was_used(&scene);
    policy::is_not_asked_about_what_is_not_verified(&scene);

    let single = flips::each_single_flip_is_found(&scene, &mut rng);
    println!("{single} flips, one at a time, {:?}", started.elapsed());
    let every = flips::every_object_is_named_when_flipped(&scene, &mut rng);
    println!("{every} objects flipped and named, {:?}", started.elapsed());
    let deleted = flips::each_deletion_is_found(&scene, &mut rng);
    let added = flips::each_addition_is_found(&scene);
    println!(
        "{deleted} deletions, {added} additions, {:?}",
        started.elapsed()
    );

    let forged = forged::logs_of_other_keys_are_refused(&scene, &mut rng);
    let records = forged::trust_records_of_other_keys_are_refused(&scene);
    let foreign = forged::foreign_trust_documents_verify_nothing(&scene);
    println!(
        "{forged} forged logs, {records} forged Trust Records, {foreign} foreign trust documents, {:?}",
        started.elapsed()
    );
}
