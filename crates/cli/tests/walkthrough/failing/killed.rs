//! The server is killed: it is back before anybody notices; and one that stays away denies fresh authority
//! and nothing else.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::calls::Calls;
use super::roll::Roll;
use super::watcher::Watcher;
use super::writers::Writers;
use super::{rounds, signal, until_served};
use crate::deployment::Deployment;
use crate::place::{Place, until};

#[test]
fn a_server_that_is_killed_is_back_and_one_that_stays_away_denies_fresh_authority_alone() {
    let mut deployment = Deployment::started(Place::new(), &["--svid-lifetime", "20"]);
    deployment.enrol(&deployment.code()).ok();
    let calls = Calls::start(&deployment);
    let watcher = Watcher::start(&deployment, "watcher");
    let writers = Writers::start(deployment.place.at("chancery-data/run/server.sock"));
    for _ in 0..rounds(3) {
        writers.go_on(3);
        signal(&deployment, "server", Signal::SIGKILL);
        until_served(&deployment);
    }
    writers.go_on(3);
    assert_eq!(watcher.ends(), []);

    // A stopped `up` starts nothing again.
    let up = Pid::from_raw(deployment.up().pid().try_into().unwrap());
    kill(up, Signal::SIGSTOP).unwrap();
    let said = deployment.up().err().len();
    signal(&deployment, "server", Signal::SIGKILL);
    let before = watcher.last();
    until("a renewal that fails", || {
        let said = deployment.up().err().split_off(said);
        said.contains("no x509-svid was issued").then_some(())
    });
    assert_eq!(watcher.last(), before);
    let refused = deployment.place.chancery(&["agent", "list"]);
    refused.refused(3, &["server.sock", "is `chancery up` running"]);
    let fresh = deployment
        .place
        .chancery(&["run", "--agent", "watcher", "--", "true"]);
    assert_ne!(fresh.code, Some(0), "{fresh:?}");
    if let Some(calls) = &calls {
        calls.go_on(3);
    }
    kill(up, Signal::SIGCONT).unwrap();
    let after = watcher.next();
    assert!(
        after.at / 1_000_000 < before.not_after,
        "{before:?} {after:?}"
    );
    writers.go_on(3);
    if let Some(calls) = &calls {
        calls.go_on(3);
        assert_eq!(calls.refusals(), Vec::<String>::new());
    }
    watcher.was_never_without();
    let written = writers.stop();
    assert!(!written.refused.is_empty());
    deployment.stop();
    let roll = Roll::of(&mut deployment);
    roll.has_each_once(&watcher.svids());
    roll.has_what_was_acknowledged(&written);
}
