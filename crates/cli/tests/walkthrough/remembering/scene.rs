use std::path::PathBuf;

use serde_json::{Value, json};

use super::session::Session;
use crate::deployment::{Deployment, text};
use crate::failing::clock;
use crate::place::{Place, checkout};
use crate::policies::copied;
use crate::tools::{Tools, python};

const THREE_DAYS: i64 = 3 * 86_400;

const PERMITS: &str = r#"
@id("read-files-and-remember")
@reason("Reading files and keeping notes is what these agents are for.")
permit (
    principal,
    action in [
        Chancery::Action::"files/read_text_file",
        Chancery::Action::"memory/create_entities", Chancery::Action::"memory/read_graph",
        Chancery::Action::"scratch/create_entities", Chancery::Action::"scratch/read_graph"
    ],
    resource
);
"#;

/// All that the agents may call.
const TOOLS: [&str; 7] = [
    "files/read_text_file",
    "ledger/balance",
    "ledger/post",
    "memory/create_entities",
    "memory/read_graph",
    "scratch/create_entities",
    "scratch/read_graph",
];

/// The demo's bundle, which permits small postings, with a source that nobody trusts and two stores.
fn policy(place: &Place) -> PathBuf {
    let folder = copied(place, "demo/policy", "policy");
    let index = std::fs::read(folder.join("bundle.json")).unwrap();
    let mut index: Value = serde_json::from_slice(&index).unwrap();
    for tool in TOOLS {
        let declared = index["tools"].as_object_mut().unwrap();
        declared.entry(tool).or_insert(json!({}));
    }
    let sessions = json!({
        "rules": "chancery/session-rules/v1",
        "tools": {
            "files/read_text_file": {"untrusted": true, "reads_only": true},
            "ledger/balance": {"reads_only": true},
            "ledger/post": {},
            "memory/create_entities": {"store": "memory"},
            "memory/read_graph": {"store": "memory", "reads_only": true},
            "scratch/create_entities": {"store": "scratch"},
            "scratch/read_graph": {"store": "scratch", "reads_only": true}
        }
    });
    std::fs::write(folder.join("bundle.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("session.json"), sessions.to_string()).unwrap();
    std::fs::write(folder.join("memory.cedar"), PERMITS).unwrap();
    let schema = place.chancery(&["policy", "schema", text(&folder)]).ok();
    std::fs::write(folder.join("schema.cedarschema"), schema).unwrap();
    folder
}

/// A mission with one step, which all of the tools serve.
fn mission(place: &Place) -> PathBuf {
    let demo = std::fs::read(checkout().join("demo/mission.json")).unwrap();
    let mut mission: Value = serde_json::from_slice(&demo).unwrap();
    let means = TOOLS.map(|tool| {
        let (server, tool) = tool.split_once('/').unwrap();
        json!({"type": "mcp_tool", "server": server, "tool": tool})
    });
    mission["steps"] = json!([{"id": "keep", "text": "Keep books and notes.", "means": means}]);
    place.write("mission.json", mission.to_string())
}

/// The client that the agents are.
fn client() -> PathBuf {
    checkout().join("crates/cli/tests/walkthrough/foreign/several.py")
}

/// A deployment in front of two memories, a folder of mail and the ledger.
pub(super) struct Scene {
    pub(super) deployment: Deployment,
    tools: Tools,
    mission: PathBuf,
}

impl Scene {
    /// Nothing, said aloud, where there is no such clock or no such server.
    pub(super) fn start(agents: &[&str]) -> Option<Self> {
        let tools = Tools::find()?;
        let (mut place, seen) = clock::place()?;
        for (name, value) in seen {
            place.set(name, value);
        }
        std::fs::create_dir(place.at("inbox")).unwrap();
        let node = tools.node();
        let memory = |name: &str| {
            let (kept, server) = (place.at(name), tools.memory_server());
            format!(
                "{name}=/usr/bin/env 'MEMORY_FILE_PATH={}' '{node}' '{server}'",
                text(&kept)
            )
        };
        let (files, inbox) = (tools.filesystem_server(), place.at("inbox"));
        let files = format!("files='{node}' '{files}' '{}'", text(&inbox));
        let servers = [memory("memory"), memory("scratch"), files];
        let mut further = vec!["--x509-root", "online"];
        for server in &servers {
            further.extend(["--tool-server", server.as_str()]);
        }
        let (policy, mission) = (policy(&place), mission(&place));
        let deployment = Deployment::under(place, policy, &further);
        deployment.enrol(&deployment.code()).ok();
        for agent in agents {
            deployment.agent(agent, text(&client()));
        }
        Some(Self {
            deployment,
            tools,
            mission,
        })
    }

    /// A mail of somebody whom nobody trusts, and how it is read.
    pub(super) fn mail(&self, content: &str) -> String {
        let mail = self.deployment.place.write("inbox/mail.txt", content);
        json!({"path": text(&mail)}).to_string()
    }

    /// What a memory keeps.
    pub(super) fn kept(&self, memory: &str) -> String {
        std::fs::read_to_string(self.deployment.place.at(memory)).unwrap()
    }

    /// Everything stops, and starts again three days later, when all that was issued is over. SVIDs come of
    /// another root from then on.
    pub(super) fn three_days_later(&mut self) {
        self.deployment.stop();
        clock::set(&self.deployment.place, THREE_DAYS);
        self.deployment.start();
        let before = self.root();
        let made = self.authority(&["root"]);
        let certificate = made["certificate"].as_str().unwrap();
        let name = ["trust", "change", "--add-x509", certificate];
        self.deployment.place.chancery(&name).ok();
        let data = self.deployment.place.at("chancery-data/root");
        self.authority(&["prepare", "x509", "--root", text(&data)]);
        self.authority(&["activate", "x509", "--now"]);
        assert_eq!(self.root(), made["digest"]);
        assert_ne!(self.root(), before);
    }

    fn authority(&self, arguments: &[&str]) -> Value {
        let all = [&["--format", "json", "authority"], arguments].concat();
        self.deployment.place.chancery(&all).json()
    }

    /// The root of the SVIDs that are issued.
    fn root(&self) -> Value {
        let known = self.authority(&["show"]);
        let mut all = known["authorities"].as_array().unwrap().iter();
        let authority = |one: &Value| one["authority"].clone();
        let active =
            all.find(|one| authority(one)["kind"] == "x509" && authority(one)["state"] == "active");
        authority(active.unwrap())["root"].clone()
    }

    /// An instance that makes these calls, and the session that it is granted.
    pub(super) fn run(&self, agent: &str, calls: &[(&str, &str, String)]) -> Session<'_> {
        let client = client();
        let (python, prefix) = python(&self.deployment.place);
        let sdk = self.tools.python_sdk();
        let mut arguments = vec!["--agent", agent, "--read", &prefix, "--read", &sdk, "--"];
        arguments.extend([&python, text(&client), &sdk]);
        for (server, tool, written) in calls {
            arguments.extend([server, tool, written.as_str()]);
        }
        let running = self.deployment.run(&arguments);
        let granted = self.deployment.delegate_for(&self.mission, &TOOLS);
        let id = granted["session"].as_str().unwrap();
        Session::new(&self.deployment, id.to_owned(), running)
    }
}
