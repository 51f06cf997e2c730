use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct PartArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Makes a ledger from CSV files.
    Load {
        /// The database file to make.
        #[arg(long, value_name = "FILE")]
        db: PathBuf,
        /// The folder with accounts.csv, invoices.csv and payments.csv.
        #[arg(long, value_name = "DIR")]
        csv: PathBuf,
    },
    /// Serves a ledger over MCP on standard input and output.
    Serve {
        /// The database file.
        #[arg(long, value_name = "FILE")]
        db: PathBuf,
    },
}
