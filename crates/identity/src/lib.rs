//! Who speaks: SPIFFE IDs, X.509-SVIDs, workload identity tokens and the bundles that they are
//! verified with.
//!
//! Pure: time, keys' arithmetic and randomness are arguments.

pub mod agent_id;
pub mod attestation_level;
pub mod key_proof;
pub mod spiffe_id;
pub mod spki;
pub mod trust;
pub mod trust_domain;
pub mod wit;
pub mod x509_bundle;
pub mod x509_profile;
pub mod x509_svid;

pub use agent_id::{AgentId, InstanceSpiffeId};
pub use attestation_level::{AttestationLevel, Isolation};
pub use key_proof::{KeyProofError, ProvenKey, key_proof_signing_input, verify_key_proof};
pub use spiffe_id::{SpiffeId, SpiffeIdError};
pub use spki::spki_der;
pub use trust_domain::TrustDomain;
pub use wit::{Confirmation, VerifiedWit, WitBundle, WitClaims, WitError, verify_wit};
pub use x509_bundle::{X509Authority, X509Bundle, X509BundleError, X509Bundles};
pub use x509_profile::ProfileError;
pub use x509_svid::{VerifiedX509Svid, X509SvidError, verify_x509_svid};
