//! Proof of possession: that the one who presents a chain holds its leaf's key, for this call.

mod replay;
mod verify;

pub use replay::{BoundedReplayMemory, ReplayMemory, ReplayRefusal};
pub use verify::{ProofContext, VerifiedProof, arguments_digest, verify_proof};

/// `typ` of a proof.
pub(crate) const PROOF_TYP: &str = "adt-pop+jwt";

/// How long after it was made a proof is taken.
pub(crate) const MAX_AGE_SECONDS: u64 = 60;

/// How far in the future a proof may be made, for clocks that differ.
pub(crate) const MAX_AHEAD_SECONDS: u64 = 5;
