//! Snapshots of what is revoked, as gateways hear of it.

use std::time::Duration;

use chancery_api::Problem;
use chancery_api::signer::SignSnapshot;
use chancery_api::snapshot::{SignedSnapshot, Snapshot};
use chancery_delegation::RevocationSet;
use chancery_types::{Timestamp, to_canonical};
use tokio::time::Instant;

use crate::Server;

/// How long several askers share one snapshot, unless something changes.
const SHARED: Duration = Duration::from_millis(100);

/// The last snapshot that was signed, and when. Whoever has one signed holds it alone, so that the signer
/// is asked for one after the other; what is revoked changes meanwhile.
///
/// INVARIANT: taken before `withdrawn`, never behind it.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(Option<(SignedSnapshot, Instant)>);

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
        let mut snapshots = self.snapshots.lock().await;
        if let Some((last, made)) = &snapshots.0
            && made.elapsed() < SHARED
        {
            let sequence = last.snapshot.sequence;
            if !self.withdrawn.lock().await.is_outdated(sequence) {
                return Ok(last.clone());
            }
        }
        self.sign_snapshot(&mut snapshots).await
    }

    /// Has a snapshot signed, so that the signer holds what was changed from now on, and wakes the gateways.
    /// The change stands without it: what cannot be signed now is signed later.
    pub(crate) async fn tell(&self, snapshots: &mut Snapshots) -> Option<u64> {
        let signed = self.sign_snapshot(snapshots).await;
        self.changed();
        match signed {
            Ok(signed) => Some(signed.snapshot.sequence),
            Err(problem) => {
                tracing::error!(%problem, "a revocation is in no snapshot yet");
                None
            }
        }
    }

    /// The same, unless there is a snapshot with what was enrolled at that time: of many who wait for one that
    /// is signed, the next one is for all.
    pub(crate) async fn tell_since(&self, at: Timestamp) -> Option<u64> {
        let mut snapshots = self.snapshots.lock().await;
        // A snapshot holds what was enrolled up to its own time, and is later than each of it.
        let last = snapshots.0.as_ref().map(|(last, _)| &last.snapshot);
        match last.filter(|last| last.issued_at > at) {
            Some(last) => Some(last.sequence),
            None => self.tell(&mut snapshots).await,
        }
    }

    /// Signs a snapshot of now.
    async fn sign_snapshot(&self, snapshots: &mut Snapshots) -> Result<SignedSnapshot, Problem> {
        let snapshot = self.take_snapshot().await?;
        let canonical = to_canonical(&snapshot).map_err(|e| Problem::internal("snapshot", &e))?;
        let canonical =
            String::from_utf8(canonical).map_err(|error| Problem::internal("snapshot", &error))?;
        let request = SignSnapshot {
            snapshot: canonical,
        };
        let signed = self.signer.snapshot(&request).await;
        let signed = signed.map_err(|error| Problem::unavailable("signer", error.to_string()))?;
        let signed = SignedSnapshot {
            snapshot,
            kid: signed.kid,
            signature: signed.signature,
        };
        snapshots.0 = Some((signed.clone(), Instant::now()));
        Ok(signed)
    }

    /// What is in force now.
    async fn take_snapshot(&self) -> Result<Snapshot, Problem> {
        let mut withdrawn = self.withdrawn.lock().await;
        // Whoever changes one of these says so afterwards: then this snapshot is outdated.
        let trust = self.trust();
        let policy_digest = self.policy()?.digest();
        let now = self.now()?;
        let (sequence, standing) = withdrawn.take(now);
        drop(withdrawn);
        let mut revoked = RevocationSet::clone(&standing.revoked);
        revoked.settle(now);
        Ok(Snapshot {
            sequence,
            issued_at: now,
            trust_version: trust.version,
            trust_digest: trust.digest(),
            policy_digest,
            epoch: standing.epoch,
            revoked,
        })
    }
}
