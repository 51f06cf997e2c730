//! How long it takes from a grant to the SVID on an open stream, and from a revocation to the message
//! without it.
//!
//! A grant makes a process whose stream is open an instance of one more agent: what a new registration
//! entry is elsewhere. It is asked for at a fixed rate, whatever becomes of those before, and counted from
//! the moment at which it was due.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::server::Revoke;
use chancery_delegation::Revocable;
use chancery_types::RevocationKind;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::deployment::Deployment;
use super::fleet::Fleet;
use super::workload::{Command, Event};
use super::{agent, floors, monotonic};
use crate::options::Options;
use crate::report::{Report, Row, Section, time};
use crate::sample::{Series, quantile};

/// How many processes have a stream open.
const PROCESSES: usize = 100;

/// How many in a second, and for how many seconds.
const RATES: [(usize, usize); 3] = [(1, 30), (10, 15), (100, 10)];

/// As the server's default is.
const LIFETIME_SECONDS: u64 = 600;

/// What is to be reached, in milliseconds.
const GOAL: u64 = 50;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let section = Delays::start(options).await?.measure(options).await?;
        report.push(section);
        anyhow::Ok(())
    })
}

/// A deployment with open streams.
struct Delays {
    deployment: Deployment,
    fleet: Fleet,
    /// How many agents each process is an instance of, or was.
    agents: Vec<usize>,
    /// How many messages the streams were sent.
    messages: usize,
}

impl Delays {
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let grants: usize = RATES.iter().map(|(rate, seconds)| rate * seconds).sum();
        let most = 1 + grants.div_ceil(PROCESSES) + RATES.len();
        let deployment = Deployment::start(options, most, LIFETIME_SECONDS).await?;
        let mut fleet = Fleet::start(deployment.sockets(), PROCESSES)?;
        fleet.register_all(&agent(0)).await?;
        fleet.open_all(1).await?;
        Ok(Self {
            deployment,
            fleet,
            agents: vec![1; PROCESSES],
            messages: 0,
        })
    }

    async fn measure(mut self, options: &Options) -> anyhow::Result<Section> {
        let mut section = Section::new("grant and revocation on open streams");
        let floor = floors::sync(options)?;
        let floor = Series::new(vec![floor]);
        let (mut changes, mut worst) = (0, Vec::new());
        for (rate, seconds) in RATES {
            let count = (rate * options.rounds(seconds)).max(5);
            let (granted, ids) = self.grants(rate, count).await?;
            let revoked = self.revocations(rate, &ids).await?;
            changes += 2 * count;
            for (what, times) in [("grant to SVID", granted), ("revoke to redaction", revoked)] {
                for (at, label) in [(0.5, "p50"), (0.99, "p99")] {
                    section.row(Row::beside(
                        format!("{what}, {rate} a second, {label}"),
                        &Series::new(vec![quantile(&times, at)]),
                        "one synced write, p50",
                        &floor,
                    ));
                }
                worst.push((rate, what, quantile(&times, 0.99)));
                section.remark(format!(
                    "{what}, {rate} a second: {count} of them, most {}",
                    time(quantile(&times, 1.0))
                ));
            }
        }
        let goal = Duration::from_millis(GOAL).as_nanos() as f64;
        let over: Vec<_> = worst.iter().filter(|(_, _, p99)| *p99 > goal).collect();
        section.remark(match over.is_empty() {
            true => format!("p99 is within {GOAL} ms everywhere"),
            false => format!("p99 is above {GOAL} ms: {over:?}"),
        });
        section.remark(format!(
            "{} messages on {PROCESSES} streams, for {changes} changes, each to one of them",
            self.messages
        ));
        section.remark(
            "counted from when each was due, by the machine's clock; a grant makes a process whose stream \
             is open an instance of one more agent; signer, server, node and processes are apart",
        );
        Ok(section)
    }

    /// So many grants; their delays in nanoseconds, and which instances there are now.
    async fn grants(
        &mut self,
        rate: usize,
        count: usize,
    ) -> anyhow::Result<(Vec<f64>, Vec<String>)> {
        let pace = Pace::begin(rate);
        let mut due = HashMap::new();
        for number in 0..count {
            let process = number % PROCESSES;
            let place = self.agents.get_mut(process).context("no such process")?;
            let name = agent(*place);
            *place += 1;
            due.insert((process, name.clone()), pace.due(number));
            pace.wait(number).await;
            self.fleet.tell(process, &Command::Register(name)).await?;
        }
        let (mut delays, mut ids) = (Vec::new(), Vec::new());
        let messages = &mut self.messages;
        self.fleet
            .until(|process, event| {
                let Event::Received(received) = event else {
                    return false;
                };
                *messages += 1;
                for id in &received.came {
                    let name = id.split("/instance/").next().unwrap_or_default();
                    if let Some(due) = due.remove(&(process, name.to_owned())) {
                        delays.push(received.at.saturating_sub(due) as f64);
                        ids.push(id.clone());
                    }
                }
                due.is_empty()
            })
            .await?;
        Ok((delays, ids))
    }

    /// Revokes these instances; the delays until the streams have messages without them.
    async fn revocations(&mut self, rate: usize, ids: &[String]) -> anyhow::Result<Vec<f64>> {
        let pace = Pace::begin(rate);
        let (mut due, mut asked) = (HashMap::new(), JoinSet::new());
        for (number, id) in ids.iter().enumerate() {
            due.insert(id.clone(), pace.due(number));
            pace.wait(number).await;
            let request = Revoke {
                what: Revocable::new(RevocationKind::Instance, id)?,
                reason: "measured".to_owned(),
            };
            let client = self.deployment.client.clone();
            asked.spawn(async move { client.revoke(&request).await });
        }
        let mut delays = Vec::new();
        let messages = &mut self.messages;
        self.fleet
            .until(|_, event| {
                let Event::Received(received) = event else {
                    return false;
                };
                *messages += 1;
                for id in &received.went {
                    if let Some(due) = due.remove(id) {
                        delays.push(received.at.saturating_sub(due) as f64);
                    }
                }
                due.is_empty()
            })
            .await?;
        while let Some(done) = asked.join_next().await {
            done??;
        }
        Ok(delays)
    }
}

/// A fixed rate.
struct Pace {
    begun: Instant,
    monotonic: u64,
    step: Duration,
}

impl Pace {
    fn begin(rate: usize) -> Self {
        let step = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX);
        Self {
            begun: Instant::now(),
            monotonic: monotonic(),
            step,
        }
    }

    fn after(&self, number: usize) -> Duration {
        self.step * u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// When the numbered one is due, by the monotonic clock.
    fn due(&self, number: usize) -> u64 {
        let after = self.after(number).as_nanos();
        self.monotonic + u64::try_from(after).unwrap_or(u64::MAX)
    }

    async fn wait(&self, number: usize) {
        sleep_until(self.begun + self.after(number)).await;
    }
}
