//! Credentials: enrolled first, signed second.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chancery_api::authority::AuthorityKind;
use chancery_api::server::{
    IssueJwt, IssueService, IssueWit, IssueWitSvid, IssueX509, IssueX509s, IssuedX509, IssuedX509s,
    Leaf, MAX_TOGETHER,
};
use chancery_api::signer::{
    SignAccess, SignJwt, SignWit, SignWitSvid, SignX509, SignX509s, SignedToken,
};
use chancery_api::{ClientError, Problem};
use chancery_attestation::Evidence;
use chancery_audit::{Credential, CredentialForm, IdentityIssue, Isolation};
use chancery_crypto::{AwsLc, random_bytes, random_id};
use chancery_delegation::ChainReading;
use chancery_identity::{
    Confirmation, InstanceSpiffeId, JwtSvidClaims, RegistrationTerms, SpiffeId, WitClaims,
    WitSvidClaims,
};
use chancery_store::{InstanceRow, PlacedInstance};
use chancery_types::id::{CredentialId, InstanceId, NodeId};
use chancery_types::{Digest, SignatureVerifier as _, Timestamp, base64url, to_canonical};
use serde::Serialize;

use super::agents::{isolation, labels};
use super::instances::{evidence, placed_running, running, terms, terms_by};
use super::of_nodes::{no_broker, own_on};
use super::{Answer, label, random, stored};
use crate::Server;
use crate::authorities::{apart, brokered as brokered_name, workload};

/// How long a service's X.509-SVID lives.
const SERVICE_LIFETIME_SECONDS: u64 = 3_600;

/// How long the credential of an agent key lives: as long as an instance may.
const WIT_LIFETIME_SECONDS: u64 = 3_600;

pub(super) async fn x509(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueX509>,
) -> Answer<IssuedX509> {
    let now = server.now()?;
    let issued = issue_together(&server, now, std::slice::from_ref(&request), None).await?;
    let Issued {
        leaves,
        intermediates,
    } = issued;
    let leaf = leaves.into_iter().next();
    let leaf = leaf.ok_or_else(|| Problem::bad_request("requests", "nothing was asked for"))?;
    let IssuedLeaf {
        spiffe_id,
        leaf,
        not_after,
    } = leaf?;
    Ok(Json(IssuedX509 {
        spiffe_id,
        chain: std::iter::once(leaf).chain(intermediates).collect(),
        bundle: server.trust().x509_authorities.clone(),
        not_after,
    }))
}

/// Issues the X.509-SVIDs of several instances: the entries of all of them are on the disk before one is
/// signed, and whoever is refused is refused alone.
pub(super) async fn x509s(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueX509s>,
) -> Answer<IssuedX509s> {
    several(&request)?;
    let refusals = vec![None; request.requests.len()];
    let issued = issue_several(&server, request, refusals, None);
    issued.await.map(Json)
}

/// Refuses what is not from one to as many as are issued together.
pub(super) fn several(request: &IssueX509s) -> Result<(), Problem> {
    match (1..=MAX_TOGETHER).contains(&request.requests.len()) {
        true => Ok(()),
        false => Err(Problem::bad_request(
            "requests",
            format!("from one to {MAX_TOGETHER} are issued together"),
        )),
    }
}

/// The same for those that nobody refused before; a node on another host is issued those of its own instances
/// alone. One answer for each, in their order.
pub(super) async fn issue_several(
    server: &Server,
    request: IssueX509s,
    refusals: Vec<Option<Problem>>,
    node: Option<NodeId>,
) -> Result<IssuedX509s, Problem> {
    let now = server.now()?;
    let requests = request.requests.into_iter().zip(&refusals);
    let admitted = requests.filter(|(_, refusal)| refusal.is_none());
    let admitted: Vec<_> = admitted.map(|(request, _)| request).collect();
    let issued = match admitted.is_empty() {
        true => Issued::default(),
        false => issue_together(server, now, &admitted, node).await?,
    };
    let mut leaves = issued.leaves.into_iter();
    let outcome = |refusal: Option<Problem>| {
        let leaf = match refusal {
            Some(refusal) => Err(refusal),
            None => leaves
                .next()
                .unwrap_or_else(|| Err(Problem::unavailable("signer", "an answer is missing"))),
        };
        Leaf::from(leaf.map(|issued| issued.leaf))
    };
    Ok(IssuedX509s {
        leaves: refusals.into_iter().map(outcome).collect(),
        intermediates: issued.intermediates,
    })
}

