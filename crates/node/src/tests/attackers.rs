//! Real programs that want an identity which is not theirs. What each gets stands in
//! `docs/reference/spiffe.md`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::Serving;
use crate::{Delegation, Process, ProcessError};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/attacker.py");

/// A running attacker; it and what it started are killed when the test ends.
struct Attacker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The Python that is there, and where its library is: not a script that looks for it.
pub(super) fn python() -> (PathBuf, String) {
    let ask = "import os, sys; print(os.path.realpath(sys.executable)); print(sys.base_prefix)";
    let said = Command::new("python3").args(["-c", ask]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (program, prefix) = said.trim().split_once('\n').unwrap();
    (program.into(), prefix.to_owned())
}

impl Attacker {
    fn start(way: &[&str]) -> Self {
        let (python, prefix) = python();
        Self::run(Command::new(python), &prefix, way)
    }

    /// Below a program that executes or starts what follows.
    fn below(program: &[&str], way: &[&str]) -> Self {
        let (python, prefix) = python();
        let (first, rest) = program.split_first().unwrap();
        let mut command = Command::new(first);
        command.args(rest).arg(python);
        Self::run(command, &prefix, way)
    }

    /// As a program of its own, whose name and content are no interpreter's.
    fn named(program: &Path, way: &[&str]) -> Self {
        let (python, prefix) = python();
        std::fs::copy(python, program).unwrap();
        let mut copy = std::fs::OpenOptions::new()
            .append(true)
            .open(program)
            .unwrap();
        copy.write_all(b"an agent").unwrap();
        drop(copy);
        Self::run(Command::new(program), &prefix, way)
    }

    fn run(mut command: Command, prefix: &str, way: &[&str]) -> Self {
        command.arg(SCRIPT).args(way).process_group(0);
        command
            .env("PYTHONHOME", prefix)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Waits until a process executes Python, which its parent or what it was before started.
    fn until_python(pid: u32) {
        let name = format!("/proc/{pid}/comm");
        while !std::fs::read_to_string(&name).is_ok_and(|name| name.starts_with("python")) {
            std::thread::yield_now();
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    fn says(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What it gets when it is told to go.
    fn gets(&mut self) -> String {
        self.go();
        self.says()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = killpg(
            Pid::from_raw(self.pid().try_into().unwrap()),
            Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }
}

fn socket(serving: &Serving) -> String {
    serving.workload_socket().to_str().unwrap().to_owned()
}

/// Whether this user may choose process ids.
fn chooses_process_ids() -> bool {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/sys/kernel/ns_last_pid");
    let may = nix::unistd::geteuid().is_root() && file.is_ok();
    if !may {
        eprintln!("skipped: process ids cannot be chosen here");
    }
    may
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_denied_and_who_was_launched_is_not() {
    let serving = Serving::start();
    let socket = socket(&serving);
    let mut stranger = Attacker::start(&["ask", &socket]);
    let mut launched = Attacker::start(&["ask", &socket]);
    serving.register(Some(launched.pid()), false).await.unwrap();
    assert_eq!(stranger.gets(), "denied");
    assert_eq!(launched.gets(), "identity");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inherited_socket_is_closed_when_somebody_else_writes_on_it() {
    for way in ["child_asks", "child_reads", "hand_over"] {
        let serving = Serving::start();
        let mut attacker = Attacker::start(&[way, &socket(&serving)]);
        serving.register(Some(attacker.pid()), false).await.unwrap();
        assert_eq!(attacker.gets(), "closed", "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_executes_the_trusted_program_does_not_leave_its_identity_to_a_child() {
    let sleep = std::fs::canonicalize("/bin/sleep").unwrap();
    let sleep = sleep.to_str().unwrap();
    let mut seen = Vec::new();
    for _ in 0..8 {
        let serving = Serving::start();
        let mut attacker = Attacker::start(&["swap", &socket(&serving), sleep]);
        serving.launch_program(attacker.pid(), sleep).await;
        seen.push(attacker.gets());
    }
    // Denied where it is seen before it executes the program, closed when its child answers for it.
    let expected = |said: &String| said == "denied" || said == "closed";
    assert!(seen.iter().all(expected), "{seen:?}");
    println!("{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_not_launched_is_denied() {
    let serving = Serving::start();
    let mut attacker = Attacker::start(&["ask", &socket(&serving)]);
    // What is launched is `sleep`; what asks is another program in the same process.
    serving.launch_program(attacker.pid(), "/bin/sleep").await;
    assert_eq!(attacker.gets(), "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_another_program_is_executed_nothing_more_is_sent() {
    let serving = Serving::start();
    let program = serving.folder.path().join("agent");
    let (python, _) = python();
    let way = ["execute_later", &socket(&serving), python.to_str().unwrap()];
    let mut attacker = Attacker::named(&program, &way);
    serving.register(Some(attacker.pid()), false).await.unwrap();
    assert_eq!(attacker.gets(), "identity");
    assert_eq!(attacker.gets(), "executed");
    serving.issuer.add_root();
    assert_eq!(attacker.says(), "denied");
    // The launch goes on: its process runs.
    assert_eq!(serving.launches.list().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_another_program_is_executed_no_delegation_is_sent() {
    let serving = Serving::start();
    let (delegations, receiver) = mpsc::unbounded_channel();
    *serving.issuer.delegations.lock().unwrap() = Some(receiver);
    let delegate = || {
        let delegation = Delegation {
            chain: "[\"spiffe://td/agent/researcher\"]".to_owned(),
            consent: String::new(),
            mission: Vec::new(),
            principal: String::new(),
        };
        delegations.send(delegation).unwrap();
    };
    let program = serving.folder.path().join("agent");
    let (python, _) = python();
    let method = "/chancery.agent.v1.AgentIdentity/AwaitDelegation";
    let python = python.to_str().unwrap();
    let way = ["execute_later", &socket(&serving), python, method];
    let mut attacker = Attacker::named(&program, &way);
    serving.register(Some(attacker.pid()), false).await.unwrap();
    delegate();
    assert_eq!(attacker.gets(), "identity");
    assert_eq!(attacker.gets(), "executed");
    delegate();
    assert_eq!(attacker.says(), "denied");
    assert_eq!(serving.launches.list().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_replaced_on_disk_goes_on() {
    let serving = Serving::start();
    let program = serving.folder.path().join("agent");
    let mut agent = Attacker::named(&program, &["ask", &socket(&serving)]);
    serving.register(Some(agent.pid()), false).await.unwrap();
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "another one").unwrap();
    assert_eq!(agent.gets(), "identity");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recycled_process_id_is_denied() {
    if !chooses_process_ids() {
        return;
    }
    let serving = Serving::start();
    let mut attacker = Attacker::start(&["recycle", &socket(&serving)]);
    let victim: u32 = attacker.gets().parse().unwrap();
    serving.register(Some(victim), false).await.unwrap();
    assert_eq!(attacker.gets(), "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_id_that_is_recycled_before_the_accept_names_nobody() {
    if !chooses_process_ids() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut attacker = Attacker::start(&["leave_behind", path.to_str().unwrap()]);
    let pid: i32 = attacker.gets().parse().unwrap();
    let other = Process::open(pid).unwrap();
    assert!(other.is_alive());
    let (connection, _) = listener.accept().unwrap();
    let peer = Process::of_peer(&connection);
    assert!(matches!(peer, Err(ProcessError::Gone)), "{peer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_namespace_is_no_identity() {
    let serving = Serving::start();
    let socket = socket(&serving);
    let ask = ["ask", &socket];
    for namespace in [
        &["unshare", "--user", "--map-root-user"][..],
        &["unshare", "--user", "--map-root-user", "--net"],
        &[
            "unshare",
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
        ],
        &[
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "--ipc",
            "--uts",
        ],
    ] {
        let mut stranger = Attacker::below(namespace, &ask);
        assert_eq!(stranger.gets(), "denied", "{namespace:?}");
    }
    // What was launched is one process: who it starts in a pid namespace of its own is another.
    let mut below = Attacker::below(
        &["unshare", "--user", "--map-root-user", "--pid", "--fork"],
        &ask,
    );
    serving.register(Some(below.pid()), false).await.unwrap();
    assert_eq!(below.gets(), "denied");
    // A launched process is itself in whatever network it is.
    let mut apart = Attacker::below(&["unshare", "--user", "--map-root-user", "--net"], &ask);
    Attacker::until_python(apart.pid());
    serving.register(Some(apart.pid()), false).await.unwrap();
    assert_eq!(apart.gets(), "identity");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_launch_is_its_pid_namespace_and_no_other() {
    let serving = Serving::start();
    let socket = socket(&serving);
    let container = [
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let init_of = |outer: &Attacker| loop {
        let children = format!("/proc/{0}/task/{0}/children", outer.pid());
        let text = std::fs::read_to_string(children).unwrap_or_default();
        if let Some(child) = text.split_ascii_whitespace().next() {
            let child = child.parse().unwrap();
            Attacker::until_python(child);
            return child;
        }
    };
    let mut neighbour = Attacker::below(&container, &["ask", &socket]);
    // Within the namespace a child may ask by a connection of its own, not by its parent's.
    let mut inside = Attacker::below(&container, &["child_asks", &socket]);
    serving
        .register(Some(init_of(&inside)), true)
        .await
        .unwrap();
    assert_eq!(inside.gets(), "closed");
    assert_eq!(neighbour.gets(), "denied");
    let mut inside = Attacker::below(&container, &["ask", &socket]);
    serving
        .register(Some(init_of(&inside)), true)
        .await
        .unwrap();
    assert_eq!(inside.gets(), "identity");
}
