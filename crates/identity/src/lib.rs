//! Who speaks: SPIFFE IDs, X.509-SVIDs, JWT-SVIDs, workload identity tokens, the bundles that they
//! are verified with, and federation with other trust domains.
//!
//! Pure: time, keys' arithmetic and randomness are arguments.

pub mod agent_id;
pub mod attestation_level;
pub mod broker;
pub mod bundle;
pub mod endorsement_certificate;
pub mod federation;
pub mod incubating;
pub mod jwt_svid;
pub mod key_proof;
pub mod leeway;
pub mod node_certificate;
pub mod node_id;
pub mod node_proof;
pub mod registration;
pub mod signing_keys;
pub mod spiffe_id;
pub mod spki;
pub mod trust;
pub mod trust_domain;
pub mod wit;
pub mod wit_svid;
pub mod x509_bundle;
pub mod x509_profile;
pub mod x509_svid;

pub use agent_id::{AgentId, InstanceSpiffeId};
pub use attestation_level::{AttestationLevel, Isolation};
pub use bundle::{BundleDocument, BundleDocumentError, BundleKeys, BundleMap, PublishedBundle};
pub use endorsement_certificate::{
    EndorsementCertificateError, ProvenEndorsement, verify_endorsement_certificate,
};
pub use federation::{Federation, ForeignBundle, Relationship};
pub use incubating::Incubating;
pub use jwt_svid::{
    JwtAudience, JwtIssuer, JwtSvidClaims, JwtSvidContext, JwtSvidError, VerifiedJwtSvid,
    verify_jwt_svid,
};
pub use key_proof::{KeyProofError, ProvenKey, key_proof_signing_input, verify_key_proof};
pub use leeway::Leeway;
pub use node_certificate::{
    NodeAuthority, NodeCertificateError, ProvenNodeCertificate, verify_node_certificate,
};
pub use node_id::NodeSpiffeId;
pub use node_proof::{
    CHANNEL_LABEL, NodeChannel, NodeProofError, ProvenNodeKey, certificate_message,
    node_key_signing_input, tpm_qualifying_data, verify_node_key,
};
pub use registration::{
    DnsName, Hint, MaySpawn, RegistrationFile, RegistrationOwner, RegistrationTerms, SvidSeconds,
};
pub use signing_keys::{JwtBundle, JwtBundles, WitSvidBundle};
pub use spiffe_id::{SpiffeId, SpiffeIdError};
pub use spki::spki_der;
pub use trust_domain::TrustDomain;
pub use wit::{Confirmation, VerifiedWit, WitBundle, WitClaims, WitError, verify_wit};
pub use wit_svid::{ProvenWitSvid, UnprovenWitSvid, WitSvidClaims, WitSvidError, verify_wit_svid};
pub use x509_bundle::{X509Authority, X509Bundle, X509BundleError, X509Bundles};
pub use x509_profile::ProfileError;
pub use x509_svid::{
    ClaimedX509Svid, VerifiedIntermediate, VerifiedX509Svid, X509SvidError, digests_above,
    leaf_profile, verify_x509_svid,
};
