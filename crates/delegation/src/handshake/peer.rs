use std::fmt;

use chancery_identity::{SpiffeId, VerifiedWit, WitBundle, WitError, verify_wit};
use chancery_types::{Digest, Jwk, SignatureVerifier, Timestamp};

use super::{HANDSHAKE_SECONDS, HandshakeRefusal, MAX_AHEAD_SECONDS};

/// What the transport exported under [`super::EXPORTER_LABEL`]: the same at both ends of one
/// connection and of no other.
#[derive(Clone, Copy, Eq)]
pub struct ChannelBinding(Digest);

impl ChannelBinding {
    /// The exporter's 32 bytes.
    pub const fn new(exported: [u8; 32]) -> Self {
        Self(Digest::from_bytes(exported))
    }

    pub(super) fn to_base64url(self) -> String {
        self.0.to_base64url()
    }

    pub(super) fn is(self, claimed: &Digest) -> bool {
        self.0.ct_eq(claimed)
    }
}

impl PartialEq for ChannelBinding {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding([redacted])")
    }
}

/// The own end of a channel.
#[derive(Debug, Clone, Copy)]
pub struct OwnEnd<'a> {
    /// Who this is, by the X.509-SVID that the transport presented.
    pub spiffe_id: &'a SpiffeId,
    /// The agent key.
    pub key: &'a Jwk,
    /// The agent key's credential.
    pub wit: &'a str,
    /// The channel.
    pub channel: ChannelBinding,
}

/// What a peer is judged by.
#[derive(Clone, Copy)]
pub struct PeerContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// Who stands at the other end, by the X.509-SVID that the transport verified.
    pub peer: &'a SpiffeId,
    /// The token authorities that are believed, one bundle for each trust domain.
    pub wits: &'a [WitBundle],
    /// The arithmetic.
    pub verifier: &'a dyn SignatureVerifier,
}

impl fmt::Debug for PeerContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerContext")
            .field("now", &self.now)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl PeerContext<'_> {
    /// Verifies the credential of the peer's agent key, and that it is the transport's peer's.
    pub(super) fn credential(&self, token: &str) -> Result<VerifiedWit, HandshakeRefusal> {
        let bundle = self
            .wits
            .iter()
            .find(|bundle| bundle.trust_domain() == self.peer.trust_domain())
            .ok_or(HandshakeRefusal::UnknownTrustDomain)?;
        let wit =
            verify_wit(token, bundle, self.now, self.verifier).map_err(|error| match error {
                WitError::Expired => HandshakeRefusal::CredentialExpired,
                WitError::WrongTrustDomain => HandshakeRefusal::WrongPeer,
                other => HandshakeRefusal::Credential(other),
            })?;
        if wit.spiffe_id() == self.peer {
            Ok(wit)
        } else {
            Err(HandshakeRefusal::WrongPeer)
        }
    }

    /// Checks that something was said just now.
    pub(super) fn check_time(&self, issued_at: Timestamp) -> Result<(), HandshakeRefusal> {
        let in_window = self.now <= issued_at.plus_seconds(HANDSHAKE_SECONDS)
            && issued_at <= self.now.plus_seconds(MAX_AHEAD_SECONDS);
        if in_window {
            Ok(())
        } else {
            Err(HandshakeRefusal::StaleTime)
        }
    }
}
