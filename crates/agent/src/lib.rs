//! What an agent process links, and the bridge for MCP clients that know nothing of Chancery.
//!
//! The agent key lives in memory of the process that uses this crate and in no other place. An
//! instance gets its credential and its authority from a [`NodeIdentity`], speaks to its gateway
//! through a [`GatewayClient`], serves MCP clients with a [`Bridge`] and passes authority on by a
//! [`handover`] to a child that it started, or by a [`handshake`] to any other agent.
//!
//! INVARIANT: nothing here decides. What a call may do is for the gateway to say.

mod bridge;
mod clock;
mod exchange;
mod gateway;
mod held;
mod identity;
mod json;
mod key;
mod lines;
mod local;
mod node;
mod peer;
mod session;
mod socket;
mod svid;

pub mod handover;
pub mod handshake;

pub use bridge::{
    Admit, Bridge, BridgeConfig, MAX_CHILDREN, MAX_ENDS, PRESENT_REASONS, Patience, PresentError,
    Presenter, SpawnEnd, SpawnEnds, SpawnError, SpawnMany, SpawnRequest, Spawned, SpawnedChild,
    Spawner,
};
pub use exchange::{DpopRequest, ExchangeError, ExchangeRequest};
pub use gateway::{GatewayClient, GatewayError, McpHeaders, Messages, Reply};
pub use held::{Held, HeldError};
pub use identity::{Answer, Credential, Gateway, NodeError, NodeIdentity};
pub use key::{AgentKey, AgentKeyError};
pub use local::{LocalClient, LocalError};
pub use node::NodeClient;
pub use peer::PeerProcess;
pub use session::{Instance, SessionError};
pub use svid::{OwnSvid, SvidError};
