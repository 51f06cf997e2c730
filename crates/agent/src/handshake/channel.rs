use chancery_api::tls::{TlsIdentity, verify_peer};
use chancery_delegation::handshake::{ChannelBinding, EXPORTER_LABEL};
use chancery_identity::{SpiffeId, VerifiedX509Svid};
use chancery_types::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::{ConnectionCommon, SideData};

use crate::clock::now;

/// One TLS connection, as a handshake sees it: who stands at the other end, and what binds the
/// connection. Only a connection of mutual TLS by X.509-SVIDs makes one.
#[derive(Debug, Clone)]
pub struct Channel {
    peer: VerifiedX509Svid,
    binding: ChannelBinding,
}

/// Why a connection is no channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer showed no certificate, or none that is an X.509-SVID of the trust domain.
    #[error("the peer shows no X.509-SVID of the trust domain")]
    NoSvid,
    /// TLS exports nothing for this connection.
    #[error("the connection exports no keying material")]
    Exporter(#[source] rustls::Error),
}

impl Channel {
    /// The channel of a connection whose TLS handshake is complete, of either side.
    pub fn of<D: SideData>(
        connection: &ConnectionCommon<D>,
        identity: &TlsIdentity,
    ) -> Result<Self, ChannelError> {
        let chain: &[CertificateDer<'_>] =
            connection.peer_certificates().ok_or(ChannelError::NoSvid)?;
        let peer =
            verify_peer(chain, &identity.bundle(), now()).map_err(|_| ChannelError::NoSvid)?;
        let exported = connection
            .export_keying_material([0; 32], EXPORTER_LABEL.as_bytes(), None)
            .map_err(ChannelError::Exporter)?;
        Ok(Self {
            peer,
            binding: ChannelBinding::new(exported),
        })
    }

    /// Who stands at the other end.
    pub const fn peer(&self) -> &SpiffeId {
        self.peer.spiffe_id()
    }

    /// What binds the connection.
    pub const fn binding(&self) -> ChannelBinding {
        self.binding
    }

    /// Whether the peer's certificate is still valid: a connection outlives it.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.peer.is_valid_at(now)
    }
}
