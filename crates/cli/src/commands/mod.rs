//! What each command does, one file for each.

pub(crate) mod agent;
mod apply;
pub(crate) mod approvals;
pub(crate) mod authority;
mod brake;
mod broker;
mod connect;
mod consent;
pub(crate) mod delegate;
mod delegation;
mod erase;
pub(crate) mod evidence;
mod federation;
pub(crate) mod graph;
mod log;
pub(crate) mod mission;
mod node;
mod parts;
mod policy;
mod presentation;
mod reference;
mod revoke;
mod roster;
pub(crate) mod run;
mod session;
mod spawn;
mod token;
pub(crate) mod trust;
mod up;
pub(crate) mod verify;
pub(crate) mod why;
mod witness;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::{Cli, Command, DataArgs};
use crate::demo;
use crate::deployment::Layout;
use crate::output;

/// Wrong usage or bad input.
const USAGE: u8 = 2;

/// Something would change.
const DIFFERS: u8 = 4;

/// A file, or standard input where it is `-`, of which that many bytes are read at most.
fn open(file: &Path, most: u64) -> anyhow::Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().take(most)));
    }
    let open = File::open(file).with_context(|| file.display().to_string())?;
    Ok(Box::new(open.take(most)))
}

/// Refuses a file that is there, before anything is done that would be lost with it.
fn absent(file: &Path) -> anyhow::Result<()> {
    // Also a link to nowhere is there.
    let there = file.symlink_metadata().is_ok();
    anyhow::ensure!(!there, "{} exists already; name another", file.display());
    Ok(())
}

/// Runs a command.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let format = cli.global.format;
    if format.is_picture() && !matches!(cli.command, Command::Graph(_)) {
        output::say("error: --format svg, mermaid and dot are for `chancery graph` alone");
        return Ok(ExitCode::from(USAGE));
    }
    match cli.command {
        Command::Demo(args) => demo::run(format, args).await,
        Command::Up(args) => up::run(format, *args).await,
        Command::Trust(args) => trust::run(format, args).await,
        Command::Federation(args) => federation::run(format, args).await,
        Command::Broker(args) => broker::run(format, args).await,
        Command::Agent(args) => agent::run(format, args).await,
        Command::Apply(args) => apply::run(format, args).await,
        Command::Policy(args) => policy::run(format, args).await,
        Command::Mission(args) => mission::run(format, &args.command),
        Command::Delegate(args) => delegate::run(format, args).await,
        Command::Consent(args) => consent::run(format, args).await,
        Command::Delegation(args) => delegation::run(format, args).await,
        Command::Revoke(args) => revoke::run(format, args).await,
        Command::Brake(args) => brake::run(format, args).await,
        Command::Session(args) => session::run(format, args).await,
        Command::Erase(args) => erase::run(format, args).await,
        Command::Run(args) => run::run(args).await,
        Command::Connect(args) => connect::run(args).await,
        Command::Spawn(args) => spawn::run(format, args).await,
        Command::Roster(args) => roster::run(format, args).await,
        Command::Authority(args) => authority::run(format, args).await,
        Command::Token(args) => token::run(format, args.command).await,
        Command::Presentation(args) => presentation::run(format, args.command).await,
        Command::Node(args) => node::run(format, args).await,
        Command::Approvals(args) => approvals::run(format, args).await,
        Command::Evidence(args) => evidence::run(format, args).await,
        Command::Why(args) => why::run(format, &args),
        Command::Graph(args) => graph::run(format, &args),
        Command::Verify(args) => verify::run(format, &args),
        Command::Log(args) => log::run(format, args).await,
        Command::Witness(args) => witness::run(format, args).await,
        Command::Ledger(args) => parts::ledger(format, args).await,
        Command::Signer(args) => parts::signer(&layout(&args.data)?).await,
        Command::Server(args) => parts::server(&layout(&args.data)?).await,
        Command::Gateway(args) => parts::gateway(&layout(&args.data)?).await,
        Command::Reference { part } => reference::run(part),
        Command::DemoAgent { args } => demo::run_agent(&args).await,
        Command::SandboxShim { .. } => {
            anyhow::bail!("sandbox-shim is the inner half of `run` and must be the first argument")
        }
    }
}

fn layout(args: &DataArgs) -> anyhow::Result<Layout> {
    Layout::open(&args.data)
}

/// The data folder of a deployment or of a node that joined one.
fn host_layout(args: &DataArgs) -> anyhow::Result<Layout> {
    Layout::open_host(&args.data)
}
