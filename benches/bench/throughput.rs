//! How many appends a journal makes durable in a second, with bundles, tiles and a checkpoint
//! every second, beside bare syncs of as many bytes and bare hashing; then what it costs to check
//! such a log.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_crypto::AwsLc;
use chancery_journal::{Config, Journal, LocalSigner};
use chancery_tlog::{LeafHash, LogKeys, Origin};
use tokio::task::JoinSet;

use crate::appends::Floor;
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Latencies, Series, Subject, interleave};

const ENTRY: usize = 1_024;
const OUTSTANDING: [usize; 6] = [1, 4, 16, 64, 256, 1_024];
/// Segments are changed every few tenths of a second, not more often.
const SEGMENT_BYTES: u64 = 64 << 20;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (journal, keys) = journal(folder.path())?;
    let journal = Arc::new(journal);
    let mut floor = Floor::new(&folder.path().join("floor"))?;
    let hash = hashing(options)?;
    let mut section = Section::new("appends in a second");
    let hash_name = format!("SHA-256 of a leaf of {ENTRY} bytes");
    section.row(Row::alone(&hash_name, &hash));
    let turn = Duration::from_millis(if options.is_quick() { 500 } else { 2_000 });
    let rounds = options.rounds(5);
    for outstanding in OUTSTANDING {
        let bytes = (outstanding * (ENTRY + 2) + 24).next_multiple_of(4_096);
        let (mut bare, mut taken) = (Latencies::default(), Latencies::default());
        let mut each = Vec::new();
        for _ in 0..rounds {
            bare.push(&floor.syncs(bytes)?);
            let (times, per_entry) = runtime.block_on(load(&journal, outstanding, turn))?;
            taken.push(&times);
            each.push(per_entry);
        }
        let each = Series::new(each);
        let floor_name = format!("fdatasync, {bytes} bytes");
        let name = format!("{outstanding} outstanding");
        for (at, label) in [(0.5, "p50"), (0.99, "p99")] {
            section.row(Row::beside(
                format!("{name}, {label}"),
                &taken.at(at),
                format!("{floor_name}, {label}"),
                &bare.at(at),
            ));
        }
        let floor_each = bare.at(0.5).times(1.0 / outstanding as f64);
        section.row(Row::beside(
            format!("{name}, time per entry"),
            &each,
            format!("{floor_name}, per entry"),
            &floor_each,
        ));
        section.remark(format!(
            "{name}: {:.0} appends/s, p50 {:.2} ms, p99 {:.2} ms",
            1e9 / each.median(),
            taken.at(0.5).median() / 1e6,
            taken.at(0.99).median() / 1e6
        ));
    }
    section.remark(format!(
        "entries of {ENTRY} bytes, tiles and a signed checkpoint every second meanwhile, producers and journal in one process; {} entries in all",
        journal.size()
    ));
    report.push(section);
    checking(options, &journal, &keys, (&hash_name, &hash), report)
}

/// A journal below `folder` whose segments are large.
pub(crate) fn journal(folder: &Path) -> anyhow::Result<(Journal, LogKeys)> {
    let origin: Origin = "acme.example/log/measured".parse()?;
    let signer = LocalSigner::open_or_create(&folder.join("key"), &origin)?;
    let keys = signer.keys().clone();
    let mut config = Config::new(folder.join("log"), origin);
    config.segment_bytes = SEGMENT_BYTES;
    Ok((Journal::open(config, Arc::new(signer))?, keys))
}

/// Appends of so many producers for a time: how long each took, and nanoseconds for each entry.
async fn load(
    journal: &Arc<Journal>,
    outstanding: usize,
    turn: Duration,
) -> anyhow::Result<(Vec<Duration>, f64)> {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..outstanding {
        let journal = Arc::clone(journal);
        tasks.spawn(async move {
            let mut times = Vec::new();
            while begin.elapsed() < turn {
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

pub(crate) fn hashing(options: &Options) -> anyhow::Result<Series> {
    let entry = vec![b'x'; ENTRY];
    let mut subjects: [Subject<'_>; 1] = [Box::new(|| {
        std::hint::black_box(LeafHash::of(std::hint::black_box(&entry)));
        Ok(())
    })];
    let series = interleave(options.arithmetic(), &mut subjects)?;
    series
        .into_iter()
        .next()
        .ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

/// What an auditor and a relying party need for the log that was written.
fn checking(
    options: &Options,
    journal: &Journal,
    keys: &LogKeys,
    (hash_name, hash): (&str, &Series),
    report: &mut Report,
) -> anyhow::Result<()> {
    let published = journal.publish_blocking()?;
    let size = published.checkpoint.size;
    let reader = journal.reader();
    let mut section = Section::new("checks of that log");
    let mut audits = Vec::new();
    for _ in 0..options.rounds(2) {
        let begin = Instant::now();
        anyhow::ensure!(reader.audit()? == Some(published.checkpoint.clone()));
        audits.push(begin.elapsed().as_nanos() as f64 / size as f64);
    }
    let hash = Series::new(audits.iter().map(|_| hash.median()).collect());
    let audits = Series::new(audits);
    section.row(Row::beside(
        "audit, time per entry",
        &audits,
        hash_name,
        &hash,
    ));
    let proof = reader.proof_file(size / 3)?;
    let entry = reader.read_entry(size / 3)?;
    let mut subjects: [Subject<'_>; 2] = [
        Box::new(|| {
            std::hint::black_box(reader.proof_file(size / 3)?);
            Ok(())
        }),
        Box::new(|| {
            std::hint::black_box(proof.verify(&entry, keys, &AwsLc)?);
            Ok(())
        }),
    ];
    let times = interleave(options.arithmetic(), &mut subjects)?;
    for (name, time) in ["make a proof file", "verify a proof file"]
        .iter()
        .zip(&times)
    {
        section.row(Row::alone(*name, time));
    }
    section.remark(format!(
        "{size} entries of {ENTRY} bytes; an audit recomputes every tile from the bundles: {:.1} s for ten million such entries at this rate",
        audits.median() * 1e7 / 1e9
    ));
    section.remark(format!(
        "the proof file has {} bytes, {} of them the checkpoint with its Ed25519 and ML-DSA-44 signatures",
        proof.to_string().len(),
        proof.checkpoint.len()
    ));
    report.push(section);
    Ok(())
}
