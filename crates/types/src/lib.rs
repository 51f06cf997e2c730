//! The words every other crate speaks: digests, timestamps, identifiers, canonical JSON, strict
//! parsing, keys and compact JWS.
//!
//! Pure: nothing here holds a clock, randomness, a socket or a file; those are arguments.

pub mod base64url;
pub mod canonical;
pub mod credential_crypto;
pub mod digest;
pub mod foreign_jws;
pub mod id;
pub mod instant;
pub mod json;
pub mod jwk;
pub mod jws;
pub mod limits;
pub mod members;
pub mod revocation_kind;
pub mod secret;
pub mod signature;
pub mod strict_json;
pub mod svid_key;
pub mod timestamp;

pub use canonical::{CanonicalError, to_canonical, to_jcs};
pub use credential_crypto::{CredentialCrypto, EcdhShare};
pub use digest::{Digest, DigestError};
pub use foreign_jws::ForeignJws;
pub use instant::parse_instant;
pub use json::Json;
pub use jwk::{Jwk, JwkError};
pub use revocation_kind::{RevocationKind, RevocationKindError};
pub use secret::Secret;
pub use signature::{Algorithm, SignatureVerifier};
pub use strict_json::{
    StrictJsonError, is_mark_of_reader, parse_strict, parse_strict_borrowed,
    parse_strict_with_floats,
};
pub use svid_key::{SvidAlgorithm, SvidCurve, SvidKey, SvidKeyError, SvidKeyMaterial};
pub use timestamp::Timestamp;
