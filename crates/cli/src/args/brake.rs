use clap::{Args, Subcommand, ValueEnum};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct BrakeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: BrakeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BrakeCommand {
    /// Stops something until it is released: from the next call on, whatever permits it.
    Pause(BrakeWhat),
    /// Stops something for ever. Sessions of what is killed end at once.
    Kill(BrakeWhat),
    /// Releases what was paused, or a session that was suspended.
    Release(BrakeWhat),
    /// Lists the brakes in force, and the stores that hold content of untrusted sources.
    List,
}

#[derive(Debug, Args)]
pub(crate) struct BrakeWhat {
    /// What it is on.
    pub(crate) on: BrakeTarget,
    /// Which one: a session, a person's pseudonymous id, the SPIFFE ID of an agent or instance, or
    /// server/tool. Nothing where it is everywhere.
    #[arg(required_if_eq_any([
        ("on", "person"), ("on", "session"), ("on", "agent"), ("on", "instance"), ("on", "tool")
    ]))]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BrakeTarget {
    /// Every call.
    Everywhere,
    /// What is done on behalf of one person.
    Person,
    /// One session.
    Session,
    /// The instances of one agent.
    Agent,
    /// One instance.
    Instance,
    /// One tool.
    Tool,
}
