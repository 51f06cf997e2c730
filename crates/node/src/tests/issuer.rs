use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chancery_crypto::{SigningKey, random_bytes, random_id};
use chancery_identity::broker::BrokerRules;
use chancery_identity::{
    AttestationLevel, Confirmation, DnsName, InstanceSpiffeId, JwtAudience, JwtBundle,
    JwtSvidClaims, ProvenKey, SpiffeId, TrustDomain, WitBundle, WitClaims, WitSvidBundle,
    WitSvidClaims, X509Bundle,
};
use chancery_signer::ca::{
    IssuingAuthority, LeafRequest, SerialNumber, Validity, intermediate_certificate,
    leaf_certificate, root_certificate,
};
use chancery_types::{Algorithm, Digest, Jwk, Secret, SvidKey, jws};
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::clock::now;
use crate::{
    AgentCredential, Delegation, Delegations, EndReason, ForeignBundles, Issuer, IssuerError,
    IssuerFuture, Launch, LaunchFacts, OpenedInstance, Registrations, Withdrawn,
};

/// What the issuer does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Willing,
    Refusing,
    Away,
    /// Certifies another key than the one that was asked for.
    WrongKey,
    /// Certifies another instance.
    WrongInstance,
    /// Opens an instance of another agent.
    WrongAgent,
}

/// An issuer with a root and an intermediate of its own.
pub(super) struct TestIssuer {
    trust_domain: TrustDomain,
    key: SigningKey,
    certificate: Vec<u8>,
    pub(super) bundle: watch::Sender<Option<X509Bundle>>,
    pub(super) jwt_key: Mutex<Arc<SigningKey>>,
    pub(super) jwt_bundle: watch::Sender<Option<JwtBundle>>,
    pub(super) foreign: watch::Sender<ForeignBundles>,
    pub(super) registrations: watch::Sender<Registrations>,
    pub(super) withdrawn: watch::Sender<Withdrawn>,
    pub(super) mood: Mutex<Mood>,
    pub(super) lifetime_seconds: Mutex<u64>,
    /// How many X.509-SVIDs were asked for, and how many of them it may answer now.
    pub(super) x509_asked: AtomicUsize,
    pub(super) x509_answers: Semaphore,
    /// How many SVIDs of the node itself were asked for.
    pub(super) own_asked: AtomicUsize,
    pub(super) ended: Mutex<Vec<(InstanceSpiffeId, EndReason)>>,
    pub(super) delegations: Mutex<Option<mpsc::UnboundedReceiver<Delegation>>>,
    pub(super) tainted: watch::Sender<BTreeSet<Digest>>,
    /// What was opened, as it was attested.
    pub(super) opened: Mutex<Vec<LaunchFacts>>,
    /// Whether openings wait.
    pub(super) holds_openings: watch::Sender<bool>,
    /// What signs in the place of the first intermediate.
    another: Mutex<Option<(SigningKey, Vec<u8>)>>,
    /// Whether the WIT profile is opted in to, as it is by nobody.
    pub(super) serves_wits: AtomicBool,
    pub(super) wit_key: Mutex<Arc<SigningKey>>,
    pub(super) wit_svid_bundle: watch::Sender<Option<WitSvidBundle>>,
    pub(super) brokers: watch::Sender<BrokerRulesNow>,
    /// The brokers that something was issued through, in order.
    pub(super) through: Mutex<Vec<SpiffeId>>,
}

/// As the node hears of them.
type BrokerRulesNow = Arc<BrokerRules>;

pub(super) fn fresh_root(trust_domain: &TrustDomain) -> (SigningKey, Vec<u8>) {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let validity = Validity::from_now(now(), 86_400);
    let certificate = root_certificate(&key, trust_domain, validity, serial()).unwrap();
    (key, certificate)
}

fn serial() -> SerialNumber {
    SerialNumber::from_random(random_bytes().unwrap())
}

impl TestIssuer {
    pub(super) fn new() -> Self {
        Self::of("td")
    }

