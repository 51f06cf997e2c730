use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct WitnessArgs {
    /// The folder of the witness: its keys, and what it cosigned. Made at the first start.
    #[arg(long, value_name = "DIR", default_value = "chancery-witness")]
    pub(crate) data: PathBuf,
    /// What its keys are called, such as witness.example/w1; needed at the first start, and fixed.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The address that it listens on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7380")]
    pub(crate) listen: SocketAddr,
    /// Where logs reach it, where that is another place: http://HOST[:PORT][/PREFIX].
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A key of a log that it cosigns, a C2SP verifier key. May be repeated.
    #[arg(long = "log", value_name = "VKEY")]
    pub(crate) keys: Vec<String>,
    /// A file with the keys of the logs that it cosigns: `log` lines and `quorum none`, as
    /// `chancery trust logs` writes them.
    #[arg(long, value_name = "FILE")]
    pub(crate) logs: Option<PathBuf>,
}
