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
use chancery_identity::AgentId;
use chancery_store::{InstanceRow, PlacedInstance};
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
    let row = row.ok_or_else(|| unknown(id))?;
    check_running(&row)?;
    Ok(row)
}

/// One that was looked for, where it runs.
pub(super) fn placed_running(
    id: InstanceId,
    found: Option<&PlacedInstance>,
) -> Result<&PlacedInstance, Problem> {
    let placed = found.ok_or_else(|| unknown(id))?;
    check_running(&placed.instance)?;
    Ok(placed)
}

fn unknown(id: InstanceId) -> Problem {
    Problem::not_found("instance_unknown", format!("there is no instance {id}"))
}

fn check_running(row: &InstanceRow) -> Result<(), Problem> {
    match row.running {
        true => Ok(()),
        false => Err(Problem::conflict(
            "instance_ended",
            format!("instance {} has ended", row.instance_id),
        )),
    }
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