    pub(super) fn of(name: &str) -> Self {
        let trust_domain: TrustDomain = name.parse().unwrap();
        let (root_key, root) = fresh_root(&trust_domain);
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let authority = IssuingAuthority::new(&trust_domain, root.clone(), &root_key).unwrap();
        let certificate =
            intermediate_certificate(&authority, &key, now(), 86_400, serial()).unwrap();
        let bundle = X509Bundle::new(trust_domain.clone(), [root]).unwrap();
        let jwt_key = SigningKey::generate(Algorithm::Es256).unwrap();
        let wit_key = SigningKey::generate(Algorithm::Es256).unwrap();
        Self {
            brokers: watch::Sender::default(),
            through: Mutex::default(),
            serves_wits: AtomicBool::new(false),
            wit_svid_bundle: watch::Sender::new(Some(WitSvidBundle::new(
                trust_domain.clone(),
                [SvidKey::try_from(wit_key.public()).unwrap()],
            ))),
            wit_key: Mutex::new(Arc::new(wit_key)),
            key,
            certificate,
            bundle: watch::Sender::new(Some(bundle)),
            jwt_bundle: watch::Sender::new(Some(JwtBundle::new(
                trust_domain.clone(),
                [SvidKey::try_from(jwt_key.public()).unwrap()],
            ))),
            jwt_key: Mutex::new(Arc::new(jwt_key)),
            foreign: watch::Sender::default(),
            registrations: watch::Sender::default(),
            withdrawn: watch::Sender::default(),
            mood: Mutex::new(Mood::Willing),
            lifetime_seconds: Mutex::new(3_600),
            x509_asked: AtomicUsize::new(0),
            x509_answers: Semaphore::new(Semaphore::MAX_PERMITS),
            own_asked: AtomicUsize::new(0),
            ended: Mutex::default(),
            delegations: Mutex::default(),
            tainted: watch::Sender::default(),
            opened: Mutex::default(),
            holds_openings: watch::Sender::new(false),
            another: Mutex::default(),
            trust_domain,
        }
    }

