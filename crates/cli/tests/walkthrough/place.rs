use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(150);

/// An empty folder and an empty home, and what every command there finds in its environment.
#[derive(Debug)]
pub(crate) struct Place(TempDir, Vec<(&'static str, String)>);

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("walk-").tempdir();
        let place = Self(folder.unwrap(), Vec::new());
        std::fs::create_dir(place.at("home")).unwrap();
        place
    }

    /// Has every command find that in its environment.
    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.1.push((name, value));
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A command in this folder, with the built program in its `PATH` and nothing of ours in its
    /// environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let built = Path::new(chancery()).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::iter::once(built.to_owned()).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.path())
            .env_remove("CHANCERY_DATA")
            .env_remove("CHANCERY_BRIDGE")
            .envs(self.1.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null());
        command
    }

    /// Runs `chancery` to its end.
    pub(crate) fn chancery(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(chancery());
        command.args(arguments);
        Ran::to_the_end(&mut command, self)
    }
}

/// The program under test.
pub(crate) const fn chancery() -> &'static str {
    env!("CARGO_BIN_EXE_chancery")
}

/// The checkout.
pub(crate) fn checkout() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// A port that nobody uses.
pub(crate) fn free_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// Waits for something.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn to_the_end(command: &mut Command, place: &Place) -> Self {
        Self::within(PATIENCE, command, place)
    }

    /// The same, for a command that may take that long.
    #[track_caller]
    pub(crate) fn within(patience: Duration, command: &mut Command, place: &Place) -> Self {
        Started::new(command, place).ended_within(patience)
    }

    /// What a command that must succeed wrote.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The JSON document that a command that must succeed wrote.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// What a command that must fail in this way said.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not said: {self:?}");
        }
        self.err
    }
}

/// A running command and its children, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Started {
    process: Child,
    folder: TempDir,
}

impl Started {
    pub(crate) fn new(command: &mut Command, place: &Place) -> Self {
        let folder = tempfile::tempdir_in(place.path()).unwrap();
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let process = command
            .process_group(0)
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    pub(crate) fn out(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out")).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("err")).unwrap()
    }

    pub(crate) fn exit(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn ended(self) -> Ran {
        self.ended_within(PATIENCE)
    }

    #[track_caller]
    fn ended_within(mut self, patience: Duration) -> Ran {
        let deadline = Instant::now() + patience;
        let code = loop {
            if let Some(status) = self.exit() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "does not end: {}", self.err());
            std::thread::sleep(Duration::from_millis(10));
        };
        Ran {
            code,
            out: self.out(),
            err: self.err(),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(self.process.id().try_into().unwrap());
        let _ = killpg(group, signal);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // The group is this command's own, whether or not its first process lives.
        self.signal(Signal::SIGKILL);
        let _ = self.process.wait();
    }
}
