use std::path::PathBuf;

use chancery_identity::RegistrationOwner;
use chancery_types::Digest;
use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The folder: each `.json` file directly in it is the registration of one agent.
    pub(crate) dir: PathBuf,
    /// Shows what would change, and changes nothing: exit code 0 where nothing would, 4 where something
    /// would.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Retires the agents that were registered from these files and have none any more.
    /// --owner says which these are.
    #[arg(long, requires = "owner")]
    pub(crate) prune: bool,
    /// What the files are called by: what is registered from them is marked with it, and nothing that is
    /// marked otherwise is changed. `files` where nothing is said; teams with a folder each take a name each.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<RegistrationOwner>,
    /// Lets the files take over agents that were registered by hand; without, such a file is refused.
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Changes something only where the plan is the one of this digest, which --plan printed.
    #[arg(long, value_name = "DIGEST", conflicts_with = "plan")]
    pub(crate) expect: Option<Digest>,
}
