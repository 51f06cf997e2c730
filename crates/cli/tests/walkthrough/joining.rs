//! A second host that joins, works, outlives the server, and is put out.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use super::deployment::{Deployment, text};
use super::place::{Place, Ran, Started, chancery, checkout, free_port, until};
use super::tools::{Tools, python};

/// A network namespace with one way out: a host of its own, as far as the network goes.
pub(crate) struct Host {
    name: Option<String>,
    pub(crate) address: String,
}

impl Host {
    /// Where nobody may make one, the test goes on over the loopback.
    pub(crate) fn new() -> Self {
        let number = std::process::id() % 16_384;
        let name = format!("chn{number}");
        let net = format!("10.213.{}.{}", number / 64, number % 64 * 4);
        let (near, far) = (bumped(&net, 1), bumped(&net, 2));
        let host = Self {
            name: Some(name.clone()),
            address: near.clone(),
        };
        let link = format!("{name}a");
        let peer = format!("{name}b");
        let steps = [
            format!("netns add {name}"),
            format!("link add {link} type veth peer name {peer} netns {name}"),
            format!("addr add {near}/30 dev {link}"),
            format!("link set {link} up"),
            format!("-n {name} addr add {far}/30 dev {peer}"),
            format!("-n {name} link set {peer} up"),
        ];
        if steps.iter().all(|step| ip(step)) {
            return host;
        }
        eprintln!(
            "skipped: no network namespace can be made here; the second host is on the loopback"
        );
        drop(host);
        Self {
            name: None,
            address: "127.0.0.1".to_owned(),
        }
    }

    /// Takes the host's way out away, or gives it back; says whether it has one of its own.
    pub(crate) fn link(&self, state: &str) -> bool {
        let name = self.name.as_ref();
        name.is_some_and(|name| ip(&format!("link set {name}a {state}")))
    }

    /// A command on this host.
    pub(crate) fn command(&self, place: &Place) -> Command {
        match &self.name {
            Some(name) => {
                let mut command = place.command("ip");
                command.args(["netns", "exec", name, chancery()]);
                command
            }
            None => place.command(chancery()),
        }
    }

    fn join(&self, deployment: &Deployment, port: &str, means: &[&str]) -> Started {
        let server = format!("{}:{port}", self.address);
        let mut command = self.command(&deployment.place);
        command.args(["--format", "json", "node", "join", "--data", "host-2"]);
        command.args(["--trust", "trust.json", "--server", &server]);
        Started::new(command.args(means), &deployment.place)
    }

    /// An instance of `desk` on this host, on the Python SDK, that makes these calls.
    fn desk(&self, deployment: &Deployment, tools: &Tools, calls: &[&str]) -> Started {
        let client = checkout().join("demo/client.py");
        let (python, prefix) = python(&deployment.place);
        let sdk = tools.python_sdk();
        let mut command = self.command(&deployment.place);
        command.args(["run", "--data", "host-2", "--agent", "desk"]);
        command.args(["--wait-delegation", "30"]);
        command.args(["--read", &prefix, "--read", &sdk, "--", &python]);
        command.args([text(&client), &sdk]).args(calls);
        Started::new(&mut command, &deployment.place)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            ip(&format!("link del {name}a"));
            ip(&format!("netns del {name}"));
        }
    }
}

fn bumped(net: &str, by: u32) -> String {
    let address: std::net::Ipv4Addr = net.parse().unwrap();
    std::net::Ipv4Addr::from(u32::from(address) + by).to_string()
}

fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    let ran = command.args(arguments.split(' ')).output();
    ran.is_ok_and(|ran| ran.status.success())
}

