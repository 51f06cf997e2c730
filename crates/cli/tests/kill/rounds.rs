//! The rounds: kill a process, see that everything goes on by itself, and look at the logs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chancery_audit::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clients::{AGENT, Client};
use crate::deployment::Deployment;
use crate::load::Orders;
use crate::rng::{self, Rng};
use crate::rolls::{Calls, Roll, check};

const TARGETS: [&str; 5] = ["signer", "server", "node", "gateway", "up"];

/// How many kills where the environment does not say it.
const KILLS: usize = 10;

/// How long a deployment may take until calls go on after a kill.
const RECOVERY: Duration = Duration::from_secs(60);

pub(crate) fn run() {
    let kills = match std::env::var("CHANCERY_KILLS") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => KILLS,
    };
    let seed = rng::seed();
    println!("{kills} kills, seed {seed} (CHANCERY_SEED={seed} repeats the choices)");
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut scene = Scene::start(folder.path());
    scene.calls_go_on_without_the_control_plane();
    let mut targets = Vec::new();
    for round in 1..=kills {
        if targets.is_empty() {
            targets = TARGETS.to_vec();
        }
        let target = targets.swap_remove(rng.below(targets.len()));
        std::thread::sleep(Duration::from_millis(200 + rng.next() % 1_000));
        scene.round(round, target);
    }
    scene.a_new_instance_lives_and_dies();
    scene.finish();
}

fn orders(name: &str, book: &str, waits: bool) -> Orders {
    Orders {
        name: name.to_owned(),
        book: book.to_owned(),
        connections: 2,
        waits,
    }
}

struct Scene<'a> {
    folder: &'a Path,
    deployment: Deployment,
    clients: Vec<Client>,
    /// Delegated to, and not yet in its session.
    late: Client,
    calls: Calls,
    server: Roll,
    killed: BTreeMap<&'static str, usize>,
}

impl<'a> Scene<'a> {
    fn start(folder: &'a Path) -> Self {
        let deployment = Deployment::start(folder);
        deployment.register(AGENT, &std::env::current_exe().unwrap());
        let start = |orders| Client::start(&deployment, folder, &orders);
        let clients = vec![
            start(orders("a", "north", false)),
            start(orders("b", "south", false)),
        ];
        let late = start(orders("c", "west", true));
        for client in &clients {
            client.goes_on("post", 3, RECOVERY);
        }
        Self {
            calls: Calls::of(&deployment),
            server: Roll::of(&deployment, "server"),
            folder,
            deployment,
            clients,
            late,
            killed: BTreeMap::new(),
        }
    }

    /// Without the server, running sessions go on; what needs fresh authority is denied.
    fn calls_go_on_without_the_control_plane(&mut self) {
        let up = Pid::from_raw(self.deployment.up_pid());
        // A stopped `up` starts nothing again.
        kill(up, Signal::SIGSTOP).unwrap();
        self.kill("server");
        let start = Instant::now();
        for client in &self.clients {
            client.goes_on("post", 2, Duration::from_secs(8));
        }
        let mut fresh = self
            .deployment
            .command(
                "run",
                &[
                    "--agent",
                    AGENT,
                    "--isolation",
                    "best-effort",
                    "--",
                    "/bin/true",
                ],
            )
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let refused_run = fresh.wait().unwrap();
        assert!(
            !refused_run.success(),
            "an instance was opened without the server"
        );
        // Older than ten seconds: reading goes on, what cannot be undone does not.
        std::thread::sleep(Duration::from_secs(11).saturating_sub(start.elapsed()));
        self.late.go();
        for client in &self.clients {
            client.goes_on("balance", 2, Duration::from_secs(8));
            assert!(
                client.refused("snapshot_stale") > 0,
                "{:?}",
                client.refusals()
            );
        }
        let posted: Vec<_> = self
            .clients
            .iter()
            .map(|client| client.count("post"))
            .collect();
        for client in &self.clients {
            client.goes_on("balance", 2, Duration::from_secs(8));
        }
        let still: Vec<_> = self
            .clients
            .iter()
            .map(|client| client.count("post"))
            .collect();
        assert_eq!(
            posted, still,
            "an irreversible call was allowed on stale authority"
        );
        assert_eq!(
            self.late.count("balance"),
            0,
            "a session was opened on stale authority"
        );
        println!(
            "without the server for {:?}: calls go on; late: {:?}",
            start.elapsed(),
            self.late.refusals()
        );
        kill(up, Signal::SIGCONT).unwrap();
        for client in &self.clients {
            client.goes_on("post", 2, RECOVERY);
        }
        self.late.goes_on("post", 2, RECOVERY);
    }

