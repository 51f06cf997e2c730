//! The producer: so many callers, each with one entry on its way. What waits while a batch is sent is
//! the next batch, as in every program that uses this client.

use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chancery_api::append::{AppendClient, AppendOptions, AppendTarget};
use chancery_api::tls::TlsIdentity;
use chancery_identity::X509Bundle;
use chancery_types::Secret;
use tokio::task::JoinSet;

use super::served::{DOMAIN, LOG, Place};
use super::{CONTENT, Over, Took, Turn, processor};
use crate::sample::quantile;

pub(crate) fn run(_: Vec<String>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut lines = std::io::stdin().lock().lines();
    let place = lines.next().context("no place")??;
    let place: Place = serde_json::from_str(&place)?;
    let (tls, socket) = runtime.block_on(clients(&place))?;
    for line in lines {
        let turn: Turn = serde_json::from_str(&line?)?;
        let client = match turn.over {
            Over::Tls => &tls,
            Over::Socket => &socket,
        };
        let before = processor()?;
        let (times, each) = runtime.block_on(load(client, &turn))?;
        let spent = processor()?.saturating_sub(before);
        let nanos: Vec<_> = times.iter().map(|time| time.as_nanos() as f64).collect();
        let took = Took {
            p50: quantile(&nanos, 0.5),
            p99: quantile(&nanos, 0.99),
            each,
            count: nanos.len() as u64,
            processor: spent.as_nanos() as f64 / nanos.len() as f64,
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&took)?)?;
        out.flush()?;
    }
    Ok(())
}

async fn clients(place: &Place) -> anyhow::Result<(AppendClient, AppendClient)> {
    let bundle = X509Bundle::new(DOMAIN.parse()?, [place.authority.clone()])?;
    let key = Secret::new(place.key.clone());
    let target = AppendTarget::Tls {
        server: place.address.clone(),
        identity: TlsIdentity::new(vec![place.certificate.clone()], &key, bundle)?,
        expected: LOG.parse()?,
    };
    let tls = AppendClient::connect(AppendOptions::new(target)).await?;
    let target = AppendTarget::Owner {
        socket: (&place.socket).into(),
        producer: "measured".to_owned(),
    };
    let socket = AppendClient::connect(AppendOptions::new(target)).await?;
    Ok((tls, socket))
}

async fn load(client: &AppendClient, turn: &Turn) -> anyhow::Result<(Vec<Duration>, f64)> {
    let begin = Instant::now();
    let length = Duration::from_millis(turn.millis);
    let mut tasks = JoinSet::new();
    for _ in 0..turn.outstanding {
        let client = client.clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            while begin.elapsed() < length {
                let begin = Instant::now();
                client.append(vec![b'x'; CONTENT]).await?;
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
