//! What was erased: the proof that it was, with nothing of it.

use chancery_types::Digest;

use crate::{Commitment, Label};

body! {
    /// Everything that the server keeps of a subject is being erased: the key that its values are
    /// sealed under is destroyed after this entry. Gateways follow with an entry of their own.
    pub struct Erasure = "erasure" in Server {
        /// Who is erased (`erased-subject`).
        subject: Commitment,
        /// Who asked for it (`eraser`).
        by: Commitment,
        /// Why (`erasure-reason`).
        reason: Commitment,
        /// How many values the server kept.
        values: u64,
        [optional]
        /// The root of the Merkle tree (RFC 6962) whose leaves are commitments (`erased-scope`), sorted,
        /// to what of the logs concerns the subject: every session at a root of which they stand, every
        /// answer that they gave. Without it nothing is proven to be erased.
        scope: Digest,
        /// How many those are.
        scope_size: u64,
    }
}

body! {
    /// Everything that this gateway keeps of a subject is being erased: the key that its objects are
    /// sealed under is destroyed after this entry.
    pub struct ErasureDone = "erasure.done" in Gateway {
        /// Who is erased: the commitment of the server's entry.
        subject: Commitment,
        /// The origin of the log that enrolled the erasure.
        log: Label,
        /// The index of that entry.
        erasure: u64,
        /// How many objects the gateway kept.
        values: u64,
        /// The root of the Merkle tree (RFC 6962) whose leaves are the digests of those objects,
        /// sorted: 32 bytes each.
        objects: Digest,
    }
}