const BALANCE: [&str; 2] = ["balance", r#"{"book":"north"}"#];

#[test]
fn a_second_host_joins_works_outlives_the_server_and_is_put_out() {
    let Some(tools) = Tools::find() else {
        return;
    };
    let host = Host::new();
    let (nodes, place) = (free_port(), Place::new());
    let listen = format!("{}:{nodes}", host.address);
    let advertised = format!("{}:{{port}}", host.address);
    let mut arguments = vec!["--nodes", &listen];
    if host.name.is_some() {
        arguments.extend([
            "--gateway-listen",
            "0.0.0.0",
            "--gateway-advertise",
            &advertised,
        ]);
    }
    let deployment = Deployment::started(place, &arguments);
    deployment.enrol(&deployment.code()).ok();
    let chancery = |arguments: &[&str]| deployment.place.chancery(arguments);
    chancery(&["trust", "export", "trust.json"]).ok();
    deployment.agent("desk", text(&checkout().join("demo/client.py")));

    // One command makes the token, one command adds the host.
    chancery(&["node", "token", "--out", "host-2.token"]).ok();
    let by_token = ["--token-file", "host-2.token"];
    let mut node = host.join(&deployment, &nodes, &by_token);
    let opened: Value = until("the node", || {
        assert!(node.exit().is_none(), "the node ended: {}", node.err());
        serde_json::from_str(&node.out()).ok()
    });
    let id = opened["spiffe_id"].as_str().unwrap();
    let (_, id) = id.rsplit_once('/').unwrap();
    let listed = chancery(&["node", "list"]).ok();
    assert!(listed.contains(id) && listed.contains("token"), "{listed}");

    // A governed call from there, through the gateway here.
    let working = host.desk(&deployment, &tools, &BALANCE);
    deployment.delegate(&["ledger/balance"]);
    let out = working.ended().ok();
    assert!(out.starts_with("tools: balance\nbalance: {"), "{out}");

    // The server is killed and comes back; the node finds it.
    let server = deployment.opened["processes"]["server"].as_i64().unwrap();
    kill(Pid::from_raw(server.try_into().unwrap()), Signal::SIGKILL).unwrap();
    until("the server is back", || {
        (chancery(&["node", "list"]).code == Some(0)).then_some(())
    });
    let working = until("the node has found the server", || {
        let working = host.desk(&deployment, &tools, &BALANCE);
        until("it has an instance, or none", || {
            let err = working.err();
            (err.contains("(isolated)") || err.contains("error")).then_some(())
        });
        (!working.err().contains("error")).then_some(working)
    });
    deployment.delegate(&["ledger/balance"]);
    let out = working.ended().ok();
    assert!(out.contains("balance: {"), "{out}");

    // It is put out, and everything on it.
    let waiting = host.desk(&deployment, &tools, &BALANCE);
    until("an instance", || {
        let nodes = chancery(&["--format", "json", "node", "show", id]).json();
        (nodes["instances"] == 1).then_some(())
    });
    let evict = ["--format", "json", "node", "evict", id, "--reason", "lost"];
    let evicted = chancery(&evict).json();
    // The one that runs, and those that ended lately: what they held is over as well.
    assert!(
        evicted["instances"].as_array().unwrap().len() >= 3,
        "{evicted}"
    );
    node.ended()
        .refused(1, &["node_evicted", "no node any more"]);
    assert_ne!(waiting.ended().code, Some(0));
    let revoked = chancery(&["revoke", "list"]).ok();
    assert!(revoked.contains("/agent/desk/instance/"), "{revoked}");
    let again = host.join(&deployment, &nodes, &by_token);
    again
        .ended()
        .refused(1, &["join_refused", "chancery node token"]);
    chancery(&["agent", "list", "--data", "host-2"])
        .refused(1, &["a node that joined a deployment on another host"]);

    // By a certificate that the host has; the same host is the same node.
    certificates(&deployment.place);
    chancery(&["node", "admit-ca", "hosts.pem"]).ok();
    let by_certificate = ["--certificate", "host.pem", "--key", "host.key"];
    let first = joined(host.join(&deployment, &nodes, &by_certificate));
    assert_eq!(
        joined(host.join(&deployment, &nodes, &by_certificate)),
        first
    );
    assert_ne!(first, opened["spiffe_id"]);

    // All of it is enrolled, in this order.
    let expected = [
        "node.token",
        "node.join",
        "node.evict",
        "node.authority",
        "node.join",
    ];
    until("the entries are under a checkpoint", || {
        let entries = ["--format", "json", "log", "--log", "server", "entries"];
        let entries = chancery(&entries).json();
        let entries = entries.as_array().unwrap().iter();
        let kinds = entries.filter_map(|line| line["entry"]["type"].as_str());
        let kinds: Vec<_> = kinds.filter(|kind| kind.starts_with("node.")).collect();
        kinds.starts_with(&expected).then_some(())
    });
}

/// Who a node is that joined; it is stopped.
fn joined(mut node: Started) -> Value {
    let opened: Value = until("the node", || {
        assert!(node.exit().is_none(), "the node ended: {}", node.err());
        serde_json::from_str(&node.out()).ok()
    });
    node.signal(Signal::SIGTERM);
    node.ended().ok();
    opened["spiffe_id"].clone()
}

/// An authority of hosts and a host's certificate, as files.
pub(crate) fn certificates(place: &Place) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let params = CertificateParams::new(vec!["host-2".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    place.write("host.pem", params.signed_by(&key, &root).unwrap().pem());
    place.write("hosts.pem", root.pem());
    let file = place.write("host.key", key.serialize_pem());
    Ran::to_the_end(place.command("chmod").args(["600", text(&file)]), place).ok();
}

#[test]
fn what_is_wrong_with_a_join_is_said_before_anything_is_asked() {
    let place = Place::new();
    let join = |arguments: &[&str]| {
        let all = ["node", "join", "--server", "127.0.0.1:1", "--data", "host"];
        place.chancery(&[&all[..], arguments].concat())
    };
    join(&["--trust", "trust.json"]).refused(2, &["--token-file", "--certificate", "--tpm"]);
    join(&["--trust", "trust.json", "--certificate", "host.pem"]).refused(2, &["--key"]);
    for server in [
        "https://one.example:8444",
        "one.example",
        ":8444",
        "one.example:0",
    ] {
        let means = ["--trust", "t", "--token-file", "a", "--server", server];
        let join = ["node", "join", "--data", "host"];
        place
            .chancery(&[&join[..], &means].concat())
            .refused(2, &[server, "expected HOST:PORT"]);
    }
    join(&[
        "--trust",
        "t",
        "--token-file",
        "a",
        "--certificate",
        "b",
        "--key",
        "c",
    ])
    .refused(2, &["--token-file"]);
    join(&["--trust", "trust.json", "--token-file", "token"])
        .refused(1, &["trust.json: No such file"]);
    let up =
        |arguments: &[&str]| place.chancery(&[&["up", "--data", "one"][..], arguments].concat());
    up(&["--nodes", "0.0.0.0:1"]).refused(1, &["--gateway-listen"]);
    up(&["--nodes", "127.0.0.1:1", "--gateway-listen", "0.0.0.0"])
        .refused(1, &["--gateway-advertise"]);
}
