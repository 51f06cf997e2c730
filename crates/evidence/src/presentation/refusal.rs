use std::fmt;

use chancery_delegation::{ConsentError, ManifestError, Refusal};
use chancery_identity::WitError;
use chancery_session::MemberError;

/// A part of a presentation, as its member is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The workload identity token.
    Credential,
    /// The evidence.
    Evidence,
    /// The entry of the token.
    Issued,
    /// The manifest.
    Manifest,
    /// The chain.
    Chain,
    /// The consent.
    Consent,
    /// The entry of the root.
    Rooted,
    /// The snapshot.
    Snapshot,
    /// The entry that opened the session.
    Opened,
    /// The entry by which the instance joined.
    Joined,
    /// The checkpoint of the server's log.
    ServerCheckpoint,
    /// The checkpoint of the gateway's log.
    GatewayCheckpoint,
}

/// Why a presentation is refused: the first reason found.
#[derive(Debug, thiserror::Error)]
pub enum PresentationRefusal {
    /// Longer than a presentation may be.
    #[error("the presentation is too long")]
    TooLong,
    /// Not the canonical JSON of a presentation.
    #[error("not a presentation: expected the canonical JSON of one")]
    Malformed,
    /// The trust document's own members cannot be used.
    #[error("the trust document: {0}")]
    Trust(String),
    /// The token does not stand.
    #[error("credential")]
    Credential(#[source] WitError),
    /// The holder's signature is not a token of its type.
    #[error("the holder's signature is not a token of its type")]
    HolderMalformed,
    /// Another key signed than the credential is bound to.
    #[error("the key that the credential is bound to did not sign")]
    HolderSignature,
    /// Signed for another relying party.
    #[error("signed for another relying party")]
    WrongAudience,
    /// Signed for another challenge.
    #[error("signed for another challenge")]
    WrongChallenge,
    /// Signed too long ago, in the future, or once the challenge was over.
    #[error("not signed just now, or the challenge is over")]
    Stale,
    /// Other parts than the holder signed.
    #[error("other parts than the holder signed")]
    PartsExchanged,
    /// A part cannot be read.
    #[error("{0}: cannot be read")]
    PartMalformed(Part),
    /// A checkpoint is not signed by a log that the trust document names for that writer.
    #[error("{0}: not signed by such a log of the trust document: {1}")]
    Checkpoint(Part, String),
    /// Too few witnesses cosigned, where the trust document withholds such checkpoints.
    #[error("{0}: the witness quorum of the trust document did not cosign it")]
    Unwitnessed(Part),
    /// An entry is not proven to be in the log.
    #[error("{0}: not proven to be in the log")]
    NotEnrolled(Part),
    /// An entry is of another type, log or place than this part's.
    #[error("{0}: not an entry of this part")]
    WrongEntry(Part),
    /// A part does not belong to the others.
    #[error("{0}: does not belong to the other parts: {1}")]
    Differs(Part, &'static str),
    /// The manifest does not stand.
    #[error("manifest")]
    Manifest(#[source] ManifestError),
    /// Token and manifest are not of one agent.
    #[error("manifest")]
    Member(#[source] MemberError),
    /// No snapshot signer of the trust document signed the snapshot.
    #[error("snapshot: no snapshot signer of the trust document signed it")]
    Snapshot,
    /// The snapshot is older than the relying party takes, or from the future.
    #[error("snapshot: made {age} seconds ago, {most} are taken")]
    SnapshotStale {
        /// How old it is.
        age: u64,
        /// How old it may be.
        most: u64,
    },
    /// Another policy is in force than the manifest binds or the session was opened under.
    #[error("another policy is in force than the manifest binds or the session was opened under")]
    Policy,
    /// A newer trust document is in force.
    #[error("snapshot: version {0} of the trust document is in force; verify with that one")]
    TrustSuperseded(u64),
    /// The chain does not stand.
    #[error("chain: {}", .0.reason)]
    Chain(Refusal),
    /// The consent does not stand.
    #[error("consent")]
    Consent(#[source] ConsentError),
    /// The trust document gives the credential of the consent to no such principal.
    #[error("consent: the trust document gives the credential to no such principal")]
    NotPrincipal,
}

impl PresentationRefusal {
    /// A stable code, one for each cause.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "presentation_too_long",
            Self::Malformed => "presentation_malformed",
            Self::Trust(_) => "trust_unusable",
            Self::Credential(_) => "credential_refused",
            Self::HolderMalformed => "holder_malformed",
            Self::HolderSignature => "holder_signature",
            Self::WrongAudience => "wrong_audience",
            Self::WrongChallenge => "wrong_challenge",
            Self::Stale => "presentation_stale",
            Self::PartsExchanged => "parts_exchanged",
            Self::PartMalformed(_) => "part_malformed",
            Self::Checkpoint(..) => "checkpoint_refused",
            Self::Unwitnessed(_) => "unwitnessed",
            Self::NotEnrolled(_) => "not_enrolled",
            Self::WrongEntry(_) => "wrong_entry",
            Self::Differs(..) => "part_differs",
            Self::Manifest(_) => "manifest_refused",
            Self::Member(_) => "manifest_differs",
            Self::Snapshot => "snapshot_refused",
            Self::SnapshotStale { .. } => "snapshot_stale",
            Self::Policy => "policy_mismatch",
            Self::TrustSuperseded(_) => "trust_superseded",
            Self::Chain(refusal) => match refusal.revoked {
                Some(_) => "chain_revoked",
                None => "chain_refused",
            },
            Self::Consent(_) => "consent_refused",
            Self::NotPrincipal => "consent_unknown",
        }
    }
}

impl Part {
    /// The name of its member.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Evidence => "evidence",
            Self::Issued => "issued",
            Self::Manifest => "manifest",
            Self::Chain => "chain",
            Self::Consent => "consent",
            Self::Rooted => "rooted",
            Self::Snapshot => "snapshot",
            Self::Opened => "opened",
            Self::Joined => "joined",
            Self::ServerCheckpoint => "checkpoints.server",
            Self::GatewayCheckpoint => "checkpoints.gateway",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What each code means, and what helps.
pub const REASONS: &[(&str, &str)] = &[
    (
        "presentation_too_long",
        "the presentation is longer than one may be",
    ),
    (
        "presentation_malformed",
        "not the canonical JSON of a presentation",
    ),
    (
        "trust_unusable",
        "a member of the trust document cannot be used",
    ),
    (
        "credential_refused",
        "no token authority of the trust document signed the credential, or it is over",
    ),
    (
        "holder_malformed",
        "the holder's signature is not a token of its type",
    ),
    (
        "holder_signature",
        "the key that the credential is bound to did not sign",
    ),
    ("wrong_audience", "signed for another relying party"),
    (
        "wrong_challenge",
        "signed for another challenge; each is good once",
    ),
    (
        "presentation_stale",
        "not signed just now, or the challenge is over; ask again",
    ),
    ("parts_exchanged", "other parts than the holder signed"),
    ("part_malformed", "a part cannot be read"),
    (
        "checkpoint_refused",
        "no log that the trust document names for the part signed the checkpoint",
    ),
    (
        "unwitnessed",
        "the trust document withholds checkpoints that its witnesses did not cosign",
    ),
    ("not_enrolled", "an entry is not proven to be in the log"),
    (
        "wrong_entry",
        "an entry is not of the type or log of its part",
    ),
    ("part_differs", "a part does not belong to the others"),
    (
        "manifest_refused",
        "no manifest issuer of the trust document signed the manifest, or it is over",
    ),
    (
        "manifest_differs",
        "the credential is bound to another agent or manifest",
    ),
    (
        "snapshot_refused",
        "no snapshot signer of the trust document signed the snapshot",
    ),
    (
        "snapshot_stale",
        "what is revoked is known up to a time that is too long ago",
    ),
    (
        "trust_superseded",
        "a newer trust document is in force; verify with that one",
    ),
    (
        "policy_mismatch",
        "another policy is in force than the manifest binds or the session was opened under; sign a new manifest, open a new session",
    ),
    ("chain_revoked", "something of the chain was revoked"),
    ("chain_refused", "the chain does not stand"),
    ("consent_refused", "the person's consent does not stand"),
    (
        "consent_unknown",
        "the trust document gives the credential of the consent to no such principal",
    ),
];
