//! A whole deployment: control plane, gateway, instances.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chancery_api::gateway::GatewayClient;
use chancery_api::server::{Approval, IssuedRoot};
use chancery_audit::{Entry, Event};
use chancery_crypto::AwsLc;
use chancery_delegation::access_token::Audience;
use chancery_evidence::{
    ERASED_PATH, EvidenceIndex, Files, INDEX_PATH, Report, TRUST_RECORD_PATH, object_path, verify,
};
use chancery_gateway::{
    ENROLLED_CHECKPOINT, Gateway, GatewayConfig, Hosts, KeptObject, KeptObjects, Limits, Upstream,
};
use chancery_identity::trust::GatewayName;
use chancery_journal::Reader;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::agent::{Agent, Connection, Reply};
use super::intermediary::Intermediary;
use super::plane::{Plane, now};

pub(crate) struct World {
    pub(crate) plane: Plane,
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// A session with the instance that opened it.
pub(crate) struct Opened {
    pub(crate) agent: Agent,
    pub(crate) root: IssuedRoot,
    pub(crate) chain: Vec<String>,
    pub(crate) session: String,
    pub(crate) connection: Connection,
}

pub(crate) fn tool(name: &str) -> Value {
    json!({"type": "mcp_tool", "server": "fs", "tool": name})
}

/// Everything but `list`.
pub(crate) fn tools() -> Vec<Value> {
    ["read", "note", "pay", "wipe", "slow", "change", "absent"]
        .map(tool)
        .to_vec()
}

pub(crate) fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let target = tests.parent().and_then(Path::parent).unwrap();
    let built = target.join("examples").join(name);
    assert!(
        built.exists(),
        "{}: not there; `cargo build --workspace --examples` builds it",
        built.display()
    );
    built
}

impl Opened {
    /// A call by the instance itself.
    pub(crate) async fn call(&mut self, tool: &str, args: Value) -> Reply {
        let (agent, chain) = (&self.agent, &self.chain);
        self.connection.call(agent, chain, tool, args).await
    }

    /// Ends the session.
    pub(crate) async fn end(&mut self) -> Reply {
        let ending = self.connection.control("POST", &self.session, "/end");
        ending.await
    }
}

impl World {
    /// A control plane with a registered agent, and no gateway.
    pub(crate) async fn plane() -> Self {
        let folder = TempDir::new().unwrap();
        let plane = Plane::start(folder.path()).await;
        let manifest = plane.manifest(|_| {}).await;
        plane.register(&manifest).await;
        Self {
            plane,
            address: ([127, 0, 0, 1], 0).into(),
            folder,
            running: None,
        }
    }

