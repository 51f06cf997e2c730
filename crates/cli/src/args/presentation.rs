use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct PresentationArgs {
    #[command(subcommand)]
    pub(crate) command: PresentationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PresentationCommand {
    /// As a relying party: draws a challenge, good for one answer within five minutes.
    Challenge(ChallengeArgs),
    /// Inside an agent: answers a challenge with everything that the instance is and may do.
    Make(MakePresentationArgs),
    /// As a relying party: verifies an answer offline, from the trust document alone. Uses the
    /// challenge up.
    Verify(VerifyPresentationArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ChallengeArgs {
    /// Who asks: a name that the relying party alone goes by, mostly its URI.
    #[arg(long, value_name = "NAME")]
    pub(crate) audience: String,
    /// The file that the challenge is written to; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MakePresentationArgs {
    /// Whom the agent speaks to, by the name that it authenticated: a challenge of anybody else is not
    /// answered.
    #[arg(long, value_name = "NAME")]
    pub(crate) audience: String,
    /// The file of the challenge; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) challenge: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyPresentationArgs {
    /// The file of the presentation; `-` reads standard input.
    pub(crate) presentation: PathBuf,
    /// The file of the challenge that it answers. It is removed first: a challenge is good once.
    #[arg(long, value_name = "FILE")]
    pub(crate) challenge: PathBuf,
    /// The trust document, from a source that the presenter cannot choose.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// How old the knowledge of revocations may be.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) max_age: u64,
}
