//! Who may say what: trust, policy, delegations.

use chancery_types::id::{ConsentId, SessionId};
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
        /// The digest of the one before; the same where further people signed it.
        previous: Digest,
        /// The thumbprints of the keys of others who signed the same.
        cosigners: Vec<Digest>,
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
        [optional]
        /// The standing consent that it rests on.
        standing: ConsentId,
        /// Which use of it the root is; no number stands twice in a log.
        standing_use: u64,
    }
}

body! {
    /// A person signed a standing consent: so many roots of one mission may rest on it.
    pub struct ConsentStanding = "consent.standing" in Server {
        /// The standing consent.
        standing: ConsentId,
        /// What the person's signature answers: the digest of a tag and the statement.
        statement: Digest,
        /// The digest of its signed form: what roots that rest on it name.
        consent: Digest,
        /// The person (`principal`).
        principal: Commitment,
        /// The digest of the mission's exact bytes.
        mission: Digest,
        /// The agent whose instances may hold the roots.
        agent: Label,
        /// How many roots, at most.
        max_uses: u64,
        /// How long one may live, in seconds.
        max_seconds: u64,
        /// No root outlives this.
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
