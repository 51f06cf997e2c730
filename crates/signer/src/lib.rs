//! Custody of the authorities' keys, in a process that does nothing else.
//!
//! Each kind of thing is signed only by its rule: an X.509-SVID only for an instance or a service of
//! the trust domain and for an hour at most, a root only over a person's verified consent, a
//! checkpoint and a snapshot only forward. Whoever holds the server's socket cannot talk a key into
//! more than that.

pub mod ca;
pub mod keys;

mod authorities;
mod rules;
mod seal;
mod service;

pub use authorities::{
    AUTHORITY_REASONS, AuthoritiesError, Lifetimes, RootConfig, VaultConfig, VaultError,
};
pub use keys::{KeyCustody, KeyFolder, KeysError, SignerKeys, StandingKeys};
pub use seal::{Seal, SealCost, SealedError};
pub use service::{ROUTES, Signer};
