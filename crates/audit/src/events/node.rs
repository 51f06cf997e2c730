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
        /// What its certificates admit; absent where it is `x509`.
        admits: NodeProof,
        /// What the registers of a TPM must hold, each `REGISTER=HEX`; of `tpm`.
        pcrs: Vec<Label>,
    }
}

body! {
    /// A TPM whose host may join was taken in, or is out again.
    pub struct NodeTpm = "node.tpm" in Server {
        /// The digest of its endorsement key.
        tpm: Digest,
        /// Whether its host may join from now on.
        admitted: bool,
        [optional]
        /// What its registers must hold, each `REGISTER=HEX`.
        pcrs: Vec<Label>,
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
        /// The digest of the node's own certificate; of `x509`, and of a `tpm` that a maker vouches for.
        certificate: Digest,
        /// The digest of the authority's certificate; of `x509`, and of a `tpm` that a maker vouches for.
        authority: Digest,
        /// The subject of the certificate; of `x509`. Manufacturer, model and version; of `tpm`.
        subject: Label,
        /// The other names in the certificate, each with its kind; of `x509`.
        names: Vec<Label>,
        /// The digest of the TPM's endorsement key; of `tpm`.
        tpm: Digest,
        /// The digest in the name of the attestation key that signed the quote; of `tpm`.
        attestation_key: Digest,
        /// The registers that were quoted, each `REGISTER=HEX`; of `tpm`.
        pcrs: Vec<Label>,
        /// How often the TPM was reset, as it says; of `tpm`.
        resets: u64,
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
