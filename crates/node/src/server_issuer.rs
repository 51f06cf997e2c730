//! The issuer that a deployment has: the server, over its socket.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::server::{
    EndInstance, IssueJwt, IssueService, IssueWit, IssueWitSvid, IssueX509, IssuedRoot,
    OpenInstance, Roster, RosterFilter, ServerClient,
};
use chancery_api::{ClientError, Problem};
use chancery_identity::broker::BrokerRules;
use chancery_identity::trust::TrustDocument;
use chancery_identity::{
    BundleDocument, BundleKeys, Incubating, InstanceSpiffeId, JwtAudience, JwtBundle, ProvenKey,
    SpiffeId, TrustDomain, WitSvidBundle, X509Bundle,
};
use chancery_types::{Digest, Jwk, SvidKey, base64url};
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;

use crate::broker_rules;
use crate::following::{self, RETRY, WAIT_SECONDS, tell};
use crate::together::Together;
use crate::{
    AgentCredential, Delegation, Delegations, EndReason, ForeignBundles, Issuer, IssuerError,
    IssuerFuture, Launch, LaunchFacts, OpenedInstance, PinnedTrust, Registrations, Withdrawn,
};

/// What the node is called among the services.
const SERVICE: &str = "node";

/// Where the instances of this node are at home.
#[derive(Debug, Clone)]
pub struct Home {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// Where the gateway listens.
    pub gateway_address: SocketAddr,
    /// The gateway's SPIFFE ID.
    pub gateway_spiffe_id: SpiffeId,
}

/// Issues through the server.
#[derive(Debug)]
pub struct ServerIssuer {
    server: ServerClient,
    together: Together,
    home: Home,
    bundle: watch::Receiver<Option<X509Bundle>>,
    jwt_bundle: watch::Receiver<Option<JwtBundle>>,
    foreign: watch::Receiver<ForeignBundles>,
    registrations: watch::Receiver<Registrations>,
    withdrawn: watch::Receiver<Withdrawn>,
    tainted: watch::Receiver<BTreeSet<Digest>>,
    incubating: Incubating,
    wit_bundle: watch::Receiver<Option<WitSvidBundle>>,
    brokers: watch::Receiver<Arc<BrokerRules>>,
}

impl ServerIssuer {
    /// An issuer over that server, of what the deployment opted in to. Starts to follow the trust
    /// domain's authorities.
    pub fn start(server: ServerClient, home: Home, incubating: Incubating) -> Arc<Self> {
        Self::following(server, home, None, incubating)
    }

    /// An issuer over a server on another host, which is believed no more than the trust document that
    /// is at hand and its successors.
    pub fn start_pinned(server: ServerClient, home: Home, pinned: PinnedTrust) -> Arc<Self> {
        Self::following(server, home, Some(pinned), Incubating::NONE)
    }

    fn following(
        server: ServerClient,
        home: Home,
        pinned: Option<PinnedTrust>,
        incubating: Incubating,
    ) -> Arc<Self> {
        let known = pinned.as_ref();
        let known = known.and_then(|pinned| bundles_of(pinned.trust(), &home.trust_domain));
        let (certificates, keys) = known.map(|known| (known.x509, known.jwt)).unzip();
        let (x509, bundle) = watch::channel(certificates);
        let (jwt, jwt_bundle) = watch::channel(keys);
        let (wit, wit_bundle) = watch::channel(None);
        let (others, foreign) = watch::channel(ForeignBundles::default());
        let (registered, registrations) = watch::channel(Registrations::default());
        let (distrusted, tainted) = watch::channel(BTreeSet::new());
        let domain = home.trust_domain.clone();
        let (revoked, withdrawn) = watch::channel(Withdrawn::default());
        tokio::spawn(follow_withdrawn(server.clone(), revoked));
        let senders = Senders {
            x509,
            jwt,
            wit,
            foreign: others,
            registrations: registered,
            tainted: distrusted,
        };
        let following = follow(server.clone(), domain, pinned, senders, incubating);
        tokio::spawn(following);
        let brokers = match incubating.broker_api() {
            true => broker_rules::follow(server.clone()),
            false => watch::channel(Arc::default()).1,
        };
        Arc::new(Self {
            brokers,
            together: Together::start(server.clone()),
            server,
            home,
            bundle,
            jwt_bundle,
            foreign,
            registrations,
            withdrawn,
            tainted,
            incubating,
            wit_bundle,
        })
    }

