//! A deployment under `chancery up`, with one person and the demo's books.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The program under test.
pub(crate) const CHANCERY: &str = env!("CARGO_BIN_EXE_chancery");

pub(crate) const DOMAIN: &str = "test.example";

const PATIENCE: Duration = Duration::from_secs(60);

/// Everything lives below one folder; what runs is killed with it.
pub(crate) struct Deployment {
    folder: PathBuf,
    pub(crate) port: u16,
    up: Child,
}

impl Deployment {
    /// Makes a deployment in a folder and enrols a person who stands in for one.
    pub(crate) fn start(folder: &Path) -> Self {
        let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../demo"));
        let port = free_port();
        let books = folder.join("ledger.db");
        let load = Command::new(CHANCERY)
            .args(["ledger", "load", "--db"])
            .arg(&books)
            .arg("--csv")
            .arg(demo)
            .output()
            .unwrap();
        assert!(load.status.success(), "{load:?}");
        let tools = format!(
            "ledger='{CHANCERY}' ledger serve --db '{}'",
            books.display()
        );
        let policy = demo.join("policy");
        let extra = [
            "--policy",
            policy.to_str().unwrap(),
            "--tool-server",
            &tools,
        ];
        let (up, opened) = open(folder, port, &extra);
        let deployment = Self {
            folder: folder.to_owned(),
            port,
            up,
        };
        let code = opened["enrol_code"].as_str().unwrap();
        let person = deployment.authenticator();
        let person = person.to_str().unwrap();
        deployment.run(
            "trust",
            &[
                "enrol",
                "--code",
                code,
                "--authenticator",
                person,
                "--stand-in",
            ],
        );
        let trust = deployment.trust();
        deployment.run("trust", &["export", trust.to_str().unwrap()]);
        std::fs::copy(demo.join("mission.json"), folder.join("mission.json")).unwrap();
        deployment
    }

    /// Registers an agent whose code is a file.
    pub(crate) fn register(&self, name: &str, program: &Path) {
        let envelope = self.folder.join(format!("{name}.manifest"));
        let (envelope, program) = (envelope.to_str().unwrap(), program.to_str().unwrap());
        let intent = format!("Acts as {name}.");
        self.run(
            "agent",
            &[
                "manifest",
                "--name",
                name,
                "--program",
                program,
                "--intent",
                &intent,
                "--out",
                envelope,
            ],
        );
        // Each may start others: who does is an attacker's choice.
        let register = [
            "register",
            envelope,
            "--may-spawn",
            "load",
            "--may-spawn",
            "hostile",
        ];
        self.run("agent", &register);
    }

    /// Delegates to the newest instance without a grant; says to whom, and for which session.
    pub(crate) fn delegate(&self, allow: &[Value]) -> Value {
        let (person, mission) = (self.authenticator(), self.folder.join("mission.json"));
        let (person, mission) = (person.to_str().unwrap(), mission.to_str().unwrap());
        let grants: Vec<_> = allow.iter().map(Value::to_string).collect();
        let mut arguments = vec![
            "--to",
            "latest",
            "--mission",
            mission,
            "--authenticator",
            person,
            "--yes",
            "--wait",
            "60",
            "--minutes",
            "60",
        ];
        for grant in &grants {
            arguments.extend(["--allow", grant]);
        }
        self.json("delegate", &arguments)
    }

    /// A command on this deployment, ready to be started.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(CHANCERY);
        command
            .arg(name)
            .arg("--data")
            .arg(self.data())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Output {
        let output = self.command(name, arguments).output().unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
        output
    }

    /// Runs a command that must succeed and reads what it says.
    pub(crate) fn json(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self
            .command(name, arguments)
            .args(["--format", "json"])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.data().join("run").join(name)
    }

    pub(crate) fn trust(&self) -> PathBuf {
        self.folder.join("trust.json")
    }

    pub(crate) fn authenticator(&self) -> PathBuf {
        self.folder.join("person.authenticator")
    }

    pub(crate) fn up_pid(&self) -> i32 {
        self.up.id().try_into().unwrap()
    }

    /// The process id of a part, while it runs.
    pub(crate) fn part_pid(&self, part: &str) -> Option<i32> {
        children(self.up_pid()).into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(part.as_bytes())
        })
    }

    /// Whether a part takes connections.
    pub(crate) fn answers(&self, part: &str) -> bool {
        match part {
            "gateway" => std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            _ => UnixStream::connect(self.socket(&format!("{part}.sock"))).is_ok(),
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.up_pid()), Signal::SIGCONT);
        let _ = self.up.kill();
        let _ = self.up.wait();
        if std::thread::panicking() {
            for file in std::fs::read_dir(&self.folder).unwrap().flatten() {
                let path = file.path();
                if path.extension().is_some_and(|extension| extension == "log") {
                    let said = std::fs::read_to_string(&path).unwrap_or_default();
                    println!("{}:\n{said}", path.display());
                }
            }
        }
    }
}

impl Deployment {
    /// Asks `up` to stop, and waits until everything has.
    pub(crate) fn stop(&mut self) {
        kill(Pid::from_raw(self.up_pid()), Signal::SIGTERM).unwrap();
        assert!(self.up.wait().unwrap().success());
    }

    /// Waits for the end of a killed `up` and starts it again as it was started first.
    pub(crate) fn start_again(&mut self) {
        self.up.wait().unwrap();
        let deadline = Instant::now() + PATIENCE;
        (self.up, _) = open(&self.folder, self.port, &[]);
        assert!(Instant::now() < deadline);
    }
}

/// The direct children of a process.
pub(crate) fn children(parent: i32) -> Vec<i32> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(&parent.to_string()) {
            children.push(pid);
        }
    }
    children
}

/// Starts `up` and waits for what it says first.
fn open(folder: &Path, port: u16, extra: &[&str]) -> (Child, Value) {
    let log = folder.join("up.log");
    let messages = File::options().create(true).append(true).open(log).unwrap();
    let mut up = Command::new(CHANCERY)
        .args(["--format", "json", "up", "--data"])
        .arg(folder.join("data"))
        .args([
            "--trust-domain",
            DOMAIN,
            "--gateway-port",
            &port.to_string(),
        ])
        .args(extra)
        .env("CHANCERY_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(messages)
        .spawn()
        .unwrap();
    let (mut text, mut byte) = (Vec::new(), [0]);
    let mut stdout = BufReader::new(up.stdout.take().unwrap());
    while let Ok(1) = stdout.read(&mut byte) {
        text.push(byte[0]);
        if byte[0] == b'\n'
            && let Ok(opened) = serde_json::from_slice(&text)
        {
            return (up, opened);
        }
    }
    let ended = up.wait();
    let messages = std::fs::read_to_string(folder.join("up.log")).unwrap();
    panic!("`up` did not start: {ended:?}\n{messages}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}
