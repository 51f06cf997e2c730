use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The agent to start an instance of: its name or its SPIFFE ID.
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: String,
    /// What happens where the machine cannot isolate.
    #[arg(long, value_enum, default_value_t = IsolationMode::Required)]
    pub(crate) isolation: IsolationMode,
    /// The network that the command sees.
    #[arg(long, value_enum, default_value_t = NetworkMode::None)]
    pub(crate) network: NetworkMode,
    /// A file or folder that the command may read, beside the system's. May be repeated.
    #[arg(long = "read", value_name = "PATH")]
    pub(crate) read: Vec<PathBuf>,
    /// Shows the command the Broker API as well, where it is served: what it may there is said by
    /// `chancery broker`.
    #[arg(long)]
    pub(crate) broker: bool,
    /// How long a call waits for a delegation.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) wait_delegation: u64,
    /// Takes a narrowed delegation from the parent that listens on this socket.
    #[arg(long, value_name = "SOCKET", hide = true)]
    pub(crate) parent: Option<PathBuf>,
    /// The command.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

/// What happens where the machine cannot isolate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationMode {
    /// Nothing is started.
    Required,
    /// The command is started and all evidence says `unisolated`.
    BestEffort,
}

/// The network that a command sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkMode {
    /// None at all.
    None,
    /// The machine's.
    Host,
}

#[derive(Debug, Args)]
pub(crate) struct SpawnArgs {
    /// The agent to start.
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: String,
    /// What is passed on: SERVER/TOOL, or a JSON object of authorization_details. May be repeated.
    #[arg(long = "allow", value_name = "GRANT", required = true)]
    pub(crate) allow: Vec<String>,
    /// The command.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}
