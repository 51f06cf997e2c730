use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

/// Who is at the other end of a connection. Only a completed mutual TLS handshake whose
/// certificates the enforcer could name makes one.
///
/// A connection outlives the rotation of an SVID: whether the certificate is still valid is asked
/// again for every call, of the enforcer.
#[derive(Debug)]
pub struct Peer {
    name: Arc<str>,
    certificates: Vec<CertificateDer<'static>>,
    address: SocketAddr,
}

impl Peer {
    pub(crate) fn new(
        name: Arc<str>,
        certificates: Vec<CertificateDer<'static>>,
        address: SocketAddr,
    ) -> Self {
        Self {
            name,
            certificates,
            address,
        }
    }

    /// The name that the enforcer read from the certificate: the SPIFFE ID.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The certificate chain as presented, leaf first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Where the connection comes from.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
