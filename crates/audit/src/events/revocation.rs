//! What was withdrawn before its time, and which of it a gateway knew.

use chancery_types::{Digest, RevocationKind, Timestamp};

use crate::{Commitment, Label};

body! {
    /// Something was revoked: from the time of this entry on nothing that rests on it is allowed.
    pub struct RevocationAdd = "revocation.add" in Server {
        /// What it is.
        kind: RevocationKind,
        /// Which one.
        id: Label,
        /// Who did it (`revoker`).
        by: Commitment,
        /// Why (`revocation-reason`).
        reason: Commitment,
    }
}

body! {
    /// A revocation was lifted by a threshold of the root keys of the trust document.
    pub struct RevocationLift = "revocation.lift" in Server {
        /// What it is.
        kind: RevocationKind,
        /// Which one.
        id: Label,
        /// The time of the revocation that is lifted.
        revoked: Timestamp,
        /// The thumbprints of the root keys that signed.
        signers: Vec<Digest>,
        /// Why (`revocation-reason`).
        reason: Commitment,
    }
}

body! {
    /// The authorities' epoch was raised: every chain of an earlier one is dead.
    pub struct EpochRaise = "epoch.raise" in Server {
        /// The epoch from now on.
        epoch: u64,
        /// Who did it (`revoker`).
        by: Commitment,
        /// Why (`revocation-reason`).
        reason: Commitment,
    }
}

body! {
    /// Another snapshot governs this gateway from this entry on: one that differs from the one
    /// before in more than its date.
    pub struct SnapshotAdopt = "snapshot.adopt" in Gateway {
        /// Its sequence.
        sequence: u64,
        /// When the server made it; it holds every revocation of the server's log up to then.
        issued: Timestamp,
        /// The authorities' epoch.
        epoch: u64,
        /// How many revocations it holds.
        revoked: u64,
        /// The digest of the canonical form of those revocations.
        revocations: Digest,
        /// The version of the trust document.
        trust: u64,
        /// The digest of the policy bundle.
        policy: Digest,
    }
}
