//! Nodes on other hosts: who admits them, who they are, how they are put out, and where they speak.

mod admission;
mod eviction;
mod listener;
mod presented;
mod quota;
mod reasons;
mod roll;
mod tpm;

pub(crate) use listener::NodeConnection;
pub use listener::{NodeHome, NodeListener, NodeListenerError};
pub use reasons::NODE_REASONS;
pub(crate) use roll::NodeRoll;
