use std::path::PathBuf;

use chancery_identity::federation::EndpointUrl;
use chancery_identity::{SpiffeId, TrustDomain};
use clap::{Args, Subcommand, ValueEnum};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct FederationArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: FederationCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FederationCommand {
    /// Begins to fetch the bundle of a foreign trust domain; at once, without a restart.
    Add(AddArgs),
    /// Ends a relation: its bundle is gone at once, at workloads too.
    Remove {
        /// The foreign trust domain.
        trust_domain: TrustDomain,
    },
    /// Lists the foreign trust domains.
    List,
    /// Shows a relation and its bundle; without a name the own bundle.
    Show {
        /// The foreign trust domain.
        trust_domain: Option<TrustDomain>,
        /// Writes the bundle document alone: what a partner is handed.
        #[arg(long)]
        bundle: bool,
    },
    /// Fetches a foreign bundle now, and says what came of it.
    Refresh {
        /// The foreign trust domain.
        trust_domain: TrustDomain,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The foreign trust domain.
    pub(crate) trust_domain: TrustDomain,
    /// Where its bundle is served.
    #[arg(long, value_name = "URL")]
    pub(crate) url: EndpointUrl,
    /// How the endpoint is authenticated. None is a substitute for the other.
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub(crate) profile: Profile,
    /// The SPIFFE ID that the endpoint has; of https_spiffe.
    #[arg(
        long,
        value_name = "ID",
        required_if_eq("profile", "https_spiffe"),
        conflicts_with = "web_roots"
    )]
    pub(crate) endpoint_id: Option<SpiffeId>,
    /// The bundle that the partner handed over; needed where the endpoint's SPIFFE ID is of the
    /// foreign trust domain itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Certificates in PEM that the endpoint is verified with, in place of the system's authorities;
    /// of https_web.
    #[arg(long, value_name = "FILE")]
    pub(crate) web_roots: Option<PathBuf>,
}

/// How an endpoint is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// By a certificate of the Web's authorities for the host of the URL.
    #[value(name = "https_web")]
    HttpsWeb,
    /// By the X.509-SVID of exactly the workload --endpoint-id.
    #[value(name = "https_spiffe")]
    HttpsSpiffe,
}
