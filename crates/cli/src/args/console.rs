use std::net::SocketAddr;
use std::path::PathBuf;

use chancery_server::ConsoleOrigin;
use chancery_types::id::PersonId;
use clap::{Args, ValueEnum};

/// Where people see and sign in a browser; nowhere by default.
#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Serves the console at this address: plain HTTP on a loopback address, TLS with a certificate.
    #[arg(long = "console", value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The origin that browsers reach the console at, which passkeys are made for;
    /// http://localhost:PORT where nothing is said and there is no certificate.
    #[arg(long = "console-origin", value_name = "URL", requires = "listen")]
    pub(crate) origin: Option<ConsoleOrigin>,
    /// The certificate chain of the console, in PEM, leaf first; read again when it changes.
    #[arg(
        long = "console-certificate",
        value_name = "FILE",
        requires_all = ["listen", "key", "origin"]
    )]
    pub(crate) certificate: Option<PathBuf>,
    /// The key of that certificate, in PEM; mode 0600.
    #[arg(long = "console-key", value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// What the new person may do. May be repeated.
    #[arg(
        long = "role",
        value_enum,
        required_unless_present = "person",
        conflicts_with = "person"
    )]
    pub(crate) roles: Vec<PersonRole>,
    /// A person whom the trust document names, for one more passkey.
    #[arg(long, value_name = "PERSON")]
    pub(crate) person: Option<PersonId>,
    /// How many seconds to wait for them.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) wait: u64,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PersonRole {
    /// Consents to missions on their own behalf.
    Principal,
    /// Answers escalations.
    Approver,
}
