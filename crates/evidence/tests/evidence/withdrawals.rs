//! What a server enrols when authority ends before its time.

use chancery_audit::{EpochRaise, Label, RevocationAdd, RevocationLift, commit};
use chancery_types::RevocationKind;

use crate::log_writer::Log;
use crate::scene::at;

impl Log {
    /// A revocation.
    pub(crate) fn revoke(&mut self, second: u64, kind: RevocationKind, name: &str) {
        let add = RevocationAdd {
            kind,
            id: Label::or_digest(name),
            by: commit("revoker", &[1; 32], b"operator"),
            reason: commit("revocation-reason", &[2; 32], b"test"),
        };
        self.append(at(second), add.into());
    }

    /// The end of a revocation of that second.
    pub(crate) fn lift(&mut self, second: u64, kind: RevocationKind, name: &str, revoked: u64) {
        let lift = RevocationLift {
            kind,
            id: Label::or_digest(name),
            revoked: at(revoked),
            signers: Vec::new(),
            reason: commit("revocation-reason", &[3; 32], b"test"),
        };
        self.append(at(second), lift.into());
    }

    /// A higher epoch.
    pub(crate) fn raise(&mut self, second: u64, epoch: u64) {
        let raise = EpochRaise {
            epoch,
            by: commit("revoker", &[1; 32], b"operator"),
            reason: commit("revocation-reason", &[4; 32], b"test"),
        };
        self.append(at(second), raise.into());
    }
}
