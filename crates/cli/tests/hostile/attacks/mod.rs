//! The attempts. Each is made of the same code inside of the sandbox, where it must fail, and as a
//! control by the test itself, where it succeeds.

pub(crate) mod bridge;
pub(crate) mod commands;
pub(crate) mod direct;
pub(crate) mod files;
pub(crate) mod identity;
pub(crate) mod network;
pub(crate) mod processes;
pub(crate) mod sockets;

use crate::orders::{Attempt, Outcome};

/// Names what an attack did to its targets.
pub(crate) fn attempts(
    attack: &str,
    outcomes: impl IntoIterator<Item = (String, Outcome)>,
) -> Vec<Attempt> {
    let attempt = |(target, outcome)| Attempt {
        attack: attack.to_owned(),
        target,
        outcome,
    };
    outcomes.into_iter().map(attempt).collect()
}
