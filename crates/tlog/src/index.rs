//! The completeness index: a sparse Merkle map from the instances of a log to what it holds of
//! them, and the file that proves one of them, or that there is none.

mod chain;
mod file;
mod map;
mod path;

pub use chain::{IndexKey, IndexedChain};
pub use file::{INDEX_PROOF_HEADER, IndexProof, IndexProofError};
pub use map::IndexMap;
pub use path::{IndexPath, IndexPathError, MAX_INDEX_DEPTH};
