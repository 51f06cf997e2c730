//! Programs that we did not write, on logs that ours wrote and serves: Go's `sumdb/note` and `tlog`,
//! aics-tlog, and jsonschema on the entries.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use chancery_journal::Reader;
use chancery_tlog::VerifierKey;
use serde_json::{Value, json};

use super::deployment::{Deployment, text};
use super::litewitness::{Litewitness, NAME, Programs, fork, request};
use super::logs::Written;
use super::place::{Place, Ran, Started, chancery, checkout, until};
use super::tools::{go_checker, python_package};

/// Logs that the built program serves.
struct Serving {
    urls: Vec<String>,
    _server: Started,
}

impl Serving {
    /// The address of the log of that name.
    fn url(&self, log: &str) -> &str {
        let mut urls = self.urls.iter();
        urls.find(|url| url.ends_with(&format!("/{log}"))).unwrap()
    }

    fn new(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(chancery());
        command.args([
            "--format",
            "json",
            "log",
            "serve",
            "--listen",
            "127.0.0.1:0",
        ]);
        let mut server = Started::new(command.args(arguments), place);
        let opened: Value = until("chancery log serve", || {
            assert!(server.exit().is_none(), "{}", server.err());
            serde_json::from_str(&server.out()).ok()
        });
        let logs = opened["logs"].as_array().unwrap().iter();
        Self {
            urls: logs
                .map(|log| log["url"].as_str().unwrap().to_owned())
                .collect(),
            _server: server,
        }
    }
}

