//! A hostile agent in a whole deployment: a real program under `chancery run`, told everything that
//! an attacker could ever learn, gets nowhere, and its neighbour does not notice.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says what it saw"
)]

mod attacks;
#[path = "../kill/clients.rs"]
#[expect(dead_code, reason = "the neighbour needs a part of it")]
mod clients;
mod controls;
#[path = "../kill/deployment.rs"]
#[expect(dead_code, reason = "this test kills nothing")]
mod deployment;
mod expected;
mod hostile;
#[path = "../kill/load.rs"]
mod load;
mod logs;
mod orders;
mod scene;
mod user;

/// The neighbour, inside of its sandbox.
#[test]
#[ignore = "started by the tests below, inside a sandbox"]
fn agent() {
    load::program();
}

/// The attacker, inside of its sandbox.
#[test]
#[ignore = "started by the tests below, inside a sandbox"]
fn hostile_agent() {
    hostile::program();
}

#[test]
fn a_hostile_agent_gets_nothing() {
    scene::run();
}

/// The same where the whole deployment is another user's than root.
#[test]
fn a_hostile_agent_of_an_ordinary_user_gets_nothing() {
    user::again_as_nobody("a_hostile_agent_gets_nothing");
}