/// The leaves of several instances, and what stands above them.
#[derive(Default)]
struct Issued {
    leaves: Vec<Result<IssuedLeaf, Problem>>,
    intermediates: Vec<String>,
}

struct IssuedLeaf {
    spiffe_id: String,
    leaf: String,
    not_after: Timestamp,
}

/// What is to be signed for an instance, once its entry is durable.
struct Prepared {
    instance: InstanceId,
    request: SignX509,
    holder: String,
    not_after: Timestamp,
}

/// What the instances of agents are issued, of those that are registered.
type Terms = BTreeMap<String, RegistrationTerms>;

async fn issue_together(
    server: &Server,
    now: Timestamp,
    requests: &[IssueX509],
    node: Option<NodeId>,
) -> Result<Issued, Problem> {
    // To the signature, so that nothing is issued once an agent is retired.
    // INVARIANT: once for all of them: whoever waits to be alone would have a second one wait as well. And
    // before `signing`, as for tokens: of two who take them in different orders each would wait for the
    // other once somebody waits to be alone with either.
    let _together = server.registering.read().await;
    let ids: Vec<_> = requests.iter().map(|request| request.instance_id).collect();
    let placed = server.store.placed(&ids).await.map_err(stored)?;
    let placed: HashMap<_, _> = placed
        .into_iter()
        .map(|one| (one.instance.instance_id, one))
        .collect();
    let asked = requests.iter().map(|request| {
        let found = placed.get(&request.instance_id);
        if let Some(node) = node {
            let on = found.and_then(|found| found.node);
            own_on(node, request.instance_id, on)?;
            no_broker(request.broker.as_ref())?;
        }
        Ok((request, found))
    });
    let asked: Vec<Result<_, Problem>> = asked.collect();
    // Whoever may have none of them hears so also while the signer is away.
    if asked.iter().all(Result::is_err) {
        return Ok(Issued {
            leaves: asked.into_iter().filter_map(Result::err).map(Err).collect(),
            intermediates: Vec::new(),
        });
    }
    let signing = server.signing().await?;
    let found = asked.iter().flatten().filter_map(|(_, found)| *found);
    let agents: BTreeSet<_> = found.map(|one| one.instance.agent_id.as_str()).collect();
    let agents: Vec<_> = agents.into_iter().collect();
    let terms = server.store.terms_of(&agents).await.map_err(stored)?;
    let (mut prepared, mut events) = (Vec::with_capacity(asked.len()), Vec::new());
    for asked in asked {
        let one = match asked {
            Ok((request, found)) => prepare(server, now, request, found, &terms).await,
            Err(problem) => Err(problem),
        };
        prepared.push(one.map(|(one, event)| {
            events.push(event.into());
            one
        }));
    }
    // What a crash leaves unwritten of when they expire is read from here on.
    let issuing = server.svid_ends.begin(server.log_size());
    let mut enrolled = server.enrol_all(events).await.into_iter();
    // What was revoked while its entry was written is not signed either.
    let outcomes = prepared.into_iter().map(|prepared| {
        let prepared = prepared?;
        let missing = || Err(Problem::unavailable("log", "an entry is missing"));
        enrolled.next().unwrap_or_else(missing)?;
        server.check_instance(&prepared.request.spiffe_id)?;
        Ok(prepared)
    });
    let outcomes: Vec<Result<Prepared, Problem>> = outcomes.collect();
    let to_sign = outcomes.iter().flatten().map(|one| one.request.clone());
    let requests: Vec<_> = to_sign.collect();
    // What is not signed is unavailable to those who were to be signed for, and to nobody else.
    let unavailable =
        |error: &dyn std::fmt::Display| Problem::unavailable("signer", error.to_string());
    let (leaves, intermediates, unsigned) = match requests.is_empty() {
        true => Default::default(),
        false => match server.signer.x509s(&SignX509s { requests }).await {
            Ok(signed) => (signed.leaves, signed.intermediates, None),
            Err(error) => (Vec::new(), Vec::new(), Some(unavailable(&error))),
        },
    };
    let mut leaves = leaves.into_iter();
    let signed = outcomes
        .into_iter()
        .map(|outcome| -> Result<IssuedLeaf, Problem> {
            let prepared = outcome?;
            if let Some(problem) = &unsigned {
                return Err(problem.clone());
            }
            let missing = || Leaf::Refused(Problem::unavailable("signer", "an answer is missing"));
            let leaf = leaves.next().unwrap_or_else(missing).into_result();
            let leaf = leaf.map_err(|error| unavailable(&error))?;
            let not_after = prepared.not_after;
            if let Some(authority) = signing.active(AuthorityKind::X509) {
                server.holds(authority, &prepared.holder, not_after);
            }
            issuing.note(prepared.instance, not_after);
            Ok(IssuedLeaf {
                spiffe_id: prepared.request.spiffe_id,
                leaf,
                not_after,
            })
        });
    Ok(Issued {
        leaves: signed.collect(),
        intermediates,
    })
}

