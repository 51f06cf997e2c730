//! How long a revocation takes to be in force at three gateways that are at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chancery_api::server::{IssuedRoot, Revoke};
use chancery_delegation::Revocable;
use chancery_identity::trust::GatewayName;
use chancery_types::{Digest, RevocationKind};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::agent::{Agent, Connection, chain_digest};
use crate::options::Options;
use crate::plane::Plane;
use crate::report::{Report, Row, Section, time};
use crate::sample::{Series, quantile};
use crate::world::{Home, Prepared, start_gateway};

/// The gateways beside the first.
const OTHERS: [&str; 2] = ["g2", "g3"];

/// How many connections call at each gateway, with a chain through the middle hop and without.
const CALLERS: usize = 3;

/// How long calls run before and after the revocation.
const BEFORE: Duration = Duration::from_millis(400);
const AFTER: Duration = Duration::from_millis(600);

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let three = Three::start(options).await?;
        let mut rounds = Vec::new();
        for round in 0..=options.rounds(34) {
            let measured = three.round().await?;
            // The first one warms up.
            if round > 0 {
                rounds.push(measured);
            }
        }
        report.push(section(&rounds));
        anyhow::Ok(())
    })
}

/// A control plane and three gateways.
struct Three {
    plane: Plane,
    homes: Vec<Home>,
    _serving: Vec<JoinSet<()>>,
    _folders: [TempDir; 2],
}

/// What one caller saw, by its own clock.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    admitted: usize,
    /// When the last admitted call was asked for and answered.
    last_asked: Option<Instant>,
    last_answered: Option<Instant>,
    first_refused: Option<Instant>,
}

/// One revocation.
struct Round {
    /// From the command to its acknowledgement.
    acknowledged: Duration,
    /// For each gateway: from the acknowledgement to the answer of the last admitted call.
    last_admitted: Vec<Duration>,
    /// For each gateway: from the command to the answer of the last admitted call.
    since_asked: Vec<Duration>,
    /// Calls that were asked for after the acknowledgement and admitted all the same.
    asked_after: usize,
    /// Calls through the middle hop before the revocation, of all gateways.
    load: usize,
    /// Calls of others that were admitted after the first refusal: nobody else is touched.
    others_after: usize,
}

impl Three {
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let folders = [tempfile::tempdir_in(&options.folder)?, tempfile::tempdir()?];
        let [data, sockets] = &folders;
        let mut names = vec![GatewayName::default()];
        for name in OTHERS {
            names.push(name.parse()?);
        }
        let plane = Plane::start(data.path(), sockets.path(), &names).await?;
        let (mut homes, mut serving) = (Vec::new(), Vec::new());
        for name in names {
            let (home, tasks) = start_gateway(data.path(), sockets.path(), name).await?;
            homes.push(home);
            serving.push(tasks);
        }
        Ok(Self {
            plane,
            homes,
            _serving: serving,
            _folders: folders,
        })
    }

    /// One orchestrator with a session at every gateway, one middle hop that is in all of them, one
    /// worker below it. The middle hop is revoked while all of them call.
    async fn round(&self) -> anyhow::Result<Round> {
        let orchestrator = Arc::new(Agent::launch(&self.plane).await?);
        let middle = Agent::launch(&self.plane).await?;
        let worker = Arc::new(Agent::launch(&self.plane).await?);
        let stop = Arc::new(AtomicBool::new(false));
        let (mut through, mut beside) = (Vec::new(), Vec::new());
        for home in &self.homes {
            let root = orchestrator.root(&self.plane, home).await?;
            let top = vec![root.root.clone()];
            let chain = orchestrator.delegate(&top, &middle)?;
            let chain = middle.delegate(&chain, &worker)?;
            let session = enter(&orchestrator, (&root, &top), home, None).await?;
            enter(&worker, (&root, &chain), home, Some(&session)).await?;
            through.push(callers(home, &worker, &chain, &stop).await?);
            beside.push(callers(home, &orchestrator, &top, &stop).await?);
        }
        tokio::time::sleep(BEFORE).await;
        let request = Revoke {
            what: Revocable::new(RevocationKind::Instance, &middle.spiffe_id)?,
            reason: "measured".to_owned(),
        };
        let asked = Instant::now();
        self.plane.client.revoke(&request).await?;
        let done = Instant::now();
        tokio::time::sleep(AFTER).await;
        stop.store(true, Ordering::Release);
        let mut round = Round {
            acknowledged: done - asked,
            last_admitted: Vec::new(),
            since_asked: Vec::new(),
            asked_after: 0,
            load: 0,
            others_after: 0,
        };
        for tasks in through {
            let seen = joined(tasks).await?;
            let last = seen.iter().filter_map(|one| one.last_answered).max();
            let last = last.context("no call was admitted before the revocation")?;
            round
                .last_admitted
                .push(last.saturating_duration_since(done));
            round
                .since_asked
                .push(last.saturating_duration_since(asked));
            for one in &seen {
                ensure!(one.first_refused.is_some(), "a caller was never refused");
                round.load += one.admitted;
                round.asked_after += usize::from(one.last_asked > Some(done));
            }
        }
        for tasks in beside {
            let seen = joined(tasks).await?;
            for one in seen {
                ensure!(one.first_refused.is_none(), "a caller beside was refused");
                round.others_after += usize::from(one.last_asked > Some(done));
            }
        }
        Ok(round)
    }
}

