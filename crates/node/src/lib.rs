//! The per-host process: attests local processes by the kernel's word, serves the SPIFFE Workload
//! API to them, and isolates what it launches.
//!
//! A caller never says who it is. The kernel names the process at the other end of a socket, the
//! node knows which launch that process belongs to, and an [`Issuer`] in another process holds the
//! keys that sign.

pub mod pb;
pub mod requests;
pub mod sandbox;

mod broker;
mod broker_rules;
mod clock;
mod executable;
mod following;
mod foreign;
mod issuer;
mod joined;
mod jwt_rate;
mod launch;
mod launches;
mod node;
mod operator;
mod paths;
mod peer;
mod pinned_trust;
mod process;
mod procfs;
mod reads;
mod record;
mod registrations;
mod running;
mod server_issuer;
mod stamp;
mod together;
mod tpm;
mod wit_identity;
mod withdrawn;
mod workload;
mod x509_source;

pub use broker::{BrokerError, Reference, ReferenceError};
pub use executable::Executable;
pub use foreign::ForeignBundles;
pub use issuer::{
    AgentCredential, Delegation, Delegations, Issuer, IssuerError, IssuerFuture, OpenedInstance,
};
pub use joined::{Ended, JoinError, Joined, Joining, Means};
pub use launch::{EndReason, Launch, LaunchFacts};
pub use launches::{LaunchError, LaunchRequest, Launches};
pub use node::{Node, NodeConfig, NodeError};
pub use operator::{LaunchList, LaunchView, OPERATOR_ROUTES, RegisterLaunch, RegisteredLaunch};
pub use pinned_trust::{PinError, PinnedTrust};
pub use process::{Process, ProcessError};
pub use registrations::Registrations;
pub use server_issuer::{Home, ServerIssuer};
pub use tpm::{OwnTpm, TpmAddress, TpmAddressError, TpmAnswer, TpmError, TpmKeyKind};
pub use withdrawn::Withdrawn;
pub use workload::Frames;

#[cfg(test)]
mod tests;
