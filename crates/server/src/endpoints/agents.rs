//! Agents: registered by their signed manifest.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{
    Agent, AgentRetired, Agents, ExpectedRegistration, JudgedAgent, Manifest, MaySpawn,
    RegisterAgent, RetireAgent,
};
use chancery_attestation::Evidence;
use chancery_audit::{Isolation, Label, ManifestRegister};
use chancery_crypto::AwsLc;
use chancery_delegation::manifest::{
    IssuerKey, ManifestContext, VerifiedManifest, verify_manifest,
};
use chancery_identity::{RegistrationOwner, SvidSeconds, TrustDomain};
use chancery_store::AgentRow;
use chancery_types::{Digest, Timestamp, base64url};

use super::{Answer, label, stored, to_the_end};
use crate::Server;

/// Most foreign trust domains that an agent names.
const MAX_FEDERATES_WITH: usize = 32;

/// Most agents whose instances another agent's may start, and most of them at once.
const MAX_MAY_SPAWN: usize = 64;
/// Most bytes of their names together: an entry of the log holds them with all else.
const MAX_MAY_SPAWN_BYTES: usize = 16 << 10;
const MAX_AT_ONCE: u64 = 10_000;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Agents> {
    let rows = server.store.agents().await.map_err(stored)?;
    Ok(Json(Agents {
        agents: rows.into_iter().map(shown).collect(),
    }))
}

/// Registers an agent. The manifest's issuer must be one that the trust document names, and its
/// agent one of this trust domain. Goes on to its end when its asker has gone.
pub(super) async fn register(
    State(server): State<Arc<Server>>,
    Json(request): Json<RegisterAgent>,
) -> Answer<Agent> {
    to_the_end("registration", async move {
        let _alone = server.registering.write().await;
        let mut judged = judge_request(&server, request).await?;
        judged.row.log_index = server.enrol(judged.event).await?;
        let stored_now = server.store.put_agent(&judged.row, &judged.envelope).await;
        stored_now.map_err(stored)?;
        server.tell_nodes();
        Ok(shown(judged.row))
    })
    .await
}

/// Says what a registration comes to, or why it is refused; registers nothing.
pub(super) async fn judge(
    State(server): State<Arc<Server>>,
    Json(request): Json<RegisterAgent>,
) -> Answer<JudgedAgent> {
    let row = judge_request(&server, request).await?.row;
    Ok(Json(JudgedAgent {
        agent_id: row.agent_id,
        manifest_digest: row.manifest_digest,
        expires_at: row.expires_at,
    }))
}

/// Takes an agent out. Goes on to its end when its asker has gone.
pub(super) async fn retire(
    State(server): State<Arc<Server>>,
    Json(request): Json<RetireAgent>,
) -> Answer<AgentRetired> {
    to_the_end(
        "retirement",
        async move { server.retire_agent(&request).await },
    )
    .await
}

/// A registration that may be enrolled and then stored.
struct Judged {
    event: ManifestRegister,
    row: AgentRow,
    envelope: Vec<u8>,
}

