use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};

use super::SandboxError;
use super::error::SpecProblem;
use super::spec::{Bind, Network, Placement, SocketBind, Spec, Work};

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What pid 1 carries out, with every path of the host resolved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) argv: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    pub(super) entries: Vec<Entry>,
    pub(super) network: Network,
    /// The user to become, when the launcher is root.
    pub(super) become_uid: Option<u32>,
    /// The user that the command is to the host.
    pub(super) host_uid: u32,
}

/// A part of the new root, in the order of making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    Memory {
        inside: PathBuf,
        bytes: u64,
        execute: bool,
    },
    Bind {
        host: PathBuf,
        inside: PathBuf,
        access: Access,
    },
    File {
        inside: PathBuf,
        content: String,
    },
    Link {
        inside: PathBuf,
        target: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Access {
    Read,
    Write,
    Device,
    Socket,
}

impl Plan {
    /// Checks a specification against the host.
    pub(super) fn new(spec: &Spec, become_uid: Option<u32>) -> Result<Self, SandboxError> {
        check_command(spec)?;
        let mut entries = memory(&spec.work);
        let mut binds = devices();
        for bind in &spec.readable {
            binds.extend(readable(bind, &spec.work)?);
        }
        if spec.network == Network::Host {
            for path in ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"] {
                let bind = Bind {
                    required: false,
                    ..Bind::same(path)
                };
                binds.extend(readable(&bind, &spec.work)?);
            }
        }
        for socket in &spec.sockets {
            binds.push(reachable(socket)?);
        }
        if let Work::Folder(path) = &spec.work {
            binds.push(writable(path)?);
        }
        // What lies deeper is made later, so that nothing hides it.
        binds.sort_by_key(|entry| entry.inside().components().count());
        entries.extend(binds);
        entries.extend(files(spec.network));
        let cwd = match &spec.cwd {
            Some(path) => inside("cwd", path)?,
            None => PathBuf::from(Placement::WORK),
        };
        Ok(Self {
            argv: spec.argv.clone(),
            env: environment(spec, true, Path::new(Placement::WORK)),
            cwd,
            entries,
            network: spec.network,
            become_uid,
            host_uid: become_uid.unwrap_or_else(|| Uid::effective().as_raw()),
        })
    }

    /// The same command without isolation, in `work`.
    pub(super) fn unisolated(spec: &Spec, work: &Path) -> Result<Self, SandboxError> {
        check_command(spec)?;
        Ok(Self {
            argv: spec.argv.clone(),
            env: environment(spec, false, work),
            cwd: spec.cwd.clone().unwrap_or_else(|| work.to_owned()),
            entries: Vec::new(),
            network: Network::Host,
            become_uid: None,
            host_uid: Uid::effective().as_raw(),
        })
    }
}

impl Entry {
    pub(super) fn inside(&self) -> &Path {
        match self {
            Entry::Memory { inside, .. }
            | Entry::Bind { inside, .. }
            | Entry::File { inside, .. }
            | Entry::Link { inside, .. } => inside,
        }
    }
}

fn check_command(spec: &Spec) -> Result<(), SandboxError> {
    let refuse = |field, problem| Err(SandboxError::Spec { field, problem });
    if spec.argv.first().is_none_or(|command| command.is_empty()) {
        return refuse("argv", SpecProblem::Empty);
    }
    let has_zero = |text: &OsStr| text.as_bytes().contains(&0);
    if spec.argv.iter().any(|argument| has_zero(argument)) {
        return refuse("argv", SpecProblem::NotEnvironment);
    }
    let bad = |name: &OsStr| name.is_empty() || name.as_bytes().contains(&b'=') || has_zero(name);
    let variables = spec.sockets.iter().filter_map(|it| it.variable.as_ref());
    if variables.into_iter().any(|name| bad(name))
        || spec
            .env
            .iter()
            .any(|(name, value)| bad(name) || has_zero(value))
    {
        return refuse("env", SpecProblem::NotEnvironment);
    }
    Ok(())
}

fn environment(spec: &Spec, isolated: bool, work: &Path) -> Vec<(OsString, OsString)> {
    let mut env = spec.env.clone();
    for (name, value) in [
        ("PATH", OsStr::new("/usr/local/bin:/usr/bin:/bin")),
        ("HOME", work.as_os_str()),
        ("TMPDIR", OsStr::new("/tmp")),
    ] {
        if !env.iter().any(|(known, _)| known == name) {
            env.push((name.into(), value.into()));
        }
    }
    for socket in &spec.sockets {
        if let Some(variable) = &socket.variable {
            env.push((variable.clone(), socket.path(isolated).into()));
        }
    }
    env
}

