//! Appends over the network: a recorder in this process, its producer in a process of its own, mutual
//! TLS on loopback between them; beside bare syncs of as many bytes and bare hashing.

mod client;
mod served;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::appends::Floor;
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Latencies, Series};
use crate::throughput::hashing;

pub(crate) use client::run as run_client;
pub(crate) use served::Served;

/// The name that the client is started under.
pub(crate) const CLIENT: &str = "network-client";

/// The content of an entry.
const CONTENT: usize = 1_024;
const OUTSTANDING: [usize; 6] = [1, 4, 16, 64, 256, 1_024];

/// Over which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Over {
    Tls,
    Socket,
}

/// What a client is told, one a line.
#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    over: Over,
    outstanding: usize,
    millis: u64,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
struct Took {
    /// Nanoseconds until an entry was acknowledged.
    p50: f64,
    p99: f64,
    /// Nanoseconds of the whole for each entry.
    each: f64,
    count: u64,
    /// Nanoseconds of processor time of the client for each entry.
    processor: f64,
}

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let served = runtime.block_on(Served::start(folder.path()))?;
    let mut client = Client::start(&served)?;
    let mut floor = Floor::new(&folder.path().join("floor"))?;
    let hash = hashing(options)?;
    let mut section = Section::new("appends over the network");
    section.row(Row::alone(
        format!("SHA-256 of a leaf of {CONTENT} bytes"),
        &hash,
    ));
    let millis = if options.is_quick() { 500 } else { 2_000 };
    let subjects = OUTSTANDING.map(|outstanding| (Over::Tls, outstanding));
    let sockets = [1, 1_024].map(|outstanding| (Over::Socket, outstanding));
    for (over, outstanding) in subjects.into_iter().chain(sockets) {
        let turn = Turn {
            over,
            outstanding,
            millis,
        };
        let mut bare = Latencies::default();
        let (mut p50, mut p99, mut each) = (Vec::new(), Vec::new(), Vec::new());
        let (mut there, mut here) = (Vec::new(), Vec::new());
        // As its entry has: the content in base64url, and the envelope.
        let entry = CONTENT.div_ceil(3) * 4 + 130;
        let bytes = (outstanding * (entry + 2) + 24).next_multiple_of(4_096);
        for _ in 0..options.rounds(5) {
            bare.push(&floor.syncs(bytes)?);
            let before = processor()?;
            let took = client.turn(&turn)?;
            let spent = processor()?.saturating_sub(before);
            here.push(spent.as_nanos() as f64 / took.count as f64);
            there.push(took.processor);
            p50.push(took.p50);
            p99.push(took.p99);
            each.push(took.each);
        }
        let [p50, p99, each, there, here] = [p50, p99, each, there, here].map(Series::new);
        let name = match over {
            Over::Tls => format!("{outstanding} outstanding"),
            Over::Socket => format!("{outstanding} outstanding, owner's socket"),
        };
        let floor_name = format!("fdatasync, {bytes} bytes");
        for (time, at, label) in [(&p50, 0.5, "p50"), (&p99, 0.99, "p99")] {
            section.row(Row::beside(
                format!("{name}, {label}"),
                time,
                format!("{floor_name}, {label}"),
                &bare.at(at),
            ));
        }
        section.row(Row::beside(
            format!("{name}, time per entry"),
            &each,
            format!("{floor_name}, per entry"),
            &bare.at(0.5).times(1.0 / outstanding as f64),
        ));
        section.remark(format!(
            "{name}: {:.0} appends/s, p50 {:.2} ms, p99 {:.2} ms; processor time of an entry: log {:.1} us, producer {:.1} us",
            1e9 / each.median(),
            p50.median() / 1e6,
            p99.median() / 1e6,
            here.median() / 1e3,
            there.median() / 1e3
        ));
    }
    section.remark(format!(
        "contents of {CONTENT} bytes in entries of about {}, over one connection, TLS 1.3 by X.509-SVIDs on 127.0.0.1; tiles and a signed checkpoint every second meanwhile; {} entries in all",
        CONTENT.div_ceil(3) * 4 + 130,
        served.recorder.journal().size()
    ));
    client.end()?;
    report.push(section);
    Ok(())
}

/// Processor time of this process.
fn processor() -> anyhow::Result<Duration> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(Duration::from(time))
}

/// The producer's process.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn start(served: &Served) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CLIENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        writeln!(input, "{}", serde_json::to_string(&served.place)?)?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn turn(&mut self, turn: &Turn) -> anyhow::Result<Took> {
        writeln!(self.input, "{}", serde_json::to_string(turn)?)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("the producer ended")
    }

    fn end(mut self) -> anyhow::Result<()> {
        drop(self.input);
        anyhow::ensure!(self.child.wait()?.success(), "the producer failed");
        Ok(())
    }
}
