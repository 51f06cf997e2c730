//! When authorities go their steps by themselves.

use std::collections::HashMap;

use chancery_api::authority::{Authorities, Authority, AuthorityKind, AuthorityState};
use chancery_types::{Digest, Timestamp};

/// How long an old authority is kept: everything that it signed has ended then.
pub(crate) const KEPT_SECONDS: u64 = 3_660;

/// How long is waited after a step that failed: twice as long after each time.
const FIRST_WAIT_SECONDS: u64 = 2;

/// The longest that is waited.
const LONGEST_WAIT_SECONDS: u64 = 600;

/// A step that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Due {
    /// Half of the active one's life is over, and nothing is prepared.
    Prepare(AuthorityKind),
    /// A sixth of the active one's life is left.
    Activate(Digest),
    /// Everything that an old one signed has ended.
    Retire(Digest),
}

/// What is due at `now`.
pub(crate) fn due(known: &Authorities, now: Timestamp) -> Vec<Due> {
    let mut steps = Vec::new();
    for kind in AuthorityKind::ALL {
        let Some(active) = known.active(kind) else {
            continue;
        };
        let prepared = known.authorities.iter();
        let mut prepared =
            prepared.filter(|one| one.kind == kind && one.state == AuthorityState::Prepared);
        match prepared.next() {
            None if is_past(active, 2, now) => steps.push(Due::Prepare(kind)),
            Some(next) if is_past(active, 6, now) => steps.push(Due::Activate(next.id)),
            _ => {}
        }
    }
    let old = known.authorities.iter();
    let over = old.filter(|one| {
        let since = one.old_since;
        since.is_some_and(|since| now >= since.plus_seconds(KEPT_SECONDS))
    });
    steps.extend(over.map(|one| Due::Retire(one.id)));
    steps
}

/// The steps that failed, each with when it is gone again.
#[derive(Debug, Default)]
pub(crate) struct Waiting(HashMap<Due, Wait>);

#[derive(Debug, Clone, Copy)]
struct Wait {
    seconds: u64,
    until: Timestamp,
}

impl Waiting {
    /// What is due no more has not failed either.
    pub(crate) fn forget_all_but(&mut self, steps: &[Due]) {
        self.0.retain(|step, _| steps.contains(step));
    }

    pub(crate) fn is_over(&self, step: Due, now: Timestamp) -> bool {
        self.0.get(&step).is_none_or(|wait| now >= wait.until)
    }

    pub(crate) fn failed(&mut self, step: Due, now: Timestamp) {
        let before = self.0.get(&step);
        let seconds = before.map_or(FIRST_WAIT_SECONDS, |wait| {
            wait.seconds.saturating_mul(2).min(LONGEST_WAIT_SECONDS)
        });
        let until = now.plus_seconds(seconds);
        self.0.insert(step, Wait { seconds, until });
    }
}

/// Whether no more than that part of an authority's life is left.
fn is_past(authority: &Authority, part: u64, now: Timestamp) -> bool {
    let life = authority.ends.micros_since(authority.prepared_at);
    authority.ends.micros_since(now) <= life / part
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SigningKey;
    use chancery_types::Algorithm;

    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn authority(state: AuthorityState) -> Authority {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        Authority {
            kind: AuthorityKind::Jwt,
            id: key.public().thumbprint(),
            number: 1,
            state,
            tainted: false,
            key: *key.public(),
            chain: vec![],
            root: None,
            prepared_at: START,
            active_since: None,
            old_since: (state == AuthorityState::Old).then_some(START),
            ends: START.plus_seconds(600),
        }
    }

    fn known(authorities: &[Authority]) -> Authorities {
        Authorities {
            generation: 1,
            certifies: false,
            authorities: authorities.to_vec(),
        }
    }

    #[test]
    fn another_one_is_prepared_at_half_and_signs_at_a_sixth() {
        let (active, next) = (
            authority(AuthorityState::Active),
            authority(AuthorityState::Prepared),
        );
        let alone = known(std::slice::from_ref(&active));
        assert_eq!(due(&alone, START.plus_seconds(299)), []);
        let prepare = [Due::Prepare(AuthorityKind::Jwt)];
        assert_eq!(due(&alone, START.plus_seconds(300)), prepare);
        assert_eq!(due(&alone, START.plus_seconds(900)), prepare);
        let both = known(&[active, next.clone()]);
        assert_eq!(due(&both, START.plus_seconds(499)), []);
        let activate = [Due::Activate(next.id)];
        assert_eq!(due(&both, START.plus_seconds(500)), activate);
        assert_eq!(due(&both, START.plus_seconds(900)), activate);
    }

    #[test]
    fn what_fails_is_tried_ever_more_rarely_each_by_itself() {
        let steps = [
            Due::Prepare(AuthorityKind::X509),
            Due::Prepare(AuthorityKind::Jwt),
        ];
        let [x509, jwt] = steps;
        let mut waiting = Waiting::default();
        let mut now = START;
        for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            assert!(waiting.is_over(x509, now) && waiting.is_over(jwt, now));
            waiting.failed(x509, now);
            waiting.forget_all_but(&steps);
            assert!(!waiting.is_over(x509, now.plus_seconds(wait - 1)), "{wait}");
            now = now.plus_seconds(wait);
        }
        waiting.failed(x509, now);
        waiting.forget_all_but(&[jwt]);
        assert!(waiting.is_over(x509, now));
    }

    #[test]
    fn an_old_one_is_kept_until_what_it_signed_has_ended() {
        let old = authority(AuthorityState::Old);
        let alone = known(std::slice::from_ref(&old));
        assert_eq!(due(&alone, START.plus_seconds(3_659)), []);
        assert_eq!(
            due(&alone, START.plus_seconds(3_660)),
            [Due::Retire(old.id)]
        );
        assert_eq!(due(&known(&[]), START), []);
    }
}
