use std::path::PathBuf;

use chancery_types::id::{PersonId, SessionId};
use clap::Args;

use super::DataArgs;

/// Without `--format` the kind of picture follows from the name of `--out` (.svg, .mmd, .dot,
/// .json), and on standard output the graph is told in words.
#[derive(Debug, Args)]
#[command(after_help = "--format here also takes svg, mermaid and dot.")]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) of: GraphOf,
    /// A folder of evidence, in place of a deployment's logs: `--data` is not read then.
    #[arg(long, value_name = "DIR")]
    pub(crate) evidence: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The trust document. Without it nothing is proven: the answer is `self-asserted`.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Draws each of a stack's members: a stack as a picture names it (k1, k2, ...), or `all`.
    #[arg(long, value_name = "STACK")]
    pub(crate) expand: Vec<String>,
}

/// What is drawn.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct GraphOf {
    /// One session.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<SessionId>,
    /// All sessions on behalf of a person, and those in which the person answered.
    #[arg(long, value_name = "ID")]
    pub(crate) person: Option<PersonId>,
    /// What the instances of an agent hold and did: its SPIFFE ID, or the end of it.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}
