//! The root that the command sees: memory, and binds that can only be read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{chdir, pivot_root};

use super::Failure;
use crate::sandbox::error::Stage;
use crate::sandbox::plan::{Access, Entry};

const OLD: &str = "/old";
const NEW: &str = "/new";
const STAGING: &str = "/tmp";

/// Replaces this mount namespace's root by the entries, an own `/proc`, and nothing else. Memory
/// that can be written belongs to `owner`, a user and group as this process's namespace numbers it.
pub(super) fn build(entries: &[Entry], owner: u32) -> Result<(), Failure> {
    umask(Mode::from_bits_truncate(0o022));
    private().map_err(Stage::Namespaces.at("making mounts private"))?;
    stage().map_err(Stage::Root.at("staging in /tmp"))?;
    for entry in entries {
        add(entry, owner).map_err(Stage::Root.at(entry.inside().display()))?;
    }
    proc().map_err(Stage::Proc.at("/proc"))?;
    enter().map_err(Stage::Root.at("entering the new root"))
}

fn private() -> io::Result<()> {
    Ok(mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?)
}

/// Moves the host's root to `/old` of an empty memory, beside `/new`.
fn stage() -> io::Result<()> {
    memory(STAGING, "size=64k,mode=0700", MsFlags::MS_NOEXEC)?;
    chdir(STAGING)?;
    fs::create_dir("old")?;
    fs::create_dir("new")?;
    pivot_root(".", "old")?;
    chdir("/")?;
    memory(NEW, "size=1m,nr_inodes=4096,mode=0755", MsFlags::empty())
}

fn add(entry: &Entry, owner: u32) -> io::Result<()> {
    let target = at(NEW, entry.inside());
    match entry {
        Entry::Memory {
            inside,
            bytes,
            execute,
        } => {
            folder(&target)?;
            let mode = if inside.starts_with("/work") {
                "0700"
            } else {
                "1777"
            };
            let flags = match execute {
                true => MsFlags::empty(),
                false => MsFlags::MS_NOEXEC,
            };
            let options = format!("size={bytes},nr_inodes=1m,mode={mode},uid={owner},gid={owner}");
            memory(&target, &options, flags)
        }
        Entry::Bind { host, access, .. } => bind(&at(OLD, host), &target, *access),
        Entry::File { content, .. } => {
            parent(&target)?;
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&target)?
                .write_all(content.as_bytes())
        }
        Entry::Link { target: to, .. } => {
            parent(&target)?;
            std::os::unix::fs::symlink(to, &target)
        }
    }
}

fn bind(source: &Path, target: &Path, access: Access) -> io::Result<()> {
    if fs::metadata(source)?.is_dir() {
        folder(target)?;
    } else {
        parent(target)?;
        if !target.try_exists()? {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(target)?;
        }
    }
    mount(
        Some(source),
        target,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )?;
    let added = MsFlags::MS_NOSUID
        | match access {
            Access::Read => MsFlags::MS_NODEV | MsFlags::MS_RDONLY,
            Access::Write => MsFlags::MS_NODEV,
            Access::Device => MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY,
            Access::Socket => MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        };
    for (point, flags) in mounts_under(target)? {
        match restrict(&point, flags | added) {
            // The user cannot reach it now, and will not inside.
            Err(error) if point != target && error.kind() == io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

fn proc() -> io::Result<()> {
    let target = at(NEW, Path::new("/proc"));
    folder(&target)?;
    Ok(mount(
        Some("proc"),
        &target,
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        None::<&str>,
    )?)
}

/// Makes `/new` the root and lets go of everything else.
fn enter() -> io::Result<()> {
    chdir(NEW)?;
    // The old root is stacked on the new one and taken off at once: pivot_root(2), notes.
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    restrict(
        Path::new("/"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RDONLY,
    )
}

fn memory(target: impl AsRef<Path>, options: &str, flags: MsFlags) -> io::Result<()> {
    Ok(mount(
        Some("tmpfs"),
        target.as_ref(),
        Some("tmpfs"),
        flags | MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options),
    )?)
}

fn restrict(target: &Path, flags: MsFlags) -> io::Result<()> {
    Ok(mount(
        None::<&str>,
        target,
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags,
        None::<&str>,
    )?)
}

/// The mounts at and below a path, with the flags that they have: what an owner of the host has
/// set cannot be taken away, and a remount that leaves it out is refused.
fn mounts_under(target: &Path) -> io::Result<Vec<(PathBuf, MsFlags)>> {
    let table = fs::read(Path::new(OLD).join("proc/self/mountinfo"))?;
    let mut found = Vec::new();
    for line in table.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else {
            continue;
        };
        let point = PathBuf::from(std::ffi::OsString::from_vec(unescape(point)));
        if point.starts_with(target) {
            found.push((point, flags(options)));
        }
    }
    Ok(found)
}

fn flags(options: &[u8]) -> MsFlags {
    options
        .split(|byte| *byte == b',')
        .map(|option| match option {
            b"ro" => MsFlags::MS_RDONLY,
            b"nosuid" => MsFlags::MS_NOSUID,
            b"nodev" => MsFlags::MS_NODEV,
            b"noexec" => MsFlags::MS_NOEXEC,
            b"noatime" => MsFlags::MS_NOATIME,
            b"nodiratime" => MsFlags::MS_NODIRATIME,
            b"relatime" => MsFlags::MS_RELATIME,
            _ => MsFlags::empty(),
        })
        .collect()
}

/// Undoes the octal escapes of a mount table: space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    loop {
        match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            [byte, after @ ..] => {
                plain.push(*byte);
                rest = after;
            }
            [] => return plain,
        }
    }
}

fn at(root: &str, path: &Path) -> PathBuf {
    let mut whole = PathBuf::from(root);
    whole.extend(path.components().skip(1));
    whole
}

fn folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_unescaped() {
        assert_eq!(unescape(br"/a\040b\134c\011"), b"/a b\\c\t");
        assert_eq!(unescape(br"/a\9\04"), br"/a\9\04");
        assert_eq!(unescape(b""), b"");
    }

    #[test]
    fn flags_are_kept() {
        let kept = flags(b"ro,nosuid,relatime,unknown");
        assert_eq!(
            kept,
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_RELATIME
        );
    }
}
