//! A deployment whose backup was restored: it is refused, remembers that, goes on under new names of
//! its logs, works, and its evidence says what is missing.

use std::fs;
use std::net::TcpListener;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::{Deployment, text};
use super::place::{Place, Ran, Started, chancery, checkout, until};

const LOGS: [&str; 2] = ["gateway", "server"];

/// A witness that is served until it is stopped.
struct Witness {
    address: String,
    started: Started,
}

impl Witness {
    /// With the keys of the logs as they are now, and always at the same address.
    fn start(place: &Place, address: &str) -> (Self, String) {
        let logs = place.chancery(&["trust", "logs"]).ok();
        place.write("logs.policy", logs);
        let mut command = place.command(chancery());
        command.args(["--format", "json", "witness", "--data", "witness"]);
        command.args(["--name", "witness.example/w1", "--logs", "logs.policy"]);
        let mut started = Started::new(command.args(["--listen", address]), place);
        let opened: Value = until("chancery witness", || {
            assert!(started.exit().is_none(), "{}", started.err());
            serde_json::from_str(&started.out()).ok()
        });
        let policy = opened["policy"].as_str().unwrap().to_owned();
        let address = address.to_owned();
        (Self { address, started }, policy)
    }

    fn stop(self) -> String {
        self.started.signal(Signal::SIGTERM);
        self.started.ended().ok();
        self.address
    }
}

/// Starts a deployment that does not start, to its end.
fn refused_up(deployment: &Deployment) -> Ran {
    let mut command = deployment.place.command(chancery());
    command.args(["up", "--gateway-port", &deployment.port]);
    Ran::to_the_end(&mut command, &deployment.place)
}

/// Lets an agent call the ledger, and gives back its session.
fn session(deployment: &Deployment) -> String {
    let agent = checkout().join("demo/agent.sh");
    let call = [
        "--agent",
        "clerk",
        "--",
        text(&agent),
        "balance",
        r#"{"book": "north"}"#,
    ];
    let running = deployment.run(&call);
    let granted = deployment.delegate(&["ledger/balance"]);
    let out = running.ended().ok();
    assert!(out.contains("invoices_open"), "{out}");
    granted["session"].as_str().unwrap().to_owned()
}

fn verified(place: &Place, session: &str, out: &str) -> Value {
    place.chancery(&["evidence", session, "--out", out]).ok();
    place.chancery(&["trust", "export", "trust.json"]).ok();
    place
        .chancery(&["--format", "json", "verify", out, "--trust", "trust.json"])
        .json()
}

fn succeeded(report: &Value) -> usize {
    let notes = report["notes"].as_array().unwrap().iter();
    notes.filter(|note| note["value"] == "succeeded").count()
}

