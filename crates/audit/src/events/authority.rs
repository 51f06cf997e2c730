//! Who may say what: trust, policy, delegations.

use chancery_types::id::SessionId;
use chancery_types::{Digest, Timestamp};

use crate::{Assurance, Commitment, Label};

body! {
    /// Another trust document is in force.
    pub struct TrustChange = "trust.change" in Server {
        /// Its version; larger than that of the one before.
        version: u64,
        /// Its digest.
        document: Digest,
        /// The thumbprints of the root keys that signed it.
        signers: Vec<Digest>,
        [optional]
        /// The digest of the one before.
        previous: Digest,
    }
}

body! {
    /// A policy bundle may be used.
    pub struct PolicyPublish = "policy.publish" in Server {
        /// Its name.
        name: Label,
        /// Its version.
        version: u64,
        /// Its digest.
        policy: Digest,
        /// The thumbprint of the key that signed it.
        signer: Digest,
        /// The digest of the signed statement.
        statement: Digest,
        [optional]
        /// The digest of the one before.
        previous: Digest,
    }
}

body! {
    /// The delegation authority signed a root after the person consented.
    pub struct DelegationRoot = "delegation.root" in Server {
        /// The root (`jti`).
        delegation: Label,
        /// The digest of its signed form.
        link: Digest,
        /// The session that it is for.
        session: SessionId,
        /// The SPIFFE ID of the first holder.
        delegate: Label,
        /// The person on whose behalf (`principal`).
        principal: Commitment,
        /// The digest of the mission's exact bytes.
        mission: Digest,
        /// What the root rests on.
        assurance: Assurance,
        /// The digest of the consent.
        consent: Digest,
        /// The authority's epoch.
        epoch: u64,
        /// When it expires.
        expires: Timestamp,
    }
}

body! {
    /// A link of a chain was seen for the first time; written before the first decision that rests
    /// on it.
    pub struct DelegationEnrol = "delegation.enrol" in Gateway {
        /// The session in which it was seen.
        session: SessionId,
        /// The link (`jti`).
        delegation: Label,
        /// The digest of its signed form.
        link: Digest,
        /// Who delegates: the authority or a SPIFFE ID.
        delegator: Label,
        /// The SPIFFE ID of the holder.
        delegate: Label,
        /// How many links stand above it.
        depth: u64,
        /// When it expires.
        expires: Timestamp,
        [optional]
        /// The link above it (`jti`).
        parent: Label,
    }
}
