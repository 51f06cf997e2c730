//! SPIFFE programs that we did not write: they find the Workload API in their environment and know
//! nothing else of Chancery.

use std::path::PathBuf;

use super::deployment::{Deployment, text};
use super::place::{Ran, Started, chancery, checkout, free_port, until};
use super::tools::{Tools, python, python_package};

/// An agent's program: what stands before its own arguments.
struct Peer<'a> {
    deployment: &'a Deployment,
    agent: &'a str,
    command: Vec<String>,
}

impl Peer<'_> {
    fn start(&self, arguments: &[&str]) -> Started {
        let mut all = vec!["--agent", self.agent, "--network", "host"];
        all.extend(self.command.iter().map(String::as_str));
        all.extend(arguments);
        self.deployment.run(&all)
    }
}

/// The Rust program, which stands on the crates `spiffe` and `spiffe-rustls`.
fn rust_program() -> PathBuf {
    let folder = PathBuf::from(chancery()).parent().unwrap().join("examples");
    let program = folder.join("spiffe_peer");
    assert!(
        program.exists(),
        "{}: build the examples",
        program.display()
    );
    program
}

fn rust<'a>(deployment: &'a Deployment, agent: &'a str) -> Peer<'a> {
    let program = rust_program();
    deployment.agent(agent, text(&program));
    Peer {
        deployment,
        agent,
        command: ["--", text(&program)].map(str::to_owned).to_vec(),
    }
}

/// The Python program, where PyPI's `spiffe` and `spiffe-tls` are there.
fn pythonic<'a>(deployment: &'a Deployment, agent: &'a str) -> Option<Peer<'a>> {
    let package = python_package("spiffe")?;
    let program = checkout().join("crates/cli/tests/walkthrough/foreign/spiffe_peer.py");
    deployment.agent(agent, text(&program));
    let (python, prefix) = python(&deployment.place);
    let read = ["--read", &prefix, "--read", text(&package), "--"];
    let run = [&python, text(&program), text(&package)];
    let command = read.into_iter().chain(run).map(str::to_owned).collect();
    Some(Peer {
        deployment,
        agent,
        command,
    })
}

/// The program in JavaScript, where grpc-js and jose are there.
fn scripted<'a>(deployment: &'a Deployment, agent: &'a str) -> Option<Peer<'a>> {
    let tools = Tools::find()?;
    let program = checkout().join("crates/cli/tests/walkthrough/foreign/spiffe_client.mjs");
    deployment.agent(agent, text(&program));
    let proto = checkout().join("proto");
    let (npm, node) = (tools.npm(), tools.node());
    let service = proto.join("workloadapi.proto");
    let read = ["--read", &npm, "--read", text(&proto), "--"];
    let run = [&node, text(&program), &npm, text(&service)];
    let command = read.into_iter().chain(run).map(str::to_owned).collect();
    Some(Peer {
        deployment,
        agent,
        command,
    })
}

/// What a program sees another one of while it watches.
const STABLE: &[&str] = &["x509 rotated", "jwt rotated"];
/// The same of one that knows WIT-SVIDs as well.
const WITH_WITS: &[&str] = &["x509 rotated", "wit rotated", "jwt rotated"];

/// The SPIFFE ID that `chancery run` says its command has.
fn id(running: &Started) -> String {
    until("an identity", || {
        let said = running.err();
        let start = said.find("spiffe://")?;
        let id = said.get(start..)?.split_whitespace().next()?;
        Some(id.to_owned())
    })
}

fn watched(name: &str, running: Started, rotated: &[&str]) {
    let identity = id(&running);
    let said = running.ended().ok();
    let said: Vec<_> = said.lines().collect();
    let first = format!("id {identity}");
    let before = [first.as_str(), "validated"].into_iter();
    let expected: Vec<_> = before.chain(rotated.iter().copied()).collect();
    assert_eq!(said, expected, "{name}");
}

#[test]
fn libraries_of_others_fetch_validate_watch_and_talk_to_each_other() {
    let deployment = Deployment::with(&["--svid-lifetime", "10", "--wit-svid", "--broker-api"]);
    let rust = rust(&deployment, "rust");
    let watching = rust.start(&["watch"]);
    revoked_is_taken(&rust);
    retired_is_taken(&deployment);
    brokered(&deployment, &watching);
    let javascript = scripted(&deployment, "javascript").map(|peer| peer.start(&[]));
    let Some(python) = pythonic(&deployment, "python") else {
        watched("rust", watching, STABLE);
        return;
    };
    let other = pythonic(&deployment, "other").unwrap();
    let also = python.start(&["watch"]);
    rust_serves(&rust, &python, &other);
    python_serves(&rust, &python);
    watched("rust", watching, STABLE);
    watched("python", also, STABLE);
    if let Some(javascript) = javascript {
        watched("javascript", javascript, WITH_WITS);
    }
}

/// A client's open stream ends when its instance is revoked, and nobody else's.
fn revoked_is_taken(rust: &Peer<'_>) {
    let [one, two] = [(); 2].map(|()| rust.start(&["held"]));
    let first = id(&one);
    for running in [&one, &two] {
        until("the first message", || {
            running.out().contains("id ").then_some(())
        });
    }
    let revoke = ["revoke", "instance", &first, "--reason", "tried out"];
    rust.deployment.place.chancery(&revoke).ok();
    let said = one.ended().ok();
    assert_eq!(said.lines().last(), Some("taken"), "{said}");
    assert!(!two.out().contains("taken"));
    two.signal(nix::sys::signal::Signal::SIGTERM);
}

