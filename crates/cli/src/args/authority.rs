use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct AuthorityArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: AuthorityCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Shows the authorities: which signs, which is prepared, which did, and who rests on it.
    Show,
    /// Makes another authority, which signs nothing yet. One of x509 is certified by the root.
    Prepare(PrepareArgs),
    /// Has the prepared authority sign in the place of the active one.
    Activate {
        /// What it signs.
        kind: Kind,
        /// At once, also where partners have not had the time to fetch it.
        #[arg(long)]
        now: bool,
    },
    /// Believes an old authority no more: everything that it signed is issued again at once.
    Taint {
        /// The authority, by its id or the beginning of it; or a kind: all of it that are old.
        authority: String,
    },
    /// Destroys the key of an authority that does not sign, and takes it, or its root where nothing
    /// else needs it, out of the trust document.
    Revoke {
        /// The authority, by its id or the beginning of it; or a kind: all of it that are old.
        authority: String,
        /// Also where instances or services rest on what it signed: they are refused until it is
        /// issued again.
        #[arg(long)]
        force: bool,
    },
    /// Has the signer's key files sealed by a passphrase, from its next start on.
    Seal {
        /// The file of the passphrase, of mode 0600, which the signer reads at every start.
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Makes another root of X.509 among the offline keys, for the trust document to name.
    Root {
        /// How many days it is valid.
        #[arg(long, default_value_t = 3_650, value_parser = clap::value_parser!(u64).range(1..=7_300))]
        days: u64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    /// What it is to sign.
    pub(crate) kind: Kind,
    /// The folder of the offline keys that certify one of x509, where it is not the data folder's own, or
    /// where the signer would have it certified by itself.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// How many days the certificate of one of x509 is valid, where the root is offline.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    pub(crate) days: u64,
}

/// What an authority signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// X.509-SVIDs.
    X509,
    /// JWT-SVIDs.
    Jwt,
    /// Workload identity tokens: the credentials of agent keys.
    Wit,
}