async fn judge_request(server: &Server, request: RegisterAgent) -> Result<Judged, Problem> {
    let now = server.now()?;
    let trust = server.trust();
    let envelope = base64url::decode(&request.manifest)
        .map_err(|_| Problem::bad_request("manifest", "manifest is not base64url"))?;
    let manifest = verify(server, &envelope, now)?;
    let agent_id = manifest.agent_id();
    if agent_id.trust_domain().as_str() != trust.trust_domain {
        return Err(Problem::forbidden(
            "trust_domain",
            format!("{agent_id} is not of trust domain {}", trust.trust_domain),
        ));
    }
    let lifetime = server.svid_lifetime;
    let terms = request.terms;
    terms
        .check(lifetime.seconds(), lifetime.jwt_seconds())
        .map_err(|error| Problem::bad_request(error.code(), error.to_string()))?;
    let known = server.store.agent(agent_id.as_str()).await;
    let known = known.map_err(stored)?;
    if known.is_none() {
        server.check_retired(agent_id.as_str()).await?;
    }
    check_owner((request.owner.as_ref(), request.adopt), known.as_ref())?;
    check_expected(request.expected, known.as_ref(), agent_id.as_str())?;
    let federates_with = named(request.federates_with, agent_id.trust_domain())?;
    let may_spawn = request.may_spawn;
    let may_spawn = may_spawn.map(|may| spawning(may, agent_id.trust_domain()));
    let may_spawn = may_spawn.transpose()?;
    let event = ManifestRegister {
        agent: label(agent_id.as_str())?,
        manifest: manifest.payload_digest(),
        issuer: manifest.key_id(),
        expires: Some(manifest.expires_at()),
        prompt: manifest.system_prompt(),
        tools: manifest.catalog_hash(),
        policy: manifest.policy_bundle(),
        code: Some(code(&manifest)?),
        federates_with: labels(&federates_with)?,
        may_spawn: (may_spawn.as_ref())
            .map(|may| labels(&may.agents))
            .transpose()?
            .flatten(),
        spawn_at_once: may_spawn.as_ref().map(|may| may.at_once),
        spawn_outlive: may_spawn.as_ref().map(|may| may.outlive),
        dns_names: labels(&terms.dns_names)?,
        hint: terms
            .hint
            .as_ref()
            .map(|hint| label(hint.as_str()))
            .transpose()?,
        x509_svid_seconds: terms.x509_svid_seconds.map(SvidSeconds::seconds),
        jwt_svid_seconds: terms.jwt_svid_seconds.map(SvidSeconds::seconds),
        requires_isolation: terms.isolation.map(isolation),
        requires_attestation: (terms.attestation_level)
            .map(|level| label(level.name()))
            .transpose()?,
        owner: (request.owner.as_ref())
            .map(|owner| label(owner.as_str()))
            .transpose()?,
    };
    let row = AgentRow {
        agent_id: agent_id.to_string(),
        manifest_id: manifest.manifest_id().to_owned(),
        manifest_digest: manifest.payload_digest(),
        expires_at: manifest.expires_at(),
        federates_with,
        may_spawn: (may_spawn.map(serde_json::to_value).transpose())
            .map_err(|error| Problem::internal("may_spawn", &error))?,
        terms,
        owner: request.owner,
        log_index: 0,
    };
    Ok(Judged {
        event,
        row,
        envelope,
    })
}

/// Texts as an entry has them; absent where there is none.
pub(super) fn labels(
    texts: impl IntoIterator<Item = impl ToString>,
) -> Result<Option<Vec<Label>>, Problem> {
    let labels = texts.into_iter().map(|text| label(&text.to_string()));
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    Ok((!labels.is_empty()).then_some(labels))
}

pub(super) fn isolation(isolation: chancery_identity::Isolation) -> Isolation {
    match isolation {
        chancery_identity::Isolation::Isolated => Isolation::Isolated,
        chancery_identity::Isolation::Unisolated => Isolation::Unisolated,
    }
}

/// Refuses a change in the name of files that the registration does not belong to, and one of what was
/// registered by hand, unless it is to be theirs. A person's own change
/// takes it from its files.
fn check_owner(
    (owner, adopt): (Option<&RegistrationOwner>, bool),
    known: Option<&AgentRow>,
) -> Result<(), Problem> {
    let known = known.map(|row| (row, row.owner.as_ref()));
    match (owner, known) {
        (Some(owner), Some((row, None))) if !adopt => Err(Problem::conflict(
            "registration_owner",
            format!(
                "{} was registered by hand, and is not of owner `{owner}`",
                row.agent_id
            ),
        )
        .with_remedy(
            "chancery apply DIR --adopt, where these files are to decide about it from now on",
        )),
        (Some(owner), Some((row, Some(other)))) if owner != other => Err(Problem::conflict(
            "registration_owner",
            format!(
                "{} is of owner `{other}`, and not of owner `{owner}`",
                row.agent_id
            ),
        )
        .with_remedy(format!("chancery apply DIR --owner {other}"))),
        _ => Ok(()),
    }
}

/// Refuses a change that was made for another registration than the one that is there.
pub(crate) fn check_expected(
    expected: Option<ExpectedRegistration>,
    known: Option<&AgentRow>,
    agent_id: &str,
) -> Result<(), Problem> {
    let found = known.map_or(ExpectedRegistration::Absent, |row| {
        ExpectedRegistration::Entry(row.log_index)
    });
    if expected.is_none_or(|expected| expected == found) {
        return Ok(());
    }
    let now = match found {
        ExpectedRegistration::Absent => "is not registered any more".to_owned(),
        ExpectedRegistration::Entry(index) => format!("was registered meanwhile, by entry {index}"),
    };
    Err(
        Problem::conflict("registration_changed", format!("{agent_id} {now}"))
            .with_remedy("look at what it is now and plan again; nothing was changed"),
    )
}

/// The foreign trust domains that a registration names, each once. Whether there is a relation to
/// one is not asked: what is not there is not handed out.
fn named(mut names: Vec<TrustDomain>, own: &TrustDomain) -> Result<Vec<String>, Problem> {
    names.sort();
    names.dedup();
    if names.len() > MAX_FEDERATES_WITH {
        return Err(Problem::bad_request(
            "federates_with",
            format!("an agent federates with {MAX_FEDERATES_WITH} trust domains at most"),
        ));
    }
    if names.contains(own) {
        return Err(Problem::bad_request(
            "federates_with",
            format!("{own} is the agent's own trust domain, whose bundle it always has"),
        ));
    }
    Ok(names.iter().map(ToString::to_string).collect())
}