#[test]
fn a_restored_backup_is_refused_succeeded_and_at_work_again() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut deployment = Deployment::with_person();
    let agent = checkout().join("demo/agent.sh");
    deployment.agent("clerk", text(&agent));
    let (witness, policy) = Witness::start(&deployment.place, &address);
    deployment.place.write("witness.policy", policy);
    deployment
        .place
        .chancery(&["trust", "witness", "witness.policy", "--withhold"])
        .ok();
    deployment.stop();
    deployment.start();
    let before = session(&deployment);
    let report = verified(&deployment.place, &before, "before");
    assert_eq!(
        (&report["outcome"], succeeded(&report)),
        (&"verified".into(), 0)
    );
    deployment.stop();
    let place = &deployment.place;
    deployment.copy_of_data("backup");
    // Of a log that misses nothing there is nothing to succeed.
    place
        .chancery(&["log", "succeed"])
        .refused(1, &["start `chancery up` as it is"]);
    deployment.start();
    session(&deployment);
    // What is not witnessed yet, nobody misses.
    let size = |data: &str, log: &str| {
        let note = deployment.place.at(format!("{data}/{log}/log/checkpoint"));
        let note = fs::read_to_string(note).ok()?;
        note.lines().nth(1)?.parse::<u64>().ok()
    };
    for log in LOGS {
        until("a witnessed checkpoint that the backup has not", || {
            (size("chancery-data", log)? > size("backup", log)?).then_some(())
        });
    }
    place_is_refused(&deployment);
    deployment.stop();

    let place = &deployment.place;
    fs::rename(place.at("chancery-data"), place.at("lost")).unwrap();
    fs::rename(place.at("backup"), place.at("chancery-data")).unwrap();
    refused_up(&deployment).refused(1, &["log_rolled_back", "`chancery log succeed`"]);
    // It is remembered while the witness is away.
    let address = witness.stop();
    refused_up(&deployment).refused(1, &["log_rolled_back", "server/log/alarm"]);
    place
        .chancery(&["log", "--dir", "chancery-data/server/log", "succeed"])
        .refused(1, &["--dir"]);
    place
        .chancery(&["log", "succeed", "--known", "witness.policy"])
        .refused(1, &["witness.policy", "not a signed checkpoint"]);
    let (witness, _) = Witness::start(place, &address);
    let told = place
        .chancery(&["--format", "json", "log", "succeed"])
        .json();
    let logs = told["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 2, "{told}");
    for log in logs {
        assert_eq!(
            log["origin"],
            format!("{}.2", log["from"].as_str().unwrap())
        );
        assert!(log["missing"].as_u64().unwrap() > 0, "{told}");
    }
    place
        .chancery(&["log", "succeed"])
        .refused(1, &["start `chancery up` as it is"]);

    // The witness hears of the new keys, and everything goes on.
    let address = witness.stop();
    let (_witness, _) = Witness::start(place, &address);
    deployment.start();
    let place = &deployment.place;
    let after = session(&deployment);
    let report = verified(place, &after, "after");
    assert_eq!(report["outcome"], "verified", "{report}");
    assert_eq!(succeeded(&report), 2, "{report}");
    // What was before the backup is evidence in the new logs.
    let again = verified(place, &before, "before-again");
    assert_eq!(again["outcome"], "verified", "{again}");
    for log in LOGS {
        let check = ["--format", "json", "log", "--log", log, "check"];
        let trust = ["--trust", "trust.json"];
        let checked = place.chancery(&[&check[..], &trust].concat()).json();
        assert_eq!(checked["witnessed"], true, "{checked}");
        let from = format!("chancery.example/log/{log}");
        assert_eq!(checked["succeeds"]["log"], from, "{checked}");
    }
    deployment.stop();
    the_quorum_is_asked_for(&deployment.place);
}

/// Without the lines of its witness.
fn alone(note: &str) -> String {
    let own = note
        .lines()
        .filter(|line| !line.contains("\u{2014} witness.example/w1 "));
    own.map(|line| format!("{line}\n")).collect()
}

/// The trust document withholds what the quorum did not cosign: proofs and a served log of it are
/// refused.
fn the_quorum_is_asked_for(place: &Place) {
    let proof = place
        .chancery(&["log", "prove", "0", "--entry-out", "entry.json"])
        .ok();
    place.write("whole.proof", &proof);
    place.write("alone.proof", alone(&proof));
    let verify = |proof: &str| {
        let entry = ["--entry", "entry.json", "--trust", "trust.json"];
        let verify = ["--format", "json", "log", "verify-proof", proof];
        place.chancery(&[&verify[..], &entry].concat())
    };
    assert_eq!(verify("whole.proof").json()["witnessed"], true);
    verify("alone.proof").refused(1, &["alone.proof", "unwitnessed"]);

    let log = place.at("chancery-data/gateway/log");
    let monitor = |state: &str| {
        let with = ["--state", state, "--trust", "trust.json"];
        let monitor = ["--format", "json", "log", "monitor", text(&log)];
        place.chancery(&[&monitor[..], &with].concat())
    };
    let told = monitor("one.seen").json();
    assert_eq!(
        (&told["witnessed"], &told["findings"]),
        (&true.into(), &Value::Array(vec![]))
    );
    let checkpoint = log.join("checkpoint");
    let cosigned = fs::read_to_string(&checkpoint).unwrap();
    fs::write(&checkpoint, alone(&cosigned)).unwrap();
    let told = monitor("another.seen");
    assert_eq!(told.code, Some(1), "{told:?}");
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["witnessed"], false);
    assert_eq!(told["findings"][0]["reason"], "unwitnessed");
    assert!(!place.at("another.seen").exists());
}

/// While it runs, nothing is succeeded.
fn place_is_refused(deployment: &Deployment) {
    deployment
        .place
        .chancery(&["log", "succeed"])
        .refused(1, &["another `chancery up` runs"]);
}