/// What is enrolled and signed for a request, where its instance runs and may have it. Whoever asks holds
/// `registering`, so that what is known of an agent stays so.
async fn prepare(
    server: &Server,
    now: Timestamp,
    request: &IssueX509,
    found: Option<&PlacedInstance>,
    terms: &Terms,
) -> Result<(Prepared, IdentityIssue), Problem> {
    let placed = placed_running(request.instance_id, found, now)?;
    let instance = &placed.instance;
    server.check_instance(&instance.spiffe_id)?;
    check_broker(server, request.broker.as_ref(), instance).await?;
    let attested = evidence(instance)?;
    let terms = terms_by(terms, instance, &attested)?;
    let serial = random_bytes::<16>().map_err(random)?;
    let lifetime_seconds = terms.x509_seconds(server.svid_lifetime.seconds());
    let lifetime_seconds = until_over(placed.until, now, lifetime_seconds);
    let credential = Credential {
        form: CredentialForm::X509Svid,
        id: CredentialId::from_random(serial),
        key: key_digest(&request.spki)?,
        expires: end(now, lifetime_seconds),
    };
    let event = IdentityIssue {
        dns_names: labels(&terms.dns_names)?,
        ..issued(server, placed, &attested, credential)?
    };
    let broker = request.broker.as_ref();
    let prepared = Prepared {
        instance: instance.instance_id,
        holder: brokered_name(&instance.spiffe_id, broker.map(SpiffeId::as_str)),
        not_after: event.expires,
        request: SignX509 {
            spiffe_id: instance.spiffe_id.clone(),
            dns_names: terms.dns_names.iter().cloned().collect(),
            spki: request.spki.clone(),
            now,
            lifetime_seconds,
            serial: base64url::encode(serial),
        },
    };
    Ok((prepared, brokered(event, broker)?))
}

/// Issues the SVID of one of Chancery's own services, which sit behind the owner's socket.
pub(super) async fn service(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueService>,
) -> Answer<IssuedX509> {
    let issued = server.issue_service(&request.service, &request.spki).await;
    issued.map(Json)
}

impl Server {
    /// Issues the SVID of one of Chancery's own services.
    pub(crate) async fn issue_service(
        &self,
        service: &str,
        spki: &str,
    ) -> Result<IssuedX509, Problem> {
        let spiffe_id = format!("spiffe://{}/service/{service}", self.trust().trust_domain);
        let by = ("owner-socket", false);
        self.issue_own(spiffe_id, spki, by, SERVICE_LIFETIME_SECONDS)
            .await
    }

    /// The same, for one of several parts of the service, each of which holds an SVID.
    pub(crate) async fn issue_part(
        &self,
        service: &str,
        part: &str,
        spki: &str,
    ) -> Result<IssuedX509, Problem> {
        let spiffe_id = format!("spiffe://{}/service/{service}", self.trust().trust_domain);
        let holder = apart(&spiffe_id, part);
        let by = ("owner-socket", false);
        self.issue_held(spiffe_id, &holder, spki, by, SERVICE_LIFETIME_SECONDS)
            .await
    }

    /// Issues the SVID of a service or a node: what vouches for it, and whether it had one before.
    pub(crate) async fn issue_own(
        &self,
        spiffe_id: String,
        spki: &str,
        (level, renewal): (&str, bool),
        lifetime_seconds: u64,
    ) -> Result<IssuedX509, Problem> {
        let holder = spiffe_id.clone();
        self.issue_held(spiffe_id, &holder, spki, (level, renewal), lifetime_seconds)
            .await
    }

