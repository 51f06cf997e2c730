//! What an issuer answers, judged before a workload has it.

use std::sync::{Arc, Mutex, PoisonError};

use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::{ClaimedX509Svid, VerifiedIntermediate, X509Bundle, X509SvidError};
use chancery_types::Timestamp;

/// How many answers of one second have the signature on the leaf verified, each of them.
const ALL: u32 = 64;

/// Of how many of those that come in the same second beyond that one has.
const ONE_OF: u32 = 16;

/// Judges the chains that an issuer answers with. Each is of the profile, of now, and below the intermediate whose
/// own path was verified under the bundle, once as long as it is the same. The signature on the leaf is verified
/// too: on each of the first [`ALL`] of a second and on one of [`ONE_OF`] beyond, and on all from one that is
/// wrong on until one is right. Whoever is presented an SVID verifies it each time; what is found here is an issuer
/// that signs wrongly, and a workload that has such a leaf is believed by nobody.
#[derive(Debug, Default)]
pub(crate) struct Paths(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Option<Arc<VerifiedIntermediate>>,
    second: u64,
    /// How many came in that second.
    came: u32,
    /// Whether the last one that was verified was refused.
    is_doubted: bool,
}

impl Paths {
    /// What the leaf of a chain says, where the chain is acceptable.
    pub(crate) fn judge(
        &self,
        chain: &[Vec<u8>],
        bundle: &X509Bundle,
        now: Timestamp,
    ) -> Result<ClaimedX509Svid, X509SvidError> {
        let (known, is_asked) = self.with(|state| (state.known.clone(), state.is_asked(now)));
        // What is not accepted so the whole path refuses too, and says why, or leads elsewhere.
        let leaf = known.and_then(|known| match is_asked {
            true => (known.verify(chain, bundle, now, SVID_ALGORITHMS)).map(Into::into),
            false => known.claimed(chain, bundle, now, SVID_ALGORITHMS),
        });
        if let Some(leaf) = leaf {
            if is_asked {
                self.with(|state| state.is_doubted = false);
            }
            return Ok(leaf);
        }
        let verified = VerifiedIntermediate::of(chain, bundle, now, SVID_ALGORITHMS);
        self.with(|state| state.is_doubted = verified.is_err());
        let (svid, kept) = verified?;
        if let Some(kept) = kept {
            self.with(|state| state.known = Some(Arc::new(kept)));
        }
        Ok(svid.into())
    }

    fn with<T>(&self, do_it: impl FnOnce(&mut State) -> T) -> T {
        do_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Whether the signature on the next leaf is verified.
    fn is_asked(&mut self, now: Timestamp) -> bool {
        let second = now.as_seconds();
        if self.second != second {
            (self.second, self.came) = (second, 0);
        }
        self.came = self.came.saturating_add(1);
        self.is_doubted || self.came <= ALL || self.came.is_multiple_of(ONE_OF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_in_a_second_some_are_verified_and_all_while_one_was_refused() {
        let mut state = State::default();
        let now = Timestamp::from_seconds(1_800_000_000);
        let asked = (1..=ALL + 160).filter(|_| state.is_asked(now)).count();
        assert_eq!(asked, 64 + 10);
        state.is_doubted = true;
        assert!((0..100).all(|_| state.is_asked(now)));
        state.is_doubted = false;
        let later = now.plus_seconds(1);
        assert!((0..ALL).all(|_| state.is_asked(later)));
        assert!(!state.is_asked(later));
        // A clock that steps back begins a second too.
        assert!(state.is_asked(now));
    }
}
