use std::sync::Arc;

use chancery_identity::{SpiffeId, X509Bundle};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version,
};

use super::{TlsError, TlsIdentity, at, provider, verify_peer};

/// A TLS 1.3 client that presents the identity's SVID and speaks only to `server`.
pub fn client_config(identity: &TlsIdentity, server: SpiffeId) -> Result<ClientConfig, TlsError> {
    let verifier = OneServer {
        authorities: Authorities::Current(identity.clone()),
        server,
    };
    Ok(ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(identity.clone())))
}

/// A TLS 1.3 client that has no SVID yet and speaks only to `server`, by these authorities.
pub fn joining_config(bundle: X509Bundle, server: SpiffeId) -> Result<ClientConfig, TlsError> {
    let verifier = OneServer {
        authorities: Authorities::Fixed(Arc::new(bundle)),
        server,
    };
    Ok(ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

#[derive(Debug)]
struct OneServer {
    authorities: Authorities,
    server: SpiffeId,
}

#[derive(Debug)]
enum Authorities {
    Current(TlsIdentity),
    Fixed(Arc<X509Bundle>),
}

impl Authorities {
    fn bundle(&self) -> Arc<X509Bundle> {
        match self {
            Self::Current(identity) => identity.bundle(),
            Self::Fixed(bundle) => Arc::clone(bundle),
        }
    }
}

impl ServerCertVerifier for OneServer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(leaf)
            .chain(intermediates)
            .cloned()
            .collect();
        let peer = verify_peer(&chain, &self.authorities.bundle(), at(now))?;
        if *peer.spiffe_id() == self.server {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
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