    fn round(&mut self, round: usize, target: &'static str) {
        let started = Instant::now();
        self.calls.look();
        self.server.look();
        self.kill(target);
        let acknowledged = self.acknowledged();
        if target == "up" {
            self.deployment.start_again();
        }
        for part in TARGETS.into_iter().filter(|part| *part != "up") {
            while self.deployment.part_pid(part).is_none() || !self.deployment.answers(part) {
                assert!(started.elapsed() < RECOVERY, "the {part} did not come back");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        for client in self.clients.iter().chain([&self.late]) {
            client.goes_on("post", 2, RECOVERY);
        }
        self.calls.hold(&acknowledged);
        self.server.look();
        println!(
            "round {round}: {target} killed, {} calls answered before, everything goes on after {:?}",
            acknowledged.len(),
            started.elapsed()
        );
    }

    fn kill(&mut self, target: &'static str) {
        let pid = match target {
            "up" => Some(self.deployment.up_pid()),
            part => self.deployment.part_pid(part),
        };
        kill(Pid::from_raw(pid.unwrap()), Signal::SIGKILL).unwrap();
        *self.killed.entry(target).or_default() += 1;
    }

    fn acknowledged(&self) -> Vec<crate::clients::Acknowledged> {
        let clients = self.clients.iter().chain([&self.late]);
        clients.flat_map(Client::acknowledged).collect()
    }

    /// Ends the sessions, stops and starts once more in peace, and checks everything that is left.
    fn finish(mut self) {
        let mut sessions = Vec::new();
        for client in self.clients.iter_mut().chain([&mut self.late]) {
            let ended = client.finish();
            assert!(
                ended,
                "{}: its session could not be ended: {:?}",
                client.name,
                client.refusals()
            );
            sessions.push(client.session.clone());
        }
        let acknowledged = self.acknowledged();
        self.calls.hold(&acknowledged);
        for session in &sessions {
            let out = self.folder.join(session);
            let out = out.to_str().unwrap();
            self.deployment.run("evidence", &[session, "--out", out]);
            let trust = self.deployment.trust();
            let verified = std::process::Command::new(crate::deployment::CHANCERY)
                .args(["verify", out, "--trust", trust.to_str().unwrap()])
                .output()
                .unwrap();
            assert!(
                verified.status.success(),
                "{session}: {}",
                String::from_utf8_lossy(&verified.stdout)
            );
        }
        self.deployment.stop();
        self.calls.look();
        self.server.look();
        self.calls.roll().look_at_all();
        self.server.look_at_all();
        for log in ["gateway", "server"] {
            check(&self.deployment, log);
        }
        let refusals: Vec<_> = self
            .clients
            .iter()
            .chain([&self.late])
            .map(Client::refusals)
            .collect();
        // What a client said is passed on in order, whatever was killed meanwhile: no server is called
        // before it was greeted.
        let unheard = |refused: &BTreeMap<String, usize>| {
            refused
                .keys()
                .any(|reason| reason.contains("_meta is missing"))
        };
        assert!(!refusals.iter().any(unheard), "{refusals:?}");
        let endings = self.calls.endings();
        println!(
            "killed {:?}; {} calls answered; executions {endings:?}; refusals {refusals:?}; the \
             gateway's log has {} entries under {} checkpoints that were seen, the server's {} under {}",
            self.killed,
            acknowledged.len(),
            self.calls.roll().size(),
            self.calls.roll().checkpoints(),
            self.server.size(),
            self.server.checkpoints(),
        );
        self.every_instance_ended();
    }

    /// What is started after all kills finds a whole deployment, and its end is in the log.
    fn a_new_instance_lives_and_dies(&mut self) {
        let orders = orders("d", "north", false);
        let mut client = Client::start(&self.deployment, self.folder, &orders);
        client.goes_on("post", 3, RECOVERY);
        assert!(client.finish(), "{:?}", client.refusals());
        self.calls.hold(&client.acknowledged());
        let start = Instant::now();
        loop {
            self.server.look();
            if ended(&self.server, &client) {
                return;
            }
            assert!(
                start.elapsed() < RECOVERY,
                "the log does not say that {} ended",
                client.instance
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Nobody runs any more: the server's log says so of everybody who was issued an identity,
    /// although the node that attested them was killed meanwhile.
    fn every_instance_ended(&self) {
        for client in self.clients.iter().chain([&self.late]) {
            let known = self.server.entries().any(|entry| match entry.event {
                Event::IdentityIssue(issue) => issue.instance.as_str().ends_with(&client.instance),
                _ => false,
            });
            assert!(known, "{} was issued nothing", client.instance);
            assert!(
                ended(&self.server, client),
                "the log does not say that {} ended",
                client.instance
            );
        }
    }
}

/// Whether the server's log says that the client's instance ended.
fn ended(server: &Roll, client: &Client) -> bool {
    server.entries().any(|entry| match entry.event {
        Event::IdentityEnd(end) => end.instance.as_str().ends_with(&client.instance),
        _ => false,
    })
}
