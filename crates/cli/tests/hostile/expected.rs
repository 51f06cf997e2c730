//! By what each attempt is stopped. An attempt that fails for another reason may merely be broken.

use std::collections::BTreeSet;

use crate::attacks::commands::{NO_DATA, NO_SOCKET};
use crate::orders::{Attempt, Outcome};

/// The attempts of both kinds of sandbox, and what stops them.
const EVERYWHERE: &[(&str, &[&str])] = &[
    ("inherit a descriptor", &["none"]),
    ("read a secret file", &["ENOENT"]),
    ("list the data folder", &["ENOENT"]),
    ("write into the data folder", &["ENOENT"]),
    ("read shared memory", &["ENOENT"]),
    (
        "read a secret by another root",
        &["ENOENT", "EACCES", "EPERM"],
    ),
    ("search for secret files", &["nothing there"]),
    ("search for sockets", &["nothing there"]),
    ("read a process's environ", &["ENOENT"]),
    ("read a process's cmdline", &["ENOENT"]),
    ("read a process's status", &["ENOENT"]),
    ("read a process's maps", &["ENOENT"]),
    ("read a process's mem", &["ENOENT"]),
    ("read a process's fd/0", &["ENOENT"]),
    ("read a process's auxv", &["ENOENT"]),
    ("list a process's descriptors", &["ENOENT"]),
    ("signal a process", &["ESRCH"]),
    ("read a process's memory", &["ESRCH"]),
    ("see other processes", &["only ourselves"]),
    ("connect to a socket", &["ENOENT"]),
    ("connect to an abstract socket", &["ECONNREFUSED", "EPERM"]),
    (
        "list launches on the workload socket",
        &["the connection broke"],
    ),
    ("run an operator's command", &[NO_DATA]),
    ("run an operator's command on an own folder", &[NO_SOCKET]),
    ("be issued another's SVID", &["only the own one"]),
    (
        "be issued another's JWT-SVID",
        &["only the own one", "no identity issued"],
    ),
    (
        "have a second agent key certified",
        &["the instance has another agent key"],
    ),
    ("present the neighbour's delegation", &["holder_mismatch"]),
    ("call beyond the own delegation", &["not_in_scope"]),
    ("bring the neighbour's proof along", &["reserved_meta"]),
    ("reach another endpoint through the bridge", &["bad_server"]),
    ("see a proof", &["none was heard"]),
];

/// Where the sandbox has no network.
const APART: &[(&str, &[&str])] = &[
    ("connect to the gateway", &["ENETUNREACH", "EACCES"]),
    (
        "connect to anybody",
        &["ENETUNREACH", "EACCES", "EADDRNOTAVAIL"],
    ),
    ("send a datagram", &["ENETUNREACH", "EACCES", "EPERM"]),
    (
        "start a program that nobody reviewed",
        &["not_spawned", "instance_refused"],
    ),
    ("pass on more than the own authority", &["scope_escalation"]),
];

/// Where it has the host's.
const AROUND: &[(&str, &[&str])] = &[
    (
        "speak to the gateway without its trust",
        &["ALERT", "no answer", "ECONNRESET", "no HTTP"],
    ),
    (
        "present the neighbour's delegation directly",
        &["holder_mismatch"],
    ),
    (
        "use the own delegation without the bridge",
        &["pop_missing", "pop_mismatch", "pop_bad_signature"],
    ),
    (
        "act on the neighbour's session",
        &["end_not_yours", "session_unknown", "not_joined"],
    ),
    ("replay a proof", &["replay"]),
];

const CONTROLS: [&str; 2] = [
    "control: the own SVID is taken",
    "control: lists are answered",
];

/// The number of attempts of the sandbox's own script.
const SCRIPTED: usize = 70;

/// Every attack was tried and failed for its reason; every control inside succeeded.
pub(crate) fn hold(made: &[Attempt], has_network: bool) {
    let table = EVERYWHERE
        .iter()
        .chain(if has_network { AROUND } else { APART });
    let mut wrong = Vec::new();
    for attempt in made {
        let Attempt {
            attack, outcome, ..
        } = attempt;
        let row = table.clone().find(|(name, _)| name == attack);
        let as_expected = match (row, outcome) {
            (Some((_, stops)), Outcome::Refused(how)) => stops.iter().any(|one| how.contains(one)),
            (None, Outcome::Refused(_)) => attack.starts_with("script: "),
            (None, Outcome::Succeeded(_)) => CONTROLS.contains(&attack.as_str()),
            (Some(_), Outcome::Succeeded(_)) => false,
        };
        if !as_expected {
            wrong.push(attempt);
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        made.len()
    );
    let tried: BTreeSet<_> = made.iter().map(|attempt| attempt.attack.as_str()).collect();
    for (name, _) in table {
        assert!(tried.contains(name), "not tried: {name}");
    }
    let scripted = tried
        .iter()
        .filter(|name| name.starts_with("script: "))
        .count();
    assert_eq!(scripted, if has_network { 0 } else { SCRIPTED });
    let controls = tried
        .iter()
        .filter(|name| name.starts_with("control: "))
        .count();
    assert_eq!(controls, if has_network { CONTROLS.len() } else { 0 });
}
