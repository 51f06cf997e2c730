//! litewitness, a witness that others wrote. It is Debian's, unmodified; `scripts/e2e-tools` unpacks it
//! into the build folder. Where it cannot be had, a test says so.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chancery_crypto::{SigningKey, read_private_file};
use chancery_journal::Reader;
use chancery_tlog::{Checkpoint, Note, NoteSignature, TreeHash, VerifierKey};
use chancery_types::Algorithm;

pub(crate) const NAME: &str = "witness.example/lite";

/// The programs of the package, and OpenSSH's agent, which holds litewitness's key.
pub(crate) struct Programs {
    bin: PathBuf,
}

impl Programs {
    /// Nothing, said aloud, where one of them is missing.
    pub(crate) fn find() -> Option<Self> {
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
pub(crate) struct Litewitness {
    pub(crate) address: SocketAddr,
    pub(crate) vkey: String,
    _processes: [Running; 2],
    _folder: tempfile::TempDir,
}

impl Litewitness {
    pub(crate) fn start(programs: &Programs, log: &VerifierKey) -> Self {
        let (origin, log) = (log.name().to_string(), log.to_string());
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
        until("the agent listens", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        run(Command::new("ssh-add")
            .arg("-q")
            .arg(&key)
            .env("SSH_AUTH_SOCK", &socket));
        let shown = run(Command::new("ssh-keygen").arg("-lf").arg(&key));
        let fingerprint = shown.split(' ').nth(1).unwrap();
        programs.witnessctl(&["add-log", "-db", &database, "-origin", &origin]);
        programs.witnessctl(&[
            "add-key", "-db", &database, "-origin", &origin, "-key", &log,
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
            TcpStream::connect(address).is_ok()
        });
        Self {
            address,
            vkey,
            _processes: [process, agent],
            _folder: folder,
        }
    }

    /// Status and body of its answer to a request for a cosignature.
    pub(crate) fn add(&self, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        let request = format!(
            "POST /add-checkpoint HTTP/1.0\r\nHost: witness\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
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

/// A request for a cosignature of `note`, by a log of which the witness has seen `old` entries.
pub(crate) fn request(reader: &Reader, old: u64, size: u64, note: impl Display) -> String {
    let hashes = match old {
        0 => Vec::new(),
        old => reader.prove_consistency(old, size).unwrap(),
    };
    let proof: String = hashes.iter().map(|hash| format!("{hash}\n")).collect();
    format!("old {old}\n{proof}\n{note}")
}

/// Another tree of that size, signed with the log's Ed25519 key past its ratchet.
pub(crate) fn fork(keys: &Path, log: &VerifierKey, size: u64) -> Note {
    let checkpoint = Checkpoint {
        origin: log.name().to_string().parse().unwrap(),
        size,
        root: TreeHash::node(&TreeHash::empty(), &TreeHash::empty()),
    };
    let path = keys.join("ed25519.pk8");
    let key = SigningKey::from_pkcs8(Algorithm::Ed25519, read_private_file(&path).unwrap());
    let text = checkpoint.to_string();
    let signature = key.unwrap().sign(text.as_bytes()).unwrap();
    let line = NoteSignature::new(log.name().clone(), log.key_id(), signature);
    Note::new(&text, vec![line]).unwrap()
}
