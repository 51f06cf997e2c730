//! The writer and the S3 server killed at random moments, each alone and both: what was acknowledged
//! is there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chancery_crypto::random_bytes;
use chancery_journal::{Journal, JournalError};
use chancery_tlog::VerifiedCheckpoint;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::appended::{acknowledged, append_for_ever};
use crate::place::{Keys, PATIENCE, Place, TERM};
use crate::server::{S3Server, store_of_environment};

const KEYS: &str = "CHANCERY_OBJECTS_KEYS";
const RUN: &str = "CHANCERY_OBJECTS_RUN";
const KILLS_VARIABLE: &str = "CHANCERY_OBJECTS_KILLS";
/// How many times something is killed, where nobody says so.
const KILLS: u32 = 6;
const DIR: &str = "kills";

fn open(place: &Place, keys: &Keys) -> Result<Journal, JournalError> {
    place.publishing_every(keys, Duration::from_millis(50))
}

/// The process that is killed: four threads append and say which index they were given.
#[test]
#[ignore = "started by the tests below"]
fn child() {
    let Some(folder) = std::env::var_os(KEYS) else {
        return;
    };
    let keys = Keys::kept(Path::new(&folder));
    let run: u32 = std::env::var(RUN).unwrap().parse().unwrap();
    let place = Place::objects(store_of_environment(), DIR);
    let journal = match open(&place, &keys) {
        Ok(journal) => journal,
        Err(JournalError::Locked { .. }) => {
            println!("locked");
            return;
        }
        Err(error) => {
            println!("failed {error}");
            return;
        }
    };
    println!("ready");
    append_for_ever(&journal, run);
}

/// A writer in a process of its own.
struct Writer {
    process: Child,
    lines: JoinHandle<Vec<String>>,
    began: Receiver<String>,
}

impl Writer {
    fn start(server: &S3Server, keys: &Path, run: u32) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::child", "--ignored", "--nocapture"])
            .envs(server.environment())
            .env(KEYS, keys)
            .env(RUN, run.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let (begins, began) = channel();
        let lines = std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let lines = lines.inspect(|line| {
                if ["ready", "locked", "failed"]
                    .iter()
                    .any(|word| line.starts_with(word))
                {
                    let _ = begins.send(line.clone());
                }
            });
            lines.collect()
        });
        Self {
            process,
            lines,
            began,
        }
    }

    /// What it says of its start.
    fn began(&self) -> String {
        self.began.recv_timeout(PATIENCE * 2).unwrap()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// What it acknowledged, once it has ended by that signal.
    fn ended_by(mut self, signal: Signal) -> Vec<(u64, Vec<u8>)> {
        assert_eq!(self.process.wait().unwrap().signal(), Some(signal as i32));
        let lines = self.lines.join().unwrap();
        lines.iter().filter_map(|line| acknowledged(line)).collect()
    }
}

/// What all writers together were promised, and what was seen of the log.
#[derive(Default)]
struct Book {
    confirmed: BTreeMap<u64, Vec<u8>>,
    seen: Option<VerifiedCheckpoint>,
}

impl Book {
    fn add(&mut self, acknowledged: Vec<(u64, Vec<u8>)>) {
        for (index, entry) in acknowledged {
            let twice = self.confirmed.insert(index, entry);
            assert!(twice.is_none(), "index {index} was given twice");
        }
    }

    /// Opens the log as the next writer and looks at everything.
    fn check(&mut self, place: &Place, keys: &Keys) {
        let deadline = Instant::now() + PATIENCE;
        let journal = loop {
            match open(place, keys) {
                Ok(journal) => break journal,
                // One that was just killed has its lease for a moment.
                Err(JournalError::Locked { .. }) if Instant::now() < deadline => {}
                Err(error) => panic!("{error:?}"),
            }
        };
        let reader = journal.reader();
        let newer = keys.verify(reader);
        assert_eq!(newer.size(), journal.size());
        if let Some(older) = &self.seen {
            let proof = reader
                .prove_consistency(older.size(), newer.size())
                .unwrap();
            newer.verify_consistency(older, &proof).unwrap();
        }
        let audited = reader.audit().unwrap().unwrap();
        assert_eq!(&audited, newer.checkpoint());
        let entries = reader.entries(0..u64::MAX).unwrap();
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().1).collect();
        for (index, entry) in &self.confirmed {
            let at = usize::try_from(*index).unwrap();
            assert!(
                found.get(at) == Some(entry),
                "index {index} is not what was confirmed"
            );
        }
        found.sort_unstable();
        let all = found.len();
        found.dedup();
        assert_eq!(found.len(), all, "an entry has two indices");
        self.seen = Some(newer);
    }
}

#[test]
fn both_processes_are_killed_again_and_again() {
    let Some(mut server) = S3Server::start() else {
        return;
    };
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new();
    keys.keep(folder.path());
    let mut book = Book::default();
    for round in 0..kills {
        let writer = Writer::start(&server, folder.path(), round);
        // Mostly while it writes, now and then while it starts.
        let [choice, delay] = random_bytes().unwrap();
        if !choice.is_multiple_of(5) {
            assert_eq!(writer.began(), "ready");
        }
        std::thread::sleep(Duration::from_millis(u64::from(delay) * 3));
        match round % 3 {
            // The store alone: the writer waits for it, and goes on.
            0 => {
                server.kill();
                server.begin();
                server.wait();
                std::thread::sleep(Duration::from_millis(u64::from(delay)));
                writer.signal(Signal::SIGKILL);
            }
            1 => writer.signal(Signal::SIGKILL),
            _ => {
                server.kill();
                writer.signal(Signal::SIGKILL);
                server.begin();
                server.wait();
            }
        }
        book.add(writer.ended_by(Signal::SIGKILL));
        book.check(&Place::objects(server.store(), DIR), &keys);
    }
    let confirmed = book.confirmed.len();
    assert!(
        confirmed as u64 > u64::from(kills),
        "only {confirmed} entries were confirmed"
    );
    println!("{kills} kills, {confirmed} confirmed entries");
}

#[test]
fn of_two_writers_one_stops_and_a_paused_one_ends() {
    let Some(server) = S3Server::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new();
    keys.keep(folder.path());
    let mut book = Book::default();

    let first = Writer::start(&server, folder.path(), 0);
    assert_eq!(first.began(), "ready");
    let second = Writer::start(&server, folder.path(), 1);
    assert_eq!(second.began(), "locked");
    std::thread::sleep(Duration::from_millis(200));
    first.signal(Signal::SIGSTOP);
    let third = Writer::start(&server, folder.path(), 2);
    assert_eq!(third.began(), "ready");
    std::thread::sleep(TERM / 2);
    first.signal(Signal::SIGCONT);
    book.add(first.ended_by(Signal::SIGABRT));
    std::thread::sleep(Duration::from_millis(200));
    third.signal(Signal::SIGKILL);
    book.add(third.ended_by(Signal::SIGKILL));
    assert!(book.confirmed.len() > 20, "{}", book.confirmed.len());
    book.check(&Place::objects(server.store(), DIR), &keys);
}
