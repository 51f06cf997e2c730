//! What each command does, one file for each.

mod agent;
mod approvals;
mod delegate;
mod log;
mod parts;
mod trust;
mod up;

use std::process::ExitCode;

use crate::args::{Cli, Command, DataArgs};
use crate::deployment::Layout;

/// Runs a command.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let format = cli.global.format;
    match cli.command {
        Command::Up(args) => up::run(format, args).await,
        Command::Trust(args) => trust::run(format, args).await,
        Command::Agent(args) => agent::run(format, args).await,
        Command::Delegate(args) => delegate::run(format, args).await,
        Command::Approvals(args) => approvals::run(format, args).await,
        Command::Log(args) => log::run(format, args),
        Command::Ledger(args) => parts::ledger(args).await,
        Command::Signer(args) => parts::signer(&layout(&args.data)?).await,
        Command::Server(args) => parts::server(&layout(&args.data)?).await,
        Command::Node(args) => parts::node(&layout(&args.data)?).await,
        Command::Gateway(args) => parts::gateway(&layout(&args.data)?).await,
    }
}

fn layout(args: &DataArgs) -> anyhow::Result<Layout> {
    Layout::open(&args.data)
}
