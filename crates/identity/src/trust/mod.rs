//! The trust document: the versioned, threshold-signed list of everything that may speak
//! (decision 1).
//!
//! Every verifier starts from one [`VerifiedTrust`] and from nothing else. A document is signed by
//! offline root keys; a later version must be signed by a threshold of the roots that the earlier
//! one names, and versions never go back.

mod document;
mod gateway_name;
mod policy_quorum;
mod signed;

pub use document::{
    AccessTokenAuthority, DelegationAuthority, LogOrigin, ManifestIssuer, Person, PersonCredential,
    Role, TrustDocument, TrustFormat, UnwitnessedRule, WitnessRule,
};
pub use gateway_name::{GatewayName, GatewayNameError, server_log_origin, successor_of};
pub use policy_quorum::{PolicyQuorum, PolicySignersError};
pub use signed::{SignedTrust, TrustError, TrustSignature, VerifiedTrust};
