use std::path::PathBuf;

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
    /// Writes the Cedar schema that belongs to a bundle's `bundle.json`; needs no deployment.
    Schema(BundleArgs),
    /// Signs a bundle and publishes it in the running deployment, unless one of its own tests fails.
    Publish(BundleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The folder of the bundle.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
