use std::path::PathBuf;

use chancery_types::id::ApprovalId;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: ApprovalsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// Lists the requests.
    List {
        /// Answered ones as well.
        #[arg(long)]
        all: bool,
    },
    /// Shows one request in full.
    Show {
        /// The request.
        id: ApprovalId,
    },
    /// Approves one exact action, once.
    Approve(AnswerArgs),
    /// Refuses.
    Deny(AnswerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The request.
    pub(crate) id: ApprovalId,
    /// The person's software authenticator.
    #[arg(long, value_name = "FILE")]
    pub(crate) authenticator: PathBuf,
    /// Answers without asking on the terminal: for scripts, with a stand-in authenticator only.
    #[arg(long)]
    pub(crate) yes: bool,
}
