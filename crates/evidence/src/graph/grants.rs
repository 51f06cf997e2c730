//! What delegations say, where their signed form is at hand.

use chancery_delegation::{
    ChainContext, ChainTip, Entry, RevocationSet, TrustAnchor, VerifiedChain, verify_chain,
};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::{Digest, SignatureVerifier, Timestamp};

use crate::{Files, object_path};

/// Finds and verifies the signed forms of delegations.
pub(super) struct Links<'a> {
    files: &'a Files,
    anchors: Vec<TrustAnchor>,
    verifier: &'a dyn SignatureVerifier,
}

impl<'a> Links<'a> {
    pub(super) fn new(
        files: &'a Files,
        trust: &VerifiedTrust,
        verifier: &'a dyn SignatureVerifier,
    ) -> Self {
        let anchors = trust.delegation_authorities.iter();
        let anchors = anchors.map(TrustAnchor::from);
        Self {
            files,
            anchors: anchors.collect(),
            verifier,
        }
    }

    /// The object of that digest, where it is at hand and its bytes are what its name says.
    pub(super) fn object(&self, digest: Digest) -> Option<&'a [u8]> {
        let bytes = self.files.get(&object_path(digest))?;
        (Digest::of(bytes) == digest).then_some(bytes)
    }

    /// The chain of these signed forms, root first, as it stood when its last link was enrolled.
    /// The error says why what it grants is not known.
    pub(super) fn chain(
        &self,
        links: &[Digest],
        gateway: Option<&str>,
        epoch: u64,
        at: Timestamp,
    ) -> Result<VerifiedChain, String> {
        let read = |digest: &Digest| {
            let bytes = self.object(*digest).ok_or_else(|| {
                "the log holds only its digest, and its signed form is not at hand".to_owned()
            })?;
            std::str::from_utf8(bytes).map_err(|_| "its signed form is no text".to_owned())
        };
        let links: Vec<&str> = links.iter().map(read).collect::<Result<_, _>>()?;
        let tip = ChainTip::read(&links).map_err(|refusal| refused(&refusal))?;
        let own = tip.audience().first().map_or("", String::as_str);
        let context = ChainContext {
            now: at,
            audience: gateway.unwrap_or(own),
            anchors: &self.anchors,
            epoch,
            revoked: RevocationSet::none(),
            verifier: self.verifier,
        };
        verify_chain(&links, &context).map_err(|refusal| refused(&refusal))
    }
}

fn refused(refusal: &dyn std::fmt::Display) -> String {
    format!("its signed form does not verify: {refusal}")
}

/// Whether a prohibition or question covers the same target as an entry: none where it does not,
/// else whether it holds for every call.
pub(super) fn covers(restriction: &Entry, entry: &Entry) -> Option<bool> {
    let same = restriction.server() == entry.server() && restriction.target() == entry.target();
    same.then(|| restriction.args().is_empty())
}
