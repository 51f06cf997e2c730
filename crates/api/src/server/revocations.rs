use std::collections::BTreeSet;

use chancery_delegation::{Revocable, Revocation};
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lift::SignedLift;

/// Revokes something.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// What.
    pub what: Revocable,
    /// Why, for the log as a commitment.
    pub reason: String,
}

/// Raises the authorities' epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaiseEpoch {
    /// Why, for the log as a commitment.
    pub reason: String,
}

/// Lifts a revocation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftRevocation {
    /// What root keys signed.
    pub signed: SignedLift,
    /// Why, for the log as a commitment.
    pub reason: String,
}

/// A change of what is revoked that is enrolled and in force at the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationDone {
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
    /// When it was enrolled.
    pub at: Timestamp,
    /// Whether it was so before, so that nothing was enrolled.
    pub before: bool,
    /// The authorities' epoch.
    pub epoch: u64,
    /// The first snapshot that holds it: signed, and on its way to the gateways that wait for it.
    /// Absent where the signer is away; gateways learn of it once it answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sequence: Option<u64>,
    /// Whether the server knows nothing of that identifier: it is revoked should it appear.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unknown: bool,
}

/// A revocation in force, with what is known of it here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRevocation {
    /// The revocation.
    pub revocation: Revocation,
    /// The index of the entry that enrolled it in the server's log.
    pub log_index: u64,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whether it stays until it is lifted; otherwise it ends with all that it can touch.
    pub stays: bool,
}

/// What is revoked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    /// The authorities' epoch.
    pub epoch: u64,
    /// In the order of kind and identifier.
    pub revocations: Vec<KnownRevocation>,
}

/// Which identities are revoked: nodes hand their SVIDs to nobody and take them from open streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawnIdentities {
    /// Tells this state from others.
    pub state: Digest,
    /// Agents, by their SPIFFE IDs: all of their instances.
    pub agents: BTreeSet<String>,
    /// Instances, by their SPIFFE IDs.
    pub instances: BTreeSet<String>,
}
