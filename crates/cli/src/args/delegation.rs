use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct DelegationArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: DelegationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DelegationCommand {
    /// Says whether a chain stands, or why not, link by link.
    Check {
        /// The chain: links joined by commas or a JSON array; `-` reads standard input.
        file: PathBuf,
    },
}
