use std::path::PathBuf;

use chancery_types::id::ConsentId;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct ConsentArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: ConsentCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsentCommand {
    /// Signs a standing consent: so many roots of one mission until a date, without asking again.
    New(NewConsentArgs),
    /// Lists standing consents and how often each was used.
    List,
    /// Shows one standing consent with every use of it.
    Show {
        /// The standing consent.
        #[arg(value_name = "ID")]
        id: ConsentId,
    },
    /// Grants an instance a root that rests on a standing consent: no person is asked.
    Use(UseConsentArgs),
}

#[derive(Debug, Args)]
pub(crate) struct NewConsentArgs {
    /// The agent whose instances may hold the roots: its name, or its SPIFFE ID.
    #[arg(long)]
    pub(crate) agent: String,
    /// The mission document; `chancery mission new` writes one.
    #[arg(long, value_name = "FILE")]
    pub(crate) mission: PathBuf,
    /// What each root grants: SERVER/TOOL, or a JSON object of authorization_details. May be repeated.
    #[arg(long = "allow", value_name = "GRANT", required = true)]
    pub(crate) allow: Vec<String>,
    /// How many roots, at most.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) uses: u64,
    /// For how many days from now on; not longer than the mission lasts.
    #[arg(long, value_name = "DAYS")]
    pub(crate) days: u64,
    /// How long each root may live.
    #[arg(long, value_name = "MINUTES", default_value_t = 30)]
    pub(crate) minutes: u64,
    /// How many times each root may be passed on.
    #[arg(long, default_value_t = 1)]
    pub(crate) depth: u64,
    /// The person's software authenticator.
    #[arg(long, value_name = "FILE")]
    pub(crate) authenticator: PathBuf,
    /// Consents without asking on the terminal: for scripts, with a stand-in authenticator only.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UseConsentArgs {
    /// The standing consent.
    #[arg(value_name = "ID")]
    pub(crate) id: ConsentId,
    /// The instance to grant to, or `latest`: the newest running one that has no grant.
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) to: String,
    /// How long to wait for such an instance.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}
