use std::path::PathBuf;

use chancery_types::id::{ExecutionId, SessionId};
use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The session, which must have ended.
    pub(crate) session: SessionId,
    /// The folder to make.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The action: its execution id.
    pub(crate) action: ExecutionId,
    /// The session's evidence.
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: PathBuf,
    /// The trust document.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The session's evidence.
    pub(crate) evidence: PathBuf,
    /// The trust document. Without it nothing is proven: the answer is `self-asserted`.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
}
