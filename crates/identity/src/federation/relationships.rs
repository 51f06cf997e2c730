use std::collections::BTreeMap;

use chancery_types::Timestamp;
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::foreign::{Change, FetchRefusal, ForeignBundle, StartError, belongs};
use super::{EndpointProfile, Relationship};
use crate::{
    BundleDocument, BundleMap, Incubating, JwtBundles, TrustDomain, VerifiedX509Svid, X509Bundle,
    X509Bundles, X509SvidError, verify_x509_svid,
};

/// One's own trust domain and all foreign ones that are trusted, each with its own bundle: they
/// are never merged (Federation section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Federation {
    own: BundleDocument,
    foreign: BTreeMap<TrustDomain, ForeignBundle>,
    incubating: Incubating,
}

/// Why a relationship is not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FederateError {
    /// With oneself.
    #[error("a trust domain does not federate with itself")]
    OwnTrustDomain,
    /// There is one already; end it first.
    #[error("there is a relationship with {0} already; end it first")]
    Exists(TrustDomain),
    /// It cannot begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The bundle at hand holds a key of one's own.
    #[error("the bundle holds a key of our own trust domain")]
    OwnKey,
}

/// Why the server of a bundle is not believed. Exhaustive: a refusal has exactly one reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefusal {
    /// There is no relationship with that trust domain.
    #[error("there is no relationship with that trust domain")]
    NoRelationship,
    /// The relationship says another profile: this one is no substitute.
    #[error("the endpoint is not authenticated by an x509-svid")]
    OtherProfile,
    /// Nothing is known of the endpoint's trust domain.
    #[error("no bundle is known of the endpoint's trust domain")]
    NoBundle,
    /// The server has no X.509-SVID of the endpoint's trust domain.
    #[error("the endpoint has no x509-svid")]
    Svid(#[source] X509SvidError),
    /// The server is another workload.
    #[error("the endpoint is another workload")]
    OtherWorkload,
}

impl FederateError {
    /// The one code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OwnTrustDomain => "federation_own_domain",
            Self::Exists(_) => "federation_exists",
            Self::Start(StartError::NoFirstBundle) => "federation_no_bundle",
            Self::Start(StartError::WrongTrustDomain) => "bundle_wrong_domain",
            Self::Start(StartError::TooLong) => "bundle_too_long",
            Self::OwnKey => "bundle_own_key",
        }
    }
}

impl EndpointRefusal {
    /// The one code of this refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRelationship => "federation_unknown",
            Self::OtherProfile => "endpoint_profile",
            Self::NoBundle => "endpoint_no_bundle",
            Self::Svid(_) => "endpoint_svid",
            Self::OtherWorkload => "endpoint_workload",
        }
    }
}

impl Federation {
    /// One's own trust domain and no other.
    pub const fn new(own: BundleDocument, incubating: Incubating) -> Self {
        Self {
            own,
            foreign: BTreeMap::new(),
            incubating,
        }
    }

    /// Puts a later document of one's own in place. A foreign bundle that holds one of its keys is
    /// in force no longer (Trust-Domain-and-Bundle section 6.2); of which trust domains is returned.
    pub fn replace_own(&mut self, own: BundleDocument) -> Vec<TrustDomain> {
        self.own = own;
        let mut forgotten = Vec::new();
        for (trust_domain, foreign) in &mut self.foreign {
            let latest = foreign.latest();
            if latest.is_some_and(|latest| latest.keys().shares_a_key_with(self.own.keys())) {
                foreign.forget();
                forgotten.push(trust_domain.clone());
            }
        }
        forgotten
    }

    /// Begins a relationship; see [`ForeignBundle::start`].
    pub fn begin(
        &mut self,
        relationship: Relationship,
        known: Option<BundleDocument>,
        now: Timestamp,
    ) -> Result<(), FederateError> {
        let trust_domain = self.is_new(&relationship)?;
        self.holds_no_own_key(known.as_ref())?;
        let foreign = ForeignBundle::start(relationship, known, now)?;
        self.foreign.insert(trust_domain, foreign);
        Ok(())
    }

    /// Takes up a relationship that began before, with the bundle that was stored, if only one
    /// without keys. Where that bundle may not be in force now, the relationship stands without one
    /// and the error says why; a relationship with oneself and a second one do not stand.
    pub fn resume(
        &mut self,
        relationship: Relationship,
        known: Option<BundleDocument>,
        now: Timestamp,
    ) -> Result<(), FederateError> {
        let trust_domain = self.is_new(&relationship)?;
        let fits = match &known {
            Some(bundle) => belongs(bundle, &relationship)
                .map_err(FederateError::from)
                .and_then(|()| self.holds_no_own_key(Some(bundle))),
            None => Ok(()),
        };
        let known = known.filter(|_| fits.is_ok());
        let foreign = ForeignBundle::resume(relationship, known, now);
        self.foreign.insert(trust_domain, foreign);
        fits
    }