    async fn issue_held(
        &self,
        spiffe_id: String,
        holder: &str,
        spki: &str,
        (level, renewal): (&str, bool),
        lifetime_seconds: u64,
    ) -> Result<IssuedX509, Problem> {
        let now = self.now()?;
        let trust = self.trust();
        let signing = self.signing().await?;
        let not_after = end(now, lifetime_seconds);
        let serial = random_bytes::<16>().map_err(random)?;
        let event = IdentityIssue {
            agent: label(&spiffe_id)?,
            instance: label(&spiffe_id)?,
            credentials: vec![Credential {
                form: CredentialForm::X509Svid,
                id: CredentialId::from_random(serial),
                key: key_digest(spki)?,
                expires: not_after,
            }],
            manifest: trust.digest(),
            attestation_level: label(level)?,
            isolation: Isolation::Unisolated,
            evidence: trust.digest(),
            executable: trust.digest(),
            node: label(&spiffe_id)?,
            renewal,
            expires: not_after,
            launch: None,
            operator: None,
            broker: None,
            dns_names: None,
        };
        self.enrol(event).await?;
        let request = SignX509 {
            spiffe_id,
            dns_names: Vec::new(),
            spki: spki.to_owned(),
            now,
            lifetime_seconds,
            serial: base64url::encode(serial),
        };
        let trust = self.trust();
        let signed = self.signer.x509(&request).await;
        let signed = signed.map_err(|error| Problem::unavailable("signer", error.to_string()))?;
        if let Some(authority) = signing.active(AuthorityKind::X509) {
            self.holds(authority, holder, not_after);
        }
        Ok(IssuedX509 {
            spiffe_id: request.spiffe_id,
            chain: signed.chain,
            bundle: trust.x509_authorities.clone(),
            not_after,
        })
    }
}

pub(super) async fn wit(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueWit>,
) -> Answer<SignedToken> {
    let now = server.now()?;
    let placed = running(&server, request.instance_id).await?;
    let instance = &placed.instance;
    server.check_instance(&instance.spiffe_id)?;
    // As for an X.509-SVID.
    let _together = server.registering.read().await;
    let (_, attested) = terms(&server, instance).await?;
    server.check_key(&request.key)?;
    if !AwsLc.is_valid_key(&request.key) {
        return Err(Problem::bad_request("key", "the agent key is not a key"));
    }
    // Who was handed it may not speak for the agent by it.
    if server
        .store
        .is_workload_key(&request.key)
        .await
        .map_err(stored)?
    {
        return Err(Problem::conflict(
            "agent_key",
            "the key is that of a wit-svid, and no agent key",
        ));
    }
    let kept = server
        .store
        .set_agent_key(request.instance_id, &request.key)
        .await;
    if !kept.map_err(stored)? {
        return Err(Problem::conflict(
            "agent_key",
            "the instance has another agent key",
        ));
    }
    let signing = server.signing().await?;
    let id: CredentialId = random_id().map_err(random)?;
    let seconds = until_over(placed.until, now, WIT_LIFETIME_SECONDS);
    let expires = end(now, seconds);
    let credential = Credential {
        form: CredentialForm::Wit,
        id,
        key: request.key.thumbprint(),
        expires,
    };
    let event = issued(&server, &placed, &attested, credential)?;
    server.enrol(event).await?;
    let sub: SpiffeId = instance
        .spiffe_id
        .parse()
        .map_err(|error| Problem::internal("spiffe_id", &error))?;
    let claims = WitClaims {
        sub,
        cnf: Confirmation { jwk: request.key },
        iat: now.as_seconds(),
        exp: expires.as_seconds(),
        jti: id,
        manifest_digest: instance.manifest_digest,
        attestation_level: attested.level(),
        isolation: attested.isolation(),
    };
    let claims = spelt(&claims)?;
    let signed = server.signer.wit(&SignWit { claims }).await;
    let signed = signed.map_err(|error| Problem::unavailable("signer", error.to_string()))?;
    if let Some(authority) = signing.active(AuthorityKind::Wit) {
        server.holds(authority, &instance.spiffe_id, expires);
    }
    server.changed();
    Ok(Json(signed))
}

