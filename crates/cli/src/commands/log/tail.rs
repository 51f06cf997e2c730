//! `chancery log tail`.

use std::io;
use std::time::Duration;

use chancery_journal::Reader;

use super::{Stop, lines};

/// How often the checkpoint is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// Prints what a checkpoint newly covers, until it is stopped or nobody reads.
pub(super) async fn run(
    reader: &Reader,
    from: Option<u64>,
    count: Option<u64>,
) -> anyhow::Result<()> {
    let mut stop = Stop::new()?;
    let mut next = match from {
        Some(from) => from,
        None => reader.size()?,
    };
    let end = count.map_or(u64::MAX, |count| next.saturating_add(count));
    loop {
        let size = reader.size()?.min(end);
        // Read beside the runtime: a log may be long, and disks are slow.
        let entries = reader.entries(next.min(size)..size)?;
        let more = tokio::task::spawn_blocking(move || -> anyhow::Result<bool> {
            let mut out = io::stdout().lock();
            for entry in entries {
                let (index, bytes) = entry?;
                if !lines::write(&mut out, &lines::line(index, &bytes, None)?)? {
                    return Ok(false);
                }
            }
            lines::flush(&mut out)
        });
        if !more.await?? || size == end {
            return Ok(());
        }
        next = next.max(size);
        tokio::select! {
            () = stop.asked() => return Ok(()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
