use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use chancery_identity::jwt_svid::JwtIssuer;
use chancery_server::SvidLifetime;
use clap::{Args, ValueEnum};

use super::{ConsoleArgs, DataArgs};

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The SPIFFE trust domain; fixed when the data folder is made.
    #[arg(long, value_name = "NAME", default_value = "chancery.example")]
    pub(crate) trust_domain: String,
    /// Where the key of the X.509 root is: `offline` among the keys of root/, or `online` with the
    /// signer, which then rotates its intermediates by itself. Fixed when the data folder is made.
    #[arg(long, value_enum, default_value_t = X509Root::Offline)]
    pub(crate) x509_root: X509Root,
    /// The port of the gateway.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    pub(crate) gateway_port: u16,
    /// The folder of the policy bundle to publish at start.
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: Option<PathBuf>,
    /// A tool server for the gateway to run: NAME=COMMAND ARGS, words separated by spaces, quotes
    /// as in a shell. May be repeated. Remembered in the data folder.
    #[arg(long = "tool-server", value_name = "NAME=COMMAND")]
    pub(crate) tool_servers: Vec<String>,
    /// A relying party that access tokens may be asked for, and the servers whose entries its tokens
    /// carry: URI or URI=SERVER,SERVER. May be repeated. Remembered in the data folder.
    #[arg(long = "audience", value_name = "URI=SERVERS")]
    pub(crate) audiences: Vec<String>,
    /// Shows metrics for Prometheus, health and readiness over HTTP to whoever reaches this address:
    /// /metrics, /healthz, /readyz.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How long the SVIDs of instances live, in seconds: from 10 to 3600, 600 where nothing was ever
    /// said; JWT-SVIDs live 300 at most. Remembered in the data folder.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) svid_lifetime: Option<SvidLifetime>,
    /// How long an authority of X.509-SVIDs lives that the signer has certified by itself, in seconds: from
    /// 10 on, thirty days where nothing was ever said. Remembered in the data folder.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..=31_536_000))]
    pub(crate) x509_authority_lifetime: Option<u64>,
    /// Seconds between two roots of the completeness index in the gateway's log, where it changed;
    /// a minute where nothing is said. Remembered in the data folder.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) index_interval: Option<u64>,
    /// Keeps the server's tables in a PostgreSQL database instead of a file of the data folder. The file
    /// holds its address, postgres://USER:PASSWORD@HOST/DATABASE, and is its owner's alone (0600).
    /// Fixed when the data folder is made; where the address stands is remembered.
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    /// Keeps the logs of server and gateway in S3-compatible object storage instead of the data folder,
    /// below s3://BUCKET/PREFIX. How it is reached, and with which credentials, is said by the AWS_
    /// variables of the environment alone. Fixed when the data folder is made; where is remembered.
    #[arg(long, value_name = "S3-URL")]
    pub(crate) log_storage: Option<String>,
    /// Listens at this address for nodes on other hosts (`chancery node join`); nowhere where nothing is
    /// said.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) nodes: Option<SocketAddr>,
    /// The address that the gateway listens on; 127.0.0.1 where nothing is said.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) gateway_listen: Option<IpAddr>,
    /// Where other hosts reach the gateway, as their instances are told; where it listens, where nothing
    /// is said.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) gateway_advertise: Option<SocketAddr>,
    /// Serves, publishes and reads WIT-SVIDs as well, which are incubating: the revision of their
    /// specifications is recorded. Remembered in the data folder.
    #[arg(long)]
    pub(crate) wit_svid: bool,
    /// Serves no WIT-SVIDs any more.
    #[arg(long, conflicts_with = "wit_svid")]
    pub(crate) no_wit_svid: bool,
    /// Serves the SPIFFE Broker API, which is incubating, to the brokers of `chancery broker`; its
    /// revision is recorded. Remembered in the data folder.
    #[arg(long)]
    pub(crate) broker_api: bool,
    /// Serves no brokers any more.
    #[arg(long, conflicts_with = "broker_api")]
    pub(crate) no_broker_api: bool,
    #[command(flatten)]
    pub(crate) console: ConsoleArgs,
    #[command(flatten)]
    pub(crate) bundle: BundleArgs,
    /// Where the trust document is copied, for verifiers.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust_out: Option<PathBuf>,
}

/// Where the key of the X.509 root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum X509Root {
    /// Among the offline keys.
    Offline,
    /// With the signer.
    Online,
}

/// Where others fetch the bundle of this trust domain; nowhere by default. Remembered in the data
/// folder, all of it together.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// Serves the bundle by the X.509-SVID of the server (https_spiffe) at this address. Remembered in
    /// the data folder, with the other options of the bundle.
    #[arg(long = "bundle-spiffe", value_name = "ADDRESS:PORT")]
    pub(crate) spiffe: Option<SocketAddr>,
    /// Serves the bundle by a certificate of the Web's (https_web) at this address.
    #[arg(
        long = "bundle-web",
        value_name = "ADDRESS:PORT",
        requires_all = ["web_certificate", "web_key"]
    )]
    pub(crate) web: Option<SocketAddr>,
    /// The certificate chain of https_web, in PEM, leaf first; read again when it changes.
    #[arg(long = "bundle-web-certificate", value_name = "FILE", requires = "web")]
    pub(crate) web_certificate: Option<PathBuf>,
    /// The key of that certificate, in PEM; mode 0600.
    #[arg(long = "bundle-web-key", value_name = "FILE", requires = "web")]
    pub(crate) web_key: Option<PathBuf>,
    /// The issuer that JWT-SVIDs name; its discovery document and keys are served beside the bundle of
    /// https_web, for readers that know OpenID Connect.
    #[arg(long, value_name = "URL", requires = "web")]
    pub(crate) oidc_issuer: Option<JwtIssuer>,
    /// After how many seconds others are to fetch the bundle again; 300 where it is not said.
    #[arg(
        long = "bundle-refresh",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(60..=86_400)
    )]
    pub(crate) refresh: Option<u64>,
    /// Forgets where the bundle was served; it is served nowhere.
    #[arg(long, conflicts_with_all = ["spiffe", "web", "refresh"])]
    pub(crate) no_bundle_endpoint: bool,
}