/// Issues a JWT-SVID: a bearer token, so that each has a name of its own in the log.
pub(super) async fn jwt(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueJwt>,
) -> Answer<SignedToken> {
    let now = server.now()?;
    let placed = running(&server, request.instance_id).await?;
    let instance = &placed.instance;
    server.check_instance(&instance.spiffe_id)?;
    check_broker(&server, request.broker.as_ref(), instance).await?;
    // To the signature, so that nothing is issued once the agent is retired.
    let _together = server.registering.read().await;
    let (terms, attested) = terms(&server, instance).await?;
    let trust = server.trust();
    let signing = server.signing().await?;
    let authority = signing.active(AuthorityKind::Jwt);
    let authority = authority.filter(|one| trust.jwt_authorities.contains(&one.key));
    let authority = authority.ok_or_else(|| {
        Problem::forbidden(
            "jwt_authority",
            "the trust document names no jwt authority that signs",
        )
        .with_remedy("run: chancery authority prepare jwt")
    })?;
    let key = &authority.key;
    let id: CredentialId = random_id().map_err(random)?;
    let seconds = terms.jwt_seconds(server.svid_lifetime.jwt_seconds());
    let seconds = until_over(placed.until, now, seconds);
    let expires = end(now, seconds);
    let claims = JwtSvidClaims {
        aud: request.audience,
        exp: expires.as_seconds(),
        iat: now.as_seconds(),
        iss: server.issuer.clone(),
        jti: id,
        sub: (instance.spiffe_id.parse()).map_err(|error: chancery_identity::SpiffeIdError| {
            Problem::internal("spiffe_id", &error)
        })?,
    };
    // What the signer would refuse is not enrolled.
    claims
        .signing_input(key)
        .map_err(|error| Problem::bad_request("audience", error.to_string()))?;
    let credential = Credential {
        form: CredentialForm::JwtSvid,
        id,
        key: key.thumbprint(),
        expires,
    };
    let event = issued(&server, &placed, &attested, credential)?;
    let event = brokered(event, request.broker.as_ref())?;
    server.enrol(event).await?;
    let claims = spelt(&claims)?;
    let kid = key.kid();
    let signed = server.signer.jwt(&SignJwt { claims, kid }).await;
    server.holds(authority, &instance.spiffe_id, expires);
    signed
        .map(Json)
        .map_err(|error| Problem::unavailable("signer", error.to_string()))
}

/// Issues a WIT-SVID whose key the node hands to the workload: never the agent's, which stays where it
/// was made.
pub(super) async fn wit_svid(
    State(server): State<Arc<Server>>,
    Json(request): Json<IssueWitSvid>,
) -> Answer<SignedToken> {
    let now = server.now()?;
    if !server.incubating.wit_svid() {
        return Err(
            Problem::forbidden("wit_svid_off", "this deployment issues no wit-svids")
                .with_remedy("start `chancery up` with --wit-svid"),
        );
    }
    let placed = running(&server, request.instance_id).await?;
    let instance = &placed.instance;
    server.check_instance(&instance.spiffe_id)?;
    // To the signature, so that nothing is issued once the agent is retired.
    let _together = server.registering.read().await;
    let (terms, attested) = terms(&server, instance).await?;
    server.check_key(&request.key)?;
    if !AwsLc.is_valid_key(&request.key) {
        return Err(Problem::bad_request("key", "the key is not a key"));
    }
    if instance.agent_key == Some(request.key) {
        return Err(Problem::conflict("agent_key", "the key is the agent key"));
    }
    let trust = server.trust();
    let signing = server.signing().await?;
    let authority = signing.active(AuthorityKind::Wit);
    let authority = authority.filter(|one| trust.token_authorities.contains(&one.key));
    let authority = authority.ok_or_else(|| {
        Problem::forbidden(
            "token_authority",
            "the trust document names no token authority that signs",
        )
        .with_remedy("run: chancery authority prepare wit")
    })?;
    let id: CredentialId = random_id().map_err(random)?;
    let seconds = terms.jwt_seconds(server.svid_lifetime.wit_seconds());
    let seconds = until_over(placed.until, now, seconds);
    let expires = end(now, seconds);
    let claims = WitSvidClaims {
        cnf: Confirmation { jwk: request.key },
        exp: expires.as_seconds(),
        iat: now.as_seconds(),
        jti: id,
        sub: (instance.spiffe_id.parse()).map_err(|error: chancery_identity::SpiffeIdError| {
            Problem::internal("spiffe_id", &error)
        })?,
    };
    // What the signer would refuse is not enrolled.
    claims
        .signing_input(&authority.key)
        .map_err(|error| Problem::bad_request("key", error.to_string()))?;
    let kept = server
        .store
        .put_workload_key(request.instance_id, &request.key, (now, expires))
        .await;
    kept.map_err(stored)?;
    let credential = Credential {
        form: CredentialForm::WitSvid,
        id,
        key: request.key.thumbprint(),
        expires,
    };
    let event = issued(&server, &placed, &attested, credential)?;
    server.enrol(event).await?;
    let claims = spelt(&claims)?;
    let kid = authority.key.kid();
    let signed = server.signer.wit_svid(&SignWitSvid { claims, kid }).await;
    server.holds(authority, &workload(&instance.spiffe_id), expires);
    signed
        .map(Json)
        .map_err(|error| Problem::unavailable("signer", error.to_string()))
}

