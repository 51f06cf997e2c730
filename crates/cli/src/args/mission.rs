use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct MissionArgs {
    #[command(subcommand)]
    pub(crate) command: MissionCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MissionCommand {
    /// Reads a mission document and prints its digest, or names the field that is refused.
    Check(CheckMissionArgs),
    /// Writes a mission document to standard output, ready to be edited.
    New(NewMissionArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckMissionArgs {
    /// The document.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct NewMissionArgs {
    /// What is wanted, in a person's words.
    #[arg(long, value_name = "TEXT")]
    pub(crate) goal: String,
    /// What its step may use: SERVER/TOOL, or a JSON object of authorization_details. May be repeated.
    #[arg(long = "allow", value_name = "MEANS", required = true)]
    pub(crate) allow: Vec<String>,
    /// What nobody may use. May be repeated.
    #[arg(long = "forbid", value_name = "MEANS")]
    pub(crate) forbid: Vec<String>,
    /// Most calls of a session.
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    pub(crate) calls: u64,
    /// How long a session may last.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    pub(crate) minutes: u64,
    /// For how many days from now on it may be used.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) days: u64,
}
