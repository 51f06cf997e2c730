//! What a relying party verifies: Trust Records, whole logs, the evidence of a session, and the
//! replay of every decision from the bytes that were presented.
//!
//! Pure: files are handed in, trust comes from outside. Nothing here believes what evidence says of
//! itself.

pub mod files;
pub mod index;
pub mod log;
pub mod trust_record;

pub use files::{Files, INDEX_PATH, TRUST_RECORD_PATH, object_path};
pub use index::{EvidenceIndex, IndexFormat, Object, ObjectKind};
pub use log::{LogProblem, VerifiedLog};
