use chancery_types::SignatureVerifier;

use super::{DraftError, Signer, Terms, link_signing_input, sign_link};
use crate::Reason;
use crate::chain::ChainTip;
use crate::token::{LinkClaims, Members};

/// A link to be made by the holder of a chain for the next holder.
#[derive(Debug, Clone)]
pub struct LinkDraft {
    /// What it grants: never more than the chain does.
    pub terms: Terms,
}

impl LinkDraft {
    /// Makes the link that continues `tip`; `sign` signs with the tip's key. Fails with the reason
    /// a verifier would give.
    pub fn sign<E: std::error::Error + 'static>(
        &self,
        tip: &ChainTip,
        verifier: &dyn SignatureVerifier,
        sign: Signer<'_, E>,
    ) -> Result<String, DraftError<E>> {
        self.terms.check(verifier)?;
        let parent = tip.grant();
        let depth = parent.depth.checked_add(1).ok_or(Reason::BadDepth)?;
        let claims = LinkClaims {
            grant: self.terms.to_grant(parent.subject.as_str(), depth),
            parent: *tip.hash(),
        };
        let members = claims.to_members();
        tip.check(&LinkClaims::parse(Members::of(&members))?)?;
        let input = link_signing_input(tip.key(), members)?;
        let token = sign_link(&input, tip.key(), verifier, sign)?;
        tip.check_size(token.len())?;
        Ok(token)
    }
}
