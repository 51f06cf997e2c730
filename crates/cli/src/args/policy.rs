use std::path::PathBuf;

use chancery_types::id::ExecutionId;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Checks a whole bundle; needs no deployment.
    Check(BundleArgs),
    /// Runs the tables of tests in a bundle, `tests/*.json`; needs no deployment. The exit code is 0
    /// where every row is decided as it says, and 1 where one is not or there is none.
    Test(BundleArgs),
    /// Says how a bundle decides one call, and what each of its policies said to it: of those that do
    /// not match, which of their conditions are false. The call is a row of the bundle's own tests,
    /// a file, or an execution of verified evidence. Needs no deployment.
    Why(PolicyWhyArgs),
    /// Says what another bundle would have decided otherwise, over the recorded decisions of verified
    /// evidence: what becomes allowed, asked or denied, counted by tool and policies. Needs no
    /// deployment. The exit code is 0 where nothing changes, 4 where something does.
    Diff(PolicyDiffArgs),
    /// Names the permits and asks of a bundle that determine none of the recorded calls of verified evidence:
    /// what is granted and not used. Needs no deployment.
    Unused(PolicyUnusedArgs),
    /// Drafts the narrowest policies under which the calls that went on in verified evidence are
    /// allowed, those that observe mode let pass among them: agents, tools, resources, and of the arguments
    /// that `bundle.json` declares what was seen. Needs no deployment.
    Suggest(PolicySuggestArgs),
    /// Writes the Cedar schema that belongs to a bundle's `bundle.json`; needs no deployment.
    Schema(BundleArgs),
    /// Adds a policy signer's signature over a bundle to `approvals.json` in its folder, unless one of its
    /// own tests fails. Needs no server, and with --key no deployment.
    Sign(PolicySignArgs),
    /// Signs a bundle and publishes it in the running deployment with what others signed, unless one of its
    /// own tests fails or fewer people signed it than the trust document demands.
    Publish(BundleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PolicySignArgs {
    /// The folder of the bundle.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The policy signer's key, in a file of mode 0600; without it, the one of the data folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The folder of the bundle.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyWhyArgs {
    /// The folder of the bundle; of an execution without it, the bundle that decided then.
    #[arg(value_name = "DIR", required_unless_present = "execution")]
    pub(crate) folder: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    /// The evidence with the execution.
    #[arg(long, value_name = "DIR", requires = "execution")]
    pub(crate) evidence: Option<PathBuf>,
    /// The trust document that the evidence is verified with.
    #[arg(long, value_name = "FILE", requires = "execution")]
    pub(crate) trust: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct QuestionArgs {
    /// A row of the bundle's tests, by its name.
    #[arg(long, value_name = "NAME")]
    pub(crate) row: Option<String>,
    /// A file with a call as a row has it, `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// A recorded call.
    #[arg(long, value_name = "ID", requires_all = ["evidence", "trust"])]
    pub(crate) execution: Option<ExecutionId>,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyDiffArgs {
    /// The folder of the bundle as it is.
    pub(crate) old: PathBuf,
    /// The folder of the bundle as it would be.
    pub(crate) new: PathBuf,
    /// Evidence of a session; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) evidence: Vec<PathBuf>,
    /// The trust document that the evidence is verified with.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyUnusedArgs {
    /// The folder of the bundle.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Evidence of a session; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) evidence: Vec<PathBuf>,
    /// The trust document that the evidence is verified with.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct PolicySuggestArgs {
    /// The folder with the `bundle.json` that the draft is for.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Evidence of a session; may be given several times.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) evidence: Vec<PathBuf>,
    /// The trust document that the evidence is verified with.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// Drafts calls too that went on though a policy forbids them by name; they are left out otherwise.
    #[arg(long)]
    pub(crate) also_forbidden: bool,
}
