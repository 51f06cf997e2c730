use std::future::Future;
use std::sync::Arc;

use chancery_types::Timestamp;
use chancery_types::id::LaunchId;
use tonic::Status;

use super::spiffe_api::status;
use crate::IssuerError;
use crate::clock::now;
use crate::launch::Launch;
use crate::x509_source::RETRY_SECONDS;

/// What was made of each launch for one stream, and for nobody else.
#[derive(Debug)]
pub(crate) struct Kept<I>(Vec<Made<I>>);

/// What was made of a launch, the hint that it is sent with, and when to look at it again.
#[derive(Debug)]
pub(crate) struct Made<I> {
    launch: LaunchId,
    identity: Arc<I>,
    hint: String,
    due: Timestamp,
}

impl<I> Made<I> {
    pub(crate) fn identity(&self) -> &I {
        &self.identity
    }

    pub(crate) fn hint(&self) -> String {
        self.hint.clone()
    }
}

impl<I> Default for Kept<I> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<I> Kept<I> {
    /// What is of now: the last one until it is due, by its time or as it is told, and then what `issue`
    /// makes. An issuer out of reach, or asked too often, is no failure while the last one is good; a refusal
    /// is.
    pub(crate) async fn current(
        &self,
        (launch, hint): (&Launch, String),
        (is_valid, is_due): (impl Fn(&I) -> bool, impl Fn(&I) -> bool),
        issue: impl Future<Output = Result<(I, Timestamp), IssuerError>>,
    ) -> Result<Made<I>, Status> {
        let now = now();
        let known = self.0.iter().find(|made| made.launch == launch.id());
        let known = known.filter(|made| is_valid(&made.identity));
        let made = |identity, due| Made {
            launch: launch.id(),
            identity,
            hint,
            due,
        };
        if let Some(known) = known.filter(|made| now < made.due && !is_due(&made.identity)) {
            return Ok(made(Arc::clone(&known.identity), known.due));
        }
        let failure = if launch.jwt_rate.take(now) {
            match issue.await {
                Ok((identity, due)) => return Ok(made(Arc::new(identity), due)),
                Err(error @ IssuerError::Refused { .. }) => return Err(status(&error)),
                Err(error) => status(&error),
            }
        } else {
            Status::resource_exhausted("too many svids in a minute; keep a stream open")
        };
        let known = known.ok_or(failure)?;
        let again = now.plus_seconds(RETRY_SECONDS);
        Ok(made(Arc::clone(&known.identity), again))
    }

    /// Puts these in the place of what was; says whether that changed an identity or a hint, and when the
    /// first of them is due.
    pub(crate) fn replace(&mut self, made: Vec<Made<I>>) -> (bool, Option<Timestamp>) {
        let same = |(one, other): (&Made<I>, &Made<I>)| {
            Arc::ptr_eq(&one.identity, &other.identity) && one.hint == other.hint
        };
        let changed = self.0.len() != made.len() || !self.0.iter().zip(&made).all(same);
        self.0 = made;
        (changed, self.0.iter().map(|made| made.due).min())
    }
}
