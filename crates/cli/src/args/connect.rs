use clap::Args;

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The tool server.
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Outside of `run`: the agent that the client becomes an unisolated instance of.
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// How long a call waits for a delegation.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) wait_delegation: u64,
}
