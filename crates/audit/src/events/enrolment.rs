//! What a log holds of others, and of the one that it goes on from.

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

body! {
    /// This log goes on from an older copy of another one, of which more was signed than is left.
    /// The entries before this one are those of the other log, under its name; what followed them
    /// there is missing. Sessions that were open in it end.
    pub struct LogSucceed = "log.succeed" in Either {
        /// The origin of the other log.
        log: Label,
        /// How many of its entries are left: the index of this one.
        size: u64,
        /// Its root hash at that size.
        root: Digest,
        /// The digest of its signed checkpoint of that size.
        checkpoint: Digest,
        /// The largest size that is known to have been signed of it; more may have been acknowledged.
        signed: u64,
        /// Its root hash at that size.
        signed_root: Digest,
        /// The digest of the signed checkpoint that shows it.
        signed_checkpoint: Digest,
    }
}
