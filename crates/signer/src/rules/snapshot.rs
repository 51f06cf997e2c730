//! Snapshots: only forward, only of now, and never without a revocation that still matters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_api::Problem;
use chancery_api::signer::{SignSnapshot, SignedSnapshot};
use chancery_api::snapshot::Snapshot;
use chancery_crypto::{AwsLc, replace_private_file};
use chancery_delegation::{Revocation, RevocationSet};
use chancery_identity::trust::VerifiedTrust;
use chancery_policy::BundleSignature;
use chancery_types::{Timestamp, base64url, canonical, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use super::{MAX_SKEW_SECONDS, check_now};
use crate::keys::StandingKeys;

/// How many epochs a snapshot may be ahead of the last one: what a server raised while the signer
/// was away, and far from an end behind which nothing can be raised.
const MAX_EPOCHS: u64 = 1_000;

/// The highest sequence that was signed, and what was revoked in it, kept on disk: a server that was
/// taken over can neither go back nor forget.
#[derive(Debug)]
pub(crate) struct SnapshotRatchet {
    path: PathBuf,
    highest: u64,
    held_path: PathBuf,
    held: Arc<Held>,
}

/// What may not be taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    /// The highest epoch.
    pub(crate) epoch: u64,
    /// What is revoked.
    pub(crate) revoked: RevocationSet,
}

impl SnapshotRatchet {
    pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("snapshot.ratchet");
        let highest = match read(&path)? {
            Some(text) => text.trim().parse().map_err(|_| damaged(&path))?,
            None => 0,
        };
        let held_path = folder.join("revocations.ratchet");
        let held = match read(&held_path)? {
            Some(text) => serde_json::from_str(&text).map_err(|_| damaged(&held_path))?,
            None => Held::default(),
        };
        Ok(Self {
            path,
            highest,
            held_path,
            held: Arc::new(held),
        })
    }

    /// What may not be taken back.
    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// `trust` is the document in force here: where it demands several people's signatures of a policy
    /// bundle, a server that was taken over has no snapshot signed that names another one.
    pub(crate) fn sign(
        &mut self,
        (keys, trust): (&StandingKeys, &VerifiedTrust),
        request: &SignSnapshot,
        now: Timestamp,
    ) -> Result<SignedSnapshot, Problem> {
        let malformed = || Problem::bad_request("snapshot", "not a snapshot in canonical form");
        let bytes = request.snapshot.as_bytes();
        if !canonical::is_canonical(bytes) {
            return Err(malformed());
        }
        let value = parse_strict(bytes).map_err(|_| malformed())?;
        let snapshot: Snapshot = serde_json::from_value(value).map_err(|_| malformed())?;
        check_now(snapshot.issued_at, now)?;
        check_policy(trust, &snapshot, request)?;
        if snapshot.sequence <= self.highest {
            return Err(Problem::conflict(
                "ratchet",
                "a later snapshot was signed already",
            ));
        }
        self.held.check(&snapshot)?;
        self.held.check_reach(&snapshot, now)?;
        let input = snapshot.signing_input().map_err(|_| malformed())?;
        self.hold(Held {
            epoch: snapshot.epoch,
            revoked: snapshot.revoked,
        })?;
        self.advance(snapshot.sequence)?;
        let signature = keys
            .snapshot
            .sign(&input)
            .map_err(|error| Problem::internal("sign", &error))?;
        Ok(SignedSnapshot {
            kid: keys.snapshot.public().kid(),
            signature: base64url::encode(signature),
        })
    }

    /// Lets go of a revocation that root keys lifted. One that is not held is let go already.
    pub(crate) fn lift(&mut self, revocation: &Revocation) -> Result<(), Problem> {
        let mut next = Held::clone(&self.held);
        next.revoked.lift(revocation);
        self.hold(next)
    }

    /// Keeps what is revoked on disk, whole and synced, before any signature rests on it.
    fn hold(&mut self, next: Held) -> Result<(), Problem> {
        if next == *self.held {
            return Ok(());
        }
        let internal = |error: &(dyn std::error::Error + 'static)| {
            Problem::internal("revocations.ratchet", error)
        };
        let bytes = to_canonical(&next).map_err(|error| internal(&error))?;
        replace_private_file(&self.held_path, &bytes).map_err(|error| internal(&error))?;
        self.held = Arc::new(next);
        Ok(())
    }

    /// Raises the ratchet on disk before the signature leaves.
    fn advance(&mut self, sequence: u64) -> Result<(), Problem> {
        replace_private_file(&self.path, format!("{sequence}\n").as_bytes())
            .map_err(|error| Problem::internal("snapshot.ratchet", &error))?;
        self.highest = sequence;
        Ok(())
    }
}

impl Held {
    /// Refuses what would leave no room for what follows: whoever has the server for a moment could
    /// take all that is to come, since nothing of a ratchet is taken back.
    fn check_reach(&self, snapshot: &Snapshot, now: Timestamp) -> Result<(), Problem> {
        let ahead = |text: &str| Err(Problem::forbidden("snapshot_ahead", text));
        // A sequence is its time.
        if snapshot.sequence > now.plus_seconds(MAX_SKEW_SECONDS).as_micros() {
            return ahead("the sequence lies in the future");
        }
        if snapshot.epoch.saturating_sub(self.epoch) > MAX_EPOCHS {
            return ahead("the epoch is raised by more than a thousand");
        }
        if (snapshot.revoked.iter()).any(|one| one.at > snapshot.issued_at) {
            return ahead("a revocation lies in the future");
        }
        Ok(())
    }

    /// Refuses a snapshot that takes back an epoch, or a revocation whose chains could be alive. By
    /// the snapshot's own time, which is now within a minute, so that server and signer drop the
    /// same.
    fn check(&self, snapshot: &Snapshot) -> Result<(), Problem> {
        if snapshot.epoch < self.epoch {
            return Err(Problem::conflict(
                "epoch_back",
                format!("epoch {} was signed already", self.epoch),
            ));
        }
        let next_epoch = snapshot.epoch > self.epoch;
        let dropped = self.revoked.iter().find(|one| {
            let since = snapshot.revoked.since(one.what.kind(), one.what.id());
            let is_over = !one.matters(snapshot.issued_at) || (next_epoch && one.dies_with_epoch());
            !is_over && since.is_none_or(|since| since < one.at)
        });
        match dropped {
            None => Ok(()),
            Some(one) => Err(Problem::conflict(
                "revocation_dropped",
                format!("the snapshot lacks {}, revoked at {}", one.what, one.at),
            )
            .with_remedy("a revocation is lifted with `chancery revoke lift`, by the root keys")),
        }
    }
}

/// Whether enough people signed the policy bundle that the snapshot names.
fn check_policy(
    trust: &VerifiedTrust,
    snapshot: &Snapshot,
    request: &SignSnapshot,
) -> Result<(), Problem> {
    if trust.policy_quorum.is_none() {
        return Ok(());
    }
    let (digest, known) = (snapshot.policy_digest, &trust.policy_signers);
    let signers = BundleSignature::signers(&request.policy, digest, known, &AwsLc);
    trust
        .check_policy_signers(signers)
        .map_err(|error| Problem::forbidden(error.code(), error.to_string()))
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn damaged(path: &Path) -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        format!(
            "{}: not readable as what it was; restore the file",
            path.display()
        ),
    )
}
