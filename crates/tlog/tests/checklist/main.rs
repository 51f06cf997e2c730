//! The checklist of a verifier of C2SP logs (V1 to V12) and what a witness judges by (N1 to N8),
//! by number. Real keys throughout.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod formats;
mod policies;
mod strictness;
mod verifier;
mod witness;
mod world;
