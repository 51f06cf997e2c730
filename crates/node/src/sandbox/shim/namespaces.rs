//! The first shim: leaves the host's namespaces and starts pid 1 of the new ones.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Gid, Uid, dup2_stdin, setsid};

use super::{Failure, INNER, SUBCOMMAND, confine, identity, process};
use crate::sandbox::error::Stage;
use crate::sandbox::wire::{Report, send};

/// Starts pid 1 of new namespaces and tells the launcher its number.
pub(super) fn start(channel: &mut UnixStream, user: &str, network: &str) -> Result<Child, Failure> {
    process::prepare(channel)?;
    // The terminal's signals are the launcher's to pass on.
    setsid().map_err(Stage::Start.at("setsid"))?;
    // Opened here: once pid 1 runs it may change the root of the mount namespace, which is this process' too.
    let nothing = File::open("/dev/null").map_err(Stage::Start.at("/dev/null"))?;
    leave(user, network)?;
    set_dumpable(false).map_err(Stage::Start.at("dumpable"))?;
    let theirs = channel
        .try_clone()
        .map_err(Stage::Start.at("the channel"))?;
    let init = Command::new("/proc/self/exe")
        .args([SUBCOMMAND, INNER])
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(Stage::Start.at("pid 1"))?;
    let pid = i32::try_from(init.id()).map_err(Stage::Start.at("pid 1"))?;
    send(channel, &Report::Namespaces { init: pid }).map_err(Stage::Start.at("the channel"))?;
    dup2_stdin(&nothing).map_err(Stage::Start.at("/dev/null"))?;
    Ok(init)
}

/// Ends as pid 1 ended. The caller has closed its end of the channel, so that pid 1 has the only
/// one.
pub(super) fn wait(mut init: Child) -> ExitCode {
    let status = init.wait().ok();
    if status.is_some_and(|status| status.signal().is_some()) {
        // The launcher is to see a kill, not a code that the command could have chosen.
        let _ = raise(Signal::SIGKILL);
    }
    status
        .and_then(|status| status.code())
        .and_then(|code| u8::try_from(code).ok())
        .map_or_else(super::refused, ExitCode::from)
}

/// As root, the namespaces stay the host's root's, so that the command owns none of them; its
/// user gets a namespace of its own at the end. Otherwise all of them belong to a new user
/// namespace, the only place where we may make them.
fn leave(user: &str, network: &str) -> Result<(), Failure> {
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    match network {
        "none" => flags |= CloneFlags::CLONE_NEWNET,
        "host" => {}
        _ => return Err(Stage::Start.failed("network is none or host")),
    }
    let (uid, gid) = (Uid::effective(), Gid::effective());
    match (user, uid.is_root()) {
        ("range", true) => unshare(flags).map_err(Stage::Namespaces.at("unshare")),
        ("own", false) => {
            unshare(flags | CloneFlags::CLONE_NEWUSER).map_err(Stage::Namespaces.at("unshare"))?;
            identity::map(uid, gid)?;
            confine::hand_down_capabilities()
        }
        _ => Err(Stage::Start.failed("the user changed on the way")),
    }
}
