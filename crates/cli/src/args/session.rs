use chancery_types::id::SessionId;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: SessionCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Lists the open sessions.
    List,
    /// Shows an open session: who is in it, what it used up, what it has read, and all that is
    /// permitted now.
    View {
        /// The session.
        session: SessionId,
    },
    /// Has policy not enforced in one open session: what it denies or asks is enrolled and passes, marked
    /// `unenforced`. Only where the bundle in force says named_sessions under observe.
    Observe {
        /// The session.
        session: SessionId,
    },
    /// Has policy enforced again in a session that was observed.
    Enforce {
        /// The session.
        session: SessionId,
    },
}
