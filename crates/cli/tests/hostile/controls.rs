//! The same attempts without a sandbox: they succeed, so it is the sandbox that stops them.

use std::collections::BTreeMap;
use std::path::Path;

use nix::unistd::Uid;

use crate::attacks::{commands, files, network, processes, sockets};
use crate::deployment::CHANCERY;
use crate::orders::{Attempt, Orders, Outcome};

/// Attempts of which one way is enough.
const ONE_WAY: [&str; 1] = ["read a secret by another root"];

/// What even a process of the same user may not do to one that holds an agent key.
const GUARDED: [&str; 3] = [
    "read a process's environ",
    "read a process's mem",
    "read a process's memory",
];

pub(crate) fn succeed(orders: &Orders) {
    let orders = &Orders {
        is_control: true,
        ..orders.clone()
    };
    let program = Path::new(CHANCERY);
    let made = [
        files::all(orders),
        processes::all(orders),
        sockets::all(orders),
        network::all(orders),
        commands::all(orders, program),
        commands::with_an_own_folder(orders, program),
    ]
    .concat();
    let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
    for attempt in &made {
        let succeeded = matches!(attempt.outcome, Outcome::Succeeded(_));
        *ways.entry(&attempt.attack).or_default() += usize::from(succeeded);
        if ONE_WAY.contains(&attempt.attack.as_str()) {
            continue;
        }
        if is_of_a_bridge(attempt) {
            let holds_a_key = attempt.target.ends_with("bridge");
            let guarded = holds_a_key && GUARDED.contains(&attempt.attack.as_str());
            assert!(!(guarded && succeeded), "without a sandbox: {attempt:?}");
            continue;
        }
        assert!(succeeded, "without a sandbox: {attempt:?}");
    }
    for (attack, ways) in &ways {
        assert!(*ways > 0, "without a sandbox, {attack} never succeeds");
    }
    println!(
        "controls: {} attempts, {} of them succeed without a sandbox",
        made.len(),
        ways.values().sum::<usize>()
    );
}

/// A bridge is closed to its own user too, unless it is root; the first process of a sandbox in part:
/// its user namespace is that user's.
fn is_of_a_bridge(attempt: &Attempt) -> bool {
    let of_a_bridge = ["bridge", "init"]
        .iter()
        .any(|role| attempt.target.ends_with(role));
    !Uid::effective().is_root() && of_a_bridge
}
