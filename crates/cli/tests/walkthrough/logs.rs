//! The log commands by themselves, on logs that are written here: what they print, what they end
//! with, and what they say of damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chancery_audit::{Entry, EpochRaise, commit, leaf_hash};
use chancery_journal::{CheckpointSigner, Config, Journal, LocalSigner};
use chancery_types::Timestamp;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::text;
use super::place::{Place, Ran, Started, chancery, until};

const ORIGIN: &str = "td.example/log/commands";

/// A log on disk with the keys that sign it.
pub(crate) struct Written {
    pub(crate) dir: PathBuf,
    signer: Arc<LocalSigner>,
}

impl Written {
    pub(crate) fn new(place: &Place, name: &str) -> Self {
        let folder = place.at(name);
        fs::create_dir(&folder).unwrap();
        let origin = ORIGIN.parse().unwrap();
        let signer = LocalSigner::open_or_create(&folder.join("signer"), &origin).unwrap();
        Self {
            dir: folder.join("log"),
            signer: Arc::new(signer),
        }
    }

    /// Goes on with these entries, and publishes them.
    pub(crate) fn grow(&self, entries: impl IntoIterator<Item = Vec<u8>>) {
        let mut config = Config::new(&self.dir, self.signer.origin().clone());
        config.publish_interval = Duration::from_secs(3_600);
        let signer = Arc::clone(&self.signer) as Arc<dyn CheckpointSigner>;
        let journal = Journal::open(config, signer).unwrap();
        for entry in entries {
            journal.append_blocking(entry).unwrap();
        }
        journal.publish_blocking().unwrap();
    }

    pub(crate) fn ed25519(&self) -> String {
        self.signer.keys().ed25519().to_string()
    }

    fn ml_dsa_44(&self) -> String {
        self.signer.keys().ml_dsa_44().to_string()
    }

    /// Runs a log command on it.
    pub(crate) fn log(&self, place: &Place, arguments: &[&str]) -> Ran {
        let dir = ["log", "--dir", text(&self.dir)];
        place.chancery(&[&dir, arguments].concat())
    }

    /// Runs a command that believes its keys.
    pub(crate) fn with_keys(&self, place: &Place, arguments: &[&str]) -> Ran {
        let (ed25519, ml_dsa_44) = (self.ed25519(), self.ml_dsa_44());
        let keys = ["--vkey", &ed25519, "--vkey", &ml_dsa_44];
        place.chancery(&[arguments, &keys].concat())
    }
}

/// Entry `number` of a history.
fn entry(number: u64) -> Vec<u8> {
    let entry = Entry {
        origin: ORIGIN.parse().unwrap(),
        at: Timestamp::from_seconds(1_800_000_000 + number),
        event: EpochRaise {
            epoch: number + 1,
            by: commit("revoker", &[1; 32], b"uid 0"),
            reason: commit("revocation-reason", &[2; 32], b"tested"),
        }
        .into(),
    };
    entry.to_bytes().unwrap()
}

fn codes(told: &Value) -> Vec<(String, String)> {
    let findings = told["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|finding| (text(&finding["file"]), text(&finding["reason"])))
        .collect()
}

#[test]
fn tail_and_export_print_the_bytes_of_the_log_a_line_each() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    log.grow((0..5).map(entry));
    let tailed = log
        .log(&place, &["tail", "--from", "1", "--count", "3"])
        .ok();
    let lines: Vec<&str> = tailed.lines().collect();
    assert_eq!(lines.len(), 3);
    for (number, line) in (1..).zip(lines) {
        let bytes = entry(number);
        let (leaf, entry) = (leaf_hash(&bytes), String::from_utf8(bytes).unwrap());
        let wanted = format!("{{\"index\":{number},\"leaf\":\"{leaf}\",\"entry\":{entry}}}");
        assert_eq!(line, wanted);
    }
    let exported = log
        .log(&place, &["export", "--from", "1", "--count", "3"])
        .ok();
    assert_eq!(exported, tailed);
    assert_eq!(log.log(&place, &["export", "--from", "9"]).ok(), "");
    let all = log
        .log(&place, &["export", "--as", "ocsf", "--proofs"])
        .ok();
    for (number, line) in all.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["metadata"]["sequence"], number);
        let proof = event["unmapped"]["tlog_proof"].as_str().unwrap();
        assert!(proof.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {number}\n")));
    }
    assert_eq!(all.lines().count(), 5);
    let records = log.log(&place, &["export", "--as", "otlp"]).ok();
    for line in records.lines() {
        let data: Value = serde_json::from_str(line).unwrap();
        let record = &data["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!(record["eventName"], "chancery.epoch.raise");
    }
    log.grow([b"no entry".to_vec()]);
    log.log(&place, &["export"]).refused(1, &["entry 5"]);
    log.log(&place, &["export", "--as", "ocsf"])
        .refused(1, &["entry 5", text(&log.dir)]);
    log.log(&place, &["check"])
        .refused(1, &["entry 5", text(&log.dir)]);
}