/// A program that checks a served log: its name, and what is run before URL, key and checkpoint.
type Checker = (&'static str, fn(&Place) -> Option<Command>);

const CHECKERS: [Checker; 2] = [
    ("Go", |place| Some(place.command(go_checker()?))),
    ("aics-tlog", |place| {
        Some(python(place, "audit.py", &python_package("aics-tlog")?))
    }),
];

/// A script of ours that stands on a package of others.
pub(crate) fn python(place: &Place, script: &str, package: &Path) -> Command {
    let script = checkout()
        .join("crates/cli/tests/walkthrough/foreign")
        .join(script);
    let mut command = place.command("python3");
    command
        .arg(script)
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn check(place: &Place, mut checker: Command, url: &str, key: &str, older: Option<&Path>) -> Ran {
    checker.args([url, key]).args(older);
    Ran::to_the_end(&mut checker, place)
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index} {}", "é".repeat(index as usize % 50)).into_bytes()
}

/// A log of `size` entries whose checkpoint of `older` entries is kept, and its Ed25519 key.
fn write(place: &Place, older: u64, size: u64) -> (PathBuf, PathBuf, String) {
    let log = Written::new(place, &format!("log-{size}"));
    log.grow((0..older).map(entry));
    let kept = place.at(format!("older-{size}"));
    fs::copy(log.dir.join("checkpoint"), &kept).unwrap();
    log.grow((older..size).map(entry));
    let key = log.ed25519();
    (log.dir, kept, key)
}

#[test]
fn logs_of_every_shape_are_checked_by_programs_of_others() {
    let place = Place::new();
    let mut checked = 0;
    for (older, size) in [(0, 1), (3, 255), (255, 256), (256, 257), (300, 700)] {
        let (dir, kept, key) = write(&place, older, size);
        let serving = Serving::new(&place, &["--dir", text(&dir)]);
        let url = serving.urls.first().unwrap();
        for (name, checker) in CHECKERS {
            let Some(command) = checker(&place) else {
                continue;
            };
            let older = (older > 0).then_some(kept.as_path());
            let found = check(&place, command, url, &key, older).json();
            assert_eq!(found["size"], size, "{name}");
            assert_eq!(found["proved"], size, "{name}");
            assert_eq!(found["continues"].is_number(), older.is_some(), "{name}");
            checked += 1;
        }
    }
    println!("{checked} checks by programs of others");
}

/// What those programs say of damage, so that what they say of a good log means something.
#[test]
fn programs_of_others_refuse_what_is_damaged() {
    let place = Place::new();
    let (dir, kept, key) = write(&place, 300, 700);
    let (_, foreign, foreign_key) = write(&place, 5, 9);
    let good = place.at("good");
    let copy = |from: &Path, to: &Path| {
        let mut command = place.command("cp");
        Ran::to_the_end(command.arg("-a").args([from, to]), &place).ok();
    };
    copy(&dir, &good);
    let serving = Serving::new(&place, &["--dir", text(&dir)]);
    let url = serving.urls.first().unwrap();
    for (name, checker) in CHECKERS {
        let refused = |what: &str, key: &str, older: Option<&Path>| {
            let Some(command) = checker(&place) else {
                return;
            };
            let ran = check(&place, command, url, key, older);
            assert_eq!(ran.code, Some(1), "{name}: {what}: {ran:?}");
            assert!(!ran.err.is_empty(), "{name}: {what}");
        };
        refused("another key", &foreign_key, None);
        refused("another log's checkpoint", &key, Some(&foreign));
        for file in [
            "tile/entries/000",
            "tile/entries/002.p/188",
            "tile/0/001",
            "tile/1/000.p/2",
        ] {
            let path = dir.join(file);
            let bytes = fs::read(&path).unwrap();
            let mut flipped = bytes.clone();
            *flipped.last_mut().unwrap() ^= 1;
            fs::write(&path, flipped).unwrap();
            refused(file, &key, None);
            fs::remove_file(&path).unwrap();
            refused(file, &key, None);
            fs::write(&path, bytes).unwrap();
        }
        let path = dir.join("checkpoint");
        let note = fs::read_to_string(&path).unwrap();
        fs::write(&path, note.replace("\n700\n", "\n699\n")).unwrap();
        refused("a checkpoint that was changed", &key, None);
        fs::write(&path, fs::read(&kept).unwrap()).unwrap();
        let newer = place.write("newer", &note);
        refused("a log that shrank", &key, Some(&newer));
        fs::write(&path, note).unwrap();
        if let Some(command) = checker(&place) {
            let found = check(&place, command, url, &key, Some(&kept)).json();
            assert_eq!(found["proved"], 700, "{name}: all is as it was");
        }
    }
}

#[test]
fn the_logs_of_a_deployment_are_checked_by_programs_of_others() {
    let deployment = Deployment::with_person();
    deployment.agent("desk", "/bin/true");
    deployment
        .run(&["--agent", "desk", "--", "/bin/true"])
        .ended()
        .ok();
    let place = &deployment.place;
    let log = |arguments: &[&str]| {
        let common = ["--format", "json", "log", "--log", "server"];
        place.chancery(&[&common, arguments].concat())
    };
    let size = until("a published end of the instance", || {
        let entries = log(&["entries"]).json();
        let entries = entries.as_array()?;
        let ended = |line: &Value| line["entry"]["type"] == "identity.end";
        entries.iter().any(ended).then_some(entries.len() as u64)
    });
    let key = log(&["keys"]).json()["ed25519"]
        .as_str()
        .unwrap()
        .to_owned();
    let serving = Serving::new(place, &[]);
    let server = serving.url("server");
    for (name, checker) in CHECKERS {
        let Some(command) = checker(place) else {
            continue;
        };
        let found = check(place, command, server, &key, None).json();
        assert!(found["proved"].as_u64().unwrap() >= size, "{name}: {found}");
    }
    let exported = place.write("entries.jsonl", log(&["export"]).ok());
    let Some(package) = python_package("jsonschema") else {
        return;
    };
    let mut schema = python(place, "schema.py", &package);
    schema
        .arg(checkout().join("docs/reference/events.schema.json"))
        .stdin(File::open(exported).unwrap());
    let tried = Ran::to_the_end(&mut schema, place).json();
    assert!(tried["valid"].as_u64().unwrap() >= size, "{tried}");
    assert!(tried["refused"].as_u64().unwrap() > 20 * size, "{tried}");
    let types = tried["types"].as_array().unwrap();
    for known in [
        "trust.change",
        "manifest.register",
        "identity.issue",
        "identity.end",
    ] {
        assert!(types.contains(&json!(known)), "{known}: {tried}");
    }
}

/// The logs in the data folder of a demo that ended: programs of others check them whole, and
/// litewitness cosigns them and no fork of theirs.
pub(crate) fn check_logs_of_the_demo(place: &Place, data: &Path) {
    let serving = Serving::new(place, &["--data", text(data)]);
    for name in ["server", "gateway"] {
        let common = ["--format", "json", "log", "--data", text(data)];
        let keys = place.chancery(&[&common[..], &["--log", name, "keys"]].concat());
        let keys = keys.json();
        let key = keys["ed25519"].as_str().unwrap();
        let dir = data.join(name).join("log");
        let reader = Reader::open_published(&dir).unwrap();
        let (note, checkpoint) = reader.checkpoint().unwrap().unwrap();
        for (checker, command) in CHECKERS {
            let Some(command) = command(place) else {
                continue;
            };
            let found = check(place, command, serving.url(name), key, None).json();
            assert_eq!(found["proved"], checkpoint.size, "{checker}, {name}");
        }
        let Some(programs) = Programs::find() else {
            continue;
        };
        let log: VerifierKey = key.parse().unwrap();
        let witness = Litewitness::start(&programs, &log);
        assert!(witness.vkey.starts_with(NAME), "{}", witness.vkey);
        let (status, lines) = witness.add(&request(&reader, 0, checkpoint.size, &note));
        assert_eq!(status, 200, "{name}: {lines}");
        assert!(lines.starts_with(&format!("\u{2014} {NAME} ")), "{lines}");
        let keys = data.join(if name == "server" {
            "signer/log-key"
        } else {
            "gateway/log-key"
        });
        let size = checkpoint.size;
        for longer in [0, 1] {
            let forked = fork(&keys, &log, size + longer);
            let (status, said) = witness.add(&request(&reader, size, size, forked));
            assert_eq!(status, 422, "{name}, {longer} longer: {said}");
        }
    }
}