    async fn x509(
        &self,
        launch: &Launch,
        spki_der: &[u8],
        broker: Option<&SpiffeId>,
    ) -> Result<Vec<Vec<u8>>, IssuerError> {
        let request = IssueX509 {
            instance_id: launch.instance().instance(),
            spki: base64url::encode(spki_der),
            broker: broker.cloned(),
        };
        let issued = self.together.issue(request).await.map_err(failed)?;
        chain(&issued)
    }

    async fn jwt(
        &self,
        launch: &Launch,
        audience: &[JwtAudience],
        broker: Option<&SpiffeId>,
    ) -> Result<String, IssuerError> {
        let request = IssueJwt {
            instance_id: launch.instance().instance(),
            audience: audience.to_vec(),
            broker: broker.cloned(),
        };
        let signed = self.server.issue_jwt(&request).await.map_err(failed)?;
        Ok(signed.token)
    }

    async fn manifest(&self, launch: &Launch) -> Result<Vec<u8>, IssuerError> {
        let agents = self.server.agents().await.map_err(failed)?.agents;
        let agent_id = launch.instance().agent().as_str();
        let agent = agents.into_iter().find(|agent| agent.agent_id == agent_id);
        let agent = agent.ok_or_else(|| refused("agent_unknown"))?;
        let manifest = self
            .server
            .manifest(agent.manifest_digest)
            .await
            .map_err(failed)?;
        base64url::decode(&manifest.manifest).map_err(unavailable)
    }
}

impl Issuer for ServerIssuer {
    fn open<'a>(
        &'a self,
        facts: &'a LaunchFacts,
    ) -> IssuerFuture<'a, Result<OpenedInstance, IssuerError>> {
        Box::pin(async move {
            let request = OpenInstance {
                parent: facts.parent().map(InstanceSpiffeId::instance),
                terms: facts.terms().clone(),
                agent_id: facts.agent().to_string(),
                evidence: facts.to_evidence(),
            };
            let opened = self.server.open_instance(&request).await.map_err(failed)?;
            Ok(OpenedInstance {
                instance: opened.spiffe_id.parse().map_err(unavailable)?,
                until: opened.until,
            })
        })
    }

    fn descendants<'a>(
        &'a self,
        instance: &'a InstanceSpiffeId,
        filter: &'a RosterFilter,
    ) -> IssuerFuture<'a, Result<Roster, IssuerError>> {
        Box::pin(async move {
            let roster = self.server.descendants(instance.instance(), filter);
            roster.await.map_err(failed)
        })
    }

    fn issue_x509<'a>(
        &'a self,
        launch: &'a Launch,
        spki_der: &'a [u8],
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        Box::pin(self.x509(launch, spki_der, None))
    }

    fn issue_wit<'a>(
        &'a self,
        launch: &'a Launch,
        key: &'a ProvenKey,
    ) -> IssuerFuture<'a, Result<AgentCredential, IssuerError>> {
        Box::pin(async move {
            let request = IssueWit {
                instance_id: launch.instance().instance(),
                key: *key.jwk(),
            };
            let signed = self.server.issue_wit(&request).await.map_err(failed)?;
            Ok(AgentCredential {
                token: signed.token,
                manifest: self.manifest(launch).await?,
                gateway_address: self.home.gateway_address,
                gateway_spiffe_id: self.home.gateway_spiffe_id.clone(),
            })
        })
    }

    fn issue_jwt<'a>(
        &'a self,
        launch: &'a Launch,
        audience: &'a [JwtAudience],
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        Box::pin(self.jwt(launch, audience, None))
    }

    fn delegations(&self, launch: &Launch) -> Delegations {
        let server = self.server.clone();
        let instance = launch.instance().instance();
        Box::pin(stream::unfold(None::<String>, move |known| {
            let server = server.clone();
            async move {
                loop {
                    match server.root_of(instance, WAIT_SECONDS).await {
                        Ok(Some(issued)) if known.as_deref() != Some(&issued.root) => {
                            let root = issued.root.clone();
                            return Some((delegation(issued), Some(root)));
                        }
                        Ok(Some(_)) => tokio::time::sleep(Duration::from_secs(1)).await,
                        Ok(None) => {}
                        // A server that is there and has no database, or no right clock, is waited for
                        // as one that is away.
                        Err(error) => match failed(error) {
                            IssuerError::Unavailable(_) => {
                                tokio::time::sleep(Duration::from_secs(1)).await;
                            }
                            refused => return Some((Err(refused), known)),
                        },
                    }
                }
            }
        }))
    }

    fn x509_bundle(&self) -> watch::Receiver<Option<X509Bundle>> {
        self.bundle.clone()
    }

    fn jwt_bundle(&self) -> watch::Receiver<Option<JwtBundle>> {
        self.jwt_bundle.clone()
    }

    fn foreign_bundles(&self) -> watch::Receiver<ForeignBundles> {
        self.foreign.clone()
    }

    fn registrations(&self) -> watch::Receiver<Registrations> {
        self.registrations.clone()
    }

    fn withdrawn(&self) -> watch::Receiver<Withdrawn> {
        self.withdrawn.clone()
    }

    fn tainted(&self) -> watch::Receiver<BTreeSet<Digest>> {
        self.tainted.clone()
    }

    fn issue_wit_svid<'a>(
        &'a self,
        launch: &'a Launch,
        key: &'a Jwk,
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        Box::pin(async move {
            let request = IssueWitSvid {
                instance_id: launch.instance().instance(),
                key: *key,
            };
            let signed = self.server.issue_wit_svid(&request).await;
            Ok(signed.map_err(failed)?.token)
        })
    }

    fn wit_svid_bundle(&self) -> Option<watch::Receiver<Option<WitSvidBundle>>> {
        let served = self.incubating.wit_svid();
        served.then(|| self.wit_bundle.clone())
    }

    fn issue_x509_through<'a>(
        &'a self,
        launch: &'a Launch,
        spki_der: &'a [u8],
        broker: &'a SpiffeId,
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        Box::pin(self.x509(launch, spki_der, Some(broker)))
    }

    fn issue_jwt_through<'a>(
        &'a self,
        launch: &'a Launch,
        audience: &'a [JwtAudience],
        broker: &'a SpiffeId,
    ) -> IssuerFuture<'a, Result<String, IssuerError>> {
        Box::pin(self.jwt(launch, audience, Some(broker)))
    }

    fn issue_own<'a>(
        &'a self,
        spki_der: &'a [u8],
    ) -> IssuerFuture<'a, Result<Vec<Vec<u8>>, IssuerError>> {
        Box::pin(async move {
            let request = IssueService {
                service: SERVICE.to_owned(),
                spki: base64url::encode(spki_der),
            };
            let issued = self.server.issue_service(&request).await;
            chain(&issued.map_err(failed)?.chain)
        })
    }

    fn brokers(&self) -> watch::Receiver<Arc<BrokerRules>> {
        self.brokers.clone()
    }

    fn ended<'a>(
        &'a self,
        instance: &'a InstanceSpiffeId,
        reason: EndReason,
    ) -> IssuerFuture<'a, Result<(), IssuerError>> {
        Box::pin(async move {
            let request = EndInstance {
                reason: reason.to_string(),
            };
            let ended = self.server.end_instance(instance.instance(), &request);
            ended.await.map(drop).map_err(failed)
        })
    }
}

