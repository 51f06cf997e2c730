use chancery_types::id::PersonId;
use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The person.
    pub(crate) person: PersonId,
    /// Why. The log commits to it; it is kept for the operator: name nobody in it.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub(crate) reason: Option<String>,
    /// Only lists what would be erased.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Erases without asking.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    /// Waits this many seconds for the gateway to have erased what it keeps; where it has not, the exit
    /// code is 1.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u64,
}
