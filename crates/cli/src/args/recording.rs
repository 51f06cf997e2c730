use std::net::SocketAddr;
use std::path::PathBuf;

use chancery_identity::SpiffeId;
use chancery_tlog::Origin;
use clap::{Args, ValueEnum};

/// An X.509-SVID in files, as helpers of the SPIFFE Workload API write them. They are read again when
/// they change.
#[derive(Debug, Args)]
pub(crate) struct SvidArgs {
    /// The X.509-SVID: PEM, the leaf first.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) svid: Option<PathBuf>,
    /// Its key: PEM, PKCS#8, a file that only its owner may read.
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub(crate) key: Option<PathBuf>,
    /// The authorities of the trust domain: PEM.
    #[arg(long, value_name = "FILE", requires = "svid")]
    pub(crate) bundle: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WriteArgs {
    /// The folder: the log, its keys and the socket of its owner. Made at the first start.
    pub(crate) folder: PathBuf,
    /// What the log is called, such as acme.example/log/builds; needed at the first start, and fixed.
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<Origin>,
    /// An address for producers of other users and hosts, over mutual TLS by X.509-SVIDs.
    #[arg(long, value_name = "ADDRESS", requires_all = ["svid", "producers"])]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) svid: SvidArgs,
    /// The SPIFFE ID of somebody who may append over TLS. May be repeated; all of one trust domain.
    #[arg(long = "producer", value_name = "ID", requires = "listen")]
    pub(crate) producers: Vec<SpiffeId>,
    /// A C2SP witness policy: who cosigns the checkpoints, and the quorum.
    #[arg(long, value_name = "FILE")]
    pub(crate) witnesses: Option<PathBuf>,
    /// Publishes no checkpoint that the quorum did not cosign.
    #[arg(long, requires = "witnesses")]
    pub(crate) withhold: bool,
}

/// When an entry counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// It survives any crash.
    Durable,
    /// A visible checkpoint covers it.
    Published,
    /// A visible checkpoint covers it, which the witness quorum cosigned.
    Witnessed,
}

#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    /// What to append, one entry a line; `-` is standard input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// The socket of a log of the same user: `append.sock` in the folder of `log write`.
    #[arg(
        long,
        value_name = "SOCKET",
        required_unless_present = "to",
        conflicts_with = "to",
        requires = "name"
    )]
    pub(crate) socket: Option<PathBuf>,
    /// Who appends, over the socket: 1 to 64 letters, digits, `.`, `-` and `_`.
    #[arg(long, value_name = "NAME", requires = "socket")]
    pub(crate) name: Option<String>,
    /// The address of a log, over mutual TLS; who appends is the X.509-SVID.
    #[arg(long, value_name = "HOST:PORT", requires_all = ["svid", "expect"])]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) svid: SvidArgs,
    /// The SPIFFE ID that the log must have, over TLS.
    #[arg(long, value_name = "ID", requires = "to")]
    pub(crate) expect: Option<SpiffeId>,
    /// The log that is meant, by its origin.
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// What is waited for.
    #[arg(long, value_enum, default_value_t = Until::Durable)]
    pub(crate) until: Until,
    /// The sequence of the first line: lines that the log has already are not appended again. Without
    /// it, lines go behind what the log has of this producer.
    #[arg(long, value_name = "SEQUENCE")]
    pub(crate) first: Option<u64>,
    /// The whole input is one entry.
    #[arg(long)]
    pub(crate) whole: bool,
    /// Seconds without an acknowledgement until it is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) patience: u64,
}
