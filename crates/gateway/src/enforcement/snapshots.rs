use std::sync::{Arc, PoisonError};

use chancery_api::ClientError;
use chancery_api::snapshot::{SignedSnapshot, SnapshotError, VerifiedSnapshot};
use chancery_crypto::AwsLc;
use chancery_identity::trust::VerifiedTrust;
use chancery_policy::{Bundle, BundleError, SignedBundle};
use chancery_types::{Digest, to_canonical};

use super::Enforcement;
use super::in_force::{InForce, MAX_AHEAD_SECONDS, Policy};
use super::svid::{SvidError, x509_bundle};
use super::trust_store::TrustStoreError;

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
    #[error("the snapshot or its policy is older than one that was seen, or dated in the future")]
    OutOfOrder,
    #[error("the policy bundle cannot be loaded")]
    Policy(#[from] BundleError),
    #[error("the server sent another policy bundle than the snapshot names")]
    PolicyDiffers,
    #[error("no policy signer of the trust document signed the policy bundle")]
    PolicySigner,
    #[error("the policy bundle cannot be kept")]
    Store(#[from] std::io::Error),
    #[error("the clock stepped back")]
    Clock,
    #[error(transparent)]
    Authorities(#[from] SvidError),
}

impl Enforcement {
    /// Asks for a snapshot and puts in force what it names. Either all of it changes or nothing;
    /// a call that is being decided keeps what it started with.
    pub(crate) async fn refresh(&self) -> Result<(), RefreshError> {
        let signed = self.server.snapshot().await?;
        let snapshot = self.verified(signed).await?;
        let trust = self.trust.current();
        let named = (snapshot.trust_version, snapshot.trust_digest);
        if named != (trust.version, trust.digest()) {
            return Err(RefreshError::TrustDiffers);
        }
        let before = self.in_force();
        let now = self.clock.now().map_err(|_| RefreshError::Clock)?;
        let old = before
            .as_ref()
            .is_some_and(|one| one.snapshot.sequence > snapshot.sequence);
        if old || snapshot.issued_at > now.plus_seconds(MAX_AHEAD_SECONDS) {
            return Err(RefreshError::OutOfOrder);
        }
        let same = before.as_ref().map(|one| &one.policy);
        let policy = match same.filter(|policy| policy.bundle.digest() == snapshot.policy_digest) {
            Some(policy) => {
                check_signer(&policy.signed, &trust)?;
                policy.clone()
            }
            None => self.fetch_policy(snapshot.policy_digest).await?,
        };
        if same.is_some_and(|same| policy.version() < same.version()) {
            return Err(RefreshError::OutOfOrder);
        }
        let next = Arc::new(InForce::new(trust, snapshot, policy, &self.trust_domain));
        let continues = before.as_ref().is_some_and(|before| next.continues(before));
        *self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(next);
        if !continues {
            self.chains.forget();
            tracing::info!("another trust document, epoch or revocation list is in force");
        }
        Ok(())
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
        let bundle = Bundle::load(&signed.to_files())?;
        if bundle.digest() != digest {
            return Err(RefreshError::PolicyDiffers);
        }
        check_signer(&signed, &self.trust.current())?;
        let name = Digest::of(&object);
        self.objects.put(vec![object]).await?;
        tracing::info!(%digest, version = bundle.index().version(), "policy in force");
        Ok(Policy {
            signed: Arc::new(signed),
            bundle: Arc::new(bundle),
            object: name,
        })
    }
}

/// What the server serves is policy only by a signature that it cannot make.
fn check_signer(signed: &SignedBundle, trust: &VerifiedTrust) -> Result<(), RefreshError> {
    let signer = signed.signer(&trust.policy_signers, &AwsLc);
    signer.map(drop).ok_or(RefreshError::PolicySigner)
}
