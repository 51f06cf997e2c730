use chancery_audit::Event;
use chancery_delegation::{Revocable, Revocation, RevocationSet};
use chancery_types::Timestamp;

/// The authorities' epoch before it was ever raised.
const FIRST_EPOCH: u64 = 1;

/// What is revoked by the entries of a server's log.
///
/// INVARIANT: the server that writes the log and whoever verifies it take entries by this one
/// function, so that a snapshot holds what its log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The authorities' epoch.
    pub epoch: u64,
    /// What is revoked.
    pub revoked: RevocationSet,
}

impl Default for Withdrawn {
    fn default() -> Self {
        Self {
            epoch: FIRST_EPOCH,
            revoked: RevocationSet::default(),
        }
    }
}

impl Withdrawn {
    /// Whether the bytes of an entry could be of a type that changes anything, which is cheaper to
    /// ask than to read the entry.
    pub fn may_change(entry: &[u8]) -> bool {
        [&br#""type":"revocation."#[..], br#""type":"epoch."#]
            .iter()
            .any(|mark| entry.windows(mark.len()).any(|part| part == *mark))
    }

    /// Takes an entry of that time. One that revokes nothing changes nothing.
    pub fn take(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::RevocationAdd(add) => {
                if let Ok(what) = Revocable::new(add.kind, add.id.as_str()) {
                    // What cannot matter any more makes room, as it did when this was written.
                    self.revoked.settle(at);
                    // A server enrols no more than fit.
                    let _ = self.revoked.revoke(&Revocation { what, at });
                }
            }
            Event::RevocationLift(lift) => {
                if let Ok(what) = Revocable::new(lift.kind, lift.id.as_str()) {
                    let at = lift.revoked;
                    self.revoked.lift(&Revocation { what, at });
                }
            }
            Event::EpochRaise(raise) => {
                self.epoch = raise.epoch;
                self.revoked.begin_epoch();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use chancery_audit::{Entry, EpochRaise, commit};

    use super::*;

    #[test]
    fn the_mark_is_that_of_canonical_entries() {
        let commitment = commit("x", &[0; 32], b"x");
        let entry = Entry {
            origin: "example.org/log/server".parse().unwrap(),
            at: Timestamp::from_seconds(1),
            event: EpochRaise {
                epoch: 2,
                by: commitment,
                reason: commitment,
            }
            .into(),
        };
        let bytes = entry.to_bytes().unwrap();
        assert!(Withdrawn::may_change(&bytes));
        assert!(!Withdrawn::may_change(br#"{"type":"trust.change"}"#));
    }
}