/// Has an access token signed that a gateway decided about and enrolled. The signer asks the chain and
/// the holder's proof again; here it is asked whether the holder still runs.
pub(super) async fn access(
    State(server): State<Arc<Server>>,
    Json(request): Json<SignAccess>,
) -> Answer<SignedToken> {
    let links: Vec<_> = request.chain.iter().map(String::as_str).collect();
    let reading = ChainReading::read(&links)
        .map_err(|refusal| Problem::bad_request(refusal.reason.code(), "chain"))?;
    let holder = reading.grants().last().map(|grant| grant.subject.as_str());
    let holder = holder.and_then(|holder| holder.parse::<InstanceSpiffeId>().ok());
    let own = server.trust().trust_domain.clone();
    if let Some(holder) = holder.filter(|holder| holder.trust_domain().as_str() == own) {
        running(&server, holder.instance()).await?;
    }
    let signed = server.signer.access(&request).await;
    signed.map(Json).map_err(|error| match error {
        ClientError::Refused(problem) => problem,
        other => Problem::unavailable("signer", other.to_string()),
    })
}

/// How long a credential lives: no longer than its instance, where that has a time of its own. At least
/// a second, which is what certificates and tokens count.
fn until_over(until: Option<Timestamp>, now: Timestamp, seconds: u64) -> u64 {
    match until {
        Some(until) => {
            let left = until.as_seconds().saturating_sub(now.as_seconds());
            seconds.min(left.max(1))
        }
        None => seconds,
    }
}

/// Whether who obtains it for the instance may.
async fn check_broker(
    server: &Server,
    broker: Option<&SpiffeId>,
    instance: &InstanceRow,
) -> Result<(), Problem> {
    match broker {
        Some(broker) => server.check_broker(broker, &instance.spiffe_id).await,
        None => Ok(()),
    }
}

/// The same, by whom it was obtained.
fn brokered(event: IdentityIssue, broker: Option<&SpiffeId>) -> Result<IdentityIssue, Problem> {
    Ok(IdentityIssue {
        broker: broker.map(|broker| label(broker.as_str())).transpose()?,
        ..event
    })
}

fn issued(
    server: &Server,
    placed: &PlacedInstance,
    attested: &Evidence,
    credential: Credential,
) -> Result<IdentityIssue, Problem> {
    let instance = &placed.instance;
    let digest = attested
        .digest()
        .map_err(|error| Problem::internal("evidence", &error))?;
    let node = server.node_name(placed.node)?;
    Ok(IdentityIssue {
        agent: label(&instance.agent_id)?,
        instance: label(&instance.spiffe_id)?,
        expires: credential.expires,
        credentials: vec![credential],
        manifest: instance.manifest_digest,
        attestation_level: label(&attested.level().to_string())?,
        isolation: isolation(attested.isolation()),
        evidence: digest,
        executable: attested.executable(),
        node: label(&node)?,
        renewal: instance.agent_key.is_some(),
        launch: attested.launch(),
        operator: None,
        broker: None,
        dns_names: None,
    })
}

/// Claims in the one spelling that the signer takes.
fn spelt(claims: &impl Serialize) -> Result<String, Problem> {
    let claims = to_canonical(claims).map_err(|error| Problem::internal("claims", &error))?;
    String::from_utf8(claims).map_err(|error| Problem::internal("claims", &error))
}

/// Tokens and certificates say their end in whole seconds, and the log says the same.
fn end(now: Timestamp, lifetime_seconds: u64) -> Timestamp {
    Timestamp::from_seconds(now.as_seconds()).plus_seconds(lifetime_seconds)
}

fn key_digest(spki: &str) -> Result<Digest, Problem> {
    let der = base64url::decode(spki)
        .map_err(|_| Problem::bad_request("spki", "spki is not base64url"))?;
    Ok(Digest::of(der))
}
