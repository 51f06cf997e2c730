use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use chancery_node::sandbox::{Bind, Held, Launcher, Network, SandboxError, SocketBind, Spec};

use super::Program;
use crate::args::{IsolationMode, NetworkMode, RunArgs};
use crate::demo::BRIDGE_VARIABLE;
use crate::deployment::Layout;

/// The name of the bridge among the sandbox's sockets.
pub(crate) const BRIDGE_SOCKET: &str = "bridge.sock";

/// Where this very program is found inside.
const INSIDE: &str = "/opt/chancery/bin";

/// Folders that every sandbox shows already.
const SHOWN: [&str; 5] = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];

/// Starts the command's sandbox; the command itself waits for its identity. Where the machine
/// cannot isolate and the caller allows it, the command is held as it would run by itself.
pub(super) async fn spawn(
    layout: &Layout,
    args: &RunArgs,
    program: &Program,
    bridge: &Path,
) -> anyhow::Result<Held> {
    anyhow::ensure!(
        !args.broker || layout.broker_socket().exists(),
        "--broker: no Broker API is served; start `chancery up` with --broker-api"
    );
    match launch(isolated(layout, args, program, bridge)?).await? {
        Err(SandboxError::Unavailable { .. }) if args.isolation == IsolationMode::BestEffort => {
            Ok(launch(unisolated(layout, args, program, bridge)?).await??)
        }
        Err(error @ SandboxError::Unavailable { .. }) => Err(anyhow::Error::new(error).context(
            "the command cannot be isolated; --isolation best-effort runs it all the same",
        )),
        held => Ok(held?),
    }
}

async fn launch(spec: Spec) -> anyhow::Result<Result<Held, SandboxError>> {
    Ok(tokio::task::spawn_blocking(move || Launcher::default().spawn(spec)).await?)
}

fn isolated(
    layout: &Layout,
    args: &RunArgs,
    program: &Program,
    bridge: &Path,
) -> anyhow::Result<Spec> {
    let asked = asked(&args.read)?;
    let mut readable = Spec::new(Vec::<OsString>::new()).readable;
    readable.push(Bind {
        host: own_program()?,
        inside: Path::new(INSIDE).join("chancery"),
        required: true,
    });
    let argv = argv(args, program, |path| shown(path, &asked, &mut readable));
    readable.extend(linked(&args.read, &asked)?);
    readable.extend(asked.into_iter().map(Bind::same));
    let sockets = sockets(layout, args, bridge);
    Ok(Spec {
        env: environment(&sockets, true, Path::new(INSIDE)),
        readable,
        sockets,
        network: match args.network {
            NetworkMode::None => Network::None,
            NetworkMode::Host => Network::Host,
        },
        ..Spec::new(argv)
    })
}

/// The command with everything at its place on this machine.
fn unisolated(
    layout: &Layout,
    args: &RunArgs,
    program: &Program,
    bridge: &Path,
) -> anyhow::Result<Spec> {
    let own = own_program()?;
    let folder = own.parent().context("own program")?;
    let sockets = sockets(layout, args, bridge);
    Ok(Spec {
        env: environment(&sockets, false, folder),
        sockets,
        network: Network::Host,
        allow_unisolated: true,
        ..Spec::new(argv(args, program, Path::to_owned))
    })
}

fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .context("own program")
}

/// The command's words, with the paths of its program and its script as they are seen.
fn argv(
    args: &RunArgs,
    program: &Program,
    mut seen: impl FnMut(&Path) -> PathBuf,
) -> Vec<OsString> {
    let mut argv: Vec<OsString> = args.command.iter().map(OsString::from).collect();
    if let Some(first) = argv.first_mut() {
        *first = seen(&program.executable).into();
    }
    if program.code != program.executable
        && let Some(script) = argv.get_mut(1)
    {
        *script = seen(&program.code).into();
    }
    argv
}

/// The Workload API and the bridge, and the Broker API where it was asked for.
fn sockets(layout: &Layout, args: &RunArgs, bridge: &Path) -> Vec<SocketBind> {
    let workload = SocketBind {
        host: layout.workload_socket(),
        name: "workload.sock".to_owned(),
        owned: false,
        variable: None,
    };
    let bridge = SocketBind {
        host: bridge.to_owned(),
        name: BRIDGE_SOCKET.to_owned(),
        owned: true,
        variable: Some(BRIDGE_VARIABLE.into()),
    };
    let broker = SocketBind {
        host: layout.broker_socket(),
        name: "broker.sock".to_owned(),
        owned: false,
        variable: None,
    };
    let broker = args.broker.then_some(broker);
    [workload, bridge].into_iter().chain(broker).collect()
}

