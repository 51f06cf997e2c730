//! The one crypto provider of the program: aws-lc-rs behind the traits of the pure crates.
//!
//! Keys are made, kept on disk with mode 0600, and used here; no other crate names the library.

mod content_key;
mod credential;
mod key_file;
mod ml_dsa;
mod provider;
mod random;
mod signing_key;
mod svid_algorithms;
mod tpm_maker_algorithms;

pub use content_key::{CONTENT_KEY_BYTES, ContentCipher, ContentKey, SealError};
pub use key_file::{
    KeyFileError, create_private_file, destroy_private_file, read_private_file,
    replace_private_file,
};
pub use ml_dsa::MlDsa44Key;
pub use provider::AwsLc;
pub use random::{RandomError, random_bytes, random_id};
pub use signing_key::{KeyError, SigningKey};
pub use svid_algorithms::SVID_ALGORITHMS;
pub use tpm_maker_algorithms::TPM_MAKER_ALGORITHMS;
