//! Evidence of what a process is, and the level that each kind of it reaches.
//!
//! Pure: what the kernel said is an argument, and so is what a TPM signed. A level that rests on
//! software alone says so in its name; nothing is claimed that no hardware vouched for.

mod evidence;
pub mod tpm;

pub use chancery_identity::{AttestationLevel, Isolation};
pub use evidence::{Evidence, EvidenceError, LaunchEvidence, ProcessEvidence};
