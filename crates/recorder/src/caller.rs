use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_api::tls::{TlsIdentity, verify_peer};
use chancery_audit::Label;
use chancery_identity::{SpiffeId, X509Bundle};
use chancery_types::Timestamp;
use rustls::pki_types::CertificateDer;

use crate::Refusal;
use crate::listen::Admission;

/// Longest name of a process of the log's owner.
const NAME_BYTES: usize = 64;

/// Who is at the other end of a connection, as the connection says and nothing that is sent on it.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A process of the log's owner, over the Unix socket.
    Owner,
    /// The holder of an X.509-SVID.
    Svid(Arc<Svid>),
}

/// An X.509-SVID that was verified when the connection was made.
#[derive(Debug)]
pub(crate) struct Svid {
    spiffe_id: SpiffeId,
    not_after: Timestamp,
    chain: Vec<CertificateDer<'static>>,
    identity: TlsIdentity,
    admission: Arc<Admission>,
    /// What it was verified with last.
    believed: Mutex<Arc<X509Bundle>>,
}

impl Svid {
    /// Whose certificates these are; none where they are no X.509-SVID of the trust domain.
    pub(crate) fn of(
        chain: &[CertificateDer<'_>],
        identity: &TlsIdentity,
        admission: &Arc<Admission>,
        now: Timestamp,
    ) -> Option<Self> {
        let bundle = identity.bundle();
        let svid = verify_peer(chain, &bundle, now).ok()?;
        Some(Self {
            spiffe_id: svid.spiffe_id().clone(),
            not_after: svid.not_after(),
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
            identity: identity.clone(),
            admission: Arc::clone(admission),
            believed: Mutex::new(bundle),
        })
    }

    /// Whether the certificate is good now: a connection outlives it, and the bundle that it was verified
    /// with.
    fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        if !self.admission.admits(&self.spiffe_id) {
            return Err(Refusal::NotAdmitted(self.spiffe_id.to_string()));
        }
        if now >= self.not_after {
            return Err(Refusal::SvidExpired);
        }
        let bundle = self.identity.bundle();
        let mut believed = self.believed.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&bundle, &believed) {
            verify_peer(&self.chain, &bundle, now).map_err(|_| Refusal::Untrusted)?;
            *believed = bundle;
        }
        Ok(())
    }
}

impl fmt::Display for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spiffe_id)
    }
}

impl Caller {
    /// The producer that the caller is: what its certificate says, or the name that a process of the
    /// owner gives itself.
    pub(crate) fn producer(&self, named: &str) -> Result<Label, Refusal> {
        let name = match self {
            Self::Owner if is_name(named) => format!("owner/{named}"),
            Self::Svid(svid) if named.is_empty() => svid.spiffe_id.to_string(),
            Self::Owner | Self::Svid(_) => return Err(Refusal::Producer),
        };
        name.parse().map_err(|_| Refusal::Producer)
    }

    /// Whether it may append now; asked when a stream is opened and before each batch.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::Owner => Ok(()),
            Self::Svid(svid) => svid.check(now),
        }
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_the_owner_has_a_name_that_is_no_path() {
        let long = "x".repeat(65);
        for bad in ["", "a/b", "spiffe://td/a", "a b", "é", "a\n", &long] {
            assert_eq!(
                Caller::Owner.producer(bad),
                Err(Refusal::Producer),
                "{bad:?}"
            );
        }
        assert_eq!(
            Caller::Owner.producer("ci.main-1_x").unwrap(),
            "owner/ci.main-1_x"
        );
    }
}
