//! Snapshots of what is revoked, as gateways hear of it.

use std::time::Duration;

use chancery_api::signer::SignSnapshot;
use chancery_api::snapshot::{SignedSnapshot, Snapshot};
use chancery_api::{ClientError, Problem};
use chancery_delegation::RevocationSet;
use chancery_policy::BundleSignature;
use chancery_types::{Timestamp, to_canonical};
use tokio::time::Instant;

use crate::Server;

/// How long several askers share one snapshot, unless something changes.
const SHARED: Duration = Duration::from_millis(100);

/// What the signer was asked for last. Whoever has a snapshot signed holds it alone, so that the signer
/// is asked for one after the other; what is revoked changes meanwhile.
///
/// INVARIANT: taken before `withdrawn`, never behind it.
#[derive(Debug)]
pub(crate) struct Snapshots {
    last: Option<Attempt>,
    /// Whether the signer may yet sign one that nobody waits for any more.
    unanswered: bool,
}

/// A snapshot that was taken at a time, and what the signer said.
#[derive(Debug)]
struct Attempt {
    at: Timestamp,
    ended: Instant,
    signed: Result<SignedSnapshot, Problem>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            last: None,
            // Whoever served before may have left one there.
            unanswered: true,
        }
    }
}

impl Snapshots {
    /// What came of the last one, where it is for whoever has waited since `asked` for what was enrolled until
    /// `at`: one that was signed holds what was enrolled before it was taken, one that failed has failed for those
    /// who waited by then.
    fn outcome(&self, at: Timestamp, asked: Timestamp) -> Option<Result<&SignedSnapshot, Problem>> {
        let last = self.last.as_ref()?;
        let since = if last.signed.is_ok() { at } else { asked };
        (last.at > since).then(|| last.signed.as_ref().map_err(Problem::clone))
    }

    /// The last one, where it was signed a moment ago.
    fn fresh(&self) -> Option<&SignedSnapshot> {
        let last = self.last.as_ref();
        let fresh = last.filter(|last| last.ended.elapsed() < SHARED)?;
        fresh.signed.as_ref().ok()
    }
}

impl Server {
    /// A snapshot; waits up to `wait_seconds` for one that differs from the one of sequence `after`
    /// in more than its date.
    pub(crate) async fn snapshot(
        &self,
        after: u64,
        wait_seconds: u64,
    ) -> Result<SignedSnapshot, Problem> {
        self.wait_for(wait_seconds, || async {
            let outdated = self.withdrawn.lock().await.is_outdated(after);
            Ok(outdated.then_some(()))
        })
        .await?;
        let asked = self.now()?;
        let mut snapshots = self.snapshots.lock().await;
        if let Some(signed) = snapshots.outcome(asked, asked) {
            return signed.cloned();
        }
        if let Some(last) = snapshots.fresh() {
            let sequence = last.snapshot.sequence;
            if !self.withdrawn.lock().await.is_outdated(sequence) {
                return Ok(last.clone());
            }
        }
        self.sign_snapshot(&mut snapshots).await.cloned()
    }

    /// Has a snapshot signed, so that the signer holds what was changed from now on, and wakes the gateways.
    /// The change stands without it: what cannot be signed now is signed later.
    pub(crate) async fn tell(&self, snapshots: &mut Snapshots) -> Option<u64> {
        let signed = self.sign_snapshot(snapshots).await;
        let sequence = signed.map(|signed| signed.snapshot.sequence);
        self.changed();
        match sequence {
            Ok(sequence) => Some(sequence),
            Err(problem) => {
                tracing::error!(%problem, "a revocation is in no snapshot yet");
                None
            }
        }
    }

    /// The same, unless there is one with what was enrolled at that time: of many who wait the next one is for
    /// all.
    pub(crate) async fn tell_since(&self, at: Timestamp) -> Option<u64> {
        let asked = self.now().ok();
        let mut snapshots = self.snapshots.lock().await;
        let known = asked.and_then(|asked| snapshots.outcome(at, asked));
        match known.map(|signed| signed.ok().map(|signed| signed.snapshot.sequence)) {
            Some(sequence) => sequence,
            None => self.tell(&mut snapshots).await,
        }
    }

