use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chancery_identity::X509Bundle;
use chancery_types::Secret;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, crypto};

/// The own X.509-SVID and the authorities that peers are verified with; both can be replaced while
/// they are in use.
#[derive(Clone)]
pub struct TlsIdentity(Arc<RwLock<State>>);

struct State {
    own: Arc<CertifiedKey>,
    bundle: Arc<X509Bundle>,
}

/// Why an SVID cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The key or the certificate is not usable with TLS.
    #[error("the SVID cannot be used with TLS")]
    Svid(#[source] rustls::Error),
    /// The TLS library refused the configuration.
    #[error("TLS cannot be configured")]
    Config(#[source] rustls::Error),
}

impl TlsIdentity {
    /// Takes an SVID (leaf first, in DER), its PKCS#8 key and the authorities.
    pub fn new(chain: Vec<Vec<u8>>, pkcs8: &Secret, bundle: X509Bundle) -> Result<Self, TlsError> {
        let own = Arc::new(certified(chain, pkcs8)?);
        Ok(Self(Arc::new(RwLock::new(State {
            own,
            bundle: Arc::new(bundle),
        }))))
    }

    /// Replaces SVID and authorities: new connections use them at once.
    pub fn replace(
        &self,
        chain: Vec<Vec<u8>>,
        pkcs8: &Secret,
        bundle: X509Bundle,
    ) -> Result<(), TlsError> {
        let own = Arc::new(certified(chain, pkcs8)?);
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *state = State {
            own,
            bundle: Arc::new(bundle),
        };
        Ok(())
    }

    /// Replaces the authorities alone.
    pub fn trust(&self, bundle: X509Bundle) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.bundle = Arc::new(bundle);
    }

    /// The authorities in force.
    pub fn bundle(&self) -> Arc<X509Bundle> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).bundle)
    }

    fn own(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).own)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsIdentity([redacted])")
    }
}

impl ResolvesServerCert for TlsIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.own())
    }
}

impl ResolvesClientCert for TlsIdentity {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.own())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(chain: Vec<Vec<u8>>, pkcs8: &Secret) -> Result<CertifiedKey, TlsError> {
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose().to_vec()));
    CertifiedKey::from_der(chain, key, &crypto::aws_lc_rs::default_provider())
        .map_err(TlsError::Svid)
}
