//! The deployment's processes: the bridge, the neighbour and its bridge, every part of `up`, the
//! tool server.

use std::fs;
use std::io::{self, IoSliceMut};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use serde_json::Value;

use super::attempts;
use super::files::read;
use crate::orders::{Attempt, Orders, Outcome, named};

/// The attempts of the sandbox's own test, which reach further down than this program may: memory,
/// tracing, descriptors, namespaces, mounts, roots, capabilities, devices.
const SCRIPT: &str = include_str!("../../../../node/tests/sandbox/hostile.py");

/// Those that are about two processes that are named.
const ABOUT_PROCESSES: [&str; 8] = [
    "kill_a_neighbour",
    "kill_the_launcher",
    "read_memory_of_a_neighbour",
    "read_memory_of_the_launcher",
    "read_the_launchers_environment",
    "see_the_launcher",
    "trace_a_neighbour",
    "trace_the_launcher",
];

pub(crate) fn all(orders: &Orders) -> Vec<Attempt> {
    let mut made = Vec::new();
    for (name, pid) in &orders.processes {
        let parts = [
            "environ", "cmdline", "status", "maps", "mem", "fd/0", "auxv",
        ];
        for part in parts {
            let outcome = read_part(*pid, part);
            made.extend(attempts(
                &format!("read a process's {part}"),
                [(name.clone(), outcome)],
            ));
        }
        let listed = Outcome::of(fs::read_dir(format!("/proc/{pid}/fd")));
        made.extend(attempts(
            "list a process's descriptors",
            [(name.clone(), listed)],
        ));
        // As a control it is only asked whether the signal could be sent.
        let signal = (!orders.is_control).then_some(Signal::SIGKILL);
        let sent = kill(Pid::from_raw(*pid), signal).map_err(io::Error::from);
        made.extend(attempts(
            "signal a process",
            [(name.clone(), Outcome::of(sent))],
        ));
        made.extend(attempts(
            "read a process's memory",
            [(name.clone(), memory(*pid))],
        ));
    }
    made
}

/// Other processes than the sandbox's first one, this one and what it started.
pub(crate) fn visible() -> Vec<Attempt> {
    let own = std::process::id().to_string();
    let others: Vec<_> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.parse::<u32>().is_ok() && *name != "1" && *name != own)
        .collect();
    let outcome = match others.is_empty() {
        true => Outcome::Refused("only ourselves".to_owned()),
        false => Outcome::Succeeded(others.join(", ")),
    };
    attempts("see other processes", [("/proc".to_owned(), outcome)])
}

/// The attempts of the script: all of them about the first pair, then those about processes.
pub(crate) fn scripted(orders: &Orders) -> Vec<Attempt> {
    let roles: Vec<_> = orders.processes.iter().collect();
    let mut made = Vec::new();
    for (number, pair) in roles.chunks(2).enumerate() {
        let (first, last) = (pair[0], pair[pair.len() - 1]);
        let only = match number {
            0 => String::new(),
            _ => ABOUT_PROCESSES.join(","),
        };
        let target = format!("{}, {}", first.0, last.0);
        for (name, said) in script(orders, *first.1, *last.1, &only) {
            let outcome = match said.strip_prefix("denied: ") {
                Some(why) => Outcome::Refused(why.to_owned()),
                None => Outcome::Succeeded(said),
            };
            made.extend(attempts(
                &format!("script: {name}"),
                [(target.clone(), outcome)],
            ));
        }
    }
    made
}

fn script(orders: &Orders, launcher: i32, neighbour: i32, only: &str) -> Vec<(String, String)> {
    let output = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .env("SECRET", &orders.files[0])
        .env("LAUNCHER", launcher.to_string())
        .env("NEIGHBOUR", neighbour.to_string())
        .env("OTHER_SOCKET", &orders.sockets[0])
        .env("OWN_SOCKETS", "bridge.sock,workload.sock")
        .env("ABSTRACT", &orders.abstract_socket)
        .env("PORT", orders.port.to_string())
        .env("ONLY", only)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let results: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let results = results.as_object().unwrap().iter();
    results
        .map(|(name, said)| (name.clone(), said.as_str().unwrap().to_owned()))
        .collect()
}

fn read_part(pid: i32, part: &str) -> Outcome {
    let path = PathBuf::from(format!("/proc/{pid}/{part}"));
    match part {
        // Reading a descriptor of another could wait for ever; opening it is enough. The first page
        // of a memory is nobody's.
        "fd/0" => Outcome::of(fs::read_link(path)),
        "mem" => Outcome::of(fs::File::open(path)),
        _ => read(&path),
    }
}

/// Reads from an address that may be nobody's: the kernel asks first who asks.
fn memory(pid: i32) -> Outcome {
    let mut bytes = [0; 8];
    let remote = RemoteIoVec {
        base: 0x1000,
        len: bytes.len(),
    };
    let read = process_vm_readv(
        Pid::from_raw(pid),
        &mut [IoSliceMut::new(&mut bytes)],
        &[remote],
    );
    match read {
        Ok(_) | Err(nix::errno::Errno::EFAULT) => Outcome::Succeeded(String::new()),
        Err(error) => Outcome::Refused(named(&error.into())),
    }
}