    /// Until the signer can hold nothing any more by a snapshot that nobody waits for: it signs none that is older
    /// than one that it has signed.
    pub(crate) async fn settle_snapshots(&self, snapshots: &mut Snapshots) -> Result<(), Problem> {
        // Where no policy is published no snapshot was ever taken.
        if snapshots.unanswered && self.policy().is_ok() {
            self.sign_snapshot(snapshots).await?;
        }
        Ok(())
    }

    /// Signs a snapshot of now.
    async fn sign_snapshot<'s>(
        &self,
        snapshots: &'s mut Snapshots,
    ) -> Result<&'s SignedSnapshot, Problem> {
        let (snapshot, policy) = self.take_snapshot().await?;
        let at = snapshot.issued_at;
        let canonical = to_canonical(&snapshot).map_err(|e| Problem::internal("snapshot", &e))?;
        let canonical =
            String::from_utf8(canonical).map_err(|error| Problem::internal("snapshot", &error))?;
        let request = SignSnapshot {
            snapshot: canonical,
            policy,
        };
        // Until it answers, since whoever waits for it may go.
        let before = std::mem::replace(&mut snapshots.unanswered, true);
        let answer = self.signer.snapshot(&request).await;
        snapshots.unanswered = match &answer {
            Ok(_) => false,
            Err(ClientError::Refused(_) | ClientError::Connect { .. }) => before,
            Err(_) => true,
        };
        let signed = answer.map(|signed| SignedSnapshot {
            snapshot,
            kid: signed.kid,
            signature: signed.signature,
        });
        let signed = signed.map_err(|error| Problem::unavailable("signer", error.to_string()));
        let last = snapshots.last.insert(Attempt {
            at,
            ended: Instant::now(),
            signed,
        });
        last.signed.as_ref().map_err(Problem::clone)
    }

    /// What is in force now, with the signatures of those who signed the policy.
    async fn take_snapshot(&self) -> Result<(Snapshot, Vec<BundleSignature>), Problem> {
        let mut withdrawn = self.withdrawn.lock().await;
        // Whoever changes one of these says so afterwards: then this snapshot is outdated.
        let trust = self.trust();
        let published = self.published_policy()?;
        let policy_digest = published.bundle.digest();
        let now = self.now()?;
        let (sequence, standing) = withdrawn.take(now);
        drop(withdrawn);
        let mut revoked = RevocationSet::clone(&standing.revoked);
        revoked.settle(now);
        let snapshot = Snapshot {
            sequence,
            issued_at: now,
            trust_version: trust.version,
            trust_digest: trust.digest(),
            policy_digest,
            epoch: standing.epoch,
            revoked,
        };
        Ok((snapshot, published.signatures.clone()))
    }
}

#[cfg(test)]
mod tests {
    use chancery_types::Digest;

    use super::*;

    const fn second(second: u64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn taken_at_five(signed: bool) -> Snapshots {
        let snapshot = Snapshot {
            sequence: 1,
            issued_at: second(5),
            trust_version: 1,
            trust_digest: Digest::of("trust"),
            policy_digest: Digest::of("policy"),
            epoch: 1,
            revoked: RevocationSet::default(),
        };
        let signed = signed.then(|| SignedSnapshot {
            snapshot,
            kid: "key".to_owned(),
            signature: "signature".to_owned(),
        });
        Snapshots {
            last: Some(Attempt {
                at: second(5),
                ended: Instant::now(),
                signed: signed.ok_or_else(|| Problem::unavailable("signer", "away")),
            }),
            unanswered: false,
        }
    }

    #[test]
    fn one_that_failed_has_failed_for_those_alone_who_waited() {
        let failed = taken_at_five(false);
        assert!(failed.fresh().is_none());
        assert!(failed.outcome(second(3), second(4)).unwrap().is_err());
        // Whoever asks afterwards has it tried again, however old it is what they ask for.
        for asked in [5, 6] {
            assert!(failed.outcome(second(3), second(asked)).is_none());
        }
        let none = Snapshots::default();
        assert!(none.outcome(second(3), second(4)).is_none());
    }

    #[test]
    fn one_that_was_signed_is_for_all_that_was_enrolled_before_it() {
        let signed = taken_at_five(true);
        assert!(signed.fresh().is_some());
        assert!(signed.outcome(second(4), second(9)).unwrap().is_ok());
        for at in [5, 6] {
            assert!(signed.outcome(second(at), second(9)).is_none());
        }
    }
}
