//! A writer that is killed at random moments loses nothing that it confirmed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and a child says what it was promised"
)]

#[path = "objects/appended.rs"]
mod appended;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::{AwsLc, random_bytes};
use chancery_journal::{Config, Journal, LocalSigner, Reader};
use chancery_tlog::{LogKeys, VerifiedCheckpoint, verify_checkpoint_exact};

use appended::{acknowledged, append_for_ever};

const DIR: &str = "CHANCERY_JOURNAL_CRASH_DIR";
const MODE: &str = "CHANCERY_JOURNAL_CRASH_MODE";
const KILLS_VARIABLE: &str = "CHANCERY_JOURNAL_KILLS";
/// How many times the writer is killed, where nobody says so.
const KILLS: u32 = 100;
/// A log is given up for a new one after so many, so that looking at all of it stays cheap.
const KILLS_OF_A_LOG: u32 = 50;

fn open(dir: &Path) -> (Journal, LogKeys) {
    publishing_every(dir, Duration::from_millis(7))
}

fn publishing_every(dir: &Path, interval: Duration) -> (Journal, LogKeys) {
    let origin = "td.example/log/crash".parse().unwrap();
    let signer = LocalSigner::open_or_create(&dir.join("signer"), &origin).unwrap();
    let keys = signer.keys().clone();
    let mut config = Config::new(dir.join("log"), origin);
    config.publish_interval = interval;
    config.segment_bytes = 1 << 18;
    (Journal::open(config, Arc::new(signer)).unwrap(), keys)
}

fn spawn(dir: &Path, mode: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(MODE, mode)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The process that is killed: four threads append and say which index they were given.
#[test]
#[ignore = "started by the tests below"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let dir = Path::new(&dir);
    let mode = std::env::var(MODE).unwrap();
    if mode == "broken" {
        let (journal, _) = publishing_every(dir, Duration::from_secs(3_600));
        journal.append_blocking(b"first".to_vec()).unwrap();
        journal.publish_blocking().unwrap();
        std::fs::rename(dir.join("log/tile"), dir.join("log/gone")).unwrap();
        std::fs::write(dir.join("log/tile"), b"not a folder").unwrap();
        journal.append_blocking(b"second".to_vec()).unwrap();
        println!("ack second");
        let _ = journal.publish_blocking();
        return;
    }
    let (journal, _) = open(dir);
    println!("ready");
    append_for_ever(&journal, mode.parse().unwrap());
}

fn verify(reader: &Reader, keys: &LogKeys) -> VerifiedCheckpoint {
    let (note, _) = reader.checkpoint().unwrap().unwrap();
    verify_checkpoint_exact(note.as_bytes(), keys, &AwsLc).unwrap()
}

#[test]
fn kill_nine_loses_nothing() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let (mut done, mut confirmed) = (0, 0);
    while done < kills {
        let rounds = KILLS_OF_A_LOG.min(kills - done);
        confirmed += kill_again_and_again(rounds);
        done += rounds;
    }
    assert!(
        confirmed as u64 > u64::from(kills),
        "only {confirmed} entries were confirmed"
    );
    println!("{done} kills, {confirmed} confirmed entries");
}

/// Kills the writer of one log so often and looks at the log each time; how many entries it had
/// confirmed.
fn kill_again_and_again(rounds: u32) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let keys = open(dir).1;
    let reader = Reader::open(&dir.join("log")).unwrap();
    let mut confirmed: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut older = verify(&reader, &keys);
    for round in 0..rounds {
        let mut child = spawn(dir, &round.to_string());
        let output = child.stdout.take().unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let lines = std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let lines = lines.inspect(|line| {
                if line == "ready" {
                    let _ = ready.send(());
                }
            });
            lines.collect::<Vec<_>>()
        });
        // Mostly while it writes, now and then while it starts.
        let [choice, delay] = random_bytes().unwrap();
        if !choice.is_multiple_of(4) {
            is_ready.recv_timeout(Duration::from_secs(20)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(u64::from(delay) % 80));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let known = older.size();
        for line in lines.join().unwrap() {
            let Some((index, entry)) = acknowledged(&line) else {
                continue;
            };
            assert!(index >= known, "index {index} of {known} was given again");
            let twice = confirmed.insert(index, entry);
            assert_eq!(twice, None, "index {index} was given twice");
        }

        // What a reader sees before anybody recovers the log.
        let (note, _) = reader.checkpoint().unwrap().unwrap();
        let left = verify_checkpoint_exact(note.as_bytes(), &keys, &AwsLc).unwrap();
        consistent(&reader, &older, &left);
        let journal = open(dir).0;
        let newer = verify(&reader, &keys);
        assert_eq!(newer.size(), journal.size());
        consistent(&reader, &left, &newer);
        // What is older was looked at before, and is the same by the proof.
        for (index, entry) in confirmed.range(known..) {
            assert_eq!(
                journal.read_entry(*index).ok().as_ref(),
                Some(entry),
                "round {round}, index {index}"
            );
        }
        older = newer;
    }
    let audited = reader.audit().unwrap().unwrap();
    assert_eq!(&audited, older.checkpoint());
    let entries = reader.entries(0..u64::MAX).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().1).collect();
    for (index, entry) in &confirmed {
        let at = usize::try_from(*index).unwrap();
        assert_eq!(found.get(at), Some(entry), "index {index}");
    }
    found.sort_unstable();
    let all = found.len();
    found.dedup();
    assert_eq!(found.len(), all, "an entry has two indices");
    confirmed.len()
}

fn consistent(reader: &Reader, older: &VerifiedCheckpoint, newer: &VerifiedCheckpoint) {
    let proof = reader
        .prove_consistency(older.size(), newer.size())
        .unwrap();
    newer.verify_consistency(older, &proof).unwrap();
}

#[test]
fn a_failed_write_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let mut child = spawn(dir, "broken");
    let output = BufReader::new(child.stdout.take().unwrap());
    let said: Vec<_> = output.lines().map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().signal(), Some(6), "{said:?}");
    assert!(said.contains(&"ack second".to_owned()), "{said:?}");
    std::fs::remove_file(dir.join("log/tile")).unwrap();
    std::fs::rename(dir.join("log/gone"), dir.join("log/tile")).unwrap();
    let journal = open(dir).0;
    assert_eq!(journal.size(), 2);
    assert_eq!(journal.read_entry(1).unwrap(), b"second");
}