    pub(super) fn feel(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// An authority of its own for another trust domain.
    pub(super) fn x509_of(&self, name: &TrustDomain) -> X509Bundle {
        if *name == self.trust_domain {
            return self.bundle.borrow().clone().unwrap();
        }
        X509Bundle::new(name.clone(), [fresh_root(name).1]).unwrap()
    }

    /// Its own keys of JWT-SVIDs, as of that trust domain.
    pub(super) fn jwt_of(&self, name: &TrustDomain) -> JwtBundle {
        let own = self.jwt_bundle.borrow().clone().unwrap();
        JwtBundle::new(name.clone(), own.keys().map(|(_, key)| key.clone()))
    }

    pub(super) fn wit_bundle(&self) -> WitBundle {
        WitBundle::new(self.trust_domain.clone(), [*self.key.public()])
    }

    /// The current bundle and one more root.
    pub(super) fn add_root(&self) {
        self.bundle.send_modify(|bundle| {
            let known = bundle.as_ref().unwrap().authorities().iter();
            let mut ders: Vec<Vec<u8>> = known.map(|one| one.der().to_vec()).collect();
            ders.push(fresh_root(&self.trust_domain).1);
            *bundle = Some(X509Bundle::new(self.trust_domain.clone(), ders).unwrap());
        });
    }

    fn willing(&self) -> Result<Mood, IssuerError> {
        match *self.mood.lock().unwrap() {
            Mood::Refusing => Err(IssuerError::Refused {
                reason: "agent_revoked".to_owned(),
            }),
            Mood::Away => Err(IssuerError::Unavailable("connection refused".into())),
            mood => Ok(mood),
        }
    }

    /// An X.509-SVID of that SPIFFE ID with its key.
    pub(super) fn svid_of(&self, id: &SpiffeId) -> (Vec<Vec<u8>>, Secret) {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let chain = self.chain_of(id, &chancery_identity::spki_der(key.public()));
        (chain, key.pkcs8().clone())
    }

    fn chain_of(&self, id: &SpiffeId, spki: &[u8]) -> Vec<Vec<u8>> {
        self.chain_named(id, &[], spki)
    }

    /// A chain over that key for that name, of now.
    pub(super) fn chain_named(
        &self,
        id: &SpiffeId,
        dns_names: &[DnsName],
        spki: &[u8],
    ) -> Vec<Vec<u8>> {
        let request = LeafRequest {
            spiffe_id: id,
            dns_names,
            spki_der: spki,
            now: now(),
            lifetime_seconds: *self.lifetime_seconds.lock().unwrap(),
            serial: serial(),
        };
        let another = self.another.lock().unwrap();
        let (key, certificate) = match &*another {
            Some((key, certificate)) => (key, certificate.clone()),
            None => (&self.key, self.certificate.clone()),
        };
        let authority = IssuingAuthority::new(&self.trust_domain, certificate, key).unwrap();
        let leaf = leaf_certificate(&authority, request).unwrap();
        let own = authority.certificate().der().to_vec();
        vec![leaf, own]
    }

    /// Another intermediate signs from now on, below a root of its own that is trusted as well.
    pub(super) fn activate_another(&self) {
        let (root_key, root) = fresh_root(&self.trust_domain);
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let authority = IssuingAuthority::new(&self.trust_domain, root.clone(), &root_key).unwrap();
        let made = intermediate_certificate(&authority, &key, now(), 86_400, serial()).unwrap();
        self.bundle.send_modify(|bundle| {
            let known = bundle.as_ref().unwrap().authorities().iter();
            let ders = known.map(|one| one.der().to_vec()).chain([root]);
            *bundle = Some(X509Bundle::new(self.trust_domain.clone(), ders).unwrap());
        });
        *self.another.lock().unwrap() = Some((key, made));
    }

    /// The first intermediate is not believed any more.
    pub(super) fn taint_first(&self) {
        let first = Digest::of(&self.certificate);
        self.tainted.send_replace(BTreeSet::from([first]));
    }

    /// The oldest root leaves the bundle.
    pub(super) fn drop_root(&self) {
        self.bundle.send_modify(|bundle| {
            let known = bundle.as_ref().unwrap().authorities().iter();
            let ders = known.skip(1).map(|one| one.der().to_vec());
            *bundle = Some(X509Bundle::new(self.trust_domain.clone(), ders).unwrap());
        });
    }

    fn leaf(&self, launch: &Launch, spki: &[u8]) -> Result<Vec<Vec<u8>>, IssuerError> {
        let mood = self.willing()?;
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        let other_spki = chancery_identity::spki_der(other.public());
        let stranger: SpiffeId = "spiffe://td/agent/stranger".parse().unwrap();
        let own = launch.instance().to_spiffe_id();
        let id = match mood {
            Mood::WrongInstance => &stranger,
            _ => &own,
        };
        let spki = match mood {
            Mood::WrongKey => &other_spki,
            _ => spki,
        };
        let terms = self
            .registrations
            .borrow()
            .issued(launch.instance().agent());
        let met = terms.check_attested(AttestationLevel::Launch, launch.facts().isolation());
        met.map_err(|error| IssuerError::Refused {
            reason: error.code().to_owned(),
        })?;
        let names: Vec<_> = terms.dns_names.into_iter().collect();
        Ok(self.chain_named(id, &names, spki))
    }

    /// The key for JWT-SVIDs is another one from now on, and both verify.
    pub(super) fn rotate_jwt_key(&self) {
        let next = SigningKey::generate(Algorithm::Es256).unwrap();
        let key = SvidKey::try_from(next.public()).unwrap();
        self.jwt_bundle.send_modify(|bundle| {
            let known = bundle.as_ref().unwrap().keys();
            let keys: Vec<_> = known.map(|(_, key)| key.clone()).chain([key]).collect();
            *bundle = Some(JwtBundle::new(self.trust_domain.clone(), keys));
        });
        *self.jwt_key.lock().unwrap() = Arc::new(next);
    }

    /// The key for WIT-SVIDs is another one from now on, and the former verifies nothing any more.
    pub(super) fn replace_wit_key(&self) {
        let next = SigningKey::generate(Algorithm::Es256).unwrap();
        let key = SvidKey::try_from(next.public()).unwrap();
        *self.wit_key.lock().unwrap() = Arc::new(next);
        let bundle = WitSvidBundle::new(self.trust_domain.clone(), [key]);
        self.wit_svid_bundle.send_replace(Some(bundle));
    }

    fn wit_svid(&self, launch: &Launch, key: &Jwk) -> Result<String, IssuerError> {
        let mood = self.willing()?;
        let authority = Arc::clone(&self.wit_key.lock().unwrap());
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        let stranger: SpiffeId = "spiffe://td/agent/stranger".parse().unwrap();
        let claims = WitSvidClaims {
            cnf: Confirmation {
                jwk: if mood == Mood::WrongKey {
                    *other.public()
                } else {
                    *key
                },
            },
            exp: now().as_seconds() + 300.min(*self.lifetime_seconds.lock().unwrap()),
            iat: now().as_seconds(),
            jti: random_id().unwrap(),
            sub: if mood == Mood::WrongInstance {
                stranger
            } else {
                launch.instance().to_spiffe_id()
            },
        };
        let input = claims.signing_input(authority.public()).unwrap();
        let signature = authority.sign(input.as_bytes()).unwrap();
        Ok(jws::assemble(&input, &signature))
    }

    fn jwt(&self, launch: &Launch, audience: &[JwtAudience]) -> Result<String, IssuerError> {
        let mood = self.willing()?;
        let key = Arc::clone(&self.jwt_key.lock().unwrap());
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        let signer = if mood == Mood::WrongKey { &other } else { &key };
        let stranger: SpiffeId = "spiffe://td/agent/stranger".parse().unwrap();
        let claims = JwtSvidClaims {
            aud: audience.to_vec(),
            exp: now().as_seconds() + 300,
            iat: now().as_seconds(),
            iss: None,
            jti: random_id().unwrap(),
            sub: if mood == Mood::WrongInstance {
                stranger
            } else {
                launch.instance().to_spiffe_id()
            },
        };
        let input = claims.signing_input(key.public()).unwrap();
        let signature = signer.sign(input.as_bytes()).unwrap();
        Ok(jws::assemble(&input, &signature))
    }

    fn wit(&self, launch: &Launch, key: &ProvenKey) -> Result<String, IssuerError> {
        self.willing()?;
        let claims = WitClaims {
            sub: launch.instance().to_spiffe_id(),
            cnf: Confirmation { jwk: *key.jwk() },
            iat: now().as_seconds(),
            exp: now().as_seconds() + 300,
            jti: random_id().unwrap(),
            manifest_digest: Digest::of("manifest"),
            attestation_level: AttestationLevel::Launch,
            isolation: launch.facts().isolation(),
        };
        let input = claims.signing_input(self.key.public()).unwrap();
        let signature = self.key.sign(input.as_bytes()).unwrap();
        Ok(jws::assemble(&input, &signature))
    }
}

impl Issuer for TestIssuer {
    fn open<'a>(
        &'a self,
        facts: &'a LaunchFacts,
    ) -> IssuerFuture<'a, Result<OpenedInstance, IssuerError>> {
        Box::pin(async {
            let id = random_id().unwrap();
            let agent = match self.willing()? {
                Mood::WrongAgent => "spiffe://td/agent/x".parse::<chancery_identity::AgentId>(),
                _ => Ok(facts.agent().clone()),
            };
            let seconds = facts.terms().lifetime_seconds;
            self.opened.lock().unwrap().push(facts.clone());
            let mut held = self.holds_openings.subscribe();
            held.wait_for(|held| !held).await.unwrap();
            Ok(OpenedInstance {
                instance: agent.unwrap().instance(id),
                until: seconds.map(|seconds| now().plus_seconds(seconds)),
            })
        })
    }

    fn issue_x509<'a>(
        &'a self,
        launch: &'a Launch,
        spki_der: &'a [u8],
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        Box::pin(async {
            self.x509_asked.fetch_add(1, Ordering::SeqCst);
            let answer = self.x509_answers.acquire().await;
            answer.unwrap().forget();
            self.leaf(launch, spki_der)
        })
    }

    fn issue_wit<'a>(
        &'a self,
        launch: &'a Launch,
        key: &'a ProvenKey,
    ) -> IssuerFuture<'a, Result<AgentCredential, IssuerError>> {
        Box::pin(async {
            Ok(AgentCredential {
                token: self.wit(launch, key)?,
                manifest: Vec::new(),
                gateway_address: ([127, 0, 0, 1], 8443).into(),
                gateway_spiffe_id: "spiffe://example.org/service/gateway".parse().unwrap(),
            })
        })
    }

    fn issue_jwt<'a>(
        &'a self,
        launch: &'a Launch,
        audience: &'a [JwtAudience],
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        Box::pin(async { self.jwt(launch, audience) })
    }

    fn issue_wit_svid<'a>(
        &'a self,
        launch: &'a Launch,
        key: &'a Jwk,
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        Box::pin(async { self.wit_svid(launch, key) })
    }

    fn wit_svid_bundle(&self) -> Option<watch::Receiver<Option<WitSvidBundle>>> {
        let served = self.serves_wits.load(Ordering::SeqCst);
        served.then(|| self.wit_svid_bundle.subscribe())
    }

    fn issue_x509_through<'a>(
        &'a self,
        launch: &'a Launch,
        spki_der: &'a [u8],
        broker: &'a SpiffeId,
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        Box::pin(async {
            self.through.lock().unwrap().push(broker.clone());
            self.leaf(launch, spki_der)
        })
    }

    fn issue_jwt_through<'a>(
        &'a self,
        launch: &'a Launch,
        audience: &'a [JwtAudience],
        broker: &'a SpiffeId,
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        Box::pin(async {
            self.through.lock().unwrap().push(broker.clone());
            self.jwt(launch, audience)
        })
    }

    fn issue_own<'a>(
        &'a self,
        spki_der: &'a [u8],
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        Box::pin(async {
            self.own_asked.fetch_add(1, Ordering::SeqCst);
            let id = format!("spiffe://{}/service/node", self.trust_domain);
            Ok(self.chain_of(&id.parse().unwrap(), spki_der))
        })
    }

    fn brokers(&self) -> watch::Receiver<Arc<BrokerRules>> {
        self.brokers.subscribe()
    }

    fn delegations(&self, _: &Launch) -> Delegations {
        match self.delegations.lock().unwrap().take() {
            Some(receiver) => Box::pin(UnboundedReceiverStream::new(receiver).map(Ok)),
            None => Box::pin(futures_util::stream::pending()),
        }
    }

    fn x509_bundle(&self) -> watch::Receiver<Option<X509Bundle>> {
        self.bundle.subscribe()
    }

    fn jwt_bundle(&self) -> watch::Receiver<Option<JwtBundle>> {
        self.jwt_bundle.subscribe()
    }

    fn foreign_bundles(&self) -> watch::Receiver<ForeignBundles> {
        self.foreign.subscribe()
    }

    fn registrations(&self) -> watch::Receiver<Registrations> {
        self.registrations.subscribe()
    }

    fn withdrawn(&self) -> watch::Receiver<Withdrawn> {
        self.withdrawn.subscribe()
    }

    fn tainted(&self) -> watch::Receiver<BTreeSet<Digest>> {
        self.tainted.subscribe()
    }

    fn ended<'a>(
        &'a self,
        instance: &'a InstanceSpiffeId,
        reason: EndReason,
    ) -> IssuerFuture<'a, Result<(), IssuerError>> {
        Box::pin(async move {
            self.willing()?;
            self.ended.lock().unwrap().push((instance.clone(), reason));
            Ok(())
        })
    }
}
