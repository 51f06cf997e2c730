//! What fails, and what then goes on, is denied, and comes back: real processes, clients that we did not
//! write, and the behaviour that `docs/reference/failures.md` states.

mod calls;
pub(crate) mod clock;
mod cut;
mod disk;
mod failover;
mod killed;
mod replica;
mod roll;
mod servers;
mod watcher;
mod writers;

use nix::sys::signal::{Signal, kill};

use super::deployment::Deployment;
use super::place::until;

/// How many rounds where the environment says nothing; `scripts/nightly` says more.
fn rounds(short: usize) -> usize {
    let said = std::env::var("CHANCERY_FAILURES");
    said.map_or(short, |text| text.parse().unwrap())
}

/// Sends a part a signal.
fn signal(deployment: &Deployment, part: &str, signal: Signal) {
    let pid = until("a running part", || deployment.part(part));
    kill(pid, signal).unwrap();
}

/// Waits until the server answers.
fn until_served(deployment: &Deployment) {
    until("the server answers", || {
        let asked = deployment.place.chancery(&["agent", "list"]);
        (asked.code == Some(0)).then_some(())
    });
}
