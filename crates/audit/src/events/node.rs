//! Nodes on other hosts: who may join, who did, who was put out.

use chancery_types::{Digest, Timestamp};

use crate::{Commitment, Label, NodeProof};

body! {
    /// A token was made that admits one node, once.
    pub struct NodeToken = "node.token" in Server {
        /// The digest of the token.
        token: Digest,
        /// When it stops admitting anybody.
        expires: Timestamp,
    }
}

body! {
    /// An authority whose certificates admit nodes was taken in, or is out again.
    pub struct NodeAuthority = "node.authority" in Server {
        /// The digest of its certificate.
        authority: Digest,
        /// Its name.
        subject: Label,
        /// Whether it admits nodes from now on.
        admitted: bool,
        [optional]
        /// When its certificate stops being valid; absent where that is beyond what an entry can say.
        expires: Timestamp,
    }
}

body! {
    /// A node on another host was admitted. Its credentials follow in `identity.issue`.
    pub struct NodeJoin = "node.join" in Server {
        /// The SPIFFE ID of the node.
        node: Label,
        /// What it joined by.
        proof: NodeProof,
        /// The thumbprint of the key that it proved possession of.
        key: Digest,
        [optional]
        /// The digest of the token; of `token`.
        token: Digest,
        /// The digest of the node's own certificate; of `x509`.
        certificate: Digest,
        /// The digest of the authority's certificate; of `x509`.
        authority: Digest,
        /// The subject of the certificate; of `x509`.
        subject: Label,
        /// The other names in the certificate, each with its kind; of `x509`.
        names: Vec<Label>,
    }
}

body! {
    /// A node was put out, with everything on it.
    pub struct NodeEvict = "node.evict" in Server {
        /// The SPIFFE ID of the node.
        node: Label,
        /// How many instances it had: those that run, and those that were opened or ended in the hour before.
        instances: u64,
        /// Who did it.
        by: Commitment,
        /// Why.
        reason: Commitment,
    }
}
