use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The folder that the run folder is made in.
    #[arg(long, value_name = "DIR", default_value = "chancery-demo")]
    pub(crate) out: PathBuf,
    /// Another tool server in place of the ledger: any stdio MCP server.
    #[arg(long, requires = "tool_command")]
    pub(crate) tools: bool,
    /// The tool server's command.
    #[arg(last = true, value_name = "CMD", requires = "tools")]
    pub(crate) tool_command: Vec<String>,
    /// Answers the approval with the stand-in key even on a terminal.
    #[arg(long)]
    pub(crate) unattended: bool,
}
