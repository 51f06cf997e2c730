use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Inside an agent: exchanges the own delegation for an access token for one relying party.
    Exchange(ExchangeArgs),
    /// Inside an agent: proves the agent key for one request with an access token (DPoP).
    Proof(ProofArgs),
    /// Shows the keys that access tokens are signed with, as relying parties take them (JWKS).
    Keys(KeysArgs),
    /// Shows the authorization server's metadata (RFC 8414).
    Metadata(MetadataArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ExchangeArgs {
    /// The one relying party that the token is for: an absolute URI that the gateway is configured for.
    #[arg(long, visible_alias = "resource", value_name = "URI")]
    pub(crate) audience: String,
    /// What the token is to carry: SERVER/TOOL, or a JSON object of authorization_details; all that
    /// it may where none is named. May be repeated.
    #[arg(long = "allow", value_name = "GRANT")]
    pub(crate) allow: Vec<String>,
    /// The step of the mission that the exchange serves.
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    /// The HTTP method of the request.
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: String,
    /// Its URL, without query and fragment.
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,
    /// The nonce that the relying party asked for.
    #[arg(long, value_name = "NONCE")]
    pub(crate) nonce: Option<String>,
    /// The file of the access token; `-` reads standard input.
    pub(crate) token: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MetadataArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where the gateway is reached.
    #[arg(long, value_name = "ORIGIN", default_value = "https://127.0.0.1:8443")]
    pub(crate) gateway: String,
}