fn chain(ders: &[String]) -> Result<Vec<Vec<u8>>, IssuerError> {
    let ders = ders.iter();
    ders.map(|der| base64url::decode(der).map_err(unavailable))
        .collect()
}

fn delegation(issued: IssuedRoot) -> Result<Delegation, IssuerError> {
    Ok(Delegation {
        chain: json!([issued.root]).to_string(),
        consent: serde_json::to_string(&issued.consent).map_err(unavailable)?,
        mission: base64url::decode(&issued.mission).map_err(unavailable)?,
        principal: serde_json::to_string(&issued.principal).map_err(unavailable)?,
    })
}

/// Asks for the trust document's authorities, and for the bundles of foreign trust domains, until
/// nobody listens any more. The server answers as soon as either has changed.
async fn follow(
    server: ServerClient,
    trust_domain: TrustDomain,
    mut pinned: Option<PinnedTrust>,
    senders: Senders,
    incubating: Incubating,
) {
    let mut state = nothing_known();
    loop {
        if let Some(keys) = bundles(&server, &trust_domain, &mut pinned).await {
            tell(&senders.x509, Some(keys.x509));
            tell(&senders.jwt, Some(keys.jwt));
            tell(&senders.wit, Some(keys.wit));
        }
        let asked = tokio::select! {
            () = senders.x509.closed() => return,
            asked = server.foreign_bundles(state, WAIT_SECONDS) => asked,
        };
        let Ok(mut answer) = asked else {
            tokio::select! {
                () = senders.x509.closed() => return,
                () = tokio::time::sleep(RETRY) => continue,
            }
        };
        state = answer.state;
        tell(&senders.tainted, std::mem::take(&mut answer.tainted));
        let terms = std::mem::take(&mut answer.terms);
        tell(&senders.registrations, Registrations::new(terms));
        tell(&senders.foreign, read(answer, incubating));
    }
}

