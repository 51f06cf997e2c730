//! The presentation: one object that binds what an instance is, what it may do and by whose word to
//! one holder key, for a relying party that trusts none of those who put it together.
//!
//! Each part is signed by its own issuer, and leads to the key: the workload identity token names the
//! key and the manifest's digest; the entry that enrolled the token names the key's thumbprint and the
//! evidence; the leaf of the chain is for the key; the entry by which the session was joined names the
//! thumbprint, the chain and the manifest. The holder signs all of it together with the challenge of
//! the one who asks. The keys that are believed come from the trust document, which comes from outside.

mod challenge;
mod document;
mod holder;
mod refusal;
mod shown;
mod verify;

pub use challenge::{Challenge, ChallengeError, ChallengeFormat};
pub use document::{
    Checkpoints, Enrolled, MAX_PRESENTATION_BYTES, Parts, Presentation, PresentationFormat,
};
pub use holder::{HOLDER_TYP, HolderError, sign_presentation};
pub use refusal::{Part, PresentationRefusal, REASONS};
pub use shown::Shown;
pub use verify::{Policy, PresentationContext, VerifiedPresentation, verify_presentation};