/// What the command finds in its environment; `bin` is where it finds this program.
fn environment(sockets: &[SocketBind], isolated: bool, bin: &Path) -> Vec<(OsString, OsString)> {
    let mut env = inherited();
    for (name, variable) in [
        ("workload.sock", "SPIFFE_ENDPOINT_SOCKET"),
        ("broker.sock", "SPIFFE_BROKER_SOCKET"),
    ] {
        if let Some(socket) = sockets.iter().find(|socket| socket.name == name) {
            let endpoint = format!("unix://{}", socket.path(isolated).display());
            env.push((variable.into(), endpoint.into()));
        }
    }
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    env.push(("PATH".into(), path.into()));
    env
}

/// What the command may read beside what every sandbox shows.
fn asked(read: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut asked = Vec::new();
    for path in read {
        let path = path
            .canonicalize()
            .with_context(|| format!("--read {}", path.display()))?;
        if !is_shown(&path) && !asked.contains(&path) {
            asked.push(path);
        }
    }
    Ok(asked)
}

/// What is named by way of a symbolic link is found inside under that name as well.
fn linked(read: &[PathBuf], asked: &[PathBuf]) -> anyhow::Result<Vec<Bind>> {
    let mut linked: Vec<Bind> = Vec::new();
    for path in read {
        let inside = std::path::absolute(path)?;
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        let seen = is_shown(&inside)
            || asked.iter().any(|folder| inside.starts_with(folder))
            || linked.iter().any(|bind| bind.inside == inside);
        if inside.components().all(plain) && !seen {
            linked.push(Bind {
                host: path.canonicalize()?,
                inside,
                required: true,
            });
        }
    }
    Ok(linked)
}

fn is_shown(path: &Path) -> bool {
    SHOWN.iter().any(|folder| path.starts_with(folder))
}

/// Where a file is seen inside. One that is shown neither by the sandbox nor by what was asked for
/// is bound alone; the others keep their place, beside the files that they need.
fn shown(path: &Path, asked: &[PathBuf], readable: &mut Vec<Bind>) -> PathBuf {
    if is_shown(path) || asked.iter().any(|folder| path.starts_with(folder)) {
        return path.to_owned();
    }
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    let inside = Path::new("/opt/agent").join(name);
    if !readable.iter().any(|bind| bind.inside == inside) {
        readable.push(Bind {
            host: path.to_owned(),
            inside: inside.clone(),
            required: true,
        });
    }
    inside
}

/// What the command keeps of this process's environment: how to show text, and nothing else.
fn inherited() -> Vec<(OsString, OsString)> {
    ["LANG", "LC_ALL", "TERM", "TZ"]
        .into_iter()
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_03_the_broker_socket_is_a_unix_path() {
        let socket = |name: &str| SocketBind {
            host: Path::new("/data/run/workload").join(name),
            name: name.to_owned(),
            owned: false,
            variable: None,
        };
        let names = ["workload.sock", "broker.sock"];
        let all: Vec<_> = names.iter().map(|name| socket(name)).collect();
        let said = |sockets: &[SocketBind], isolated, variable: &str| {
            let env = environment(sockets, isolated, Path::new("/bin"));
            let found = env.into_iter().find(|(name, _)| *name == *variable);
            found.map(|(_, value)| value.into_string().unwrap())
        };
        for (variable, name) in [
            ("SPIFFE_ENDPOINT_SOCKET", "workload.sock"),
            ("SPIFFE_BROKER_SOCKET", "broker.sock"),
        ] {
            let inside = said(&all, true, variable).unwrap();
            assert_eq!(inside, format!("unix:///run/chancery/{name}"));
            let outside = said(&all, false, variable).unwrap();
            assert_eq!(outside, format!("unix:///data/run/workload/{name}"));
        }
        // Nobody is told of what was not asked for.
        assert_eq!(said(&all[..1], true, "SPIFFE_BROKER_SOCKET"), None);
    }
}
