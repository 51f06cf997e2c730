use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AppendArgs, DataArgs, WriteArgs};

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Which log of the deployment; the gateway's where nothing is said, and both of `serve`.
    #[arg(long, value_enum, global = true)]
    pub(crate) log: Option<LogName>,
    /// A log folder, in place of a deployment's.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

/// A log of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogName {
    /// The gateway's: decisions and outcomes.
    Gateway,
    /// The server's: identities, delegations, approvals, checkpoints.
    Server,
}

impl LogName {
    /// The name on the command line and in a URL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Server => "server",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Shows the published checkpoint.
    Checkpoint,
    /// Lists entries.
    Entries {
        /// The first index.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many.
        #[arg(long, default_value_t = 50)]
        count: u64,
    },
    /// Shows the log's keys, as vkeys that every C2SP tool reads.
    Keys {
        /// The trust document that names them; the deployment's where nothing is said.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Recomputes every tile and the root from the entries, and says what differs.
    Check {
        /// The trust document that names the log's keys.
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Serves the log over HTTP as a C2SP tiled log: checkpoint, tiles and entries, for whoever
    /// reaches the address.
    Serve {
        /// The address. Beyond this machine, put something in front that knows who may read.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8460")]
        listen: SocketAddr,
    },
    /// Writes a log for programs that keep none of their own, which append to it over a socket or over
    /// mutual TLS.
    ///
    /// Each of their entries stands in it with who sent it and its number among that producer's: what is
    /// sent again after a break is there once.
    Write(WriteArgs),
    /// Appends entries to such a log, one a line, and says where they are.
    Append(AppendArgs),
    /// Follows a served log: whether it only grew, its keys signed it, and every file is what its
    /// entries make.
    ///
    /// With `--trust` the document's witnesses are asked for as well: a checkpoint without their
    /// quorum is told as unwitnessed, and is a finding where the document withholds such ones. Ends
    /// with 1 where something is found, and with 3 where the log cannot be read.
    Monitor(MonitorArgs),
    /// Goes on from a restored copy of a log, of which more was signed, under a name of its own.
    ///
    /// For a stopped deployment whose logs are refused as rolled back, where no later copy is left.
    /// The new log begins with the entries of the copy and an entry that names the old log and how
    /// much is missing; a trust document that the root key signs admits it. Sessions that were open
    /// end. Without `--log` both logs are looked at, and one that misses nothing stays as it is.
    Succeed(SucceedArgs),
    /// Prints new entries as they are published, one JSON document a line.
    Tail {
        /// The first index; without it, only what is new.
        #[arg(long, value_name = "INDEX")]
        from: Option<u64>,
        /// Stops after so many.
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
    },
    /// Writes the inclusion proof of one entry (c2sp.org/tlog-proof), or the proof of how many
    /// entries of one instance there are.
    Prove(ProveArgs),
    /// Verifies such a proof offline, with the log's keys.
    ///
    /// With `--trust` the document's witnesses are asked for as well: a checkpoint without their
    /// quorum is told as unwitnessed, and refused (1) where the document withholds such ones.
    VerifyProof(VerifyProofArgs),
    /// Writes entries for other programs, one JSON document a line.
    Export {
        /// In which form.
        #[arg(long = "as", value_enum, default_value_t = ExportAs::Jsonl)]
        form: ExportAs,
        /// The first index.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many; all where nothing is said.
        #[arg(long)]
        count: Option<u64>,
        /// With the inclusion proof of each entry.
        #[arg(long)]
        proofs: bool,
    },
}

/// The form of exported entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportAs {
    /// The entries as they are, with index and leaf hash.
    Jsonl,
    /// OCSF events: API Activity with the profile `record_integrity`.
    Ocsf,
    /// OpenTelemetry logs, OTLP in JSON.
    Otlp,
}

/// Whose signature is believed.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The trust document that names the log's keys, got another way than the log.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "vkeys",
        conflicts_with = "vkeys"
    )]
    pub(crate) trust: Option<PathBuf>,
    /// A key of the log, as `chancery log keys` prints it; once for Ed25519, once for ML-DSA-44.
    #[arg(long = "vkey", value_name = "KEY")]
    pub(crate) vkeys: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// The URL that the log's files stand below, or a folder with them.
    pub(crate) place: String,
    /// The file that remembers what was seen; made by the first pass.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    /// The log's origin; the one that was seen, or at first the one that is served, where nothing
    /// is said.
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// Reads the whole log again, not only what is new.
    #[arg(long)]
    pub(crate) whole: bool,
    /// Goes on until something is found, or it is stopped.
    #[arg(long)]
    pub(crate) follow: bool,
    /// Seconds between two passes.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "follow",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) interval: u64,
}

#[derive(Debug, Args)]
pub(crate) struct SucceedArgs {
    /// A signed checkpoint of the log from elsewhere, such as a monitor kept it. The signer's memory,
    /// what stopped the log and what its witnesses show are read without being named.
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// The entry's index.
    #[arg(required_unless_present = "instance", conflicts_with = "instance")]
    pub(crate) index: Option<u64>,
    /// Writes the entry's exact bytes into this file: the proof is about them.
    #[arg(
        long,
        value_name = "FILE",
        requires = "index",
        conflicts_with = "instance"
    )]
    pub(crate) entry_out: Option<PathBuf>,
    /// An instance, by its SPIFFE ID: how many entries of it there are, or that there is none.
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,
    /// By the first index that covers so many entries of the log; the newest one where nothing is
    /// said.
    #[arg(
        long,
        value_name = "SIZE",
        requires = "instance",
        conflicts_with = "index"
    )]
    pub(crate) upto: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyProofArgs {
    /// The proof file.
    pub(crate) proof: PathBuf,
    /// The file with the entry's exact bytes; of the proof of one entry.
    #[arg(long, value_name = "FILE")]
    pub(crate) entry: Option<PathBuf>,
    /// The entries themselves, as `log export` writes them: whether they are all. Of the proof of an
    /// instance; entries of others are passed over.
    #[arg(long, value_name = "FILE", conflicts_with = "entry")]
    pub(crate) entries: Option<PathBuf>,
    /// How many entries of the log must be covered at least; of the proof of an instance.
    #[arg(long, value_name = "SIZE", conflicts_with = "entry")]
    pub(crate) upto: Option<u64>,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}
