//! Instances: opened by the node for an attested process, ended with it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{
    EndInstance, Instance, InstanceState, Instances, LaunchedInstance, OpenInstance,
};
use chancery_api::signer::Done;
use chancery_attestation::Evidence;
use chancery_audit::IdentityEnd;
use chancery_crypto::random_id;
use chancery_identity::{AgentId, RegistrationTerms};
use chancery_store::InstanceRow;
use chancery_types::id::{InstanceId, NodeId};

use super::{Answer, label, random, stored};
use crate::Server;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Instances> {
    let rows = server.store.instances().await.map_err(stored)?;
    let instances = rows.iter().map(shown).collect();
    Ok(Json(Instances { instances }))
}

/// Opens an instance of a registered agent. Its SPIFFE ID follows from what was attested and
/// registered; the process presents none.
pub(super) async fn open(
    State(server): State<Arc<Server>>,
    Json(request): Json<OpenInstance>,
) -> Answer<LaunchedInstance> {
    open_on(&server, request, None).await
}

/// Opens an instance on a node; without one, on the node of the server's own machine.
pub(super) async fn open_on(
    server: &Server,
    request: OpenInstance,
    node: Option<NodeId>,
) -> Answer<LaunchedInstance> {
    let now = server.now()?;
    let agent_id: AgentId = request.agent_id.parse().map_err(|_| {
        Problem::bad_request("agent_id", "agent_id is not the SPIFFE ID of an agent")
    })?;
    server.check_instance(agent_id.as_str())?;
    let _together = server.registering.read().await;
    let agent = server
        .store
        .agent(agent_id.as_str())
        .await
        .map_err(stored)?
        .ok_or_else(|| {
            Problem::not_found("agent_unknown", format!("{agent_id} is not registered"))
                .with_remedy("chancery agent register MANIFEST")
        })?;
    if agent.expires_at <= now {
        return Err(Problem::forbidden(
            "manifest_expired",
            format!("the manifest of {agent_id} has expired"),
        )
        .with_remedy("make, sign and register a new manifest"));
    }
    let envelope = server
        .store
        .manifest(agent.manifest_digest)
        .await
        .map_err(stored)?
        .ok_or_else(|| Problem::not_found("manifest_unknown", "the manifest is not stored"))?;
    super::agents::check_code(server, &envelope, &request.evidence, now)?;
    check_attested(&agent.terms, &request.evidence)?;
    let instance_id: InstanceId = random_id().map_err(random)?;
    let spiffe_id = agent_id.instance(instance_id).to_string();
    let evidence = serde_json::to_value(&request.evidence)
        .map_err(|error| Problem::internal("evidence", &error))?;
    let row = InstanceRow {
        instance_id,
        agent_id: agent_id.to_string(),
        spiffe_id: spiffe_id.clone(),
        manifest_digest: agent.manifest_digest,
        evidence,
        running: true,
        agent_key: None,
        opened_at: now,
    };
    if let Some(node) = node {
        let noted = server.store.put_instance_node(instance_id, node).await;
        noted.map_err(stored)?;
    }
    server.store.put_instance(&row).await.map_err(stored)?;
    server.changed();
    Ok(Json(LaunchedInstance {
        instance_id,
        spiffe_id,
    }))
}

pub(super) async fn end(
    State(server): State<Arc<Server>>,
    Path(id): Path<InstanceId>,
    Json(request): Json<EndInstance>,
) -> Answer<Done> {
    let instance = running(&server, id).await?;
    let event = IdentityEnd {
        instance: label(&instance.spiffe_id)?,
        reason: label(&request.reason)?,
        credentials: Vec::new(),
        launch: None,
    };
    server.enrol(event).await?;
    let ended = server.store.end_instance(id, server.now()?);
    ended.await.map_err(stored)?;
    server.changed();
    Ok(Json(Done {}))
}

/// The running instance of that id.
pub(crate) async fn running(server: &Server, id: InstanceId) -> Result<InstanceRow, Problem> {
    let row = server.store.instance(id).await.map_err(stored)?;
    let row = row.ok_or_else(|| {
        Problem::not_found("instance_unknown", format!("there is no instance {id}"))
    })?;
    if row.running {
        Ok(row)
    } else {
        Err(Problem::conflict(
            "instance_ended",
            format!("instance {id} has ended"),
        ))
    }
}

/// Refuses what was attested with less than the registration requires.
fn check_attested(terms: &RegistrationTerms, evidence: &Evidence) -> Result<(), Problem> {
    let met = terms.check_attested(evidence.level(), evidence.isolation());
    met.map_err(|error| Problem::forbidden(error.code(), error.to_string()))
}

/// What an instance is issued now: by the registration of its agent as it is, and refused where the agent
/// has none or the instance was attested with less than it requires.
pub(super) async fn terms(
    server: &Server,
    instance: &InstanceRow,
) -> Result<RegistrationTerms, Problem> {
    let agent = server
        .store
        .agent(&instance.agent_id)
        .await
        .map_err(stored)?;
    let agent = agent.ok_or_else(|| {
        let text = format!("{} is not registered any more", instance.agent_id);
        Problem::forbidden("agent_unknown", text)
    })?;
    check_attested(&agent.terms, &evidence(instance)?)?;
    Ok(agent.terms)
}

/// What the node attested of an instance.
pub(super) fn evidence(row: &InstanceRow) -> Result<Evidence, Problem> {
    serde_json::from_value(row.evidence.clone())
        .map_err(|error| Problem::internal("evidence", &error))
}

fn shown(row: &InstanceRow) -> Instance {
    let isolation = row
        .evidence
        .get("isolation")
        .and_then(|value| value.as_str());
    Instance {
        instance_id: row.instance_id,
        spiffe_id: row.spiffe_id.clone(),
        agent_id: row.agent_id.clone(),
        state: if row.running {
            InstanceState::Running
        } else {
            InstanceState::Ended
        },
        has_agent_key: row.agent_key.is_some(),
        opened_at: row.opened_at,
        isolation: isolation.unwrap_or("unisolated").to_owned(),
    }
}
