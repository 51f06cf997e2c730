//! Values that the logs only commit to: sealed under a key of whoever they are about, so that they
//! can be erased.

mod error;
mod keyring;
mod object_store;
mod subject;

pub use error::ContentError;
pub use keyring::{Erasing, KeyId, Keyring, Tombstone};
pub use object_store::ObjectStore;
pub use subject::Subject;
