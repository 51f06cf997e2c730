//! Mutual TLS by X.509-SVIDs: rustls verifiers over `identity`'s profile.
//!
//! A peer is who its SVID says and nothing else: no host names, no web roots. The own SVID and the
//! trust domain's authorities can be replaced while connections are open; a connection outlives
//! them, so whoever acts for a peer checks the expiry again at every call.

mod client;
mod holder;
mod identity;
mod server;

pub use client::{client_config, joining_config};
pub use holder::{CertificateHolder, HolderError};
pub use identity::{TlsError, TlsIdentity};
pub use server::{open_server_config, server_config};

use chancery_identity::{VerifiedX509Svid, X509Bundle, verify_x509_svid};
use chancery_types::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};

/// Verifies a peer's chain as an X.509-SVID of the trust domain.
pub fn verify_peer(
    chain: &[CertificateDer<'_>],
    bundle: &X509Bundle,
    now: Timestamp,
) -> Result<VerifiedX509Svid, Error> {
    let algorithms = provider().signature_verification_algorithms;
    verify_x509_svid(chain, bundle, now, algorithms.all).map_err(|refusal| {
        tracing::debug!(%refusal, "peer certificate refused");
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
    })
}

/// The one provider of cryptography that TLS is spoken with.
pub fn provider() -> rustls::crypto::CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

fn at(now: UnixTime) -> Timestamp {
    Timestamp::from_seconds(now.as_secs())
}
