use std::path::PathBuf;
use std::str::FromStr;

use chancery_node::TpmAddress;
use chancery_types::Digest;
use chancery_types::id::NodeId;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

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
        /// It is the maker of TPMs: a host whose TPM has a certificate of it over its RSA key may join, and no
        /// other.
        #[arg(long)]
        tpm: bool,
        /// What a register of such a TPM must hold, of its SHA-256 bank; once for each register.
        #[arg(long, value_name = "REGISTER=HEX", requires = "tpm")]
        pcr: Vec<PcrValue>,
    },
    /// Takes an authority out: its certificates admit no host any more. Who joined stays.
    RemoveCa {
        /// The digest of its certificate, as `list` shows it.
        fingerprint: Digest,
    },
    /// Takes in one TPM: its host may join.
    AdmitTpm {
        /// The digest of its endorsement key, as `node tpm` on the host shows it, or a file with the key
        /// as TPM2B_PUBLIC.
        #[arg(value_name = "DIGEST|FILE")]
        tpm: String,
        /// What a register must hold, of the SHA-256 bank; once for each register.
        #[arg(long, value_name = "REGISTER=HEX")]
        pcr: Vec<PcrValue>,
    },
    /// Takes a TPM out: its host joins no more. One that joined stays until it is put out.
    RemoveTpm {
        /// The digest of its endorsement key, as `list` shows it.
        tpm: Digest,
    },
    /// Shows the TPM of this host: the digest that names it, and what its registers hold.
    Tpm(TpmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TpmArgs {
    /// The TPM: a device, or the socket of a software TPM as `swtpm:PATH` or `swtpm:HOST:PORT`.
    #[arg(long, value_name = "TPM", default_value = "/dev/tpmrm0")]
    pub(crate) tpm: TpmAddress,
    /// Which of its endorsement keys names it: of RSA 2048 or of ECC P-256.
    #[arg(long, value_name = "KIND", default_value = "rsa")]
    pub(crate) tpm_key: TpmKey,
}

/// Which endorsement key names a TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TpmKey {
    /// RSA of 2048 bits.
    Rsa,
    /// ECC over P-256.
    Ecc,
}

/// What a register must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PcrValue {
    pub(crate) register: u8,
    pub(crate) value: Digest,
}

impl FromStr for PcrValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a register of 0 to 23, = and 64 hex digits".to_owned();
        let (register, hex) = text.split_once('=').ok_or_else(expected)?;
        let register = register.parse().ok().filter(|register| *register < 24);
        let hex = hex.strip_prefix("0x").unwrap_or(hex).to_lowercase();
        let value = Digest::from_hex(&hex).map_err(|_| expected())?;
        Ok(Self {
            register: register.ok_or_else(expected)?,
            value,
        })
    }
}

/// Reads the address of a server.
fn address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, port)| {
        let named = !host.is_empty() && !host.contains('/');
        named && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    parts.map_or_else(
        || Err("expected HOST:PORT".to_owned()),
        |_| Ok(text.to_owned()),
    )
}

#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("proof")
        .args(["token_file", "certificate", "tpm"])
        .required(true)
))]
pub(crate) struct JoinArgs {
    /// Where the deployment listens for nodes (`up --nodes`).
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(crate) server: String,
    /// The deployment's trust document, handed over by a way that is trusted: nothing else is believed.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// The file with the token, mode 0600; it is of no use to anybody once this host has joined.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The certificate that this host has of an admitted authority, in PEM, its own first.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// The key of that certificate, in PEM; mode 0600.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// The TPM that the operator admitted, or whose maker: a device, /dev/tpmrm0 where none is named, or
    /// the socket of a software TPM as `swtpm:PATH` or `swtpm:HOST:PORT`.
    #[arg(
        long,
        value_name = "TPM",
        num_args = 0..=1,
        require_equals = false,
        default_missing_value = "/dev/tpmrm0"
    )]
    pub(crate) tpm: Option<TpmAddress>,
    /// Which of its endorsement keys names it: of RSA 2048, or of ECC P-256, which is admitted by its digest
    /// alone.
    #[arg(long, value_name = "KIND", default_value = "rsa")]
    pub(crate) tpm_key: TpmKey,
}
