use std::path::PathBuf;

use chancery_types::Digest;
use chancery_types::id::NodeId;
use clap::{Args, Subcommand};

use super::DataArgs;

/// Without a command, the node of the server's own machine, which `up` starts.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: Option<NodeCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Makes a token that admits one host, once.
    Token {
        /// How long it admits a host, in seconds: from 10 to 86400.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        lifetime: u64,
        /// Writes the token into a new file of mode 0600 in place of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Joins a deployment from this host, and is its node here for as long as this runs.
    Join(JoinArgs),
    /// Lists the hosts that joined, and the authorities whose certificates admit one.
    List,
    /// Shows a node.
    Show {
        /// The node.
        node: NodeId,
    },
    /// Puts a node out, for good, with every instance on it.
    Evict {
        /// The node.
        node: NodeId,
        /// Why; kept beside the log, which commits to it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Takes in an authority: a host with a certificate of it may join.
    AdmitCa {
        /// The authority's certificate in PEM.
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
    },
    /// Takes an authority out: its certificates admit no host any more. Who joined stays.
    RemoveCa {
        /// The digest of its certificate, as `list` shows it.
        fingerprint: Digest,
    },
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// Where the deployment listens for nodes (`up --nodes`).
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: String,
    /// The deployment's trust document, handed over by a way that is trusted: nothing else is believed.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// The file with the token, mode 0600; it is of no use to anybody once this host has joined.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "certificate",
        conflicts_with = "certificate"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// The certificate that this host has of an admitted authority, in PEM, its own first.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// The key of that certificate, in PEM; mode 0600.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
}
