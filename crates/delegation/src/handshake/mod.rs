//! The handshake between two agents, before one passes authority on to the other.
//!
//! Three messages: an [`Offer`], the [`Accept`] that answers it, and the [`Conclusion`] that carries
//! the link. Each side proves its agent key over one transcript ([`Transcript`]): both nonces, both
//! names, both keys, the chain that is to be narrowed, what is offered, whom the proof is meant for
//! and the channel that it is said on. The credentials are workload identity tokens; the names are
//! those of the transport's X.509-SVIDs. So nothing that is said here is worth anything on another
//! channel, to another peer or at another time.
//!
//! Each end is a machine whose steps take the state by value: [`Offering`] and [`Agreed`] for the
//! one who delegates, [`Accepting`] and [`Taken`] for the one who takes. [`OpenHandshakes`] keeps
//! the open ones of a server, bounded for each peer.
//!
//! Pure: time, nonces, private keys and the channel's exporter are arguments.

mod accepter;
mod error;
mod message;
mod offerer;
mod open;
mod peer;
mod transcript;

pub use accepter::{Accepting, Taken};
pub use error::HandshakeRefusal;
pub use message::{Accept, Conclusion, Nonce, Offer, OfferedTerms};
pub use offerer::{Agreed, Concluded, Offering};
pub use open::OpenHandshakes;
pub use peer::{ChannelBinding, OwnEnd, PeerContext};
pub use transcript::{HANDSHAKE_TYP, Role, Transcript};

/// The protocol and its version: a member of every message and of the transcript.
pub const HANDSHAKE_PROTOCOL: &str = "chancery/handshake/v1";

/// The label that the channel binding is exported with (RFC 8446, section 7.5), without context.
pub const EXPORTER_LABEL: &str = "EXPORTER-Chancery-Handshake-v1";

/// How long a handshake is open, and how old one of its messages may be.
pub const HANDSHAKE_SECONDS: u64 = 60;

/// How far in the future a message may be dated, for clocks that differ.
pub(crate) const MAX_AHEAD_SECONDS: u64 = 5;
