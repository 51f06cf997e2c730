//! The host's TPM 2.0: where it is, and what a join asks of it.

mod address;
mod device;
mod joining;
mod session;
mod templates;

pub use address::{TpmAddress, TpmAddressError};
pub use device::TpmError;
pub(crate) use joining::{open, shown};
pub use session::{OwnTpm, TpmAnswer, TpmKeyKind};
