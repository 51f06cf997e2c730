use std::path::PathBuf;

use chancery_api::server::{AgentName, RosterPlace, Task};
use chancery_types::id::{InstanceId, PersonId};
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
    /// What the instance is to do, for the roster: a text, or JSON that a person can read.
    #[arg(long, value_name = "TEXT")]
    pub(crate) task: Option<Task>,
    /// How long the instance lives at most; its process is ended then. As long as that runs without.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lifetime: Option<u64>,
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
    #[arg(long, value_name = "AGENT", required_unless_present = "children")]
    pub(crate) agent: Option<String>,
    /// What is passed on: SERVER/TOOL, or a JSON object of authorization_details. May be repeated.
    #[arg(
        long = "allow",
        value_name = "GRANT",
        required_unless_present = "children"
    )]
    pub(crate) allow: Vec<String>,
    /// What the child is to do, for the roster: a text, or JSON that a person can read.
    #[arg(long, value_name = "TEXT", conflicts_with = "children")]
    pub(crate) task: Option<Task>,
    /// How long the child lives at most; its process is ended then.
    #[arg(long, value_name = "SECONDS", conflicts_with = "children")]
    pub(crate) lifetime: Option<u64>,
    /// Lets the child go on when this instance has ended, where the registration permits it. Nobody is
    /// told how it ends.
    #[arg(long, conflicts_with = "children", requires = "detach")]
    pub(crate) outlive: bool,
    /// Lets the child pass its authority on in turn, as far as this instance may.
    #[arg(long, conflicts_with = "children")]
    pub(crate) may_delegate: bool,
    /// Starts many at once: a file with a JSON array of {agent, allow, argv?, task?, lifetime_seconds?,
    /// outlive?, may_delegate?}; `-` for standard input. The command after `--` is of those without argv.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["agent", "allow"])]
    pub(crate) children: Option<PathBuf>,
    /// Answers once the child has begun, and goes on without it. So do many children without --wait.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) detach: bool,
    /// Waits until the children have ended. So does one child without --detach.
    #[arg(long)]
    pub(crate) wait: bool,
    /// The command.
    #[arg(last = true, required_unless_present = "children", value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RosterArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Instances of that agent alone: its name or its SPIFFE ID.
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<AgentName>,
    /// Those that this instance started, alone.
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) parent: Option<InstanceId>,
    /// The living alone.
    #[arg(long, conflicts_with = "ended")]
    pub(crate) running: bool,
    /// The dead alone.
    #[arg(long)]
    pub(crate) ended: bool,
    /// Those that act on behalf of that person, alone.
    #[arg(long, value_name = "PERSON")]
    pub(crate) on_behalf_of: Option<PersonId>,
    /// Those that were opened then or later, alone: in seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) since: Option<u64>,
    /// The next page: where the one before said that older ones follow.
    #[arg(long, value_name = "PLACE")]
    pub(crate) after: Option<RosterPlace>,
    /// How many at most, the newest: 1 to 10000.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    pub(crate) limit: u64,
}
