//! What becomes of the authorities that sign SVIDs and tokens.

use chancery_types::{Digest, Timestamp};

use crate::{AuthorityKind, AuthorityStep};

body! {
    /// An authority of the trust domain goes another step. The trust document says which are
    /// believed; this says which one signs.
    pub struct AuthorityChange = "authority.change" in Server {
        /// What it signs.
        kind: AuthorityKind,
        /// The thumbprint of its key.
        authority: Digest,
        /// What becomes of it.
        step: AuthorityStep,
        /// When it ends.
        ends: Timestamp,
        [optional]
        /// The digest of the root that its certificates lead to; of `x509`.
        root: Digest,
        /// The digest of its own certificate; of `x509`.
        certificate: Digest,
    }
}
