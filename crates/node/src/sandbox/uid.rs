use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::SandboxError;
use super::error::SpecProblem;

/// The users that commands run as when the launcher is root: one each, so that to the kernel each
/// instance is somebody else even where no namespace stands between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UidRange {
    /// The first user, 1000 or above. No account, container or subordinate range may overlap.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// The folder of the leases, shared by every launcher that shares the range.
    pub leases: PathBuf,
}

impl Default for UidRange {
    /// The upper range that systemd's table of users leaves unassigned.
    fn default() -> Self {
        Self {
            first: 1_879_048_192,
            count: 65_536,
            leases: PathBuf::from("/run/chancery-uids"),
        }
    }
}

/// A user of the range that no other launch has, as long as this lives.
#[derive(Debug)]
pub(super) struct UidLease {
    uid: u32,
    _lock: Flock<File>,
}

impl UidLease {
    /// Takes a user that no launcher holds and no process runs as.
    pub(super) fn take(range: &UidRange) -> Result<Self, SandboxError> {
        let refuse = |problem| SandboxError::Spec {
            field: "uids",
            problem,
        };
        let last = last(range).ok_or_else(|| refuse(SpecProblem::NotUids))?;
        let failed = |path: &Path, source| SandboxError::Path {
            field: "uids",
            path: path.to_owned(),
            source,
        };
        let map = Path::new("/proc/self/uid_map");
        let mapped = std::fs::read_to_string(map).map_err(|source| failed(map, source))?;
        if !has_users(&mapped, range.first, last) {
            return Err(refuse(SpecProblem::NotMapped));
        }
        private_folder(&range.leases).map_err(|source| failed(&range.leases, source))?;
        let start = std::process::id() % range.count;
        for step in 0..range.count {
            let uid = range.first + (start + step) % range.count;
            let path = range.leases.join(uid.to_string());
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(|source| failed(&path, source))?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => {
                    if !has_processes(uid).map_err(|source| failed(Path::new("/proc"), source))? {
                        return Ok(Self { uid, _lock: lock });
                    }
                }
                Err((_, Errno::EWOULDBLOCK)) => {}
                Err((_, errno)) => return Err(failed(&path, errno.into())),
            }
        }
        Err(SandboxError::NoUid {
            first: range.first,
            last,
        })
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }
}

fn last(range: &UidRange) -> Option<u32> {
    let last = range.first.checked_add(range.count.checked_sub(1)?)?;
    let has_nobody = range.first <= 65_535 && last >= 65_534;
    (range.first >= 1000 && !has_nobody && last < u32::MAX - 1).then_some(last)
}

/// Whether one line of a user map, as in user_namespaces(7), holds the whole range.
fn has_users(map: &str, first: u32, last: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(start)), Some(Ok(_)), Some(Ok(count))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        start <= first.into() && u64::from(last) < start.saturating_add(count)
    })
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = path.symlink_metadata()?;
    let private = found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0;
    match private {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not a folder that only root may write",
        )),
    }
}

fn has_processes(uid: u32) -> io::Result<bool> {
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let is_process = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        // A process that ended meanwhile has no metadata, and no user.
        if is_process && entry.metadata().is_ok_and(|found| found.uid() == uid) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u32, count: u32) -> UidRange {
        UidRange {
            first,
            count,
            ..UidRange::default()
        }
    }

    #[test]
    fn ranges_hold_ordinary_users_only() {
        assert_eq!(last(&range(1000, 1)), Some(1000));
        assert_eq!(last(&UidRange::default()), Some(1_879_113_727));
        for (first, count) in [
            (0, 10),
            (999, 2),
            (2000, 0),
            (60_000, 5_535),
            (65_534, 1),
            (65_535, 9),
            (u32::MAX - 3, 3),
            (u32::MAX, 2),
        ] {
            assert_eq!(last(&range(first, count)), None, "{first} {count}");
        }
    }

    #[test]
    fn a_range_must_be_mapped_whole() {
        let map = "         0     100000      65536\n     70000      1000         10\n";
        assert!(has_users(map, 1000, 65_535));
        assert!(has_users(map, 70_000, 70_009));
        assert!(!has_users(map, 65_000, 65_536));
        assert!(!has_users(map, 70_000, 70_010));
        assert!(!has_users("", 1000, 1000));
        assert!(!has_users("0 0", 1000, 1000));
        assert!(has_users("0 0 4294967295", 1_879_048_192, 1_879_113_727));
    }
}
