use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use super::place::{Place, Ran, Started, chancery, checkout, free_port, until};

/// A running deployment with the ledger as tool server, in a place of its own.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) place: Place,
    pub(crate) port: String,
    pub(crate) opened: Value,
    policy: PathBuf,
    further: Vec<String>,
    up: Option<Started>,
}

impl Deployment {
    /// Before anybody is enrolled.
    pub(crate) fn new() -> Self {
        Self::at(Place::new())
    }

    /// In a place that may have seen an attempt before.
    pub(crate) fn at(place: Place) -> Self {
        Self::started(place, &[])
    }

    /// With further arguments of `up`.
    pub(crate) fn with(further: &[&str]) -> Self {
        Self::started(Place::new(), further)
    }

    /// In that place, with further arguments of `up`, where `{port}` is the gateway's.
    pub(crate) fn started(place: Place, further: &[&str]) -> Self {
        Self::under(place, checkout().join("demo/policy"), further)
    }

    /// The same, under that policy.
    pub(crate) fn under(place: Place, policy: PathBuf, further: &[&str]) -> Self {
        let books = checkout().join("demo");
        place
            .chancery(&["ledger", "load", "--db", "ledger.db", "--csv", text(&books)])
            .ok();
        let port = free_port();
        let further = further.iter().map(|it| it.replace("{port}", &port));
        let mut deployment = Self {
            place,
            policy,
            further: further.collect(),
            port,
            opened: Value::Null,
            up: None,
        };
        deployment.start();
        deployment
    }

    /// With a person whose stand-in is `me.authenticator`.
    pub(crate) fn with_person() -> Self {
        let deployment = Self::new();
        deployment.enrol(&deployment.code()).ok();
        deployment
    }

    pub(crate) fn start(&mut self) {
        let ledger = self.place.at("ledger.db");
        let server = format!(
            "ledger='{}' ledger serve --db '{}'",
            chancery(),
            text(&ledger)
        );
        let mut command = self.place.command(chancery());
        command.args(["--format", "json", "up", "--gateway-port", &self.port]);
        command.args(["--policy", text(&self.policy), "--tool-server", &server]);
        command.args(["--metrics", "127.0.0.1:0"]);
        command.args(&self.further);
        let mut up = Started::new(&mut command, &self.place);
        self.opened = until("chancery up", || {
            assert!(up.exit().is_none(), "up ended: {}", up.err());
            serde_json::from_str(&up.out()).ok()
        });
        self.up = Some(up);
    }

    /// The running `up`.
    pub(crate) fn up(&self) -> &Started {
        self.up.as_ref().unwrap()
    }

    /// The process of a part, while it runs.
    pub(crate) fn part(&self, part: &str) -> Option<Pid> {
        children(self.up().pid()).into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(part.as_bytes())
        })
    }

    /// Stops everything, as a person would.
    pub(crate) fn stop(&mut self) {
        let up = self.up.take().unwrap();
        up.signal(Signal::SIGTERM);
        let ended = up.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// The one-time code that `up` printed.
    pub(crate) fn code(&self) -> String {
        self.opened["enrol_code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn enrol(&self, code: &str) -> Ran {
        self.place.chancery(&[
            "trust",
            "enrol",
            "--code",
            code,
            "--authenticator",
            "me.authenticator",
            "--stand-in",
        ])
    }

    /// Registers an agent for a program.
    pub(crate) fn agent(&self, name: &str, program: &str) {
        let file = format!("{name}.manifest");
        let make = [
            "agent",
            "manifest",
            "--name",
            name,
            "--program",
            program,
            "--intent",
            "is tested",
            "--out",
            &file,
        ];
        self.place.chancery(&make).ok();
        self.place.chancery(&["agent", "register", &file]).ok();
    }

    /// Starts an instance.
    pub(crate) fn run(&self, arguments: &[&str]) -> Started {
        let mut command = self.place.command(chancery());
        Started::new(command.arg("run").args(arguments), &self.place)
    }

    /// Grants tools to the newest instance, and says what was granted.
    pub(crate) fn delegate(&self, tools: &[&str]) -> Value {
        self.delegate_for(&checkout().join("demo/mission.json"), tools)
    }

    /// The same, for that mission.
    pub(crate) fn delegate_for(&self, mission: &Path, tools: &[&str]) -> Value {
        let mut arguments = vec![
            "--format", "json", "delegate", "--to", "latest", "--wait", "60",
        ];
        arguments.extend([
            "--mission",
            text(mission),
            "--authenticator",
            "me.authenticator",
            "--yes",
        ]);
        for tool in tools {
            arguments.extend(["--allow", tool]);
        }
        self.place.chancery(&arguments).json()
    }

    /// The bodies of the entries of one type in the gateway's log.
    pub(crate) fn logged(&self, kind: &str) -> Vec<Value> {
        let listed = self
            .place
            .chancery(&["--format", "json", "log", "entries"])
            .json();
        let entries = listed.as_array().unwrap().iter().map(|line| &line["entry"]);
        let of_kind = entries.filter(|entry| entry["type"] == kind);
        of_kind.map(|entry| entry["body"].clone()).collect()
    }

    /// A copy of the stopped deployment's data folder.
    pub(crate) fn copy_of_data(&self, name: &str) {
        let mut copy = self.place.command("cp");
        Ran::to_the_end(copy.args(["-a", "chancery-data", name]), &self.place).ok();
    }
}

/// The direct children of a process.
fn children(parent: u32) -> Vec<Pid> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        if after_name.split_whitespace().nth(1) == Some(&parent.to_string()) {
            children.push(Pid::from_raw(pid));
        }
    }
    children
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
