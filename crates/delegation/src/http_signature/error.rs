use chancery_identity::WitError;

use crate::Refusal;

/// Why a signed request is refused: one code each. Exhaustive on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpRefusal {
    /// The request has no signature.
    #[error("the request has no Signature and Signature-Input")]
    Missing,
    /// A field of ours is not of its form, or not in the one spelling that is read.
    #[error("Signature or Signature-Input is not of the profile's form")]
    Malformed,
    /// A field of ours is longer than any that is due.
    #[error("a field of the request's signature is too long")]
    TooLong,
    /// A field that is signed or that speaks of the signature came twice.
    #[error("a field that is signed came twice")]
    DuplicateField,
    /// A parameter that the profile forbids or does not know, such as `keyid` and `alg`.
    #[error("the signature has a parameter that the profile does not know")]
    Parameter,
    /// The signature is for another use: `tag` is not the profile's.
    #[error("the signature's tag is not the profile's")]
    WrongTag,
    /// A component that must be covered is not, or one is covered that the request does not have.
    #[error("the signature does not cover what it must, or covers what is not there")]
    Uncovered,
    /// The body is not the one whose digest was signed, or its digest is missing.
    #[error("the body is not the one whose Content-Digest was signed")]
    ContentDigest,
    /// The request has no credential.
    #[error("the request has no Workload-Identity-Token")]
    CredentialMissing,
    /// The credential has expired.
    #[error("the request's credential has expired; its holder gets a new one from its node")]
    CredentialExpired,
    /// The credential does not verify.
    #[error("the request's credential is refused")]
    Credential(#[source] WitError),
    /// The credential's or the chain's holder is not the transport's peer.
    #[error("the request's credential or delegation is not the peer's")]
    HolderMismatch,
    /// The signature is not the credential's key's, or covers another request.
    #[error("the signature is not of this request by the credential's key")]
    BadSignature,
    /// The signature is meant for somebody else.
    #[error("the signature is meant for another audience")]
    WrongAudience,
    /// Made too long ago, in the future, before the verifier started, or living too long.
    #[error("the signature was made too long ago, in the future, or lives too long")]
    Stale,
    /// The nonce was seen before, or it cannot be shown that it was not.
    #[error("the signature's nonce was seen before")]
    Replay,
    /// The delegation field is neither a chain nor a reference.
    #[error("Agent-Delegation is neither a chain nor a reference")]
    Delegation,
    /// The reference names a chain that this holder has not presented here.
    #[error("the referenced delegation was not presented here; repeat the request with it in full")]
    UnknownReference,
    /// The chain does not verify.
    #[error("the request's delegation is refused")]
    Chain(#[source] Refusal),
}

impl HttpRefusal {
    /// A stable code, one for each cause.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "http_signature_missing",
            Self::Malformed => "http_signature_malformed",
            Self::TooLong => "http_signature_too_long",
            Self::DuplicateField => "http_duplicate_field",
            Self::Parameter => "http_signature_parameter",
            Self::WrongTag => "http_wrong_tag",
            Self::Uncovered => "http_uncovered",
            Self::ContentDigest => "http_content_digest",
            Self::CredentialMissing => "http_credential_missing",
            Self::CredentialExpired => "http_credential_expired",
            Self::Credential(_) => "http_credential_refused",
            Self::HolderMismatch => "http_holder_mismatch",
            Self::BadSignature => "http_bad_signature",
            Self::WrongAudience => "http_wrong_audience",
            Self::Stale => "http_stale",
            Self::Replay => "http_replay",
            Self::Delegation => "http_delegation_malformed",
            Self::UnknownReference => "delegation_reference_unknown",
            Self::Chain(_) => "http_chain_refused",
        }
    }
}