    fn is_new(&self, relationship: &Relationship) -> Result<TrustDomain, FederateError> {
        let trust_domain = relationship.trust_domain().clone();
        if trust_domain == *self.own.trust_domain() {
            return Err(FederateError::OwnTrustDomain);
        }
        if self.foreign.contains_key(&trust_domain) {
            return Err(FederateError::Exists(trust_domain));
        }
        Ok(trust_domain)
    }

    fn holds_no_own_key(&self, known: Option<&BundleDocument>) -> Result<(), FederateError> {
        let own = self.own.keys();
        if known.is_some_and(|known| known.keys().shares_a_key_with(own)) {
            return Err(FederateError::OwnKey);
        }
        Ok(())
    }

    /// Ends a relationship: its bundle is gone, and nothing of it is fetched any more
    /// (Federation section 6.3).
    pub fn end(&mut self, trust_domain: &TrustDomain) -> Option<ForeignBundle> {
        self.foreign.remove(trust_domain)
    }

    /// What is known of that foreign trust domain.
    pub fn of(&self, trust_domain: &TrustDomain) -> Option<&ForeignBundle> {
        self.foreign.get(trust_domain)
    }

    /// When the next fetch is made; none where there is no relationship.
    pub fn next_fetch(&self) -> Option<Timestamp> {
        self.foreign.values().map(ForeignBundle::next_fetch).min()
    }

    /// All foreign trust domains, by name.
    pub fn foreign(&self) -> impl Iterator<Item = &ForeignBundle> {
        self.foreign.values()
    }

    /// The relationships whose bundles are to be fetched now.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = &Relationship> {
        let due = self.foreign.values().filter(move |one| one.is_due(now));
        due.map(ForeignBundle::relationship)
    }

    /// Judges what a fetch brought, and takes it where it is later than what is known. None where
    /// the relationship has ended meanwhile: nothing is taken.
    pub fn fetched(
        &mut self,
        trust_domain: &TrustDomain,
        body: &[u8],
        now: Timestamp,
    ) -> Option<Result<Change, FetchRefusal>> {
        let foreign = self.foreign.get_mut(trust_domain)?;
        Some(foreign.fetched(body, self.own.keys(), self.incubating, now))
    }

    /// A fetch failed; see [`ForeignBundle::failed`].
    pub fn failed(&mut self, trust_domain: &TrustDomain, now: Timestamp) {
        if let Some(foreign) = self.foreign.get_mut(trust_domain) {
            foreign.failed(now);
        }
    }

    /// Authenticates the server of a bundle that is fetched by `https_spiffe`: an X.509-SVID of
    /// exactly the configured workload, verified with the latest bundle of its trust domain, which
    /// may be the one that is about to be fetched, a third one's, or one's own (Federation section
    /// 5.2.2.4). A server that a fetch was redirected to is asked for the same.
    pub fn authenticate_endpoint(
        &self,
        trust_domain: &TrustDomain,
        chain: &[impl AsRef<[u8]>],
        now: Timestamp,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<VerifiedX509Svid, EndpointRefusal> {
        let foreign = self.foreign.get(trust_domain);
        let foreign = foreign.ok_or(EndpointRefusal::NoRelationship)?;
        let EndpointProfile::HttpsSpiffe { endpoint } = foreign.relationship().profile() else {
            return Err(EndpointRefusal::OtherProfile);
        };
        let bundle = self.x509_of(endpoint.trust_domain());
        let bundle = bundle.ok_or(EndpointRefusal::NoBundle)?;
        let svid =
            verify_x509_svid(chain, bundle, now, algorithms).map_err(EndpointRefusal::Svid)?;
        if svid.spiffe_id() != endpoint {
            return Err(EndpointRefusal::OtherWorkload);
        }
        Ok(svid)
    }

    fn x509_of(&self, trust_domain: &TrustDomain) -> Option<&X509Bundle> {
        if trust_domain == self.own.trust_domain() {
            return Some(&self.own.keys().x509);
        }
        let latest = self.foreign.get(trust_domain)?.latest()?;
        Some(&latest.keys().x509)
    }

    fn documents(&self) -> impl Iterator<Item = &BundleDocument> {
        let foreign = self.foreign.values().filter_map(ForeignBundle::latest);
        std::iter::once(&self.own).chain(foreign)
    }

    /// What X.509-SVIDs are verified with, by trust domain.
    pub fn x509_bundles(&self) -> X509Bundles {
        let bundles = self.documents().map(|one| one.keys().x509.clone());
        bundles.collect()
    }

    /// What JWT-SVIDs are verified with, by trust domain.
    pub fn jwt_bundles(&self) -> JwtBundles {
        let bundles = self.documents().map(|one| one.keys().jwt.clone());
        bundles.collect()
    }

    /// All bundles with the names of their trust domains.
    pub fn to_map(&self) -> BundleMap {
        self.documents().cloned().collect()
    }
}