/// What a registration lets instances start, each agent once. Whether one is registered is asked when it
/// is to be started.
fn spawning(may: MaySpawn, own: &TrustDomain) -> Result<MaySpawn, Problem> {
    let bad = |text: String| Err(Problem::bad_request("may_spawn", text));
    if may.agents.is_empty() || may.agents.len() > MAX_MAY_SPAWN {
        return bad(format!(
            "may_spawn.agents names 1 to {MAX_MAY_SPAWN} agents; leave may_spawn out for none"
        ));
    }
    if let Some(other) = may.agents.iter().find(|agent| agent.trust_domain() != own) {
        return bad(format!(
            "may_spawn.agents: {other} is not of trust domain {own}, and only its agents are started here"
        ));
    }
    let bytes: usize = may.agents.iter().map(|agent| agent.as_str().len()).sum();
    if bytes > MAX_MAY_SPAWN_BYTES {
        return bad(format!(
            "may_spawn.agents has {bytes} bytes, and {MAX_MAY_SPAWN_BYTES} at most: name fewer agents"
        ));
    }
    if !(1..=MAX_AT_ONCE).contains(&may.at_once) {
        return bad(format!("may_spawn.at_once is 1 to {MAX_AT_ONCE}"));
    }
    Ok(may)
}

/// What the registration of an agent lets its instances start.
pub(crate) fn may_spawn(agent: &AgentRow) -> Option<MaySpawn> {
    // What cannot be read lets nothing be started.
    serde_json::from_value(agent.may_spawn.clone()?).ok()
}

pub(super) async fn manifest(
    State(server): State<Arc<Server>>,
    Path(digest): Path<Digest>,
) -> Answer<Manifest> {
    let envelope = server.store.manifest(digest).await.map_err(stored)?;
    let envelope = envelope.ok_or_else(|| {
        Problem::not_found("manifest_unknown", format!("there is no manifest {digest}"))
    })?;
    Ok(Json(Manifest {
        manifest: base64url::encode(envelope),
    }))
}

/// Refuses a process whose executable is not the code that the manifest names: no identity for
/// code that nobody reviewed.
pub(super) fn check_code(
    server: &Server,
    envelope: &[u8],
    evidence: &Evidence,
    now: Timestamp,
) -> Result<(), Problem> {
    let manifest = verify(server, envelope, now)?;
    let reviewed = code(&manifest)?;
    if reviewed.ct_eq(&evidence.executable()) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "code_mismatch",
        format!(
            "the program is {}, the manifest of {} names {reviewed}",
            evidence.executable(),
            manifest.agent_id()
        ),
    )
    .with_remedy("run the reviewed program, or sign and register a manifest for this one"))
}

fn verify(server: &Server, envelope: &[u8], now: Timestamp) -> Result<VerifiedManifest, Problem> {
    let (trust, revoked) = (server.trust(), server.standing().revoked);
    let issuers: Vec<IssuerKey> = trust.manifest_issuers.iter().map(IssuerKey::from).collect();
    let context = ManifestContext {
        now,
        issuers: &issuers,
        revoked: &|name| revoked.has_agent(name),
        verifier: &AwsLc,
    };
    verify_manifest(envelope, &context)
        .map_err(|error| Problem::bad_request("manifest", format!("manifest refused: {error}")))
}

/// The policy bundle that a manifest binds; none where the manifest is not in force any more.
pub(super) fn policy_of(server: &Server, envelope: &[u8], now: Timestamp) -> Option<Digest> {
    let manifest = verify(server, envelope, now).ok()?;
    manifest.policy_bundle()
}

/// The digest of the code: the manifest's container image, which is the program itself where there
/// is no container.
fn code(manifest: &VerifiedManifest) -> Result<Digest, Problem> {
    manifest.container_image().ok_or_else(|| {
        Problem::bad_request(
            "code",
            "the manifest names no code: supply_chain is missing",
        )
    })
}

fn shown(row: AgentRow) -> Agent {
    Agent {
        may_spawn: may_spawn(&row),
        agent_id: row.agent_id,
        manifest_id: row.manifest_id,
        manifest_digest: row.manifest_digest,
        expires_at: row.expires_at,
        federates_with: (row.federates_with.iter())
            .filter_map(|name| name.parse().ok())
            .collect(),
        terms: row.terms,
        owner: row.owner,
        log_index: row.log_index,
    }
}
