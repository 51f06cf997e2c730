//! Ten thousand instances on one server and one node: what their streams are sent when a thousand more
//! come, how many SVIDs a second the node hands out when all of them are new, and what it takes to keep
//! them.

use std::time::{Duration, Instant};

use super::agent;
use super::deployment::Deployment;
use super::fleet::Fleet;
use super::floors::{Arithmetic, keys_and_signatures, sync};
use super::usage::Usage;
use super::workload::{Command, Event};
use crate::options::Options;
use crate::report::{Report, Row, Section, time};
use crate::sample::Series;

/// How many identities each process has.
const EACH: usize = 10;

/// As the server's default is.
const LIFETIME_SECONDS: u64 = 600;
/// A short life, so that there is much to renew.
const SHORT_SECONDS: u64 = 30;

/// How long is watched what they take.
const WATCHED: Duration = Duration::from_secs(15);

/// SVIDs a second that are to be reached.
const GOAL: f64 = 5_000.0;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut section = Section::new("instances on one server and one node");
        Instances::start(options)
            .await?
            .measure(options, &mut section)
            .await?;
        report.push(section);
        anyhow::Ok(())
    })
}

struct Instances {
    deployment: Deployment,
    fleet: Fleet,
}

impl Instances {
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let deployment = Deployment::start(options, EACH, LIFETIME_SECONDS).await?;
        let processes = options.live().div_ceil(EACH);
        let mut fleet = Fleet::start(deployment.sockets(), processes)?;
        fleet.register_all(&agent(0)).await?;
        fleet.open_all(1).await?;
        Ok(Self { deployment, fleet })
    }

    async fn measure(mut self, options: &Options, section: &mut Section) -> anyhow::Result<()> {
        self.spawn(section).await?;
        self.fleet.tell_all(&Command::Close).await?;
        let begun = Instant::now();
        for number in 2..EACH {
            self.fleet.register_all(&agent(number)).await?;
        }
        let opened = (EACH - 2) * self.fleet.len();
        section.remark(format!(
            "{opened} more registered in {}: {:.0} a second",
            time(begun.elapsed().as_nanos() as f64),
            opened as f64 / begun.elapsed().as_secs_f64()
        ));
        let arithmetic = Arithmetic::measure()?;
        let mut rates = Vec::new();
        for _ in 0..options.rounds(3).max(2) {
            rates.push(self.burst(section).await?);
        }
        self.rates(options, section, &rates, arithmetic)?;
        self.live(section, "idle").await?;
        self.deployment.restart_server(SHORT_SECONDS).await?;
        self.fleet.tell_all(&Command::Close).await?;
        self.deployment.restart_node().await?;
        self.fleet.open_all(EACH).await?;
        self.live(section, "renewed after fifteen seconds").await
    }

    /// A thousand more, each on a stream of its own that is open.
    async fn spawn(&mut self, section: &mut Section) -> anyhow::Result<()> {
        let count = self.fleet.len();
        while self.fleet.told().is_some() {}
        let begun = Instant::now();
        self.fleet.tell_all(&Command::Register(agent(1))).await?;
        let (mut missing, mut messages, mut bytes) = (count, vec![0; count], 0);
        self.fleet
            .until(|number, event| {
                if let (Event::Received(received), Some(one)) = (event, messages.get_mut(number)) {
                    *one += 1;
                    bytes += received.bytes;
                    missing -= usize::from(received.came.len() == 1);
                }
                missing == 0
            })
            .await?;
        let took = begun.elapsed();
        // Whatever else is on its way arrives meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
        while let Some((number, event)) = self.fleet.told() {
            if let (Event::Received(received), Some(one)) = (event, messages.get_mut(number)) {
                *one += 1;
                bytes += received.bytes;
            }
        }
        let most = messages.iter().max().copied().unwrap_or_default();
        section.remark(format!(
            "{count} instances spawned on {count} open streams in {}: {} messages, {most} at most on one \
             stream, {} bytes each",
            time(took.as_nanos() as f64),
            messages.iter().sum::<usize>(),
            bytes / messages.iter().sum::<usize>().max(1),
        ));
        Ok(())
    }

    /// The node begins anew, and all ask at once; SVIDs a second, and the processor time that each took.
    async fn burst(&mut self, section: &mut Section) -> anyhow::Result<Burst> {
        self.fleet.tell_all(&Command::Close).await?;
        self.deployment.restart_node().await?;
        // What was told before.
        while self.fleet.told().is_some() {}
        let raw = keys_and_signatures()?;
        let before = self.usages()?;
        let (begun, last) = self.fleet.open_all(EACH).await?;
        let after = self.usages()?;
        let svids = (self.fleet.len() * EACH) as f64;
        let cpu = after
            .iter()
            .zip(&before)
            .map(|((name, after), (_, before))| {
                let used = after.cpu.saturating_sub(before.cpu);
                (*name, used.as_nanos() as f64 / svids)
            });
        let cpu: Vec<_> = cpu.collect();
        let rate = svids * 1e9 / (last - begun) as f64;
        let shares = cpu
            .iter()
            .map(|(name, each)| format!("{name} {}", time(*each)));
        let shares: Vec<_> = shares.collect();
        section.remark(format!(
            "{svids} fresh SVIDs: {rate:.0} a second; {raw:.0} keys and signatures; processor time of each: {}",
            shares.join(", ")
        ));
        Ok(Burst { rate, raw, cpu })
    }

    fn rates(
        &self,
        options: &Options,
        section: &mut Section,
        bursts: &[Burst],
        arithmetic: Arithmetic,
    ) -> anyhow::Result<()> {
        let each = |rate: fn(&Burst) -> f64| {
            Series::new(bursts.iter().map(|burst| 1e9 / rate(burst)).collect())
        };
        let spent = |burst: &Burst| burst.cpu.iter().map(|(_, each)| each).sum::<f64>();
        let spent = Series::new(bursts.iter().map(spent).collect());
        let Arithmetic {
            key,
            signature,
            verification,
        } = arithmetic;
        let rounds = |one: f64| Series::new(vec![one; bursts.len()]);
        // Of as many as these one signature of sixteen is verified.
        let floor = rounds(key + signature);
        section.row(Row::beside(
            "one fresh SVID over the socket, by the clock",
            &each(|burst| burst.rate),
            "a key and a signature, by the clock",
            &each(|burst| burst.raw),
        ));
        section.row(Row::beside(
            "its processor time, the workload's included",
            &spent,
            "a key, a signature",
            &floor,
        ));
        section.row(Row::alone(
            "a synced write",
            &Series::new(vec![sync(options)?]),
        ));
        section.row(Row::alone("making a key, one core", &rounds(key)));
        section.row(Row::alone("signing, one core", &rounds(signature)));
        section.row(Row::alone("verifying, one core", &rounds(verification)));
        let best = bursts.iter().map(|burst| burst.rate).fold(0.0, f64::max);
        section.remark(format!(
            "the goal is {GOAL:.0} a second; the best of these is {best:.0}"
        ));
        Ok(())
    }

    /// What all of them take while nobody asks for anything.
    async fn live(&mut self, section: &mut Section, how: &str) -> anyhow::Result<()> {
        while self.fleet.told().is_some() {}
        let (before, begun) = (self.usages()?, Instant::now());
        tokio::time::sleep(WATCHED).await;
        let seconds = begun.elapsed().as_secs_f64();
        let (mut messages, mut fresh) = (0, 0);
        while let Some((_, event)) = self.fleet.told() {
            if let Event::Received(received) = event {
                messages += 1;
                fresh += received.fresh;
            }
        }
        let after = self.usages()?;
        let parts = after
            .iter()
            .zip(&before)
            .map(|((name, after), (_, before))| {
                let used = after.cpu.saturating_sub(before.cpu).as_secs_f64();
                format!(
                    "{name} {} MiB and {:.1} % of a core",
                    after.resident / 1_024,
                    100.0 * used / seconds
                )
            });
        let parts: Vec<_> = parts.collect();
        section.remark(format!(
            "{} live instances, {how}: {:.0} SVIDs in {:.0} messages a second; {}",
            self.fleet.len() * EACH,
            f64::from(u32::try_from(fresh).unwrap_or(u32::MAX)) / seconds,
            f64::from(messages) / seconds,
            parts.join("; ")
        ));
        Ok(())
    }

    fn usages(&self) -> anyhow::Result<Vec<(&'static str, Usage)>> {
        let mut all = self.deployment.usage()?.to_vec();
        all.push(("workloads", self.fleet.usage()?));
        Ok(all)
    }
}

struct Burst {
    rate: f64,
    raw: f64,
    cpu: Vec<(&'static str, f64)>,
}