fn memory(work: &Work) -> Vec<Entry> {
    let folder = |inside: &str, bytes, execute| Entry::Memory {
        inside: inside.into(),
        bytes,
        execute,
    };
    let mut folders = vec![
        folder("/tmp", 256 << 20, true),
        folder("/dev/shm", 64 << 20, false),
    ];
    if *work == Work::Fresh {
        folders.push(folder(Placement::WORK, 1 << 30, true));
    }
    folders
}

fn devices() -> Vec<Entry> {
    DEVICES
        .map(|name| Path::new("/dev").join(name))
        .map(|path| Entry::Bind {
            host: path.clone(),
            inside: path,
            access: Access::Device,
        })
        .into()
}

fn files(network: Network) -> Vec<Entry> {
    let uid = Placement::UID;
    let file = |inside: &str, content: String| Entry::File {
        inside: inside.into(),
        content,
    };
    let link = |inside: &str, target: &str| Entry::Link {
        inside: inside.into(),
        target: target.into(),
    };
    let mut files = vec![
        file(
            "/etc/passwd",
            format!("agent:x:{uid}:{uid}:agent:{}:/bin/sh\n", Placement::WORK),
        ),
        file("/etc/group", format!("agent:x:{uid}:\n")),
        link("/dev/fd", "/proc/self/fd"),
        link("/dev/stdin", "/proc/self/fd/0"),
        link("/dev/stdout", "/proc/self/fd/1"),
        link("/dev/stderr", "/proc/self/fd/2"),
    ];
    if network == Network::None {
        files.push(file("/etc/hosts", "127.0.0.1 localhost\n".to_owned()));
    }
    files
}

fn readable(bind: &Bind, work: &Work) -> Result<Option<Entry>, SandboxError> {
    const FIELD: &str = "readable";
    let inside = inside(FIELD, &bind.inside)?;
    if is_reserved(&inside, work) {
        return Err(SandboxError::Reserved {
            field: FIELD,
            path: inside,
        });
    }
    if bind.host == bind.inside {
        // The link of a merged /usr stays a link: both names then show one file.
        if let Ok(target) = std::fs::read_link(&bind.host)
            && target.is_relative()
            && target
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
            && bind.host.parent() == Some(Path::new("/"))
        {
            return Ok(Some(Entry::Link { inside, target }));
        }
    }
    match resolve(FIELD, &bind.host) {
        Ok(host) => Ok(Some(Entry::Bind {
            host,
            inside,
            access: Access::Read,
        })),
        Err(SandboxError::Path { source, .. })
            if !bind.required && source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether the sandbox itself fills a place. What lies in memory folders has room for more.
fn is_reserved(inside: &Path, work: &Work) -> bool {
    let filled = ["/proc", "/dev", SocketBind::FOLDER];
    let folders = ["/", "/tmp", Placement::WORK];
    let host_folder = *work != Work::Fresh && inside.starts_with(Placement::WORK);
    host_folder
        || filled.iter().any(|own| inside.starts_with(own))
        || folders.iter().any(|own| inside == Path::new(own))
}

fn reachable(socket: &SocketBind) -> Result<Entry, SandboxError> {
    const FIELD: &str = "sockets";
    let refuse = |problem| SandboxError::Spec {
        field: FIELD,
        problem,
    };
    let mut parts = Path::new(&socket.name).components();
    let one = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(name)), None) if name == OsStr::new(&socket.name)
    );
    if !one {
        return Err(refuse(SpecProblem::NotName));
    }
    let host = resolve(FIELD, &socket.host)?;
    let found = host
        .symlink_metadata()
        .map_err(|source| SandboxError::Path {
            field: FIELD,
            path: host.clone(),
            source,
        })?;
    if !found.file_type().is_socket() {
        return Err(refuse(SpecProblem::NotSocket));
    }
    Ok(Entry::Bind {
        host,
        inside: socket.path(true),
        access: Access::Socket,
    })
}

fn writable(path: &Path) -> Result<Entry, SandboxError> {
    let host = resolve("work", path)?;
    if !host.is_dir() {
        return Err(SandboxError::Spec {
            field: "work",
            problem: SpecProblem::NotFolder,
        });
    }
    Ok(Entry::Bind {
        host,
        inside: PathBuf::from(Placement::WORK),
        access: Access::Write,
    })
}

fn resolve(field: &'static str, path: &Path) -> Result<PathBuf, SandboxError> {
    std::fs::canonicalize(path).map_err(|source| SandboxError::Path {
        field,
        path: path.to_owned(),
        source,
    })
}

fn inside(field: &'static str, path: &Path) -> Result<PathBuf, SandboxError> {
    let mut parts = path.components();
    let absolute = parts.next() == Some(Component::RootDir);
    match absolute && parts.all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path.components().collect()),
        false => Err(SandboxError::Spec {
            field,
            problem: SpecProblem::NotInside,
        }),
    }
}
