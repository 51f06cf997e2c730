//! The attacker: this very test program, started by `chancery run`.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::attacks::{
    attempts, bridge, commands, direct, files, identity, network, processes, sockets,
};
use crate::orders::{Attempt, Orders, Outcome, Told};

/// Where the bridge is.
const BRIDGE: &str = "CHANCERY_BRIDGE";

const WORKLOAD: &str = "/run/chancery/workload.sock";
const PROGRAM: &str = "/opt/chancery/bin/chancery";

/// The program. Does nothing outside of a sandbox.
pub(crate) fn program() {
    let Some(bridge) = std::env::var_os(BRIDGE).map(PathBuf::from) else {
        return;
    };
    tell_all(inherited());
    let mut lines = std::io::stdin().lock().lines();
    let orders: Orders = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    // First, while no process of the sandbox can have the number of one outside.
    tell_all(processes::all(&orders));
    tell_all(processes::visible());
    tell_all(files::all(&orders));
    tell_all(files::searches(&orders));
    tell_all(sockets::all(&orders));
    tell_all(commands::all(&orders, Path::new(PROGRAM)));
    tell_all(commands::with_an_own_folder(&orders, Path::new(PROGRAM)));
    tell_all(bridge::all(&orders, &bridge));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let workload = Path::new(WORKLOAD);
    tell_all(runtime.block_on(identity::all(workload, &orders)));
    tell_all(runtime.block_on(sockets::operator_on(workload)));
    if orders.has_network {
        runtime.block_on(around_the_bridge(&orders, &bridge, || {
            tell(&Told::WantsProof);
            let line = lines.next().unwrap().unwrap();
            serde_json::from_str(&line).unwrap()
        }));
    } else {
        tell_all(network::all(&orders));
        tell_all(bridge::spawns(&orders, &bridge));
        tell_all(processes::scripted(&orders));
    }
    tell(&Told::Done);
    // The test lets go when it has seen enough.
    for _ in lines.map_while(Result::ok) {}
}

async fn around_the_bridge(
    orders: &Orders,
    bridge: &Path,
    captured: impl FnOnce() -> (String, Value),
) {
    let workload = Path::new(WORKLOAD);
    tell_all(direct::handshakes(orders, workload).await);
    let own = bridge::own_chain(bridge);
    let direct = direct::Direct::new(orders, workload).await;
    tell_all(direct.with_others_authority(orders, &own).await);
    let (proof, arguments) = captured();
    tell_all(direct.replayed(&own, &proof, &arguments).await);
}

/// What this program was started with besides its three streams.
fn inherited() -> Vec<Attempt> {
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let found: Vec<_> = numbers
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str().unwrap().parse::<u32>().unwrap() > 2
        })
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        // The folder that is read.
        .filter(|target| !target.ends_with("fd"))
        .map(|target| target.display().to_string())
        .collect();
    let outcome = match found.is_empty() {
        true => Outcome::Refused("none".to_owned()),
        false => Outcome::Succeeded(found.join(", ")),
    };
    attempts(
        "inherit a descriptor",
        [("/proc/self/fd".to_owned(), outcome)],
    )
}

fn tell_all(attempts: Vec<Attempt>) {
    for attempt in attempts {
        tell(&Told::Attempt(attempt));
    }
}

fn tell(told: &Told) {
    let line = serde_json::to_string(told).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .unwrap();
}
