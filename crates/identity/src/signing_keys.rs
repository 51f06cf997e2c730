//! The keys that sign tokens of trust domains, each kind of token with its own.

use std::collections::BTreeMap;

use chancery_types::SvidKey;
use serde_json::{Map, Value, json};

use crate::{SpiffeId, TrustDomain};

/// The `use` of a key that signs JWT-SVIDs (JWT-SVID section 6.1).
pub const JWT_SVID_USE: &str = "jwt-svid";

/// The `use` of a key that signs WIT-SVIDs (WIT-SVID section 6.1).
pub const WIT_SVID_USE: &str = "wit-svid";

/// The `use` of a key of signatures (RFC 7517 section 4.2).
const OIDC_USE: &str = "sig";

/// The keys that may sign JWT-SVIDs of one trust domain, and nothing else, by `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtBundle {
    trust_domain: TrustDomain,
    keys: BTreeMap<String, SvidKey>,
}

/// The keys that may sign WIT-SVIDs of one trust domain, and nothing else, by `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitSvidBundle {
    trust_domain: TrustDomain,
    keys: BTreeMap<String, SvidKey>,
}

impl JwtBundle {
    /// Keys of one's own, each named by its thumbprint. An empty bundle is legal: it trusts nothing.
    pub fn new(trust_domain: TrustDomain, keys: impl IntoIterator<Item = SvidKey>) -> Self {
        Self::named(trust_domain, by_thumbprint(keys))
    }

    pub(crate) const fn named(trust_domain: TrustDomain, keys: BTreeMap<String, SvidKey>) -> Self {
        Self { trust_domain, keys }
    }

    /// Whose keys these are.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The key of that name, compared byte by byte.
    pub fn key(&self, kid: &str) -> Option<&SvidKey> {
        self.keys.get(kid)
    }

    /// The keys with their names.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (&str, &SvidKey)> {
        self.keys.iter().map(|(kid, key)| (kid.as_str(), key))
    }

    /// A JSON Web Key Set of these keys and no others, as the Workload API carries it
    /// (Workload API section 6.2.2).
    pub fn to_jwks(&self) -> String {
        json!({"keys": self.to_elements()}).to_string()
    }

    /// The same keys for readers that know OpenID Connect and not SPIFFE: their `use` is `sig`
    /// (RFC 7517 section 4.2).
    pub fn to_oidc_jwks(&self) -> String {
        json!({"keys": elements(&self.keys, OIDC_USE)}).to_string()
    }

    pub(crate) fn to_elements(&self) -> Vec<Value> {
        elements(&self.keys, JWT_SVID_USE)
    }
}

impl WitSvidBundle {
    /// Keys of one's own, each named by its thumbprint.
    pub fn new(trust_domain: TrustDomain, keys: impl IntoIterator<Item = SvidKey>) -> Self {
        Self::named(trust_domain, by_thumbprint(keys))
    }

    pub(crate) const fn named(trust_domain: TrustDomain, keys: BTreeMap<String, SvidKey>) -> Self {
        Self { trust_domain, keys }
    }

    /// Whose keys these are.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The key of that name, compared byte by byte.
    pub fn key(&self, kid: &str) -> Option<&SvidKey> {
        self.keys.get(kid)
    }

    /// The keys with their names.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (&str, &SvidKey)> {
        self.keys.iter().map(|(kid, key)| (kid.as_str(), key))
    }

    /// A JSON Web Key Set of these keys and no others, as the Workload API carries it
    /// (Workload API section 7.2.2): each has a `kid` that no other one has.
    pub fn to_jwks(&self) -> String {
        json!({"keys": self.to_elements()}).to_string()
    }

    pub(crate) fn to_elements(&self) -> Vec<Value> {
        elements(&self.keys, WIT_SVID_USE)
    }
}

fn by_thumbprint(keys: impl IntoIterator<Item = SvidKey>) -> BTreeMap<String, SvidKey> {
    keys.into_iter().map(|key| (key.kid(), key)).collect()
}

/// What each key is, its name, its use, and the one algorithm of a key that is bound to one; nothing
/// beyond (Trust-Domain-and-Bundle section 4.2).
fn elements(keys: &BTreeMap<String, SvidKey>, named_use: &str) -> Vec<Value> {
    let element = |(kid, key): (&String, &SvidKey)| {
        let mut members = key.to_members();
        if let Some(algorithm) = key.algorithm() {
            members.insert("alg".to_owned(), algorithm.name().into());
        }
        members.insert("kid".to_owned(), kid.as_str().into());
        members.insert("use".to_owned(), named_use.into());
        sorted(members)
    };
    keys.iter().map(element).collect()
}

/// The members by name, whatever order the map keeps.
pub(crate) fn sorted(members: Map<String, Value>) -> Value {
    let members: BTreeMap<String, Value> = members.into_iter().collect();
    Value::Object(members.into_iter().collect())
}

/// JWT bundles by trust domain. Each verifies the JWT-SVIDs of its own trust domain only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JwtBundles(BTreeMap<TrustDomain, JwtBundle>);

impl JwtBundles {
    /// Puts `bundle` in the place of what was known of its trust domain; bundles are never merged.
    pub fn replace(&mut self, bundle: JwtBundle) {
        self.0.insert(bundle.trust_domain.clone(), bundle);
    }

    /// The bundle of `id`'s trust domain.
    pub fn of(&self, id: &SpiffeId) -> Option<&JwtBundle> {
        self.0.get(id.trust_domain())
    }

    /// All bundles, by name of the trust domain.
    pub fn iter(&self) -> impl Iterator<Item = &JwtBundle> {
        self.0.values()
    }
}

impl FromIterator<JwtBundle> for JwtBundles {
    fn from_iter<I: IntoIterator<Item = JwtBundle>>(bundles: I) -> Self {
        let mut all = Self::default();
        bundles.into_iter().for_each(|bundle| all.replace(bundle));
        all
    }
}
