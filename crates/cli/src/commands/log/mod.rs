//! `chancery log`.

mod append;
mod check;
mod completeness;
mod export;
mod instance;
mod keys;
mod lines;
mod monitor;
mod proof;
mod serve;
mod show;
mod succeed;
mod tail;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use chancery_journal::Reader;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Format, LogArgs, LogCommand, LogName};
use crate::deployment::Layout;

pub(super) async fn run(format: Format, args: LogArgs) -> anyhow::Result<ExitCode> {
    let place = Place {
        data: args.data.data,
        log: args.log,
        dir: args.dir,
    };
    match args.command {
        LogCommand::Checkpoint => show::checkpoint(format, &place.reader()?)?,
        LogCommand::Entries { from, count } => {
            show::entries(format, &place.reader()?, from, count)?;
        }
        LogCommand::Keys { trust } => keys::show(format, &place, trust.as_deref())?,
        LogCommand::Check { trust } => check::run(format, &place.reader()?, trust.as_deref())?,
        LogCommand::Serve { listen } => serve::run(format, &place, listen).await?,
        LogCommand::Write(args) => write::run(format, args).await?,
        LogCommand::Append(args) => return append::run(format, args).await,
        LogCommand::Monitor(args) => return monitor::run(format, args).await,
        LogCommand::Succeed(args) => succeed::run(format, &place, args).await?,
        LogCommand::Tail { from, count } => tail::run(&place.reader()?, from, count).await?,
        LogCommand::Prove(args) => proof::make(format, &place.reader()?, &args)?,
        LogCommand::VerifyProof(args) => proof::verify(format, &args)?,
        LogCommand::Export {
            form,
            from,
            count,
            proofs,
        } => export::run(
            &place.reader()?,
            form,
            from..from.saturating_add(count.unwrap_or(u64::MAX)),
            proofs,
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the log is that was named.
struct Place {
    data: PathBuf,
    log: Option<LogName>,
    dir: Option<PathBuf>,
}

impl Place {
    fn reader(&self) -> anyhow::Result<Reader> {
        match &self.dir {
            Some(dir) => Ok(Reader::open_published(dir)?),
            None => self.named(self.log.unwrap_or(LogName::Gateway)),
        }
    }

    /// A log of the deployment.
    fn named(&self, log: LogName) -> anyhow::Result<Reader> {
        let layout = Layout::open(&self.data)?;
        let dir = match log {
            LogName::Gateway => layout.gateway_log(),
            LogName::Server => layout.server_log(),
        };
        Ok(Reader::open(&dir)?)
    }
}

/// A bar over the entries of a log, on a terminal.
fn bar() -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(0);
    let style = "{bar:40} {human_pos} of {human_len} entries, {elapsed}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    Ok(bar)
}

/// Being asked to stop, as `kill` and Ctrl-C do.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
