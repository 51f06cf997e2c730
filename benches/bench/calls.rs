//! A whole call through the gateway beside the same call by the tool server's own stdin.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chancery_journal::Journal;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::agent::Connection;
use crate::appends::{appends, journal};
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Latencies, Series};
use crate::world::{Direct, Governed, Prepared};

/// A folder whose files need no disk.
const MEMORY: &str = "/dev/shm";
/// Of one subject in one round, by all callers together.
const CALLS: usize = 160;
const AT_ONCE: [usize; 2] = [1, 8];

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let subjects = Subjects::start(options).await?;
        for at_once in AT_ONCE {
            report.push(subjects.measure(options.rounds(25), at_once).await?);
        }
        anyhow::Ok(())
    })
}

/// A gateway whose files are on the disk, one whose files are in memory, the tool server, and a
/// journal beside the first.
struct Subjects {
    disk: Arc<Governed>,
    memory: Option<Arc<Governed>>,
    direct: Arc<Direct>,
    journal: Arc<Journal>,
    /// Beside the first one's objects.
    objects: PathBuf,
    _folders: Vec<TempDir>,
}

#[derive(Default)]
struct Times {
    direct: Latencies,
    disk: Latencies,
    memory: Latencies,
    append: Latencies,
    objects: Latencies,
    proof: Latencies,
}

impl Subjects {
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir_in(&options.folder)?;
        let disk = Arc::new(Governed::start(folder.path()).await?);
        let beside = folder.path().join("beside");
        let objects = beside.join("objects");
        fs::create_dir_all(&objects)?;
        let journal = tokio::task::spawn_blocking(move || journal(&beside)).await??;
        let mut folders = vec![folder];
        let memory = if Path::new(MEMORY).is_dir() {
            let folder = tempfile::tempdir_in(MEMORY)?;
            let governed = Governed::start(folder.path()).await?;
            folders.push(folder);
            Some(Arc::new(governed))
        } else {
            None
        };
        Ok(Self {
            disk,
            memory,
            direct: Arc::new(Direct::start().await?),
            journal: Arc::new(journal),
            objects,
            _folders: folders,
        })
    }

    async fn measure(&self, rounds: usize, at_once: usize) -> anyhow::Result<Section> {
        let mut disk = connections(&self.disk, at_once).await?;
        let mut memory = match &self.memory {
            Some(governed) => connections(governed, at_once).await?,
            None => Vec::new(),
        };
        let mut times = Times::default();
        for round in 0..=rounds {
            let direct = self.direct(at_once).await?;
            let governed = governed(&self.disk, &mut disk).await?;
            let in_memory = match &self.memory {
                Some(gateway) => self::governed(gateway, &mut memory).await?,
                None => Vec::new(),
            };
            let (append, _) = appends(&self.journal, at_once).await?;
            let objects =
                repeated(|number| store(&self.objects, &format!("{at_once}-{round}-{number}")))?;
            let proof = repeated(|_| self.disk.prove(&Prepared::next()).map(drop))?;
            // The first one warms up.
            if round > 0 {
                times.direct.push(&direct);
                times.disk.push(&governed);
                times.memory.push(&in_memory);
                times.append.push(&append);
                times.objects.push(&objects);
                times.proof.push(&proof);
            }
        }
        Ok(self.section(at_once, &times))
    }

    fn section(&self, at_once: usize, times: &Times) -> Section {
        let mut section = Section::new(match at_once {
            1 => "whole calls, one at a time",
            _ => "whole calls, eight at once",
        });
        for (name, at) in [("p50", 0.5), ("p99", 0.99)] {
            let direct = times.direct.at(at);
            let floor = format!("direct, {name}");
            section.row(Row::alone(format!("direct stdio call, {name}"), &direct));
            let row = |what: &str, time: &Latencies| {
                Row::beside(format!("{what}, {name}"), &time.at(at), &floor, &direct)
            };
            section.row(row("governed call", &times.disk));
            if self.memory.is_some() {
                section.row(row("governed call, files in memory", &times.memory));
            }
        }
        let append = times.append.at(0.5);
        section.row(Row::alone("append beside the gateway's log, p50", &append));
        let objects = times.objects.at(0.5);
        section.row(Row::alone("two files as objects are stored, p50", &objects));
        section.row(Row::alone(
            "proof made by the agent, p50",
            &times.proof.at(0.5),
        ));
        let direct = times.direct.at(0.5);
        let added = times.disk.at(0.5).with(&direct, |time, floor| time - floor);
        let share = |what: &str, part: &Series| {
            let share = part.with(&added, |part, added| 100.0 * part / added);
            let [middle, least, most] = [share.median(), share.min(), share.max()];
            format!("{what}: {middle:.0} % of the added time [{least:.0} .. {most:.0}]")
        };
        section.remark(share(
            "two appends, of decision and outcome",
            &append.times(2.0),
        ));
        section.remark(share("two objects, of proof and arguments", &objects));
        if self.memory.is_some() {
            let memory = times.memory.at(0.5);
            let durable = times
                .disk
                .at(0.5)
                .with(&memory, |disk, memory| disk - memory);
            section.remark(share("everything that waits for the disk", &durable));
        }
        let rate = |times: &Series| at_once as f64 * 1e9 / times.median();
        section.remark(format!(
            "about {:.0} governed calls a second",
            rate(&times.disk.at(0.5))
        ));
        section.remark("the agent's proof is made within the call; signer, server, gateway and callers share one process");
        section
    }

    async fn direct(&self, at_once: usize) -> anyhow::Result<Vec<Duration>> {
        let mut tasks = JoinSet::new();
        for _ in 0..at_once {
            let direct = Arc::clone(&self.direct);
            tasks.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..CALLS / at_once {
                    let begin = Instant::now();
                    direct.call().await?;
                    times.push(begin.elapsed());
                }
                anyhow::Ok(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = tasks.join_next().await {
            times.extend(done??);
        }
        Ok(times)
    }
}

/// The times of what one caller does, one after the other.
fn repeated(
    mut operation: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..CALLS / 4 {
        let begin = Instant::now();
        operation(number)?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

/// The steps by which a gateway stores the two objects that every call brings.
fn store(folder: &Path, name: &str) -> anyhow::Result<()> {
    for (kind, bytes) in [("proof", 506), ("arguments", 40)] {
        let path = folder.join(format!("{name}-{kind}"));
        let next = path.with_extension("next");
        let mut file = File::create_new(&next)?;
        file.write_all(&vec![b'x'; bytes])?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
    }
    Ok(File::open(folder)?.sync_all()?)
}

async fn connections(governed: &Governed, count: usize) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(governed.connect().await?);
    }
    Ok(connections)
}

/// Calls on all connections at once; gives the connections back.
async fn governed(
    gateway: &Arc<Governed>,
    connections: &mut Vec<Connection>,
) -> anyhow::Result<Vec<Duration>> {
    let each = CALLS / connections.len().max(1);
    let mut tasks = JoinSet::new();
    for mut connection in connections.drain(..) {
        let gateway = Arc::clone(gateway);
        tasks.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..each {
                let begin = Instant::now();
                gateway
                    .call(&mut connection)
                    .await
                    .context("a governed call")?;
                times.push(begin.elapsed());
            }
            anyhow::Ok((connection, times))
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (connection, more) = done??;
        connections.push(connection);
        times.extend(more);
    }
    Ok(times)
}
