//! Whose bundles are fetched, and what was taken of them.

use chancery_types::Digest;

use crate::{EndpointProfile, Label};

body! {
    /// The bundle of a foreign trust domain is fetched from now on, and handed to the instances of
    /// agents that name it. It verifies SVIDs and is authority for nothing here.
    pub struct FederationAdd = "federation.add" in Server {
        /// The foreign trust domain.
        trust_domain: Label,
        /// Where its bundle is fetched.
        endpoint: Label,
        /// How the endpoint is authenticated.
        profile: EndpointProfile,
        [optional]
        /// The SPIFFE ID that the endpoint has; of `https_spiffe`.
        endpoint_id: Label,
        /// The digest of the authorities, in PEM, that the endpoint is verified with in place of the
        /// system's; of `https_web`.
        web_roots: Digest,
        /// The digest of the bundle that was known at the start.
        bundle: Digest,
    }
}

body! {
    /// Another bundle of a foreign trust domain is in force.
    pub struct FederationBundle = "federation.bundle" in Server {
        /// The foreign trust domain.
        trust_domain: Label,
        /// The digest of the document as it is stored.
        bundle: Digest,
        /// How many authorities of X.509-SVIDs it has.
        x509_authorities: u64,
        /// How many keys of JWT-SVIDs it has.
        jwt_authorities: u64,
        [optional]
        /// Its sequence.
        sequence: u64,
        /// The digest of the one before.
        previous: Digest,
    }
}

body! {
    /// The bundle of a foreign trust domain is no longer fetched, and nobody has it any more.
    pub struct FederationRemove = "federation.remove" in Server {
        /// The foreign trust domain.
        trust_domain: Label,
    }
}
