use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::UidRange;

/// What to start, and what it may see. Everything not named here is absent inside.
#[derive(Debug)]
pub struct Spec {
    /// The command and its arguments; the command is looked up inside, by the `PATH` given there.
    pub argv: Vec<OsString>,
    /// The whole environment. `PATH`, `HOME` (the work folder) and `TMPDIR` are added when absent.
    pub env: Vec<(OsString, OsString)>,
    /// Where the command starts, as seen inside; the work folder when absent.
    pub cwd: Option<PathBuf>,
    /// What can be read and executed.
    pub readable: Vec<Bind>,
    /// The folder that can be written, besides `/tmp` and `/dev/shm`.
    pub work: Work,
    /// The sockets that can be reached.
    pub sockets: Vec<SocketBind>,
    /// Whether there is a network.
    pub network: Network,
    /// Where the users come from that commands run as, when the launcher is root.
    pub uids: UidRange,
    /// What the command has as standard input, output and error.
    pub stdio: Stdio,
    /// Whether to run the command unisolated, and to say so, where namespaces cannot be made.
    pub allow_unisolated: bool,
}

/// A file or folder of the host, read-only inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where it is seen; an absolute path without `.` and `..`.
    pub inside: PathBuf,
    /// Whether a missing one is an error or left out.
    pub required: bool,
}

impl Bind {
    /// Shows a path at its own place.
    pub fn same(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            host: path.clone(),
            inside: path,
            required: true,
        }
    }
}

/// A Unix socket of the host, reachable inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketBind {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Its name in `/run/chancery`; one path component.
    pub name: String,
    /// Whether the socket belongs to this launch alone: it is given to the launch's user with mode
    /// 0600 before the command starts. Otherwise its mode must let the launch's user in.
    pub owned: bool,
    /// The variable that tells the command the socket's path, isolated or not.
    pub variable: Option<OsString>,
}

impl SocketBind {
    /// The folder of the sockets inside.
    pub const FOLDER: &'static str = "/run/chancery";

    /// The path that the command sees.
    pub fn path(&self, isolated: bool) -> PathBuf {
        match isolated {
            true => Path::new(Self::FOLDER).join(&self.name),
            false => self.host.clone(),
        }
    }
}

/// The folder that a command may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A fresh one in memory, gone with the command.
    Fresh,
    /// A folder of the host. When the launcher is root, the folder itself, not what is in it, is
    /// given to the launch's user.
    Folder(PathBuf),
}

/// Whether a command has a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A network namespace with nothing in it, not even a loopback that is up.
    None,
    /// The host's.
    Host,
}

/// A command's standard streams; `None` is the launcher's own.
#[derive(Debug, Default)]
pub struct Stdio {
    /// Standard input.
    pub input: Option<OwnedFd>,
    /// Standard output.
    pub output: Option<OwnedFd>,
    /// Standard error.
    pub error: Option<OwnedFd>,
}

/// Fixed places inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement;

impl Placement {
    /// The work folder.
    pub const WORK: &'static str = "/work";
    /// The user and group that a command sees itself as.
    pub const UID: u32 = 1000;
}

impl Spec {
    /// A command with the usual system folders, a fresh work folder, and nothing else: no socket,
    /// no network, an empty environment, the launcher's standard streams.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: None,
            readable: usual(),
            work: Work::Fresh,
            sockets: Vec::new(),
            network: Network::None,
            uids: UidRange::default(),
            stdio: Stdio::default(),
            allow_unisolated: false,
        }
    }
}

/// Programs, libraries and public certificates; none of the host's accounts or settings.
fn usual() -> Vec<Bind> {
    [
        "/usr",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/ssl/certs",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/certs",
        "/etc/ca-certificates",
        "/etc/alternatives",
        "/etc/localtime",
    ]
    .map(|path| Bind {
        required: false,
        ..Bind::same(path)
    })
    .into()
}
