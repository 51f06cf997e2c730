use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_crypto::{SVID_ALGORITHMS, SigningKey, random_bytes};
use chancery_identity::{
    ClaimedX509Svid, RegistrationTerms, SpiffeId, X509Bundle, X509SvidError, digests_above,
    spki_der, verify_x509_svid,
};
use chancery_types::{Algorithm, Digest, Secret, Timestamp};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::clock::now;
use crate::{Issuer, IssuerError, Launch, Launches};

/// How long nothing is asked of an issuer that failed.
pub(crate) const RETRY_SECONDS: u64 = 5;

/// The X.509-SVID of a launch: one for all of its callers, with a fresh key each time, issued again
/// at about half of its life.
#[derive(Debug, Default)]
pub(crate) struct X509Source(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<X509Identity>>,
    retry_at: Option<Timestamp>,
    /// Until when nothing is asked again of an issuer whose last answer was not acceptable: it has enrolled
    /// and signed that one as well.
    left_alone: Option<Instant>,
}

/// An X.509-SVID with its key, judged ([`Paths`](crate::paths::Paths)).
#[derive(Debug)]
pub(crate) struct X509Identity {
    /// Leaf and intermediates, one DER behind the other.
    pub(crate) chain_der: Vec<u8>,
    /// PKCS#8.
    pub(crate) key: Secret,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) chain: Vec<Vec<u8>>,
    /// The digests of the certificates above the leaf.
    pub(crate) above: BTreeSet<Digest>,
    /// What it was judged with.
    bundle: X509Bundle,
    /// What it was issued by.
    pub(crate) terms: RegistrationTerms,
    pub(crate) renew_at: Timestamp,
}

/// What an issuer handed out is not what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the issuer's answer is not acceptable: {0}")]
struct Unacceptable(String);

impl X509Source {
    /// The SVID of now, and when to ask again. An issuer out of reach is no failure while the last
    /// SVID is valid; a refusal is. What is being issued is issued once, whoever gives up waiting.
    pub(crate) async fn current(
        launch: &Arc<Launch>,
        launches: &Arc<Launches>,
        bundle: &X509Bundle,
    ) -> Result<(Arc<X509Identity>, Timestamp), IssuerError> {
        let issuer = launches.issuer();
        let state = Arc::clone(&launch.x509.0).lock_owned().await;
        let tainted = issuer.tainted().borrow().clone();
        let terms = issued_by(launch, &**issuer);
        if let Some(current) = state.current(now(), bundle, &tainted, &terms) {
            return Ok(current);
        }
        if state.is_left_alone(now(), bundle) {
            let later = Unacceptable("asked again in a few seconds".to_owned());
            return Err(IssuerError::Unavailable(later.into()));
        }
        let (launch, launches) = (Arc::clone(launch), Arc::clone(launches));
        let bundle = bundle.clone();
        let issuing = async move { State::renew(state, &launch, &launches, &bundle).await };
        let issued = tokio::spawn(issuing).await;
        issued.unwrap_or_else(|error| Err(IssuerError::Unavailable(error.into())))
    }
}

impl State {
    /// The SVID, as long as whoever has the bundle believes it.
    fn valid(&self, now: Timestamp, bundle: &X509Bundle) -> Option<&Arc<X509Identity>> {
        let current = self.current.as_ref();
        current.filter(|identity| identity.stands(bundle, now))
    }

    /// The SVID, and when to ask again, where it is not due yet. One below an authority that is not
    /// believed any more is, and one that the agent's registration was changed after.
    fn current(
        &self,
        now: Timestamp,
        bundle: &X509Bundle,
        tainted: &BTreeSet<Digest>,
        terms: &RegistrationTerms,
    ) -> Option<(Arc<X509Identity>, Timestamp)> {
        let identity = self.valid(now, bundle)?;
        let renew_at = match identity.above.is_disjoint(tainted) && identity.terms == *terms {
            true => identity.renew_at,
            false => now,
        };
        let due = self.retry_at.unwrap_or(renew_at);
        (now < due).then(|| (Arc::clone(identity), due))
    }

    /// Whether there is nothing that stands, and nothing is asked for now.
    fn is_left_alone(&self, now: Timestamp, bundle: &X509Bundle) -> bool {
        let later = self.left_alone.is_some_and(|until| Instant::now() < until);
        later && self.valid(now, bundle).is_none()
    }

    /// Has one issued. Nobody else does until then: the state is held.
    async fn renew(
        mut state: OwnedMutexGuard<Self>,
        launch: &Launch,
        launches: &Launches,
        bundle: &X509Bundle,
    ) -> Result<(Arc<X509Identity>, Timestamp), IssuerError> {
        let now = now();
        match X509Identity::issue(launch, launches, bundle, now, None).await {
            Ok(identity) => {
                let identity = Arc::new(identity);
                let renew_at = identity.renew_at;
                *state = Self {
                    current: Some(Arc::clone(&identity)),
                    ..Self::default()
                };
                Ok((identity, renew_at))
            }
            Err(IssuerError::Unavailable(error)) => {
                tracing::warn!(launch = %launch.id(), error = &*error, "no x509-svid was issued");
                if error.is::<Unacceptable>() {
                    state.left_alone = Some(Instant::now() + Duration::from_secs(RETRY_SECONDS));
                }
                let Some(identity) = state.valid(now, bundle).cloned() else {
                    return Err(IssuerError::Unavailable(error));
                };
                let retry_at = now.plus_seconds(RETRY_SECONDS).min(identity.not_after);
                state.retry_at = Some(retry_at);
                Ok((identity, retry_at))
            }
            Err(refused) => {
                *state = Self::default();
                Err(refused)
            }
        }
    }
}

