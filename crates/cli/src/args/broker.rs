use chancery_identity::SpiffeId;
use chancery_identity::broker::ReferenceKind;
use clap::{Args, Subcommand};

use super::DataArgs;

#[derive(Debug, Args)]
pub(crate) struct BrokerArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: BrokerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BrokerCommand {
    /// Admits a broker, or changes what it may: it obtains SVIDs, with their keys, of other workloads.
    Allow {
        /// The SPIFFE ID of the broker, or of an agent: all of its instances are brokers then.
        broker: SpiffeId,
        /// How it may name workloads: pid (a process of this machine) or agent (an instance that it
        /// started itself). May be repeated.
        #[arg(long = "reference", value_name = "KIND", required = true)]
        references: Vec<ReferenceKind>,
        /// The SPIFFE ID that its workloads have or are below. May be repeated.
        #[arg(long, value_name = "ID", required = true)]
        within: Vec<SpiffeId>,
    },
    /// Lists the brokers and what each of them may.
    List,
    /// Takes a broker's admission back, at once.
    Remove {
        /// The SPIFFE ID that was admitted.
        broker: SpiffeId,
    },
}
