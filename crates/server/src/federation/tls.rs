//! Whom a fetch believes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_api::tls::provider;
use chancery_crypto::SVID_ALGORITHMS;
use chancery_identity::federation::{EndpointProfile, EndpointRefusal};
use chancery_identity::{Federation, Relationship, TrustDomain};
use chancery_types::{Digest, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::fetch::FetchError;

/// Authorities of the Web that an operator gave, in place of the system's.
#[derive(Debug)]
pub(crate) struct WebRoots {
    store: Arc<RootCertStore>,
    digest: Digest,
}

/// Why a text holds no authorities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebRootsError {
    #[error("web roots are not certificates in PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("certificate {0} of the web roots is no authority")]
    Authority(usize),
    #[error("web roots hold no certificate")]
    Empty,
}

impl WebRoots {
    /// Reads certificates in PEM: all of them, or none.
    pub(crate) fn read(pem: &str) -> Result<Self, WebRootsError> {
        let mut store = RootCertStore::empty();
        for (place, der) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
            let der = der.map_err(WebRootsError::Pem)?;
            let added = store.add(der);
            added.map_err(|_| WebRootsError::Authority(place + 1))?;
        }
        if store.is_empty() {
            return Err(WebRootsError::Empty);
        }
        Ok(Self {
            store: Arc::new(store),
            digest: Digest::of(pem),
        })
    }

    /// No authorities, in place of those of a text that cannot be read: every server is refused.
    pub(crate) fn none(pem: &str) -> Self {
        Self {
            store: Arc::new(RootCertStore::empty()),
            digest: Digest::of(pem),
        }
    }

    /// The digest of the text.
    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }
}

/// A configuration of TLS for one fetch, and why it refused a server.
pub(super) struct Verified {
    pub(super) config: Arc<ClientConfig>,
    refusal: Arc<Mutex<Option<EndpointRefusal>>>,
}

impl Verified {
    /// Why the server was refused, where its SVID was asked for.
    pub(super) fn refusal(&self) -> Option<EndpointRefusal> {
        let refusal = self.refusal.lock();
        refusal.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The configuration that the profile of the relationship asks for; none offers a certificate of
/// our own (Federation sections 5.2.1.3 and 5.2.2.3).
pub(super) async fn client(
    relationship: &Relationship,
    federation: Federation,
    roots: Option<Arc<WebRoots>>,
) -> Result<Verified, FetchError> {
    let refusal = Arc::default();
    let config = |error: Error| FetchError::Config(Box::new(error));
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(config)?;
    let config = match relationship.profile() {
        EndpointProfile::HttpsWeb => {
            let store = match roots {
                Some(roots) => Arc::clone(&roots.store),
                None => system_roots().await?,
            };
            builder.with_root_certificates(store).with_no_client_auth()
        }
        EndpointProfile::HttpsSpiffe { .. } => {
            let verifier = OneWorkload {
                federation,
                trust_domain: relationship.trust_domain().clone(),
                refusal: Arc::clone(&refusal),
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth()
        }
    };
    Ok(Verified {
        config: Arc::new(config),
        refusal,
    })
}

/// The authorities of the machine, read anew for each fetch: they change.
async fn system_roots() -> Result<Arc<RootCertStore>, FetchError> {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let loaded = loaded.map_err(|error| FetchError::Config(Box::new(error)))?;
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(loaded.certs);
    if added == 0 {
        return Err(FetchError::NoRoots);
    }
    Ok(Arc::new(store))
}

/// Believes the workload that a relationship names, by the bundles that are in force.
struct OneWorkload {
    federation: Federation,
    trust_domain: TrustDomain,
    refusal: Arc<Mutex<Option<EndpointRefusal>>>,
}

impl fmt::Debug for OneWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneWorkload")
            .field(&self.trust_domain)
            .finish()
    }
}

impl ServerCertVerifier for OneWorkload {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).collect();
        let now = Timestamp::from_seconds(now.as_secs());
        let judged =
            self.federation
                .authenticate_endpoint(&self.trust_domain, &chain, now, SVID_ALGORITHMS);
        judged
            .map(|_| ServerCertVerified::assertion())
            .map_err(|refusal| {
                *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_roots_are_certificates_of_authorities() {
        for (pem, said) in [
            ("", "web roots hold no certificate"),
            (
                "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
                "web roots hold no certificate",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
                "certificate 1 of the web roots is no authority",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n~\n-----END CERTIFICATE-----\n",
                "web roots are not certificates in PEM",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAA==\n",
                "web roots are not certificates in PEM",
            ),
        ] {
            assert_eq!(WebRoots::read(pem).unwrap_err().to_string(), said, "{pem}");
        }
    }
}
