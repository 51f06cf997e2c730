use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Whom the launcher runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    Root,
    Nobody,
}

pub(crate) const NOBODY: u32 = 65_534;

/// The users that the tests can be: both as root with setpriv, else only the one we are.
pub(crate) fn users() -> Vec<As> {
    if !nix::unistd::Uid::effective().is_root() {
        println!("skipped: the tests as root, because they run as another user");
        return vec![As::Nobody];
    }
    let found = Command::new("setpriv")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if found.is_err() {
        println!("skipped: the tests as nobody, because setpriv is missing");
        return vec![As::Root];
    }
    vec![As::Root, As::Nobody]
}

/// The example program: built beside the tests, launcher and shim in one.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/sandbox");
    assert!(
        program.exists(),
        "{}: build the examples first",
        program.display()
    );
    program
}

/// A command under the given user.
pub(crate) fn under(user: As, program: impl AsRef<OsStr>) -> Command {
    let mut command = match user {
        As::Nobody if nix::unistd::Uid::effective().is_root() => {
            let mut command = Command::new("setpriv");
            let (uid, gid) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
            command.args([&uid, &gid, "--clear-groups", "--"]);
            command.arg(program);
            command
        }
        _ => Command::new(program),
    };
    command.current_dir("/");
    command
}

/// A folder for a test, which belongs to the launcher's user.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    user: As,
}

impl Place {
    pub(crate) fn new(user: As) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let place = Self { folder, user };
        place.give(place.path());
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives a path to the launcher's user.
    pub(crate) fn give(&self, path: &Path) {
        if self.user == As::Nobody && nix::unistd::Uid::effective().is_root() {
            let (uid, gid) = (NOBODY.into(), NOBODY.into());
            nix::unistd::chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// The launcher with options before `--`.
    pub(crate) fn launcher(&self, options: &[&str], argv: &[&str]) -> Command {
        let mut command = under(self.user, program());
        command
            .arg("run")
            .args(options)
            .arg("--")
            .args(argv)
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, options: &[&str], argv: &[&str]) -> Ran {
        Ran::new(self.launcher(options, argv).output().unwrap())
    }
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) error: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What the launcher said about the isolation.
    pub(crate) fn isolation(&self) -> serde_json::Value {
        let line = self.error.lines().next().unwrap();
        serde_json::from_str(line).unwrap_or_else(|_| panic!("{}", self.error))
    }
}

/// The processes of the host whose arguments hold a text.
pub(crate) fn processes(text: &str) -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(text)
        })
        .collect()
}

/// Waits until something holds, up to five seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{what} did not come");
}