impl X509Identity {
    /// Whether whoever has that bundle, which may be another one than when it was issued and judged, believes it
    /// now: it is not over, nor, after the clock was set back, of a time to come.
    pub(crate) fn stands(&self, bundle: &X509Bundle, now: Timestamp) -> bool {
        let is_of_now = self.not_before <= now && now < self.not_after;
        let verifies = || verify_x509_svid(&self.chain, bundle, now, SVID_ALGORITHMS).is_ok();
        is_of_now && (self.bundle == *bundle || verifies())
    }

    /// Has one issued for a key that is made here, for a broker where one is named, and judges the answer.
    pub(crate) async fn issue(
        launch: &Launch,
        launches: &Launches,
        bundle: &X509Bundle,
        now: Timestamp,
        through: Option<&SpiffeId>,
    ) -> Result<Self, IssuerError> {
        let issuer = &**launches.issuer();
        let failed = |error| IssuerError::Unavailable(error);
        let key = SigningKey::generate(Algorithm::Es256).map_err(|error| failed(error.into()))?;
        let spki = spki_der(key.public());
        // Before it is asked: one that changes meanwhile has it issued once more.
        let terms = issued_by(launch, issuer);
        let chain = match through {
            Some(broker) => issuer.issue_x509_through(launch, &spki, broker).await?,
            None => issuer.issue_x509(launch, &spki).await?,
        };
        let own = launch.instance().to_spiffe_id();
        let leaf = launches.paths().judge(&chain, bundle, now);
        let judged = Self::judged((chain, leaf), &key, bundle, now, |id| *id == own)?;
        Ok(Self { terms, ..judged })
    }

    /// The answer of an issuer and what its leaf was judged to say, where it is an SVID over just this key for
    /// whom it was asked.
    pub(crate) fn judged(
        (chain, leaf): (Vec<Vec<u8>>, Result<ClaimedX509Svid, X509SvidError>),
        key: &SigningKey,
        bundle: &X509Bundle,
        now: Timestamp,
        is_own: impl FnOnce(&SpiffeId) -> bool,
    ) -> Result<Self, IssuerError> {
        let refused = |why: String| IssuerError::Unavailable(Unacceptable(why).into());
        let leaf = leaf.map_err(|error| refused(error.to_string()))?;
        if !is_own(leaf.spiffe_id()) {
            return Err(refused("another spiffe id".to_owned()));
        }
        if leaf.spki_der() != spki_der(key.public()) {
            return Err(refused("another key".to_owned()));
        }
        Ok(Self {
            chain_der: chain.concat(),
            above: digests_above(&chain),
            bundle: bundle.clone(),
            terms: RegistrationTerms::default(),
            chain,
            key: key.pkcs8().clone(),
            not_before: leaf.not_before(),
            not_after: leaf.not_after(),
            renew_at: renewal(now, leaf.not_after()),
        })
    }
}

/// What SVIDs of a launch are issued by now.
pub(crate) fn issued_by(launch: &Launch, issuer: &dyn Issuer) -> RegistrationTerms {
    let registrations = issuer.registrations();
    let registrations = registrations.borrow();
    registrations.issued(launch.instance().agent())
}

/// Half of what is left, less up to a tenth of that, so that many launches do not renew at once.
pub(crate) fn renewal(now: Timestamp, not_after: Timestamp) -> Timestamp {
    let half = not_after.micros_since(now) / 2;
    let random = random_bytes::<4>().map_or(0, u32::from_be_bytes);
    let jitter = ((half / 10) >> 16).saturating_mul(u64::from(random >> 16));
    Timestamp::from_micros(now.as_micros() + half - jitter.min(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_or_of_a_time_to_come_does_not_stand() {
        let bundle =
            X509Bundle::new("test.example".parse().unwrap(), Vec::<Vec<u8>>::new()).unwrap();
        let begin = Timestamp::from_seconds(1_800_000_000);
        let identity = X509Identity {
            chain_der: Vec::new(),
            key: Secret::new(Vec::new()),
            not_before: begin,
            not_after: begin.plus_seconds(60),
            chain: Vec::new(),
            above: BTreeSet::new(),
            bundle: bundle.clone(),
            renew_at: begin.plus_seconds(30),
            terms: RegistrationTerms::default(),
        };
        for (seconds, stands) in [(0, true), (59, true), (60, false), (3_600, false)] {
            let now = begin.plus_seconds(seconds);
            assert_eq!(identity.stands(&bundle, now), stands, "{seconds}");
        }
        assert!(!identity.stands(&bundle, begin.minus_seconds(1)));
        assert!(!identity.stands(&bundle, begin.minus_seconds(3_600)));
        // Nothing verifies an empty chain.
        let other =
            X509Bundle::new("other.example".parse().unwrap(), Vec::<Vec<u8>>::new()).unwrap();
        assert!(!identity.stands(&other, begin));
    }

    #[test]
    fn renews_shortly_before_half_of_the_life() {
        let now = Timestamp::from_seconds(1_800_000_000);
        for _ in 0..100 {
            let at = renewal(now, now.plus_seconds(3_600));
            assert!(
                at <= now.plus_seconds(1_800) && at >= now.plus_seconds(1_620),
                "{at}"
            );
        }
        assert_eq!(renewal(now, now.minus_seconds(1)), now);
    }
}