/// A client's open stream ends when its agent is retired, and a process that runs still is nobody when the
/// agent is registered again.
fn retired_is_taken(deployment: &Deployment) {
    let peer = rust(deployment, "retired");
    let held = peer.start(&["held"]);
    let first = id(&held);
    until("the first message", || {
        held.out().contains("id ").then_some(())
    });
    let retire = [
        "--format",
        "json",
        "agent",
        "retire",
        "retired",
        "--reason",
        "tried out",
    ];
    let retired = deployment.place.chancery(&retire).json();
    assert_eq!(retired["instances"], serde_json::json!([first]));
    let said = held.ended().ok();
    assert_eq!(said.lines().last(), Some("taken"), "{said}");
    let again = deployment.place.chancery(&retire).json();
    assert_eq!(again["log_index"], retired["log_index"]);
    let register = ["agent", "register", "retired.manifest"];
    deployment.place.chancery(&register).ok();
    let held = peer.start(&["held"]);
    assert_ne!(id(&held), first);
    held.signal(nix::sys::signal::Signal::SIGTERM);
}

/// A broker obtains the SVIDs of a workload that the operator admitted it for, and the log says so.
fn brokered(deployment: &Deployment, workload: &Started) {
    let Some(tools) = Tools::find() else {
        return;
    };
    let workload_id = id(workload);
    // What executes is its interpreter.
    let program = std::fs::canonicalize(tools.node()).unwrap();
    deployment.agent("mesh", text(&program));
    let agent = "spiffe://chancery.example/agent/mesh";
    let broker = |arguments: &[&str]| {
        let all: Vec<&str> = ["--format", "json", "broker"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        deployment.place.chancery(&all).json()
    };
    let within = "spiffe://chancery.example/agent/rust";
    let allow = ["allow", agent, "--reference", "pid", "--within", within];
    broker(&allow);
    let folder = std::path::PathBuf::from(deployment.opened["data"].as_str().unwrap()).join("run");
    let client = checkout().join("crates/cli/tests/walkthrough/foreign/spiffe_broker.mjs");
    let (npm, protos, pid) = (tools.npm(), checkout().join("proto"), workload.pid());
    let mut command = deployment.place.command(&program);
    command.args([text(&client), &npm, text(&protos), text(&folder), agent]);
    command.args(["spiffe://chancery.example/service/node", &pid.to_string()]);
    let said = Ran::to_the_end(&mut command, &deployment.place).ok();
    let said: Vec<_> = said.lines().collect();
    let obtained = format!("obtained {workload_id}");
    assert_eq!(
        said[1..],
        [obtained.as_str(), "refused the rest"],
        "{said:?}"
    );
    let itself = said[0].strip_prefix("broker ").unwrap();
    // Both kinds are enrolled with its name; a checkpoint covers them shortly after.
    let entries = ["--format", "json", "log", "--log", "server", "entries"];
    let named = format!("\"broker\": \"{itself}\"");
    until("two issuances through the broker", || {
        let listed = deployment.place.chancery(&entries).ok();
        (listed.matches(&named).count() == 2).then_some(())
    });
    let removed = broker(&["remove", agent]);
    assert_eq!(removed["broker"], agent);
}

fn rust_serves(rust: &Peer<'_>, python: &Peer<'_>, other: &Peer<'_>) {
    let port = free_port();
    let server = rust.start(&["serve", &port, "/agent/python/", "3"]);
    let server_id = id(&server);
    let client = python.start(&["dial", &port, &server_id]);
    let client_id = id(&client);
    assert_eq!(client.ended().ok(), "seen as itself\n");
    // The client holds the server to its ID, to the last character.
    let mut wrong = server_id.clone();
    let last = wrong.pop().unwrap();
    wrong.push(if last == '0' { '1' } else { '0' });
    let refused = python.start(&["dial", &port, &wrong]).ended().ok();
    assert!(refused.starts_with("refused: "), "{refused}");
    // The server holds the client to its agent.
    let refused = other.start(&["dial", &port, &server_id]).ended().ok();
    assert!(refused.starts_with("refused: "), "{refused}");
    let served = server.ended().ok();
    let served: Vec<_> = served.lines().collect();
    assert_eq!(served[0], format!("served {client_id}"));
    assert_eq!(served.len(), 3, "{served:?}");
    let refused = |line: &&str| line.starts_with("refused: ");
    assert!(served[1..].iter().all(refused), "{served:?}");
}

fn python_serves(rust: &Peer<'_>, python: &Peer<'_>) {
    let port = free_port();
    let server = python.start(&["serve", &port, "/agent/rust/", "2"]);
    let client = rust.start(&["dial", &port, "/agent/python/"]);
    let client_id = id(&client);
    assert_eq!(client.ended().ok(), "seen as itself\n");
    let refused = rust.start(&["dial", &port, "/agent/other/"]).ended().ok();
    assert!(refused.starts_with("refused: "), "{refused}");
    let served = server.ended().ok();
    let served: Vec<_> = served.lines().collect();
    assert_eq!(served[0], format!("served {client_id}"));
    assert!(served[1].starts_with("refused: "), "{served:?}");
}
