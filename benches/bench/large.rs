//! A log of millions of entries: how much memory its writer takes, how long a restart and a full
//! audit take. Measured only when it is named: it takes minutes and nine gigabytes for ten million.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chancery_crypto::AwsLc;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::Series;
use crate::throughput::journal;

const ENTRY: usize = 900;
const OUTSTANDING: u64 = 1_024;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let before = resident()?;
    let (log, keys) = journal(folder.path())?;
    let log = Arc::new(log);
    let watch = Watch::start();
    let begin = Instant::now();
    runtime.block_on(fill(&log, options.entries))?;
    let size = log.publish_blocking()?.checkpoint.size;
    let filled = begin.elapsed();
    let peak = watch.stop()?;
    drop(Arc::into_inner(log).context("the journal is still in use")?);

    let begin = Instant::now();
    let (log, _) = journal(folder.path())?;
    let restarted = begin.elapsed();
    anyhow::ensure!(log.size() == size, "{} entries of {size}", log.size());
    let begin = Instant::now();
    let audited = log.reader().audit()?.context("no checkpoint")?;
    let audit = begin.elapsed();
    anyhow::ensure!(audited.size == size);
    let proof = log.reader().proof_file(size / 2)?;
    proof.verify(&log.read_entry(size / 2)?, &keys, &AwsLc)?;

    let mut section = Section::new("a large log");
    for (name, time) in [
        ("fill", filled),
        ("restart", restarted),
        ("full audit", audit),
    ] {
        let series = Series::new(vec![time.as_nanos() as f64]);
        section.row(Row::alone(name, &series));
    }
    section.remark(format!(
        "{size} entries of {ENTRY} bytes by {OUTSTANDING} producers, {:.0} durable appends/s",
        size as f64 / filled.as_secs_f64()
    ));
    section.remark(format!(
        "resident memory: {} MiB before, {} MiB at most while it was filled",
        before >> 20,
        peak >> 20
    ));
    section.remark(format!(
        "the proof file in the middle has {} bytes",
        proof.to_string().len()
    ));
    report.push(section);
    Ok(())
}

async fn fill(log: &Arc<chancery_journal::Journal>, entries: u64) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for producer in 0..OUTSTANDING {
        let log = Arc::clone(log);
        let share = entries / OUTSTANDING + u64::from(producer < entries % OUTSTANDING);
        tasks.spawn(async move {
            for number in 0..share {
                let mut entry = format!("producer {producer} entry {number} ").into_bytes();
                entry.resize(ENTRY, b'x');
                log.append(entry).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Looks at the resident memory of this process again and again.
struct Watch {
    done: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<u64>>,
}

impl Watch {
    fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let mut most = resident()?;
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                most = most.max(resident()?);
            }
            Ok(most)
        });
        Self { done, thread }
    }

    fn stop(self) -> anyhow::Result<u64> {
        self.done.store(true, Ordering::Relaxed);
        let most = self.thread.join();
        most.map_err(|_| anyhow::anyhow!("the memory was not watched to the end"))?
    }
}

/// Bytes of this process that are in memory.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    let kilobytes: u64 = kilobytes.context("no VmRSS in /proc/self/status")?;
    Ok(kilobytes << 10)
}
