use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) const ORIGIN: &str = "td.example/log/recorded";

/// The built program.
pub(crate) fn chancery() -> Command {
    Command::new(env!("CARGO_BIN_EXE_chancery"))
}

/// A `chancery log write` that runs.
pub(crate) struct Writer {
    child: Child,
    pub(crate) folder: PathBuf,
    /// What it said that it opened.
    pub(crate) opened: Value,
}

impl Writer {
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = chancery()
            .args(["--format", "json", "log", "write"])
            .arg(folder)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            said += &line.unwrap();
            if let Ok(opened) = serde_json::from_str(&said) {
                let folder = folder.to_owned();
                return Self {
                    child,
                    folder,
                    opened,
                };
            }
        }
        let ended = child.wait().unwrap();
        assert!(
            ended.success(),
            "the writer ended before it said anything: {ended}"
        );
        Self::start(folder, arguments)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("append.sock")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; whether it ended well.
    pub(crate) fn stop(mut self) -> bool {
        let process = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(process, Signal::SIGTERM).unwrap();
        self.child.wait().unwrap().success()
    }

    /// Runs `log append` over the socket with that input.
    pub(crate) fn append(&self, name: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = chancery();
        command.args(["--format", "json", "log", "append", "--name", name]);
        command.arg("--socket").arg(self.socket()).args(arguments);
        fed(&mut command, input)
    }
}

/// Runs a command to its end with that input.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without having read all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// What a command that succeeded printed.
pub(crate) fn printed(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The bodies of a log's entries, after it was checked as a whole.
pub(crate) fn checked(folder: &Path) -> Vec<Value> {
    let log = |arguments: &[&str]| {
        let mut command = chancery();
        command.args(["--format", "json", "log", "--dir"]);
        command.arg(folder.join("log")).args(arguments);
        printed(&command.output().unwrap())
    };
    log(&["check"]);
    let entries = log(&["entries", "--count", "1000000"]);
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|listed| listed["entry"]["body"].clone())
        .collect()
}

/// Index and sequence of each entry that `log append` acknowledged.
pub(crate) fn places(told: &Value) -> Vec<(u64, u64)> {
    let entries = told["entries"].as_array().unwrap().iter();
    let number = |entry: &Value, name: &str| entry[name].as_u64().unwrap();
    entries
        .map(|entry| (number(entry, "index"), number(entry, "sequence")))
        .collect()
}
