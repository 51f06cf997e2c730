use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{DataArgs, DepartArgs};

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Shows the trust document in force.
    Show,
    /// Copies the trust document into a file, for verifiers.
    Export {
        /// The file to write.
        file: PathBuf,
    },
    /// Enrols a person: principal and approver.
    Enrol(EnrolArgs),
    /// Writes the keys of the logs as a policy file, for the witnesses that cosign them.
    Logs,
    /// Names the witnesses that cosign the logs, or that nobody does. Heeded from the next start on.
    Witness(TrustWitnessArgs),
    /// Lists everything that rests on a person who leaves, and ends all of it at once.
    Depart(DepartArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrustWitnessArgs {
    /// The policy file: `witness` lines with addresses, `group` lines and a `quorum`.
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    pub(crate) policy: Option<PathBuf>,
    /// Checkpoints that too few cosigned are withheld, not published as unwitnessed.
    #[arg(long, conflicts_with = "none")]
    pub(crate) withhold: bool,
    /// Nobody is asked any more.
    #[arg(long)]
    pub(crate) none: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnrolArgs {
    /// The one-time code that `up` printed.
    #[arg(long)]
    pub(crate) code: String,
    /// The file for the person's software authenticator, made with mode 0600.
    #[arg(long, value_name = "FILE")]
    pub(crate) authenticator: PathBuf,
    /// The authenticator stands in for a person in a demonstration; every output says so.
    #[arg(long)]
    pub(crate) stand_in: bool,
}
