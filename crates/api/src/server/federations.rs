use std::collections::{BTreeMap, BTreeSet};

use chancery_identity::{RegistrationTerms, Relationship, TrustDomain};
use chancery_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Problem;

/// Begins to fetch the bundle of a foreign trust domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddFederation {
    /// Whose bundle, where from, and how the endpoint is authenticated.
    pub relationship: Relationship,
    /// The bundle document that is known already; needed where the endpoint's SVID is of the trust
    /// domain itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle: Option<String>,
    /// Certificates in PEM that an endpoint of `https_web` is verified with, in place of the
    /// system's authorities.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub web_roots: Option<String>,
}

/// A relation to a foreign trust domain, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederationView {
    /// Whose bundle, where from, and how the endpoint is authenticated.
    pub relationship: Relationship,
    /// The digest of the authorities in PEM that stand in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub web_roots: Option<Digest>,
    /// The bundle in force; absent before the first was taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle: Option<BundleView>,
    /// The last fetch since the server started; absent before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_fetch: Option<LastFetch>,
    /// When the next fetch is made.
    pub next_fetch: Timestamp,
    /// The entry of the server's log that enrolled the relation.
    pub log_index: u64,
}

/// A bundle in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleView {
    /// The digest of the document.
    pub digest: Digest,
    /// Its sequence, where it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sequence: Option<u64>,
    /// After how many seconds it is fetched again.
    pub refresh_seconds: u64,
    /// How many authorities of X.509-SVIDs it has.
    pub x509_authorities: u64,
    /// How many keys of JWT-SVIDs it has.
    pub jwt_authorities: u64,
    /// The document.
    pub document: String,
}

/// How a fetch ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastFetch {
    /// When.
    pub at: Timestamp,
    /// Whether another bundle than the one before was taken.
    pub changed: bool,
    /// Why nothing was taken; what was known before stays.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub problem: Option<Problem>,
}

/// One's own bundle and all relations.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federations {
    /// One's own trust domain.
    pub trust_domain: TrustDomain,
    /// The bundle that is published of it.
    pub own: BundleView,
    /// The relations, by name of the foreign trust domain.
    pub relations: Vec<FederationView>,
}

/// A relation was ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederationEnded {
    /// The foreign trust domain.
    pub trust_domain: TrustDomain,
    /// The entry of the server's log that enrolled the end.
    pub log_index: u64,
}

/// What a node hands to workloads beside their own trust domain's bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignBundles {
    /// Tells this state from others.
    pub state: Digest,
    /// The sequence of one's own bundle: another one where one's own authorities have changed.
    pub own_sequence: u64,
    /// The documents in force, each of the trust domain that it is named by.
    pub bundles: BTreeMap<TrustDomain, String>,
    /// Which trust domains the instances of an agent are handed, by the agent's SPIFFE ID.
    pub agents: BTreeMap<String, BTreeSet<TrustDomain>>,
    /// What instances of an agent are issued, by the agent's SPIFFE ID; where nothing was said it is not
    /// here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub terms: BTreeMap<String, RegistrationTerms>,
    /// The digests of the certificates of authorities that are not believed any more: SVIDs below
    /// them are asked for again at once.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub tainted: BTreeSet<Digest>,
}
