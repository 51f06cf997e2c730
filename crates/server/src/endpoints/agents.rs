//! Agents: registered by their signed manifest.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{Agent, Agents, Manifest, MaySpawn, RegisterAgent};
use chancery_attestation::Evidence;
use chancery_audit::ManifestRegister;
use chancery_crypto::AwsLc;
use chancery_delegation::manifest::{
    IssuerKey, ManifestContext, VerifiedManifest, verify_manifest,
};
use chancery_identity::TrustDomain;
use chancery_store::AgentRow;
use chancery_types::{Digest, Timestamp, base64url};

use super::{Answer, label, stored};
use crate::Server;

/// Most foreign trust domains that an agent names.
const MAX_FEDERATES_WITH: usize = 32;

/// Most agents whose instances another agent's may start, and most of them at once.
const MAX_MAY_SPAWN: usize = 64;
const MAX_AT_ONCE: u64 = 10_000;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Agents> {
    let rows = server.store.agents().await.map_err(stored)?;
    Ok(Json(Agents {
        agents: rows.into_iter().map(shown).collect(),
    }))
}

/// Registers an agent. The manifest's issuer must be one that the trust document names, and its
/// agent one of this trust domain.
pub(super) async fn register(
    State(server): State<Arc<Server>>,
    Json(request): Json<RegisterAgent>,
) -> Answer<Agent> {
    let now = server.now()?;
    let trust = server.trust();
    let envelope = base64url::decode(&request.manifest)
        .map_err(|_| Problem::bad_request("manifest", "manifest is not base64url"))?;
    let manifest = verify(&server, &envelope, now)?;
    let agent_id = manifest.agent_id();
    if agent_id.trust_domain().as_str() != trust.trust_domain {
        return Err(Problem::forbidden(
            "trust_domain",
            format!("{agent_id} is not of trust domain {}", trust.trust_domain),
        ));
    }
    let code = code(&manifest)?;
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
        code: Some(code),
        federates_with: match federates_with.is_empty() {
            true => None,
            false => Some(
                federates_with
                    .iter()
                    .map(|name| label(name))
                    .collect::<Result<_, _>>()?,
            ),
        },
        may_spawn: (may_spawn.as_ref())
            .map(|may| {
                may.agents
                    .iter()
                    .map(|agent| label(agent.as_str()))
                    .collect()
            })
            .transpose()?,
        spawn_at_once: may_spawn.as_ref().map(|may| may.at_once),
        spawn_outlive: may_spawn.as_ref().map(|may| may.outlive),
    };
    let log_index = server.enrol(event).await?;
    let row = AgentRow {
        agent_id: agent_id.to_string(),
        manifest_id: manifest.manifest_id().to_owned(),
        manifest_digest: manifest.payload_digest(),
        expires_at: manifest.expires_at(),
        federates_with,
        may_spawn: (may_spawn.map(serde_json::to_value).transpose())
            .map_err(|error| Problem::internal("may_spawn", &error))?,
        log_index,
    };
    server
        .store
        .put_agent(&row, &envelope)
        .await
        .map_err(stored)?;
    server.federating.tell();
    Ok(Json(shown(row)))
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
fn spawning(mut may: MaySpawn, own: &TrustDomain) -> Result<MaySpawn, Problem> {
    let bad = |text: String| Err(Problem::bad_request("may_spawn", text));
    may.agents.sort();
    may.agents.dedup();
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
        log_index: row.log_index,
    }
}
