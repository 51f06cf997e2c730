//! The deployment, the neighbour, and what leaks to the attacker.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use chancery_api::UnixClient;
use chancery_api::server::{ApprovalState, ApprovalSubject, OpenApproval, ServerClient};
use chancery_crypto::random_id;
use chancery_identity::Isolation;
use chancery_node::{LaunchList, LaunchView};
use chancery_types::id::ApprovalId;
use chancery_types::{Digest, Timestamp};
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

use crate::clients::{AGENT, Client};
use crate::deployment::{DOMAIN, Deployment, children};
use crate::logs::{self, Attacker};
use crate::orders::{Attempt, Neighbour, Orders, Told};
use crate::{controls, expected, load};

const PATIENCE: Duration = Duration::from_secs(30);

/// What an operator does in this test and nobody else may have done: the person, their three roots,
/// two agents, one policy.
const ACTS: [(&str, usize); 5] = [
    ("delegation.root", 3),
    ("manifest.register", 2),
    ("policy.publish", 1),
    ("trust.change", 2),
    ("approval.answer", 0),
];

pub(crate) fn run() {
    let started = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::start(folder.path());
    let mut attackers = Vec::new();
    for has_network in [false, true] {
        let (attacker, made) = scene.attack(has_network);
        expected::hold(&made, has_network);
        println!(
            "{} attempts by {} failed, {:?}",
            made.len(),
            attacker.spiffe_id,
            started.elapsed()
        );
        attackers.push(attacker);
        scene.neighbour.goes_on("post", 2, PATIENCE);
    }
    controls::succeed(&scene.orders(None));
    scene.finish(&attackers);
    println!("all of it took {:?}", started.elapsed());
}

struct Scene {
    runtime: Runtime,
    deployment: Deployment,
    folder: PathBuf,
    neighbour: Client,
    approval: ApprovalId,
    abstract_socket: String,
    shared_memory: NamedTempFile,
    _listener: UnixListener,
}

impl Scene {
    fn start(folder: &Path) -> Self {
        let deployment = Deployment::start(folder);
        let this = std::env::current_exe().unwrap();
        deployment.register(AGENT, &this);
        deployment.register("hostile", &this);
        let orders = load::Orders {
            name: "neighbour".to_owned(),
            book: "south".to_owned(),
            connections: 1,
            waits: false,
        };
        let neighbour = Client::start(&deployment, folder, &orders);
        neighbour.goes_on("post", 2, PATIENCE);
        neighbour.goes_on("balance", 1, PATIENCE);
        let abstract_socket = format!("chancery-hostile-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_socket).unwrap();
        let mut scene = Self {
            runtime: Runtime::new().unwrap(),
            deployment,
            folder: folder.to_owned(),
            neighbour,
            approval: random_id().unwrap(),
            abstract_socket,
            shared_memory: NamedTempFile::new_in("/dev/shm").unwrap(),
            _listener: UnixListener::bind_addr(&address).unwrap(),
        };
        scene.shared_memory.write_all(b"the host's").unwrap();
        scene.ask_for_an_approval();
        scene
    }

    fn server(&self) -> ServerClient {
        ServerClient::new(self.deployment.socket("server.sock"))
    }

    /// Something that waits for a person, for the attacker to approve.
    fn ask_for_an_approval(&self) {
        let digest = Digest::of("nothing");
        let request = OpenApproval {
            approval_id: self.approval,
            session_id: self.neighbour.session.parse().unwrap(),
            execution_id: random_id().unwrap(),
            action_digest: digest,
            policy_digest: digest,
            expires_at: Timestamp::from_seconds(4_000_000_000),
            subject: ApprovalSubject {
                instance: self.neighbour.instance.clone(),
                principal: "somebody".to_owned(),
                server: "ledger".to_owned(),
                tool: "post".to_owned(),
                arguments: "{}".to_owned(),
                mission_s256: digest.to_string(),
                step: String::new(),
                policies: Vec::new(),
                session_calls: 0,
                trust: 100,
                taint: Vec::new(),
                grant_seconds: None,
                sums: Vec::new(),
            },
        };
        let opened = self.server();
        let opened = opened.open_approval(&request);
        self.runtime.block_on(opened).unwrap();
    }

    fn launches(&self) -> Vec<LaunchView> {
        let node = UnixClient::new(self.deployment.socket("node.sock"));
        let listed = node.get::<LaunchList>("/v1/launches");
        self.runtime.block_on(listed).unwrap().launches
    }

    fn launch_of(&self, instance: &str) -> LaunchView {
        let launches = self.launches().into_iter();
        let mut found = launches.filter(|one| one.spiffe_id.to_string().ends_with(instance));
        let found = found.next().unwrap();
        assert_eq!(found.isolation, Isolation::Isolated, "{instance}");
        found
    }

    /// Runs the attacker, and gives who it was and what came of its attempts.
    fn attack(&mut self, has_network: bool) -> (Attacker, Vec<Attempt>) {
        let log = self.folder.join(format!("hostile-{has_network}.log"));
        let network = if has_network { "host" } else { "none" };
        let arguments = [
            "--agent",
            "hostile",
            "--isolation",
            "required",
            "--network",
            network,
            "--",
        ];
        let mut process = self
            .deployment
            .command("run", &arguments)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "hostile_agent", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let grant = json!({"type": "mcp_tool", "server": "ledger", "tool": "balance", "args": {"book": {"exact": "west"}}});
        let delegated = self.deployment.delegate(&[grant]);
        let launch = self.launch_of(delegated["instance"].as_str().unwrap());
        let attacker = Attacker {
            spiffe_id: launch.spiffe_id.to_string(),
            session: delegated["session"].as_str().unwrap().to_owned(),
        };
        let orders = Orders {
            has_network,
            ..self.orders(Some(&launch))
        };
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "{}", serde_json::to_string(&orders).unwrap()).unwrap();
        let output = process.stdout.take().unwrap();
        let made = self.listen(output, input, &attacker);
        let status = process.wait().unwrap();
        assert!(status.success(), "the attacker broke: {status}");
        (attacker, made)
    }

