//! litewitness, a witness that others wrote, cosigns our log and refuses our forks. It is Debian's,
//! unmodified; `scripts/e2e-tools` unpacks it into the build folder. Where it cannot be had, the test
//! says so.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chancery_journal::{JournalError, LogAlarm, PublishError};

use crate::world::{Http, ORIGIN, Place, fill, forged};

const NAME: &str = "witness.example/lite";

/// The programs of the package, and OpenSSH's agent, which holds litewitness's key.
struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// Nothing, said aloud, where one of them is missing.
    fn find() -> Option<Self> {
        let this = std::env::current_exe().unwrap();
        let target = this.ancestors().nth(3).unwrap();
        let bin = target.join("e2e-tools/torchwood/usr/bin");
        if !bin.join("litewitness").exists() || !bin.join("witnessctl").exists() {
            println!(
                "skipped: litewitness is not in {}; run scripts/e2e-tools",
                bin.display()
            );
            return None;
        }
        for program in ["ssh-agent", "ssh-add", "ssh-keygen"] {
            // Each of them says something of itself and ends when it is asked in this way.
            let asked = Command::new(program)
                .arg("-?")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if let Err(error) = asked {
                println!("skipped: litewitness needs {program}, which is not here: {error}");
                return None;
            }
        }
        Some(Self { bin })
    }

    fn witnessctl(&self, arguments: &[&str]) {
        let ran = Command::new(self.bin.join("witnessctl"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
}

/// Ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// litewitness with a key of its own, told of one log.
struct Litewitness {
    address: SocketAddr,
    vkey: String,
    _processes: [Running; 2],
    _folder: tempfile::TempDir,
}

impl Litewitness {
    fn start(programs: &Programs, place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (key, socket, database) = (at("key"), at("agent"), text(&at("witness.db")));
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key));
        let agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Running(agent);
        until("the agent listens", || socket.exists());
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(&key)
            .env("SSH_AUTH_SOCK", &socket));
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(&key));
        let fingerprint = shown.split(' ').nth(1).unwrap();
        let vkey = place.known()[0].to_string();
        programs.witnessctl(&["add-log", "-db", &database, "-origin", ORIGIN]);
        programs.witnessctl(&[
            "add-key", "-db", &database, "-origin", ORIGIN, "-key", &vkey,
        ]);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut process = Command::new(programs.bin.join("litewitness"))
            .args([
                "-name",
                NAME,
                "-db",
                &database,
                "-key",
                fingerprint,
                "-ssh-agent",
            ])
            .arg(&socket)
            .args(["-listen", &address.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let talk = process.stderr.take().unwrap();
        let process = Running(process);
        let (told, vkey) = std::sync::mpsc::channel();
        // Read to the end, so that it never waits for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(talk).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("vkey=") {
                    let vkey = rest.split(' ').next().unwrap_or_default();
                    let _ = told.send(vkey.trim_matches('"').to_owned());
                }
            }
        });
        let vkey = vkey.recv_timeout(Duration::from_secs(20)).unwrap();
        until("litewitness listens", || {
            std::net::TcpStream::connect(address).is_ok()
        });
        Self {
            address,
            vkey,
            _processes: [process, agent],
            _folder: folder,
        }
    }

    fn policy(&self) -> String {
        format!(
            "witness L {} http://{}\nquorum L\n",
            self.vkey, self.address
        )
    }

    fn add(&self, body: &str) -> (u16, String) {
        let answer = Http::to(self.address).ask("POST", "/add-checkpoint", body.as_bytes());
        (answer.status, answer.body)
    }
}

fn run(command: &mut Command) -> String {
    let ran = command.stdin(Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !seen() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn c3_litewitness_cosigns_our_log_and_refuses_its_forks() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let place = Place::new();
    let witness = Litewitness::start(&programs, &place);
    let journal = place.open_withholding(&witness.policy()).unwrap();
    for count in [7, 13, 680] {
        fill(&journal, count);
        let published = journal.publish_blocking().unwrap();
        assert!(published.is_witnessed);
        assert!(published.cosigned.contains(&format!("\u{2014} {NAME} ")));
    }
    let reader = journal.reader();
    let proof = |old, new| {
        let hashes = reader.prove_consistency(old, new).unwrap();
        hashes
            .iter()
            .map(|hash| format!("{hash}\n"))
            .collect::<String>()
    };
    let note = journal.published().unwrap().note;
    let stale = witness.add(&format!("old 7\n{}\n{note}", proof(7, 700)));
    assert_eq!(stale, (409, "700\n".to_owned()));
    let same_size = witness.add(&format!("old 700\n\n{}", forged(&place, 700)));
    assert_eq!(same_size.0, 422, "{same_size:?}");
    let longer = witness.add(&format!(
        "old 700\n{}\n{}",
        proof(20, 700),
        forged(&place, 800)
    ));
    assert_eq!(longer.0, 422, "{longer:?}");
    // The log itself goes on.
    fill(&journal, 1);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
}

#[test]
fn c2_litewitness_does_not_cosign_a_log_that_was_rolled_back() {
    let Some(programs) = Programs::find() else {
        return;
    };
    let place = Place::new();
    let witness = Litewitness::start(&programs, &place);
    let journal = place.open(&witness.policy());
    fill(&journal, 20);
    assert!(journal.publish_blocking().unwrap().is_witnessed);
    drop(journal);
    // A disk and a ratchet from before, both of them: nothing here remembers more.
    let before = Place::with_keys_of(place);
    let policy = witness.policy();
    let alarm = match before.try_open(Some(before.witnesses(&policy))) {
        Err(JournalError::Alarm { alarm, .. }) => Some(alarm),
        Err(other) => panic!("{other:?}"),
        Ok(journal) => {
            fill(&journal, 3);
            match journal.publish_blocking() {
                // A version that shows nothing to monitors says a size, which proves nothing.
                Ok(published) => {
                    assert!(!published.is_witnessed);
                    None
                }
                Err(PublishError::Alarm(alarm)) => Some(alarm),
                Err(other) => panic!("{other:?}"),
            }
        }
    };
    if let Some(alarm) = alarm {
        assert!(matches!(alarm, LogAlarm::RolledBack { recorded: 20, .. }));
    }
}
