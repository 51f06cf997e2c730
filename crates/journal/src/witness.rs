//! Both sides of C2SP tlog-witness: the client, by which a log has its checkpoints cosigned, and
//! the server, which cosigns those of others.

mod address;
mod alarm;
mod cosigners;
mod http;
mod keys;
mod one;
mod records;
mod server;
mod signing;

pub use address::{AddressError, WitnessAddress};
pub use alarm::LogAlarm;
pub(crate) use alarm::{ALARM_FILE, AlarmNotes};
pub(crate) use cosigners::{CosignError, Cosigners};
pub use cosigners::{Unwitnessed, WitnessSetupError, Witnesses};
pub use keys::{WitnessKeyError, WitnessKeys};
pub use server::WitnessServer;
pub use signing::{Refusal, Witness, WitnessError};
