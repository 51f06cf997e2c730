//! Presentation over HTTP: RFC 9421 message signatures in the WIMSE profile
//! (draft-ietf-wimse-http-signature), by the agent key.
//!
//! One signature covers the method, the request target, the body's digest, the credential and the
//! delegation, names its audience and a nonce, and lives a minute. The key comes from the
//! credential and from nowhere else: `keyid` and `alg` are refused. One spelling is read: what a
//! serialiser of RFC 9651 writes.
//!
//! Pure: the request's parts, time, keys and the memory of nonces are arguments.

mod base;
mod delegation;
mod digest;
mod error;
mod fields;
mod presentation;
mod request;
mod sign;

pub use delegation::{DelegationField, DelegationFieldError};
pub use error::HttpRefusal;
pub use fields::ReceivedSignature;
pub use presentation::{HttpContext, PresentedRequest, verify_presentation};
pub use request::HttpRequest;
pub use sign::{RequestSignature, SignError, SignedFields};

/// The `tag` of every signature of the profile.
pub const WIMSE_TAG: &str = "wimse-workload-to-workload";

/// The field that carries the credential.
pub const CREDENTIAL_FIELD: &str = "workload-identity-token";

/// The field that carries the delegation.
pub const DELEGATION_FIELD: &str = "agent-delegation";

pub(crate) const CONTENT_DIGEST: &str = "content-digest";
pub(crate) const SIGNATURE: &str = "signature";
pub(crate) const SIGNATURE_INPUT: &str = "signature-input";

/// The label of our own signatures.
pub(crate) const LABEL: &str = "wimse";

/// Fields that a signature covers whenever the request has them.
pub(crate) const COVERED_IF_PRESENT: [&str; 6] = [
    "authorization",
    "content-type",
    CONTENT_DIGEST,
    "txn-token",
    CREDENTIAL_FIELD,
    DELEGATION_FIELD,
];

/// How long after it was made a signature is taken, however long it says it lives.
pub(crate) const MAX_AGE_SECONDS: u64 = 60;

/// The longest life that a signature may claim.
pub(crate) const MAX_LIFE_SECONDS: u64 = 300;

/// How far in the future a signature may be made, for clocks that differ.
pub(crate) const MAX_AHEAD_SECONDS: u64 = 5;