#[test]
fn tail_waits_for_what_comes() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    log.grow((0..2).map(entry));
    let mut command = place.command(chancery());
    command.args(["log", "--dir", text(&log.dir), "tail", "--count", "2"]);
    let mut tail = Started::new(&mut command, &place);
    std::thread::sleep(Duration::from_millis(400));
    assert!(tail.exit().is_none() && tail.out().is_empty());
    log.grow((2..4).map(entry));
    let out = tail.ended().ok();
    let index = |line: &str| serde_json::from_str::<Value>(line).unwrap()["index"].clone();
    assert_eq!(out.lines().map(index).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_proof_is_verified_by_the_keys_alone() {
    let place = Place::new();
    let (log, other) = (Written::new(&place, "log"), Written::new(&place, "other"));
    log.grow((0..300).map(entry));
    other.grow((0..3).map(entry));
    let kept = place.at("entry.json");
    let proof = log
        .log(&place, &["prove", "7", "--entry-out", text(&kept)])
        .ok();
    assert_eq!(fs::read(&kept).unwrap(), entry(7));
    let proof = place.write("proof", proof);
    let verify = [
        "--format",
        "json",
        "log",
        "verify-proof",
        text(&proof),
        "--entry",
    ];
    let with = |log: &Written, entry: &Path| {
        log.with_keys(&place, &[&verify[..], &[text(entry)]].concat())
    };
    let verified = with(&log, &kept).json();
    assert_eq!(
        (&verified["index"], &verified["size"]),
        (&7.into(), &300.into())
    );
    assert_eq!(verified["leaf"], leaf_hash(&entry(7)).to_string());
    with(&other, &kept).refused(1, &[text(&proof), "refused"]);
    let wrong = place.write("wrong.json", entry(8));
    with(&log, &wrong).refused(1, &[text(&proof), "not proved"]);
    with(&log, &place.at("nothing")).refused(1, &["nothing"]);
    let half = fs::read_to_string(&proof).unwrap();
    fs::write(&proof, half.replace("index 7", "index 8")).unwrap();
    with(&log, &kept).refused(1, &["not proved"]);
    fs::write(&proof, half.replace("@v1", "@v2")).unwrap();
    with(&log, &kept).refused(1, &[text(&proof), "tlog-proof@v1"]);
    log.log(&place, &["prove", "300"]).refused(1, &["300"]);
}

#[test]
fn keys_that_are_missing_or_not_the_logs_are_named() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    log.grow((0..3).map(entry));
    let (dir, state) = (text(&log.dir), place.at("state"));
    let watch = ["log", "monitor", dir, "--state", text(&state)];
    let with = |more: &[&str]| place.chancery(&[&watch[..], more].concat());
    let (ed25519, ml_dsa_44) = (log.ed25519(), log.ml_dsa_44());
    with(&[]).refused(2, &["--trust"]);
    with(&["--vkey", &ed25519]).refused(1, &["ML-DSA-44 key is missing"]);
    with(&["--vkey", &ml_dsa_44]).refused(1, &["Ed25519 key is missing"]);
    with(&["--vkey", &ed25519, "--vkey", &ed25519]).refused(1, &["a second key"]);
    with(&["--vkey", "nonsense"]).refused(1, &["--vkey nonsense", "verifier key"]);
    with(&["--trust", "none.json"]).refused(1, &["none.json"]);
    with(&["--trust", "none.json", "--vkey", &ed25519]).refused(2, &["--trust"]);
    let both = ["--vkey", &ed25519, "--vkey", &ml_dsa_44];
    with(&[&both[..], &["--origin", "td.example/log/another"]].concat())
        .refused(1, &["not the keys of the log td.example/log/another"]);
    with(&[&both[..], &["--origin", "a b"]].concat()).refused(1, &["--origin a b"]);
    with(&[&both[..], &["--interval", "5"]].concat()).refused(2, &["--follow"]);
    assert!(!state.exists());
    with(&both).ok();
    log.log(&place, &["keys", "--trust", "none.json"])
        .refused(1, &["none.json"]);
}