    /// A gateway that exchanges chains: tokens for `api` carry entries of `fs` and `crm`, those for
    /// others none.
    pub(crate) async fn exchanging() -> Self {
        let folder = TempDir::new().unwrap();
        let plane = Plane::start(folder.path()).await;
        let audiences: BTreeMap<Audience, BTreeSet<String>> = [
            ("https://api.example", vec!["fs", "crm"]),
            ("https://asked.example", vec![]),
            ("https://denied.example", vec![]),
            ("https://unnamed.example", vec![]),
        ]
        .into_iter()
        .map(|(uri, servers)| {
            let servers = servers.into_iter().map(str::to_owned).collect();
            (uri.parse().unwrap(), servers)
        })
        .collect();
        let tools = audiences.iter();
        let tools = tools.map(|(one, servers)| one.to_tool(servers.iter().map(String::as_str)));
        let manifest = plane
            .manifest_with(&tools.collect::<Vec<_>>(), |_| {})
            .await;
        plane.register(&manifest).await;
        let mut world = Self {
            plane,
            address: ([127, 0, 0, 1], 0).into(),
            folder,
            running: None,
        };
        world
            .start_gateway(|config| config.audiences = audiences)
            .await;
        world
    }

    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let mut world = Self::plane().await;
        world.start_gateway(change).await;
        world
    }

    /// The same with a gateway that reaches the control plane through somebody else.
    pub(crate) async fn behind_an_intermediary() -> (Self, Intermediary) {
        let mut world = Self::plane().await;
        let between = Intermediary::start(world.folder.path());
        let socket = between.socket().to_owned();
        world
            .start_gateway(|config| config.server_socket = socket)
            .await;
        (world, between)
    }

    pub(crate) async fn start_gateway(&mut self, change: impl FnOnce(&mut GatewayConfig)) {
        let mut config = self.config();
        change(&mut config);
        let gateway = Gateway::open(config).await.unwrap();
        self.address = gateway.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stop = async {
                let _ = stopped.await;
            };
            gateway.serve(stop).await.unwrap();
        });
        self.running = Some((stop, serving));
        // Proofs of the very second of the start are refused.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }

    pub(crate) fn config(&self) -> GatewayConfig {
        let data = self.folder.path();
        let folder = data.join("gateway");
        let log = data.join("received").to_str().unwrap().to_owned();
        let server = Upstream::new(example("governed_server"), [log]);
        GatewayConfig {
            name: GatewayName::default(),
            log: folder.join("log"),
            log_key: folder.join("log-key"),
            record_key: folder.join("record.key"),
            trust_file: data.join("trust.json"),
            server_socket: data.join("server.sock"),
            operator_socket: data.join("gateway.sock"),
            listen: ([127, 0, 0, 1], 0).into(),
            servers: BTreeMap::from([("fs".parse().unwrap(), server)]),
            audiences: BTreeMap::new(),
            grace_seconds: GatewayConfig::DEFAULT_GRACE_SECONDS,
            abandon_seconds: GatewayConfig::DEFAULT_ABANDON_SECONDS,
            index_seconds: GatewayConfig::DEFAULT_INDEX_SECONDS,
            hosts: Hosts::default(),
            limits: Limits::default(),
            clock: now,
            folder,
        }
    }

    /// A gateway under these policies and rules for sessions.
    pub(crate) async fn ruled(policies: &str, rules: Value) -> Self {
        let mut world = Self::plane().await;
        world.plane.publish_sessions(2, policies, rules).await;
        let manifest = world.plane.manifest(|_| {}).await;
        world.plane.register(&manifest).await;
        world.start_gateway(|_| {}).await;
        world
    }

    /// The operator's side of the gateway.
    pub(crate) fn operator(&self) -> GatewayClient {
        GatewayClient::new(self.folder.path().join("gateway.sock"))
    }

    /// Stops the gateway as an operator does.
    pub(crate) async fn stop_gateway(&mut self) {
        if let Some((stop, serving)) = self.running.take() {
            drop(stop);
            let served = serving.await;
            assert!(served.is_ok() || std::thread::panicking());
        }
    }

    /// Opens a session with a root for `tools`.
    pub(crate) async fn open(&self, tools: &[Value]) -> Opened {
        self.open_for(tools, super::agent::MISSION).await
    }

    /// Opens a session for another mission.
    pub(crate) async fn open_for(&self, tools: &[Value], mission: &str) -> Opened {
        let agent = Agent::launch(&self.plane).await;
        let root = agent.root_for(&self.plane, tools, 600, mission).await;
        self.open_by(agent, root).await
    }

    /// Opens a session for the holder of a root.
    pub(crate) async fn open_by(&self, agent: Agent, root: IssuedRoot) -> Opened {
        let chain = vec![root.root.clone()];
        let mut connection = agent.connect(self.address).await;
        let nonce = connection.nonce().await;
        let reply = connection
            .open(&agent.presentation(&root, &chain, &nonce))
            .await;
        assert_eq!(reply.reason(), "ok", "{reply:?}");
        let session = reply.body["session"].as_str().unwrap().to_owned();
        Opened {
            agent,
            root,
            chain,
            session,
            connection,
        }
    }

    /// Joins a worker of the session's holder, for `tools`.
    pub(crate) async fn join(&self, opened: &Opened, tools: &[Value]) -> Opened {
        let worker = Agent::launch(&self.plane).await;
        let chain = opened.agent.delegate(&opened.chain, &worker, tools);
        let mut connection = worker.connect(self.address).await;
        let nonce = connection.nonce().await;
        let presentation = worker.presentation(&opened.root, &chain, &nonce);
        let reply = connection.join(&opened.session, &presentation).await;
        assert_eq!(reply.reason(), "ok", "{reply:?}");
        Opened {
            agent: worker,
            root: opened.root.clone(),
            chain,
            session: opened.session.clone(),
            connection,
        }
    }

    /// The gateway's log, once its last entries are published.
    pub(crate) async fn log(&self) -> Vec<Entry> {
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        let reader = Reader::open(&self.folder.path().join("gateway/log")).unwrap();
        let size = reader.size().unwrap();
        let entries = reader.entries(0..size).unwrap();
        entries
            .map(|entry| Entry::parse(&entry.unwrap().1).unwrap())
            .collect()
    }

    /// The evidence of an ended session, as its relying parties would be given it.
    pub(crate) async fn evidence(&self, session: &str) -> Files {
        // The server publishes what it enrolled within a second.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let data = self.folder.path();
        let mut files = Files::new();
        let enrolled = std::fs::read_to_string(data.join("gateway").join(ENROLLED_CHECKPOINT));
        for (name, note) in [("gateway", enrolled.ok()), ("server", None)] {
            let reader = Reader::open(&data.join(name).join("log")).unwrap();
            let visible = || reader.checkpoint().unwrap().unwrap().0;
            let note = note.unwrap_or_else(visible);
            let target = data.join(format!("export-{name}"));
            reader.export(&note, &target).unwrap();
            read_below(&target, &format!("log/{name}"), &mut files);
            std::fs::remove_dir_all(&target).unwrap();
        }
        let record = data.join("gateway/records").join(format!("{session}.json"));
        files.insert(TRUST_RECORD_PATH, std::fs::read(record).unwrap());
        let log = Reader::open(&data.join("gateway/log")).unwrap();
        let kept = KeptObjects::open(&data.join("gateway"), &log).unwrap();
        let log = self.log().await;
        let end = log.iter().find_map(|entry| match &entry.event {
            Event::SessionEnd(end) if end.session.to_string() == session => end.evidence,
            _ => None,
        });
        let KeptObject::Bytes(index) = kept.get(end.unwrap()).unwrap() else {
            panic!("an index is erased");
        };
        let mut erased = Vec::new();
        for listed in EvidenceIndex::parse(&index).unwrap().objects {
            match kept.get(listed.digest).unwrap() {
                KeptObject::Bytes(bytes) => files.insert(object_path(listed.digest), bytes),
                KeptObject::Erased(proof) => erased.push((listed.kind, proof)),
            }
        }
        if !erased.is_empty() {
            let list = kept.erased(session.parse().unwrap(), erased);
            files.insert(ERASED_PATH, list.to_bytes().unwrap());
        }
        files.insert(INDEX_PATH, index);
        files
    }

    /// What a stranger finds who verifies the evidence of an ended session.
    pub(crate) async fn report(&self, session: &str) -> Report {
        let files = self.evidence(session).await;
        verify(&files, Some(&self.plane.trust), &AwsLc, now())
    }

    /// Asks for a payment and gives the question to a person that comes of it.
    pub(crate) async fn asked(&self, payer: &mut Opened, amount: &Value) -> Approval {
        let asked = payer.call("pay", amount.clone()).await;
        assert_eq!(asked.reason(), "approval-pending", "{asked:?}");
        self.plane.question().await
    }

    /// The lines that tool servers received that call a tool.
    pub(crate) fn forwarded(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("received")).unwrap_or_default();
        log.lines()
            .filter(|line| line.contains("tools/call"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for World {
    /// A journal whose folder goes away ends its process: everything stops first.
    fn drop(&mut self) {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                self.stop_gateway().await;
                self.plane.stop_server().await;
            });
        });
    }
}

fn read_below(folder: &Path, name: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_below(&entry.path(), &name, files);
        } else {
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// The reasons of the decisions and refusals in a log.
pub(crate) fn reasons(log: &[Entry]) -> Vec<&str> {
    log.iter()
        .filter_map(|entry| match &entry.event {
            Event::Decision(decision) => Some(decision.reason.as_str()),
            Event::SessionRefuse(refuse) => Some(refuse.reason.as_str()),
            _ => None,
        })
        .collect()
}

/// How many entries of a type a log has.
pub(crate) fn count(log: &[Entry], name: &str) -> usize {
    log.iter()
        .filter(|entry| entry.event.type_name() == name)
        .count()
}
