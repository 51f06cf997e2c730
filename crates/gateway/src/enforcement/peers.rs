use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chancery_api::tls::{TlsIdentity, verify_peer};
use chancery_identity::SpiffeId;
use chancery_types::{Digest, Timestamp};
use rustls::pki_types::CertificateDer;

/// How long a path that was verified is not verified again; the leaf's own validity is asked at
/// every call.
const REMEMBERED_SECONDS: u64 = 30;

/// Most leaves that are remembered.
const MOST: usize = 4_096;

/// Who stands at the other end, asked again at every call: connections outlive certificates.
#[derive(Debug, Default)]
pub(crate) struct Peers(Mutex<HashMap<Digest, Verified>>);

#[derive(Debug, Clone)]
struct Verified {
    peer: SpiffeId,
    not_after: Timestamp,
    until: Timestamp,
}

/// The certificate is not one of a peer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPeer;

impl Peers {
    /// The owner of a chain whose path and profile hold now.
    pub(crate) fn verify(
        &self,
        chain: &[CertificateDer<'static>],
        tls: &TlsIdentity,
        now: Timestamp,
    ) -> Result<SpiffeId, NoPeer> {
        let leaf = Digest::of(chain.first().ok_or(NoPeer)?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = known.get(&leaf).filter(|known| now < known.until);
        if let Some(remembered) = remembered {
            let valid = now <= remembered.not_after;
            return if valid {
                Ok(remembered.peer.clone())
            } else {
                Err(NoPeer)
            };
        }
        known.remove(&leaf);
        let svid = verify_peer(chain, &tls.bundle(), now).map_err(|_| NoPeer)?;
        if known.len() >= MOST {
            known.retain(|_, one| now < one.until);
        }
        if known.len() < MOST {
            let verified = Verified {
                peer: svid.spiffe_id().clone(),
                not_after: svid.not_after(),
                until: now.plus_seconds(REMEMBERED_SECONDS),
            };
            known.insert(leaf, verified);
        }
        Ok(svid.spiffe_id().clone())
    }

    /// Forgets all: the authorities have changed.
    pub(crate) fn forget(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
