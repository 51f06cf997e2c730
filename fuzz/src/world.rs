//! What every target trusts, and the arithmetic that believes everything: a fuzzer does not find
//! signatures, so that nothing behind one would ever be reached.

use std::sync::LazyLock;

use chancery_identity::trust::{SignedTrust, VerifiedTrust};
use chancery_types::{Jwk, SignatureVerifier, SvidAlgorithm, SvidKey, Timestamp};

/// A trust document of a deployment that is gone.
const TRUST: &[u8] = include_bytes!("../trust.json");
/// When the corpus was made: within the lifetimes of what it holds.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_232_700);
pub(crate) const DOMAIN: &str = "acme.example";
/// The epoch of the delegation authority.
pub(crate) const EPOCH: u64 = 1;
/// The chain of a worker, two links.
pub(crate) const CHAIN: &str = include_str!("../chain.txt");
pub(crate) const GATEWAY: &str = "spiffe://acme.example/service/gateway";

/// Every signature is right and every key is a point.
pub(crate) struct Credulous;

impl SignatureVerifier for Credulous {
    fn verify(&self, _: &Jwk, _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn verify_es256_der(&self, _: &Jwk, _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn verify_ml_dsa_44(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
        true
    }

    fn verify_svid(&self, algorithm: SvidAlgorithm, key: &SvidKey, _: &[u8], _: &[u8]) -> bool {
        key.fits(algorithm)
    }

    fn is_valid_key(&self, _: &Jwk) -> bool {
        true
    }
}

static VERIFIED: LazyLock<Option<VerifiedTrust>> = LazyLock::new(|| {
    let signed = SignedTrust::parse(TRUST).ok()?;
    signed.verify(&Credulous).ok()
});

/// The trust document. None where its format has moved on: then no seed is taken, as the suite
/// tells.
pub(crate) fn trust() -> Option<&'static VerifiedTrust> {
    VERIFIED.as_ref()
}
