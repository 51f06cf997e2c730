use std::path::PathBuf;

use chancery_types::id::{ExecutionId, SessionId};
use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The session, which must have ended.
    #[arg(required_unless_present = "from")]
    pub(crate) session: Option<SessionId>,
    /// The folder to make, or with `--pack` the file.
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// Makes one file: a tar archive, the same bytes for the same evidence, which `verify` and the like
    /// read as it is.
    #[arg(long)]
    pub(crate) pack: bool,
    /// A folder of evidence that is packed, in place of a session's. Needs no deployment.
    #[arg(
        long,
        value_name = "DIR",
        requires = "pack",
        conflicts_with = "session"
    )]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The action: its execution id.
    pub(crate) action: ExecutionId,
    /// The session's evidence, a folder or one file.
    #[arg(long, value_name = "PATH")]
    pub(crate) evidence: PathBuf,
    /// The trust document.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The session's evidence, a folder or one file.
    pub(crate) evidence: PathBuf,
    /// The trust document. Without it nothing is proven: the answer is `self-asserted`.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}
