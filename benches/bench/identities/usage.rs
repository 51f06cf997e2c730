//! What a process uses, as the kernel counts it.

use std::time::Duration;

use anyhow::Context as _;

/// The processor time and the memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time together: in hundredths of a second, or as exactly as the kernel counts it for
    /// the threads that there are, whichever is more. Many that take little each would add up to nothing.
    pub(crate) cpu: Duration,
    /// Resident memory in KiB.
    pub(crate) resident: u64,
}

impl Usage {
    /// Of a process that runs.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(") ").context("not a stat file")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let ticks = |at: usize| -> anyhow::Result<u64> {
            Ok(fields.get(at).context("a short stat file")?.parse()?)
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = line.unwrap_or("0 kB").trim().trim_end_matches(" kB");
        Ok(Self {
            cpu: Duration::from_millis(10 * (ticks(11)? + ticks(12)?)).max(of_threads(pid)),
            resident: resident.parse()?,
        })
    }
}

/// Nothing where the kernel does not say.
fn of_threads(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let counted = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        counted.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
