use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Which log of the deployment.
    #[arg(long, value_enum, default_value_t = LogName::Gateway, global = true)]
    pub(crate) log: LogName,
    /// A log folder, in place of a deployment's.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

/// A log of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogName {
    /// The gateway's: decisions and outcomes.
    Gateway,
    /// The server's: identities, delegations, approvals, checkpoints.
    Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Shows the published checkpoint.
    Checkpoint,
    /// Lists entries.
    Entries {
        /// The first index.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 50)]
        count: u64,
    },
    /// Recomputes every tile and the root from the entries.
    Check {
        /// The trust document that names the log's keys.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Writes the inclusion proof of one entry (c2sp.org/tlog-proof).
    Prove {
        /// The entry's index.
        index: u64,
    },
}
