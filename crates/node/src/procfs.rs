//! What `/proc` says about a process. A process id may be reused at any time: callers hold a pidfd
//! and ask whether it is still alive after they have read.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use serde::{Deserialize, Serialize};

/// A pid namespace: device and inode of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PidNamespace {
    device: u64,
    inode: u64,
}

/// From `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: i32,
    /// In clock ticks since the machine started.
    pub(crate) start_time: u64,
}

/// From `/proc/<pid>/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    /// The effective user.
    pub(crate) uid: u32,
    /// The process id in the innermost pid namespace.
    pub(crate) inner_pid: i32,
}

impl PidNamespace {
    /// The namespace of a process.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Self::read(&format!("/proc/{pid}/ns/pid"))
    }

    /// This process's namespace.
    pub(crate) fn own() -> io::Result<Self> {
        Self::read("/proc/self/ns/pid")
    }

    fn read(path: &str) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }

    pub(crate) const fn inode(self) -> u64 {
        self.inode
    }
}

impl Stat {
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat"))?).ok_or_else(malformed)
    }

    /// The name in parentheses is the process's to choose: only what follows the last one counts.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }
}

impl Status {
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/status"))?).ok_or_else(malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        Some(Self {
            uid: line("Uid:")?
                .split_ascii_whitespace()
                .nth(1)?
                .parse()
                .ok()?,
            inner_pid: line("NSpid:")?
                .split_ascii_whitespace()
                .last()?
                .parse()
                .ok()?,
        })
    }
}

/// The process id that a pidfd of this process stands for; `None` when the process is gone or lives
/// in a pid namespace that we cannot see into.
pub(crate) fn pid_of_pidfd(number: i32) -> io::Result<Option<i32>> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid: i32 = pid
        .and_then(|pid| pid.trim().parse().ok())
        .ok_or_else(malformed)?;
    Ok((pid > 0).then_some(pid))
}

/// The present run of the machine: another one after every start.
pub(crate) fn boot_id() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim_end().to_owned())
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "unexpected content in /proc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_cannot_forge_its_parent_by_its_name() {
        let stat = "7 (x) S 1 1) R 42 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(
            Stat::parse(stat),
            Some(Stat {
                parent: 42,
                start_time: 12_345
            })
        );
        assert_eq!(Stat::parse("7 (x"), None);
        assert_eq!(Stat::parse("7 (x) S 1"), None);
    }

    #[test]
    fn reads_status() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nNSpid:\t900\t1\n";
        assert_eq!(
            Status::parse(status),
            Some(Status {
                uid: 2,
                inner_pid: 1
            })
        );
        assert_eq!(Status::parse("Uid:\t1\n"), None);
    }

    #[test]
    fn reads_this_process() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(PidNamespace::of(pid).unwrap(), PidNamespace::own().unwrap());
        assert!(Stat::of(pid).unwrap().start_time > 0);
        assert!(Status::of(pid).unwrap().inner_pid > 0);
    }
}
