//! The clock is set while everything runs: an hour too far, five minutes back, and right again.

use std::path::Path;

use nix::sys::signal::Signal;

use super::calls::Calls;
use super::cut::{joined, watch};
use super::roll::Roll;
use super::watcher::{Watcher, program};
use crate::deployment::{Deployment, text};
use crate::joining::Host;
use crate::place::{Place, free_port, until};

/// Where Debian has the library that lies about the time.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// How far the clock is set forward, in seconds: beyond the life of every SVID, and not of a root.
const FORWARD: i64 = 300;

/// How far it is set back from there.
const BACK: i64 = 120;

/// Sets the clock of everything that reads it from that place.
pub(crate) fn set(place: &Place, seconds: i64) {
    let next = place.write("clock.next", format!("{seconds:+}\n"));
    std::fs::rename(next, place.at("clock")).unwrap();
}

/// A place with a clock, and what has a command see it; none, said aloud, where there is no such library.
pub(crate) fn place() -> Option<(Place, Vec<(&'static str, String)>)> {
    if !Path::new(LIBRARY).exists() {
        let said = format!("{LIBRARY} is missing; run scripts/faketime");
        println!("skipped: {said}");
        return None;
    }
    let place = Place::new();
    set(&place, 0);
    let file = place.at("clock").display().to_string();
    let mut seen = vec![
        ("LD_PRELOAD", LIBRARY.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file),
    ];
    for (name, value) in [
        ("FAKETIME_NO_CACHE", "1"),
        // What passes is what has passed: the clock alone is set.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
        ("FAKETIME_DISABLE_SHM", "1"),
    ] {
        seen.push((name, value.to_owned()));
    }
    Some((place, seen))
}

fn micros() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

#[test]
fn nothing_over_or_of_a_time_to_come_is_handed_out_when_the_clock_is_set() {
    let Some((mut place, seen)) = place() else {
        return;
    };
    for (name, value) in seen {
        place.set(name, value);
    }
    let mut deployment = Deployment::started(place, &["--svid-lifetime", "60"]);
    deployment.enrol(&deployment.code()).ok();
    let calls = Calls::start(&deployment);
    let watcher = Watcher::start(&deployment, "watcher");
    let before = ["signer", "server", "node", "gateway"].map(|part| deployment.part(part));
    let first = watcher.last();

    // Too far: what was issued is over at once, and another one is there before its renewal was due.
    set(&deployment.place, FORWARD);
    let forward = micros();
    let second = watcher.next();
    assert!(
        second.at < (first.not_before + 30) * 1_000_000,
        "{first:?} {second:?}"
    );
    if let Some(calls) = &calls {
        calls.go_on(3);
    }

    // Back: what is there is of a time to come. Nothing is issued, decided or written before that time.
    set(&deployment.place, FORWARD - BACK);
    let back = micros();
    let end = until("the stream's end", || watcher.ends().into_iter().next());
    end.is_for_now();
    assert!(end.at > back, "{end:?}");
    let refused = deployment
        .place
        .chancery(&["node", "token", "--out", "token"]);
    refused.refused(1, &["clock_stepped_back", "set the machine's clock"]);
    if let Some(calls) = &calls {
        until("a call that is refused", || {
            let refusals = calls.refusals();
            let is_of_clock = |said: &String| said.contains("clock_stepped_back");
            refusals.iter().any(is_of_clock).then_some(())
        });
    }
    let count = watcher.svids().len();

    // Right again: all goes on without anybody's help, in the same processes.
    set(&deployment.place, FORWARD);
    let right = micros();
    let third = watcher.next();
    assert!(third.at > right, "{third:?}");
    if let Some(calls) = &calls {
        calls.go_on(3);
    }
    // What was good before the clock was set back is good again.
    let handed_out = watcher.svids().into_iter();
    assert!(handed_out.skip(count).all(|svid| svid.at > right));
    let after = ["signer", "server", "node", "gateway"].map(|part| deployment.part(part));
    assert_eq!(before, after, "a process ended");
    watcher.received_nothing_but_of_its_time(|at| match at {
        at if at > right || (at > forward && at < back) => FORWARD,
        at if at > back => FORWARD - BACK,
        _ => 0,
    });
    let svids = watcher.svids();
    drop((watcher, calls));
    deployment.stop();
    let roll = Roll::of(&mut deployment);
    roll.has_each_once(&svids);
}

#[test]
fn a_host_whose_clock_is_wrong_hands_out_nothing_and_asks_for_little() {
    let Some((place, seen)) = place() else {
        return;
    };
    let (host, port) = (Host::new(), free_port());
    let listen = format!("{}:{port}", host.address);
    let advertised = format!("{}:{{port}}", host.address);
    let mut arguments = vec!["--nodes", &listen, "--svid-lifetime", "60"];
    arguments.extend([
        "--gateway-listen",
        "0.0.0.0",
        "--gateway-advertise",
        &advertised,
    ]);
    let mut deployment = Deployment::started(place, &arguments);
    let place = &deployment.place;
    place.chancery(&["trust", "export", "trust.json"]).ok();
    place
        .chancery(&["node", "token", "--out", "host.token"])
        .ok();
    deployment.agent("watcher", text(&program()));
    let mut command = host.command(place);
    command.envs(seen);
    let how: (&str, &[&str]) = ("one", &["--token-file", "host.token"]);
    let mut node = joined(command, &host, place, (&port, how));
    let watcher = watch(&host, place, "one");
    let before = watcher.last();

    // By its clock whatever the server issues is over; it is asked again every few seconds, however often
    // the client asks.
    set(place, FORWARD);
    until("the stream's end", || watcher.ends().pop()).is_for_now();
    until("many tries", || (watcher.ends().len() > 30).then_some(()));
    assert_eq!(watcher.last(), before);
    assert!(node.exit().is_none(), "{}", node.err());
    set(place, 0);
    let after = watcher.next();
    assert_eq!(after.id, before.id);
    watcher.received_nothing_but_of_its_time(|_| 0);
    let svids = watcher.svids();
    drop(watcher);
    node.signal(Signal::SIGTERM);
    node.ended().ok();
    deployment.stop();
    let roll = Roll::of(&mut deployment);
    roll.has_each_once(&svids);
    let issues = roll.bodies("identity.issue");
    let issued = issues
        .filter(|issue| issue["instance"] == after.id.as_str())
        .count();
    assert!((2..15).contains(&issued), "{issued} issued");
}
