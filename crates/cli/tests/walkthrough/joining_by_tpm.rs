//! A host that joins by its TPM, with a software TPM in its place.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::Deployment;
use super::place::{Place, Started, chancery, free_port, until};

/// A software TPM in a folder of the place; none where there is no such program, which is said.
fn swtpm(place: &Place) -> Option<(Started, String)> {
    let there = Command::new("swtpm")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if there.is_err() {
        eprintln!("skipped: there is no swtpm here; scripts/swtpm installs it");
        return None;
    }
    let state = place.at("tpm-state");
    std::fs::create_dir(&state).unwrap();
    let socket = place.at("tpm.sock");
    let mut command = place.command("swtpm");
    command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
    command.arg("--tpmstate");
    command.arg(format!("dir={}", state.display()));
    command.arg("--server");
    command.arg(format!("type=unixio,path={}", socket.display()));
    let process = Started::new(&mut command, place);
    until("the software TPM", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    Some((process, format!("swtpm:{}", socket.display())))
}

#[test]
fn a_host_joins_by_its_tpm_in_one_command_and_stays_the_same_node() {
    let place = Place::new();
    let Some((process, tpm)) = swtpm(&place) else {
        return;
    };
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let deployment = Deployment::started(place, &["--nodes", &listen]);
    let chancery = |arguments: &[&str]| deployment.place.chancery(arguments);
    chancery(&["trust", "export", "trust.json"]).ok();
    let join = || {
        let mut command = deployment.place.command(self::chancery());
        command.args(["--format", "json", "node", "join", "--data", "host-2"]);
        command.args(["--trust", "trust.json", "--server", &listen, "--tpm", &tpm]);
        Started::new(&mut command, &deployment.place)
    };
    let joined = || {
        let mut node = join();
        let opened: Value = until("the node", || {
            assert!(node.exit().is_none(), "the node ended: {}", node.err());
            serde_json::from_str(&node.out()).ok()
        });
        node.signal(Signal::SIGTERM);
        node.ended().ok();
        opened["spiffe_id"].as_str().unwrap().to_owned()
    };
    // On the host: which TPM it is.
    let shown = chancery(&["--format", "json", "node", "tpm", "--tpm", &tpm]).json();
    let digest = shown["tpm"].as_str().unwrap();
    assert_eq!(shown["pcrs"].as_object().unwrap().len(), 8);
    join().ended().refused(1, &["join_refused", "admit-tpm"]);
    // Where the deployment is: it may join, in another state than it is in, then in this one.
    let other = format!("7={}", "11".repeat(32));
    chancery(&["node", "admit-tpm", digest, "--pcr", &other]).ok();
    join().ended().refused(1, &["join_refused"]);
    let held = shown["pcrs"]["7"].as_str().unwrap();
    let held = format!(
        "7=0x{}",
        held.strip_prefix("sha256:").unwrap().to_uppercase()
    );
    let admitted = chancery(&["node", "admit-tpm", digest, "--pcr", &held]).ok();
    assert!(admitted.contains(digest), "{admitted}");
    let first = joined();
    assert_eq!(joined(), first);
    let (_, id) = first.rsplit_once('/').unwrap();
    let listed = chancery(&["node", "list"]).ok();
    assert!(listed.contains(id) && listed.contains(digest), "{listed}");
    let view = chancery(&["--format", "json", "node", "show", id]).json();
    assert_eq!(
        (&view["proof"], &view["level"]),
        (&"tpm".into(), &"tpm".into())
    );
    assert_eq!(view["tpm"]["endorsement_key"], digest);
    // Out is out, whatever is admitted; and taken out it is not admitted any more.
    chancery(&["node", "evict", id, "--reason", "lost"]).ok();
    join().ended().refused(1, &["node_evicted"]);
    chancery(&["node", "remove-tpm", digest]).ok();
    chancery(&["node", "remove-tpm", digest]).refused(1, &["node_tpm"]);
    let expected = [
        "node.tpm",
        "node.tpm",
        "node.join",
        "node.join",
        "node.evict",
        "node.tpm",
    ];
    until("the entries are under a checkpoint", || {
        let entries = ["--format", "json", "log", "--log", "server", "entries"];
        let entries = chancery(&entries).json();
        let entries = entries.as_array().unwrap().iter();
        let kinds = entries.filter_map(|line| line["entry"]["type"].as_str());
        let kinds: Vec<_> = kinds.filter(|kind| kind.starts_with("node.")).collect();
        (kinds == expected).then_some(())
    });
    process.signal(Signal::SIGTERM);
}

#[test]
fn what_is_wrong_with_a_tpm_is_said() {
    let place = Place::new();
    let missing = place.at("tpmrm0");
    let missing = missing.to_str().unwrap();
    place
        .chancery(&["node", "tpm", "--tpm", missing])
        .refused(1, &["tpmrm0: no such device", "--tpm"]);
    place
        .chancery(&["node", "tpm", "--tpm", "tpm0"])
        .refused(2, &["swtpm:/PATH"]);
    for bad in ["24=00", "7", "7=zz", "-1=00"] {
        place
            .chancery(&["node", "admit-tpm", "x", &format!("--pcr={bad}")])
            .refused(2, &["64 hex digits"]);
    }
    let join = ["node", "join", "--server", "127.0.0.1:1", "--data", "host"];
    let both = [
        "--trust",
        "trust.json",
        "--tpm",
        missing,
        "--token-file",
        "token",
    ];
    place
        .chancery(&[&join[..], &both].concat())
        .refused(2, &["--token-file"]);
}