    fn listen(&self, output: ChildStdout, input: ChildStdin, attacker: &Attacker) -> Vec<Attempt> {
        let mut made = Vec::new();
        let mut input = Some(input);
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(Told::Attempt(attempt)) => made.push(attempt),
                Ok(Told::WantsProof) => {
                    let data = self.deployment.data();
                    let proof = logs::captured(&data, &attacker.spiffe_id, "not_in_scope");
                    let proof = serde_json::to_string(&proof).unwrap();
                    writeln!(input.as_mut().unwrap(), "{proof}").unwrap();
                }
                // It may go, and says farewell.
                Ok(Told::Done) => drop(input.take()),
                // What the test program itself says.
                Err(_) => {}
            }
        }
        assert!(
            input.is_none(),
            "the attacker broke off after {:?}",
            made.last()
        );
        made
    }

    /// What an attacker is told; `own` is its launch, where there is one.
    fn orders(&self, own: Option<&LaunchView>) -> Orders {
        let data = self.deployment.data();
        let neighbour = self.launch_of(&self.neighbour.instance);
        let mut processes = self.parts();
        let mut add = |name: &str, pid: i32| processes.extend([(name.to_owned(), pid)]);
        add("neighbour's bridge", neighbour.bridge_pid);
        let init = neighbour.init_pid.unwrap();
        add("neighbour's init", init);
        add("neighbour", children(init)[0]);
        if let Some(own) = own {
            add("own bridge", own.bridge_pid);
        }
        let name = neighbour.spiffe_id.to_string();
        let (proof, arguments) = logs::captured(&data, &name, "permit");
        let issued = self.server();
        let issued = issued.root_of(neighbour.spiffe_id.instance(), 0);
        let root = self.runtime.block_on(issued).unwrap().unwrap();
        Orders {
            has_network: false,
            is_control: false,
            own: own.map(|own| own.spiffe_id.to_string()).unwrap_or_default(),
            program: std::env::current_exe().unwrap(),
            files: self.secrets(),
            processes,
            sockets: self.sockets(neighbour.uid),
            abstract_socket: self.abstract_socket.clone(),
            shared_memory: self.shared_memory.path().to_owned(),
            port: self.deployment.port,
            gateway: format!("spiffe://{DOMAIN}/service/gateway"),
            approval: self.approval.to_string(),
            authenticator: self.deployment.authenticator(),
            mission: self.folder.join("mission.json"),
            neighbour: Neighbour {
                spiffe_id: name,
                session: self.neighbour.session.clone(),
                chain: vec![root.root],
                proof,
                arguments,
            },
            data,
        }
    }

    fn parts(&self) -> BTreeMap<String, i32> {
        let parts = ["signer", "server", "node", "gateway"];
        let mut processes: BTreeMap<_, _> = parts
            .into_iter()
            .map(|part| (part.to_owned(), self.deployment.part_pid(part).unwrap()))
            .collect();
        processes.insert("up".to_owned(), self.deployment.up_pid());
        let tools = children(processes["gateway"])[0];
        processes.insert("tool server".to_owned(), tools);
        processes
    }

    /// Every key and table of the deployment; the first one is a root key.
    fn secrets(&self) -> Vec<PathBuf> {
        let data = self.deployment.data();
        let mut found = Vec::new();
        for folder in ["root", "signer", "gateway/log-key"] {
            below(&data.join(folder), &mut found);
        }
        found.extend(
            [
                "gateway/record.key",
                "gateway/config.json",
                "server/chancery.db",
            ]
            .map(|name| data.join(name)),
        );
        found.extend([
            self.deployment.authenticator(),
            self.folder.join("ledger.db"),
        ]);
        assert!(
            found.len() > 10 && found.iter().all(|path| path.is_file()),
            "{found:?}"
        );
        found
    }

    /// The operator's sockets, and the neighbour's bridge, which is its launch's user's.
    fn sockets(&self, user: u32) -> Vec<PathBuf> {
        let bound = fs::read_to_string("/proc/net/unix").unwrap();
        let mut sockets: Vec<_> = fs::read_dir(std::env::temp_dir())
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("chancery-run-")
            })
            .map(|path| path.join("bridge.sock"))
            .filter(|path| fs::metadata(path).is_ok_and(|found| found.uid() == user))
            // Not one that a killed bridge has left.
            .filter(|path| bound.contains(path.to_str().unwrap()))
            .collect();
        assert!(!sockets.is_empty(), "the neighbour's bridge is not found");
        sockets.extend(
            ["server.sock", "signer.sock", "node.sock"].map(|name| self.deployment.socket(name)),
        );
        sockets
    }

    fn finish(mut self, attackers: &[Attacker]) {
        let data = self.deployment.data();
        self.neighbour.goes_on("post", 1, PATIENCE);
        assert_eq!(self.neighbour.refusals(), BTreeMap::new());
        let waiting = self.server();
        let waiting = self.runtime.block_on(waiting.approval(self.approval, 0));
        assert_eq!(waiting.unwrap().state, ApprovalState::Pending);
        // Both logs publish what they hold within a second.
        std::thread::sleep(Duration::from_millis(1_500));
        let launch = self.launch_of(&self.neighbour.instance);
        let name = launch.spiffe_id.to_string();
        let neighbour = (name.as_str(), self.neighbour.session.as_str());
        let refusals = logs::show_nothing_but_refusals(&data, attackers, neighbour);
        println!("by the attackers the gateway's log has nothing but refusals: {refusals:?}");
        for reason in ["holder_mismatch", "not_in_scope", "replay"] {
            assert!(refusals.contains_key(reason), "{reason}");
        }
        let acts = logs::acts_of_office(&data);
        for (act, times) in ACTS {
            assert_eq!(
                acts.get(act).copied().unwrap_or_default(),
                times,
                "{act}: {acts:?}"
            );
        }
        assert!(
            self.neighbour.finish(),
            "the neighbour's session went on to its end"
        );
        self.deployment.stop();
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            below(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
}
