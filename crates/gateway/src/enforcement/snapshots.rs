use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chancery_api::ClientError;
use chancery_api::snapshot::{SignedSnapshot, SnapshotError, VerifiedSnapshot};
use chancery_audit::SnapshotAdopt;
use chancery_crypto::AwsLc;
use chancery_identity::trust::{PolicySignersError, VerifiedTrust};
use chancery_policy::SignedBundle;
use chancery_session::{Rulebook, RulebookError};
use chancery_types::{Digest, to_canonical};
use tokio::time::timeout;

use super::Enforcement;
use super::in_force::{InForce, MAX_AHEAD_SECONDS, Policy};
use super::latest_policy::LatestPolicyError;
use super::log::LogError;
use super::observing;
use super::svid::{SvidError, x509_bundle};
use super::trust_store::TrustStoreError;

/// How long the server may take to answer once it has something to say.
const ANSWER: Duration = Duration::from_secs(5);

/// Why what is in force stays as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    #[error(transparent)]
    Server(#[from] ClientError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Trust(#[from] TrustStoreError),
    #[error("the snapshot names another trust document than is in force")]
    TrustDiffers,
    #[error("the snapshot is older than one that was seen, or dated in the future")]
    OutOfOrder,
    #[error(transparent)]
    LatestPolicy(#[from] LatestPolicyError),
    #[error("the policy bundle cannot be loaded")]
    Policy(#[from] RulebookError),
    #[error("the server sent another policy bundle than the snapshot names")]
    PolicyDiffers,
    #[error(transparent)]
    PolicySigners(#[from] PolicySignersError),
    #[error("the policy bundle cannot be kept")]
    Store(#[from] std::io::Error),
    #[error("the clock stepped back")]
    Clock,
    #[error("the server does not answer in time")]
    Slow,
    #[error("what is revoked has no canonical form")]
    Malformed,
    #[error("that another snapshot governs could not be enrolled")]
    Log(#[from] LogError),
    #[error(transparent)]
    Authorities(#[from] SvidError),
}

impl Enforcement {
    /// Asks for a snapshot and puts in force what it names; waits up to `wait_seconds` for one that
    /// says something new. Either all of it changes or nothing; a call that is being decided is
    /// asked again under what is new.
    pub(crate) async fn refresh(&self, wait_seconds: u64) -> Result<(), RefreshError> {
        let known = self.in_force().map_or(0, |known| known.snapshot.sequence);
        let wait = Duration::from_secs(wait_seconds) + ANSWER;
        let asked = self.server.snapshot_after(known, wait_seconds);
        let signed = timeout(wait, asked)
            .await
            .map_err(|_| RefreshError::Slow)??;
        let snapshot = self.verified(signed).await?;
        let trust = self.trust.current();
        let named = (snapshot.trust_version, snapshot.trust_digest);
        if named != (trust.version, trust.digest()) {
            return Err(RefreshError::TrustDiffers);
        }
        let before = self.in_force();
        let now = self.clock.now().map_err(|_| RefreshError::Clock)?;
        // What the log says was adopted counts after a restart, too.
        let seen = before.as_ref().map_or(0, |one| one.snapshot.sequence);
        let seen = seen.max(self.adopted.load(Ordering::Acquire));
        if snapshot.sequence < seen || snapshot.issued_at > now.plus_seconds(MAX_AHEAD_SECONDS) {
            return Err(RefreshError::OutOfOrder);
        }
        let same = before.as_ref().map(|one| &one.policy);
        let same = same.filter(|policy| policy.bundle.digest() == snapshot.policy_digest);
        let policy = match same.filter(|policy| check_signers(&policy.signed, &trust).is_ok()) {
            Some(policy) => policy.clone(),
            // Another one; or the same, which further people may have signed by now.
            None => self.fetch_policy(snapshot.policy_digest).await?,
        };
        self.latest_policy
            .take(policy.version(), policy.bundle.digest())?;
        let next = Arc::new(InForce::new(trust, snapshot, policy, &self.trust_domain));
        let says_more = before.as_ref().is_none_or(|before| next.differs(before));
        if says_more {
            self.adopt(next, before.as_deref()).await?;
        } else {
            self.put_in_force(next);
        }
        Ok(())
    }

    /// Puts in force what says something new. The entry that says so stands before every decision
    /// that rests on it, and behind every one that does not.
    async fn adopt(
        &self,
        next: Arc<InForce>,
        before: Option<&InForce>,
    ) -> Result<(), RefreshError> {
        let snapshot = &next.snapshot;
        let adopt = SnapshotAdopt {
            sequence: snapshot.sequence,
            issued: snapshot.issued_at,
            epoch: snapshot.epoch,
            revoked: snapshot.revoked.len() as u64,
            revocations: (snapshot.revoked.digest()).map_err(|_| RefreshError::Malformed)?,
            trust: snapshot.trust_version,
            policy: snapshot.policy_digest,
        };
        let sequence = snapshot.sequence;
        let continues = before.is_some_and(|before| next.continues(before));
        let turn = self.log.turn().await;
        let sent = self
            .log
            .send(&turn, self.clock.latest(), adopt.into())
            .await?;
        observing::say(&next, before);
        self.put_in_force(next);
        if !continues {
            self.chains.forget();
        }
        drop(turn);
        self.revised.notify_one();
        // What is refused from now on need not wait for the disk; nothing is allowed before it.
        sent.durable().await?;
        self.adopted.store(sequence, Ordering::Release);
        if !continues {
            tracing::info!(
                sequence,
                "another trust document, epoch or revocation list is in force"
            );
        }
        Ok(())
    }

    fn put_in_force(&self, next: Arc<InForce>) {
        metrics::gauge!("chancery_snapshot_timestamp_seconds")
            .set(Duration::from_secs(next.snapshot.issued_at.as_seconds()));
        *self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(next);
    }

    /// Verifies a snapshot by the trust document, after looking for a later document where the
    /// snapshot names or needs one.
    async fn verified(&self, signed: SignedSnapshot) -> Result<VerifiedSnapshot, RefreshError> {
        let trust = self.trust.current();
        let later = signed.snapshot.trust_version > trust.version;
        if !later && let Ok(snapshot) = signed.clone().verify(&trust, &AwsLc) {
            return Ok(snapshot);
        }
        let document = self.server.trust().await?.document;
        self.trust.accept(document.as_bytes())?;
        let trust = self.trust.current();
        self.adopt_authorities()?;
        Ok(signed.verify(&trust, &AwsLc)?)
    }

    /// Holds peers against the authorities of the trust document in force.
    fn adopt_authorities(&self) -> Result<(), RefreshError> {
        let bundle = x509_bundle(&self.trust.current(), &self.trust_domain)?;
        let svid = self
            .svid
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((tls, own)) = svid {
            tls.replace(own.chain, &own.key, bundle)
                .map_err(|_| SvidError::Unacceptable("the own SVID is not usable"))?;
        }
        self.peers.forget();
        Ok(())
    }

    async fn fetch_policy(&self, digest: Digest) -> Result<Policy, RefreshError> {
        let signed = self.server.policy(digest).await?;
        let object = to_canonical(&signed).map_err(|_| RefreshError::PolicyDiffers)?;
        let bundle = Rulebook::load(&signed.to_files())?;
        if bundle.digest() != digest {
            return Err(RefreshError::PolicyDiffers);
        }
        check_signers(&signed, &self.trust.current())?;
        let name = Digest::of(&object);
        self.objects.put(None, vec![object]).await?;
        tracing::info!(%digest, version = bundle.index().version(), "policy in force");
        Ok(Policy {
            signed: Arc::new(signed),
            bundle: Arc::new(bundle),
            object: name,
        })
    }
}

/// What the server serves is policy only by signatures that it cannot make, of as many people as the trust
/// document demands.
fn check_signers(signed: &SignedBundle, trust: &VerifiedTrust) -> Result<(), PolicySignersError> {
    trust.check_policy_signers(signed.signers(&trust.policy_signers, &AwsLc))
}
