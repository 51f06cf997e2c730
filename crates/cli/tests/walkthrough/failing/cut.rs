//! A host is cut off: for less than an SVID's life, for more, and for longer than its node's own life.

use std::process::Command;

use nix::sys::signal::Signal;

use super::roll::Roll;
use super::watcher::{Watcher, program};
use crate::deployment::{Deployment, text};
use crate::joining::{Host, certificates};
use crate::place::{Place, Started, free_port, until};

/// A node of that host in a folder of its own.
fn join(host: &Host, place: &Place, port: &str, how: (&str, &[&str])) -> Started {
    joined(host.command(place), host, place, (port, how))
}

/// The same, by a command that begins in this way.
pub(super) fn joined(
    mut command: Command,
    host: &Host,
    place: &Place,
    (port, (data, means)): (&str, (&str, &[&str])),
) -> Started {
    let server = format!("{}:{port}", host.address);
    command.args(["--format", "json", "node", "join", "--data", data]);
    command.args(["--trust", "trust.json", "--server", &server]);
    let mut node = Started::new(command.args(means), place);
    until("a node", || {
        assert!(node.exit().is_none(), "the node ended: {}", node.err());
        node.out().contains("spiffe_id").then_some(())
    });
    node
}

/// A client on that host.
pub(super) fn watch(host: &Host, place: &Place, data: &str) -> Watcher {
    let program = program();
    let mut command = host.command(place);
    command.args([
        "run",
        "--data",
        data,
        "--agent",
        "watcher",
        "--network",
        "host",
    ]);
    command.args(["--", text(&program), "follow"]);
    Watcher::of(Started::new(&mut command, place))
}

fn seconds() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[test]
fn a_host_that_is_cut_off_hands_out_nothing_that_is_over_and_goes_on_by_itself() {
    let host = Host::new();
    if !host.link("up") {
        println!("skipped: a host on the loopback cannot be cut off");
        return;
    }
    let (port, place) = (free_port(), Place::new());
    let listen = format!("{}:{port}", host.address);
    let advertised = format!("{}:{{port}}", host.address);
    let mut arguments = vec!["--nodes", &listen, "--svid-lifetime", "10"];
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
    certificates(place);
    place.chancery(&["node", "admit-ca", "hosts.pem"]).ok();
    deployment.agent("watcher", text(&program()));
    let by_token = ["--token-file", "host.token"];
    let by_certificate = ["--certificate", "host.pem", "--key", "host.key"];
    let mut with_token = join(&host, place, &port, ("one", &by_token));
    let mut with_certificate = join(&host, place, &port, ("two", &by_certificate));
    let watchers = [watch(&host, place, "one"), watch(&host, place, "two")];

    // For less than an SVID's life, while a renewal is due.
    let before = watchers[0].next();
    assert!(host.link("down"));
    until("a renewal is due", || {
        (seconds() + 4 >= before.not_after).then_some(())
    });
    assert!(host.link("up"));
    let after = watchers[0].next();
    assert!(
        after.at / 1_000_000 <= before.not_after,
        "{before:?} {after:?}"
    );
    watchers[0].was_never_without();
    // The other one's renewal was due at another time, perhaps too late for this one.
    watchers[1].next();

    // For more: the stream ends when its SVID does, and so does every one that is opened.
    let ends = watchers.each_ref().map(|watcher| watcher.ends().len());
    assert!(host.link("down"));
    for (watcher, known) in watchers.iter().zip(ends) {
        let end = until("an end", || watcher.ends().into_iter().nth(known));
        let last = watcher.last();
        end.is_for_now();
        assert!(end.at / 1_000_000 + 1 >= last.not_after, "{end:?} {last:?}");
    }
    let lasts = watchers.each_ref().map(Watcher::last);
    // For longer than the node's own SVID: who has nothing that admits it again ends.
    let ended = until("the node's end", || with_token.exit());
    assert_eq!(ended.code(), Some(1));
    let said = with_token.err();
    assert!(said.contains("Join again, with another token"), "{said}");
    assert!(with_certificate.exit().is_none());
    for (watcher, last) in watchers.iter().zip(&lasts) {
        assert_eq!(
            &watcher.last(),
            last,
            "an SVID was handed out on a host that is cut off"
        );
    }

    // The other one joins again as itself, and its clients have another SVID without anybody's help.
    assert!(host.link("up"));
    let next = watchers[1].next();
    assert_eq!(next.id, lasts[1].id);
    assert!(with_certificate.exit().is_none());
    let again = place.chancery(&["node", "token", "--out", "again.token"]);
    again.ok();
    let with_token = join(
        &host,
        place,
        &port,
        ("one", &["--token-file", "again.token"]),
    );
    let fresh = watch(&host, place, "one");
    assert_ne!(fresh.last().id, lasts[0].id);
    let mut svids = fresh.svids();
    for watcher in &watchers {
        watcher.received_nothing_but_of_its_time(|_| 0);
        svids.extend(watcher.svids());
    }
    drop((watchers, fresh));
    for node in [with_token, with_certificate] {
        node.signal(Signal::SIGTERM);
        node.ended().ok();
    }
    deployment.stop();
    Roll::of(&mut deployment).has_each_once(&svids);
}