#[test]
fn a_monitor_says_what_is_wrong_and_ends_with_one() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    log.grow((0..257).map(entry));
    let copy = place.at("copy");
    let cp = |from: &Path, to: &Path| {
        let mut command = place.command("cp");
        Ran::to_the_end(command.arg("-a").args([from, to]), &place).ok();
    };
    cp(&log.dir, &copy);
    let state = place.at("state");
    let watch = |dir: &Path, more: &[&str]| {
        let arguments = [
            "--format",
            "json",
            "log",
            "monitor",
            text(dir),
            "--state",
            text(&state),
        ];
        log.with_keys(&place, &[&arguments[..], more].concat())
    };
    let told = watch(&log.dir, &[]).json();
    assert_eq!((&told["before"], &told["size"]), (&0.into(), &257.into()));
    assert_eq!(told["findings"], Value::Array(Vec::new()));
    log.grow((257..260).map(entry));
    let told = watch(&log.dir, &["--whole"]).json();
    assert_eq!((&told["before"], &told["size"]), (&257.into(), &260.into()));
    let told = watch(&copy, &[]);
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("state.refused"), "{told:?}");
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        codes(&told),
        [("checkpoint".to_owned(), "shrunk".to_owned())]
    );
    let kept = fs::read(place.at("state.refused")).unwrap();
    assert_eq!(kept, fs::read(copy.join("checkpoint")).unwrap());

    fs::remove_file(log.dir.join("tile/entries/000")).unwrap();
    assert_eq!(
        codes(&watch(&log.dir, &[]).json()),
        [],
        "what was seen is not read again"
    );
    let told = watch(&log.dir, &["--whole"]);
    let file = "tile/entries/000".to_owned();
    let wanted = [(file.clone(), "missing".to_owned())];
    assert_eq!(codes(&serde_json::from_str(&told.out).unwrap()), wanted);
    let check = place.chancery(&["--format", "json", "log", "--dir", text(&log.dir), "check"]);
    assert_eq!(codes(&serde_json::from_str(&check.out).unwrap()), wanted);
    check.refused(1, &[text(&log.dir.join(file)), "not there", "restore it"]);
}

#[test]
fn a_monitor_that_follows_ends_when_something_is_found() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    log.grow((0..3).map(entry));
    let old = fs::read(log.dir.join("checkpoint")).unwrap();
    let (ed25519, ml_dsa_44) = (log.ed25519(), log.ml_dsa_44());
    let mut command = place.command(chancery());
    command.args([
        "log",
        "monitor",
        text(&log.dir),
        "--state",
        "state",
        "--follow",
    ]);
    command.args(["--interval", "1", "--vkey", &ed25519, "--vkey", &ml_dsa_44]);
    let mut monitor = Started::new(&mut command, &place);
    until("a first pass", || {
        monitor.out().contains("3 entries").then_some(())
    });
    log.grow((3..5).map(entry));
    until("a second pass", || {
        monitor.out().contains("5 entries, 3 of them").then_some(())
    });
    assert!(monitor.exit().is_none());
    fs::write(log.dir.join("checkpoint"), old).unwrap();
    let ended = monitor.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.out.contains("shrunk"), "{ended:?}");
}

#[test]
fn a_log_out_of_reach_ends_with_three() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    let watch = |url: &str| {
        let arguments = [
            "log", "monitor", url, "--state", "state", "--origin", ORIGIN,
        ];
        log.with_keys(&place, &arguments)
    };
    watch("http://127.0.0.1:9").refused(3, &["http://127.0.0.1:9/checkpoint", "cannot be reached"]);
    watch("https://127.0.0.1:9").refused(1, &["https://127.0.0.1:9", "http://"]);
    watch("nowhere").refused(1, &["nowhere", "neither a folder nor a URL"]);
}

#[test]
fn serve_says_where_and_stops_when_it_is_told() {
    let place = Place::new();
    let log = Written::new(&place, "log");
    log.grow((0..3).map(entry));
    let start = |listen: &str| {
        let mut command = place.command(chancery());
        command.args(["log", "--dir", text(&log.dir), "serve", "--listen", listen]);
        Started::new(&mut command, &place)
    };
    let mut server = start("127.0.0.1:0");
    let said = until("an address", || {
        assert!(server.exit().is_none(), "{}", server.err());
        let out = server.out();
        let url = out
            .trim()
            .strip_prefix(&format!("{ORIGIN} at "))?
            .to_owned();
        out.ends_with('\n').then_some(url)
    });
    assert_eq!(server.err(), "", "nothing to warn of on this machine");
    let address = said.strip_prefix("http://").unwrap();
    start(address).ended().refused(1, &[address]);
    let watched = log.with_keys(&place, &["log", "monitor", &said, "--state", "state"]);
    assert!(watched.ok().starts_with(&format!("{ORIGIN}: 3 entries")));
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    start("nonsense").ended().refused(2, &["--listen"]);
    place
        .chancery(&["log", "--data", "none", "serve"])
        .refused(1, &["none"]);
    place
        .chancery(&["log", "--dir", "none", "serve"])
        .refused(1, &["none/checkpoint", "missing"]);
}
