//! A deployment whose processes are killed under load loses nothing that anybody was told.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says what it saw"
)]

mod clients;
mod deployment;
mod load;
#[path = "../evidence/rng.rs"]
mod rng;
mod rolls;
mod rounds;

/// The program inside the sandbox.
#[test]
#[ignore = "started by the test below, inside a sandbox"]
fn agent() {
    load::program();
}

#[test]
fn kill_nine_under_load_loses_nothing_that_was_answered() {
    rounds::run();
}