async fn enter(
    agent: &Agent,
    authority: (&IssuedRoot, &[String]),
    home: &Home,
    session: Option<&str>,
) -> anyhow::Result<String> {
    let mut connection = agent.connect(home).await?;
    connection.enter(agent, authority, home, session).await
}

/// Callers that call until they are refused or stopped.
async fn callers(
    home: &Home,
    agent: &Arc<Agent>,
    chain: &[String],
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<JoinSet<anyhow::Result<Seen>>> {
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let connection = agent.connect(home).await?;
        let (agent, stop) = (Arc::clone(agent), Arc::clone(stop));
        let (home, chain) = (home.clone(), chain.to_vec());
        tasks.spawn(async move { call(connection, &agent, &home, &chain, &stop).await });
    }
    Ok(tasks)
}

async fn call(
    mut connection: Connection,
    agent: &Agent,
    home: &Home,
    chain: &[String],
    stop: &AtomicBool,
) -> anyhow::Result<Seen> {
    let digest: Digest = chain_digest(chain);
    let mut seen = Seen::default();
    while !stop.load(Ordering::Acquire) {
        let call = Prepared::next();
        let proof = agent.proof(home, digest, &call.args)?;
        let asked = Instant::now();
        let answer = call.send(&mut connection, chain, &proof).await;
        let answered = Instant::now();
        let admitted = answer.is_ok_and(|answer| answer.get("result").is_some());
        if !admitted {
            seen.first_refused = Some(answered);
            break;
        }
        seen.admitted += 1;
        seen.last_asked = Some(asked);
        seen.last_answered = Some(answered);
    }
    Ok(seen)
}

async fn joined(mut tasks: JoinSet<anyhow::Result<Seen>>) -> anyhow::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    while let Some(done) = tasks.join_next().await {
        seen.push(done??);
    }
    Ok(seen)
}

fn section(rounds: &[Round]) -> Section {
    let mut section = Section::new("a middle hop revoked under load at three gateways");
    let nanos = |pick: fn(&Round) -> &[Duration]| {
        let all = rounds.iter().flat_map(pick);
        all.map(|one| one.as_nanos() as f64).collect::<Vec<_>>()
    };
    let last = nanos(|round| &round.last_admitted);
    let since = nanos(|round| &round.since_asked);
    let worst = |pick: fn(&Round) -> &[Duration]| {
        let each = rounds.iter().map(|round| pick(round).iter().max());
        Series::new(
            each.map(|most| most.map_or(0.0, |one| one.as_nanos() as f64))
                .collect(),
        )
    };
    let acknowledged = rounds
        .iter()
        .map(|round| round.acknowledged.as_nanos() as f64);
    section.row(Row::alone(
        "command to acknowledgement",
        &Series::new(acknowledged.collect()),
    ));
    section.row(Row::alone(
        "acknowledgement to the last admitted call, slowest gateway",
        &worst(|round| &round.last_admitted),
    ));
    section.row(Row::alone(
        "command to the last admitted call, slowest gateway",
        &worst(|round| &round.since_asked),
    ));
    for (what, values) in [
        ("acknowledgement to the last admitted call", &last),
        ("command to the last admitted call", &since),
    ] {
        section.remark(format!(
            "{what}, each gateway ({} of {} rounds): p50 {}, p99 {}, most {}",
            values.len(),
            rounds.len(),
            time(quantile(values, 0.5)),
            time(quantile(values, 0.99)),
            time(quantile(values, 1.0)),
        ));
    }
    let sum = |pick: fn(&Round) -> usize| rounds.iter().map(pick).sum::<usize>();
    section.remark(format!(
        "{} calls through the middle hop were admitted before; {} were asked for after the \
         acknowledgement and admitted",
        sum(|round| round.load),
        sum(|round| round.asked_after),
    ));
    section.remark(format!(
        "{} of {} callers beside the middle hop went on",
        sum(|round| round.others_after),
        rounds.len() * CALLERS * (OTHERS.len() + 1),
    ));
    section.remark("by the callers' clocks, answers included; signer, server, gateways and callers share one process");
    section
}
