//! The processes of a deployment, as `up` starts them.

mod gateway;
mod node;
mod server;
mod signer;

pub(super) use gateway::gateway;
pub(super) use node::{node, raise_descriptors};
pub(super) use server::server;
pub(super) use signer::signer;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Format, LedgerArgs, LedgerCommand};
use crate::deployment::{Layout, Part, PartLock};
use crate::{output, telemetry};

/// Runs the demo's tool server.
pub(super) async fn ledger(format: Format, args: LedgerArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        LedgerCommand::Load { db, csv } => {
            chancery_ledger::load(&db, &csv).await?;
            let made = BTreeMap::from([("db", &db), ("csv", &csv)]);
            output::result(format, &made, || {
                format!("{}: a ledger made from {}", db.display(), csv.display())
            })?;
        }
        LedgerCommand::Serve { db } => chancery_ledger::serve(&db).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What every part does first: it ends with `up`, by this signal, and what it makes is its owner's
/// alone. While it lives, no other `up` starts with its data folder. What it does is counted.
fn prepare(layout: &Layout, part: Part, end: Signal) -> anyhow::Result<PartLock> {
    begin(end)?;
    let lock = PartLock::take(layout)?;
    telemetry::show(layout, part)?;
    Ok(lock)
}

fn begin(end: Signal) -> anyhow::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    set_pdeathsig(end).context("cannot follow the end of `up`")
}

/// Waits until the part is asked to end.
pub(in crate::commands) async fn until_stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
