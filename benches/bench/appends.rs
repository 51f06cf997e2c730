//! Durable appends beside bare syncs of as many bytes in the same folder.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_journal::{Config, Journal, LocalSigner};
use chancery_tlog::Origin;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Latencies, Series};

/// About a decision's entry.
const ENTRY: usize = 1_200;
const PAGE: usize = 4_096;
const SEGMENT: usize = 16 << 20;
const TOGETHER: usize = 16;
/// Of one subject in one round.
const REPEATED: usize = 40;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let journal = Arc::new(journal(folder.path())?);
    let small = (ENTRY + 2 + 24).next_multiple_of(PAGE);
    let large = (TOGETHER * (ENTRY + 2) + 24).next_multiple_of(PAGE);
    let mut floor = Floor::new(&folder.path().join("floor"))?;
    let (mut bare, mut bare_group) = (Latencies::default(), Latencies::default());
    let (mut one, mut sixteen) = (Latencies::default(), Latencies::default());
    let (mut rate_one, mut rate_sixteen) = (Vec::new(), Vec::new());
    for round in 0..=options.rounds(50) {
        let syncs = floor.syncs(small)?;
        let (alone, alone_each) = runtime.block_on(appends(&journal, 1))?;
        let group_syncs = floor.syncs(large)?;
        let (together, together_each) = runtime.block_on(appends(&journal, TOGETHER))?;
        // The first one warms up.
        if round > 0 {
            bare.push(&syncs);
            one.push(&alone);
            bare_group.push(&group_syncs);
            sixteen.push(&together);
            rate_one.push(alone_each);
            rate_sixteen.push(together_each);
        }
    }
    let mut section = Section::new("durable appends");
    let (floor, group_floor) = (bare.at(0.5), bare_group.at(0.5));
    let small_floor = format!("fdatasync, {small} bytes");
    let large_floor = format!("fdatasync, {large} bytes");
    section.row(Row::alone(&small_floor, &floor));
    section.row(Row::alone(format!("{small_floor}, p99"), &bare.at(0.99)));
    section.row(Row::beside(
        "append, 1 producer",
        &one.at(0.5),
        &small_floor,
        &floor,
    ));
    section.row(Row::beside(
        "append, 1 producer, p99",
        &one.at(0.99),
        format!("{small_floor}, p99"),
        &bare.at(0.99),
    ));
    section.row(Row::alone(&large_floor, &group_floor));
    let name = format!("append, {TOGETHER} producers");
    section.row(Row::beside(
        &name,
        &sixteen.at(0.5),
        &large_floor,
        &group_floor,
    ));
    section.row(Row::beside(
        format!("{name}, time per entry"),
        &Series::new(rate_sixteen),
        "1 producer, time per entry",
        &Series::new(rate_one),
    ));
    section.remark(format!(
        "entries of {ENTRY} bytes; with {TOGETHER} producers an entry waits for the group before its own: twice the floor is the least"
    ));
    section.remark(format!(
        "the journal publishes a signed checkpoint every second meanwhile; {} entries in all",
        journal.size()
    ));
    report.push(section);
    Ok(())
}

/// A journal below `folder`, as a gateway has it.
pub(crate) fn journal(folder: &Path) -> anyhow::Result<Journal> {
    let origin: Origin = "acme.example/log/measured".parse()?;
    let signer = LocalSigner::open_or_create(&folder.join("key"), &origin)?;
    let config = Config::new(folder.join("log"), origin);
    Ok(Journal::open(config, Arc::new(signer))?)
}

/// Times of single appends by so many producers at once, and nanoseconds for each entry.
pub(crate) async fn appends(
    journal: &Arc<Journal>,
    producers: usize,
) -> anyhow::Result<(Vec<Duration>, f64)> {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..producers {
        let journal = Arc::clone(journal);
        tasks.spawn(async move {
            let mut times = Vec::with_capacity(REPEATED);
            for _ in 0..REPEATED {
                let begin = Instant::now();
                journal.append(vec![b'x'; ENTRY]).await?;
                times.push(begin.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let each = begin.elapsed().as_nanos() as f64 / times.len() as f64;
    Ok((times, each))
}

/// A file that is written as the write-ahead log writes, and by nothing else.
pub(crate) struct Floor {
    file: File,
    at: usize,
}

impl Floor {
    pub(crate) fn new(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        file.write_all_at(&vec![0; SEGMENT], 0)?;
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Times of so many writes of that many bytes, each synced.
    pub(crate) fn syncs(&mut self, bytes: usize) -> anyhow::Result<Vec<Duration>> {
        let page = vec![b'x'; bytes];
        let mut times = Vec::with_capacity(REPEATED);
        for _ in 0..REPEATED {
            if self.at + bytes > SEGMENT {
                self.at = 0;
            }
            let begin = Instant::now();
            self.file.write_all_at(&page, self.at as u64)?;
            self.file.sync_data()?;
            times.push(begin.elapsed());
            self.at += bytes;
        }
        Ok(times)
    }
}
