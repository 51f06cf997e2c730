use aws_lc_rs::rand;
use chancery_types::id::{Id, Kind};

/// The system's random source failed; nothing that needs randomness may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed")]
pub struct RandomError;

/// `N` bytes from the system's random source.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// A fresh identifier.
pub fn random_id<K: Kind>() -> Result<Id<K>, RandomError> {
    random_bytes().map(Id::from_random)
}
