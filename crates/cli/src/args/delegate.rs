use std::path::PathBuf;

use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct DelegateArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The instance to grant to, or `latest`: the newest running one that has no grant.
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) to: String,
    /// The mission document; `chancery mission new` writes one.
    #[arg(long, value_name = "FILE")]
    pub(crate) mission: PathBuf,
    /// What is granted: SERVER/TOOL, or a JSON object of authorization_details. May be repeated.
    #[arg(long = "allow", value_name = "GRANT", required = true)]
    pub(crate) allow: Vec<String>,
    /// How long the grant is valid; what the operator's rules say where it is not given, else 30.
    #[arg(long, value_name = "MINUTES")]
    pub(crate) minutes: Option<u64>,
    /// How many times the grant may be passed on.
    #[arg(long, default_value_t = 1)]
    pub(crate) depth: u64,
    /// The person's software authenticator.
    #[arg(long, value_name = "FILE")]
    pub(crate) authenticator: PathBuf,
    /// Consents without asking on the terminal: for scripts, with a stand-in authenticator only.
    #[arg(long)]
    pub(crate) yes: bool,
    /// How long to wait for such an instance.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}
