use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chancery_crypto::{AwsLc, RandomError, random_bytes};
use chancery_types::id::PersonId;
use chancery_types::{CredentialCrypto as _, Digest, Secret, base64url};

/// After how long without a request a visit ends, and after how long in any case.
const IDLE: Duration = Duration::from_secs(15 * 60);
const LONGEST: Duration = Duration::from_secs(8 * 60 * 60);

/// Most visits at a time, and of one person.
const MOST: usize = 4_096;
const MOST_OF_ONE: usize = 16;

/// A person who is signed in with one browser.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) person: PersonId,
    /// The credential that signed in.
    pub(super) credential_id: String,
    key: Secret,
    since: Instant,
    seen: Instant,
}

/// Who is signed in. Kept in memory alone, by the digest of what the browser holds: whoever reads the
/// server's tables is nobody's browser, and a server that starts again knows nobody.
#[derive(Debug, Default)]
pub(super) struct Visits(Mutex<HashMap<Digest, Visit>>);

impl Visit {
    /// The token of the forms that are sent to `path`: nobody else's page knows it.
    pub(super) fn form_token(&self, path: &str) -> Digest {
        let tag = AwsLc.hmac_sha256(self.key.expose(), &[b"form", path.as_bytes()]);
        Digest::from_bytes(tag)
    }

    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.seen) >= IDLE || now.duration_since(self.since) >= LONGEST
    }
}

impl Visits {
    /// Begins a visit; answers what the browser shows from then on. Of too many of one person the one
    /// that was quiet for longest ends.
    pub(super) fn begin(
        &self,
        person: PersonId,
        credential_id: &str,
        now: Instant,
    ) -> Result<Option<String>, RandomError> {
        let secret = base64url::encode(random_bytes::<32>()?);
        let visit = Visit {
            person,
            credential_id: credential_id.to_owned(),
            key: Secret::new(random_bytes::<32>()?.to_vec()),
            since: now,
            seen: now,
        };
        let mut visits = self.lock();
        visits.retain(|_, known| !known.is_over(now));
        let own = visits.iter().filter(|(_, known)| known.person == person);
        if own.clone().count() >= MOST_OF_ONE
            && let Some(quiet) = own.min_by_key(|(_, known)| known.seen).map(|(key, _)| *key)
        {
            visits.remove(&quiet);
        }
        if visits.len() >= MOST {
            return Ok(None);
        }
        visits.insert(Digest::of(&secret), visit);
        Ok(Some(secret))
    }

    /// The visit of the browser that shows this, unless it is over.
    pub(super) fn find(&self, secret: &str, now: Instant) -> Option<Visit> {
        let mut visits = self.lock();
        let key = Digest::of(secret);
        let visit = visits.get_mut(&key)?;
        if visit.is_over(now) {
            visits.remove(&key);
            return None;
        }
        visit.seen = now;
        Some(visit.clone())
    }

    /// Ends a visit.
    pub(super) fn end(&self, secret: &str) {
        self.lock().remove(&Digest::of(secret));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Visit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(number: u16) -> PersonId {
        let [high, low] = number.to_be_bytes();
        let mut bytes = [high; 16];
        bytes[15] = low;
        PersonId::from_random(bytes)
    }

    fn begin(visits: &Visits, person: PersonId, now: Instant) -> String {
        visits.begin(person, "a", now).unwrap().unwrap()
    }

    #[test]
    fn a_visit_ends_when_nothing_is_asked_for_and_in_any_case() {
        let (visits, begun) = (Visits::default(), Instant::now());
        let idle = begin(&visits, person(1), begun);
        assert!(visits.find(&idle, begun).is_some());
        assert!(visits.find("something else", begun).is_none());
        assert!(visits.find(&idle, begun + IDLE).is_none());
        assert!(visits.find(&idle, begun).is_none(), "it is gone");

        let busy = begin(&visits, person(1), begun);
        let mut now = begun;
        while now < begun + LONGEST {
            assert!(visits.find(&busy, now).is_some());
            now += IDLE / 2;
        }
        assert!(visits.find(&busy, now).is_none());

        let ended = begin(&visits, person(1), begun);
        visits.end(&ended);
        assert!(visits.find(&ended, begun).is_none());
    }

    #[test]
    fn a_form_token_is_of_one_visit_and_one_path() {
        let (visits, now) = (Visits::default(), Instant::now());
        let tokens = [1, 1, 2].map(|number| {
            let secret = begin(&visits, person(number), now);
            let visit = visits.find(&secret, now).unwrap();
            [visit.form_token("/a"), visit.form_token("/b")]
        });
        let all: std::collections::BTreeSet<_> = tokens.iter().flatten().collect();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn one_person_takes_no_place_of_others() {
        let (visits, now) = (Visits::default(), Instant::now());
        let other = begin(&visits, person(2), now);
        let first = begin(&visits, person(1), now);
        let later = now + Duration::from_secs(1);
        for _ in 0..MOST_OF_ONE {
            begin(&visits, person(1), later);
        }
        assert!(visits.find(&first, later).is_none());
        assert!(visits.find(&other, later).is_some());
        assert_eq!(visits.lock().len(), MOST_OF_ONE + 1);
        let begun = (3..).take_while(|number| {
            let one = visits.begin(person(*number), "a", later);
            one.unwrap().is_some()
        });
        assert_eq!(begun.count(), MOST - MOST_OF_ONE - 1);
        assert!(visits.find(&other, later).is_some());
    }
}
