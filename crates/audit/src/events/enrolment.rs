//! What the server's log holds of others.

use chancery_types::Digest;
use chancery_types::id::SessionId;

use crate::Label;

body! {
    /// A checkpoint of another log was verified: consistent with the last one of that log.
    pub struct CheckpointEnrol = "checkpoint.enrol" in Server {
        /// The origin of the log.
        log: Label,
        /// How many entries it has.
        size: u64,
        /// Its root hash.
        root: Digest,
        /// The digest of the signed checkpoint.
        checkpoint: Digest,
    }
}

body! {
    /// The record of a session was issued.
    pub struct RecordEnrol = "record.enrol" in Server {
        /// The session.
        session: SessionId,
        /// The digest of the signed record.
        record: Digest,
        /// The thumbprint of the key that signed it.
        signer: Digest,
        /// The digest of the index of the session's evidence.
        evidence: Digest,
    }
}