/// Asks which identities are revoked, until nobody listens any more.
async fn follow_withdrawn(server: ServerClient, revoked: watch::Sender<Withdrawn>) {
    let ask = move |state: Option<Digest>| {
        let server = server.clone();
        async move {
            let state = state.unwrap_or_else(nothing_known);
            let answer = server.withdrawn(state, WAIT_SECONDS).await?;
            let withdrawn = Withdrawn::new(answer.agents, answer.instances);
            Ok((answer.state, withdrawn))
        }
    };
    following::follow(revoked, ask).await;
}

/// No state that a server has.
fn nothing_known() -> Digest {
    Digest::of("nothing is known yet")
}

/// Reads each bundle as of the trust domain that it is named by; one that cannot be read is
/// nobody's.
fn read(answer: chancery_api::server::ForeignBundles, incubating: Incubating) -> ForeignBundles {
    let documents = answer.bundles.into_iter().filter_map(|(name, text)| {
        let read = BundleDocument::parse(name.clone(), text.as_bytes(), incubating);
        read.inspect_err(|error| tracing::warn!(%name, %error, "a bundle cannot be read"))
            .ok()
    });
    ForeignBundles::new(documents, answer.agents)
}

/// Where what is known is told.
struct Senders {
    x509: watch::Sender<Option<X509Bundle>>,
    jwt: watch::Sender<Option<JwtBundle>>,
    wit: watch::Sender<Option<WitSvidBundle>>,
    foreign: watch::Sender<ForeignBundles>,
    registrations: watch::Sender<Registrations>,
    tainted: watch::Sender<BTreeSet<Digest>>,
}

async fn bundles(
    server: &ServerClient,
    trust_domain: &TrustDomain,
    pinned: &mut Option<PinnedTrust>,
) -> Option<BundleKeys> {
    let text = server.trust().await.ok()?;
    let signed = chancery_identity::trust::SignedTrust::parse(text.document.as_bytes()).ok()?;
    match pinned {
        Some(pinned) => {
            pinned.offer(signed);
            bundles_of(pinned.trust(), trust_domain)
        }
        None => {
            let trust = signed.verify(&chancery_crypto::AwsLc).ok()?;
            bundles_of(&trust, trust_domain)
        }
    }
}

pub(crate) fn bundles_of(trust: &TrustDocument, trust_domain: &TrustDomain) -> Option<BundleKeys> {
    let authorities = trust
        .x509_authorities
        .iter()
        .filter_map(|der| base64url::decode(der).ok());
    let x509 = X509Bundle::new(trust_domain.clone(), authorities).ok()?;
    let keys = |authorities: &[Jwk]| {
        let keys = authorities.iter();
        let keys = keys.filter_map(|key| SvidKey::try_from(key).ok());
        keys.collect::<Vec<_>>()
    };
    Some(BundleKeys {
        x509,
        jwt: JwtBundle::new(trust_domain.clone(), keys(&trust.jwt_authorities)),
        wit: WitSvidBundle::new(trust_domain.clone(), keys(&trust.token_authorities)),
    })
}

fn failed(error: ClientError) -> IssuerError {
    match error {
        ClientError::Refused(problem) if problem.status < 500 && !is_for_now(&problem) => {
            tracing::warn!(reason = problem.reason, "{}", problem.message);
            refused(&problem.reason)
        }
        other => unavailable(other),
    }
}

/// Whether asking later may help: too much was asked for, or the node itself has to come back first.
fn is_for_now(problem: &Problem) -> bool {
    problem.status == 429
        || matches!(
            problem.reason.as_str(),
            "node_untrusted" | "node_svid_expired"
        )
}

fn refused(reason: &str) -> IssuerError {
    IssuerError::Refused {
        reason: reason.to_owned(),
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> IssuerError {
    IssuerError::Unavailable(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_otherwise_later_takes_nothing_away() {
        for reason in ["node_untrusted", "node_svid_expired"] {
            let told = failed(Problem::forbidden(reason, "later").into());
            assert!(matches!(told, IssuerError::Unavailable(_)), "{reason}");
        }
        // Its database is away; its clock is wrong.
        for reason in ["store", "clock_stepped_back"] {
            let told = failed(Problem::unavailable(reason, "later").into());
            assert!(matches!(told, IssuerError::Unavailable(_)), "{reason}");
        }
        let mut many = Problem::forbidden("node_rate", "later");
        many.status = 429;
        assert!(matches!(failed(many.into()), IssuerError::Unavailable(_)));
        for reason in ["agent_revoked", "instance_ended", "node_evicted"] {
            let told = failed(Problem::forbidden(reason, "never").into());
            assert!(matches!(told, IssuerError::Refused { .. }), "{reason}");
        }
    }
}
