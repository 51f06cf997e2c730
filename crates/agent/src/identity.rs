//! What an instance gets from its node.

use std::net::SocketAddr;
use std::pin::Pin;

use chancery_identity::SpiffeId;

use crate::held::{Held, HeldError};
use crate::key::{AgentKey, AgentKeyError};

/// What an asynchronous method of a trait object returns.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The node, as an instance sees it: it knows the caller by the kernel's word, so no request names
/// an instance.
pub trait NodeIdentity: Send + Sync + 'static {
    /// Proves possession of the key over a fresh challenge and returns its credential. The first
    /// key that is proven is the instance's only one; the same key again renews the credential.
    fn credential<'a>(&'a self, key: &'a AgentKey) -> Answer<'a, Result<Credential, NodeError>>;

    /// Waits for a delegation to the instance, for as long as it takes.
    fn await_delegation(&self) -> Answer<'_, Result<Held, NodeError>>;
}

/// The credential of the agent key, and what the instance needs beside it.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The workload identity token.
    pub wit: String,
    /// The instance.
    pub spiffe_id: SpiffeId,
    /// The signed manifest of the agent: the COSE envelope.
    pub manifest: Vec<u8>,
    /// The home gateway.
    pub gateway: Gateway,
}

/// Where a gateway listens, and who it must prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: SocketAddr,
    /// Its SPIFFE ID.
    pub spiffe_id: SpiffeId,
}

/// Why the node gave nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The node is not there.
    #[error(
        "{endpoint}: the node cannot be reached; is `chancery up` running with this data folder, or, on a joined host, `chancery node join`?"
    )]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The node refused.
    #[error("the node refused: {message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// The node's answer lacks something or has it in another form.
    #[error("the node's answer is not usable: {field}")]
    Answer {
        /// What is wrong.
        field: &'static str,
    },
    /// What the node delegated is not usable.
    #[error("the node's delegation is not usable")]
    Held(#[from] HeldError),
    /// The node closed the stream of delegations without one.
    #[error("the node ended the wait for a delegation; has the launch ended?")]
    Ended,
    /// The agent key failed.
    #[error(transparent)]
    Key(#[from] AgentKeyError),
}
