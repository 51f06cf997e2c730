//! Both sides of C2SP tlog-witness: the client, by which a log has its checkpoints cosigned, and
//! the server, which cosigns those of others.

mod address;
mod cosigners;
mod http;
mod keys;
mod one;
mod records;
mod server;
mod signing;

pub use address::{AddressError, WitnessAddress};
pub(crate) use cosigners::Cosigners;
pub use cosigners::{RollbackAlarm, Unwitnessed, WitnessSetupError, Witnesses};
pub use keys::{WitnessKeyError, WitnessKeys};
pub use server::WitnessServer;
pub use signing::{Refusal, Witness, WitnessError};
