use chancery_types::RevocationKind;
use chancery_types::id::PersonId;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: RevokeCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RevokeCommand {
    /// Revokes a root or link by its `jti`; every chain that goes through it dies with it.
    Token(RevokeIdArgs),
    /// Revokes a session by its `ses_` id.
    Session(RevokeIdArgs),
    /// Revokes a mission by the digest of its document: every chain that is for it.
    Mission(RevokeIdArgs),
    /// Revokes an agent by its SPIFFE ID, with all its instances.
    Agent(RevokeIdArgs),
    /// Revokes an instance by its SPIFFE ID; it ends for good.
    Instance(RevokeIdArgs),
    /// Revokes a person by their `per_` id: everything that is rooted in them.
    Person(DepartArgs),
    /// Revokes a holder key by its `sha256:` thumbprint.
    Key(RevokeIdArgs),
    /// Revokes a standing consent by its `cns_` id: it is used no more, and what rests on it dies.
    Consent(RevokeIdArgs),
    /// Raises the epoch: every chain and every standing consent there is dies at once.
    Epoch {
        /// Why. The log commits to it; only this deployment can disclose it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Lists what is revoked.
    List,
    /// Lifts a revocation, signed by the root keys.
    Lift {
        /// What it is.
        kind: RevocationKind,
        /// Which one.
        id: String,
        /// Why. The log commits to it; only this deployment can disclose it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RevokeIdArgs {
    /// Which one.
    pub(crate) id: String,
    /// Why. The log commits to it; only this deployment can disclose it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct DepartArgs {
    /// The person.
    pub(crate) person: PersonId,
    /// Why. The log commits to it; only this deployment can disclose it.
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub(crate) reason: Option<String>,
    /// Only lists what would end.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
