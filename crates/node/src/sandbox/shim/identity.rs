//! Which user the command is.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::{Failure, process};
use crate::sandbox::error::Stage;
use crate::sandbox::spec::Placement;

/// Maps one user of the host into the user namespace that this process has just made.
pub(super) fn map(uid: Uid, gid: Gid) -> Result<(), Failure> {
    let inside = Placement::UID;
    write("/proc/self/setgroups", "deny").map_err(Stage::Identity.at("setgroups"))?;
    write("/proc/self/uid_map", &format!("{inside} {uid} 1"))
        .map_err(Stage::Identity.at("uid_map"))?;
    write("/proc/self/gid_map", &format!("{inside} {gid} 1")).map_err(Stage::Identity.at("gid_map"))
}

/// From root to a user that nobody else is, alone in a user namespace that owns nothing.
pub(super) fn become_user(number: u32) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(number), Gid::from_raw(number));
    setgroups(&[]).map_err(Stage::Identity.at("setgroups"))?;
    setresgid(gid, gid, gid).map_err(Stage::Identity.at("setresgid"))?;
    setresuid(uid, uid, uid).map_err(Stage::Identity.at("setresuid"))?;
    process::die_with_parent()?;
    // The files of a process that cannot be dumped belong to root, these maps among them.
    set_dumpable(true).map_err(Stage::Identity.at("dumpable"))?;
    unshare(CloneFlags::CLONE_NEWUSER).map_err(Stage::Namespaces.at("unshare user"))?;
    map(uid, gid)?;
    set_dumpable(false).map_err(Stage::Identity.at("dumpable"))
}

/// Forbids making further user namespaces, and with them every other kind, to whoever is in this
/// one: the limit is the namespace's own and takes a capability in it to change.
pub(super) fn forbid_namespaces() -> Result<(), Failure> {
    write("/proc/sys/user/max_user_namespaces", "0").map_err(Stage::Limits.at("user namespaces"))
}

fn write(path: &str, content: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(content.as_bytes())
}
