//! Instances: opened by the node for an attested process, ended with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{
    EndInstance, Instance, InstanceEvidence, InstanceState, Instances, LaunchedInstance,
    OpenInstance,
};
use chancery_api::signer::Done;
use chancery_attestation::Evidence;
use chancery_audit::{Disclosure, InstanceOpen};
use chancery_crypto::random_id;
use chancery_identity::{AgentId, RegistrationTerms};
use chancery_journal::Subject;
use chancery_store::{AgentRow, InstanceRow, LineageRow, PlacedInstance};
use chancery_types::Timestamp;
use chancery_types::id::{InstanceId, NodeId};
use serde::Deserialize as _;

use super::{Answer, label, random, stored, to_the_end};
use crate::Server;
use crate::spawning::{self, Behalf};

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Instances> {
    let rows = server.store.instances().await.map_err(stored)?;
    let instances = rows.iter().map(shown).collect();
    Ok(Json(Instances { instances }))
}

/// What was attested of an instance, running or not.
pub(super) async fn attested(
    State(server): State<Arc<Server>>,
    Path(id): Path<InstanceId>,
) -> Answer<InstanceEvidence> {
    let row = server.store.instance(id).await.map_err(stored)?;
    let row = row.ok_or_else(|| unknown(id))?;
    Ok(Json(InstanceEvidence {
        evidence: evidence(&row)?,
    }))
}

/// Opens an instance of a registered agent. Its SPIFFE ID follows from what was attested and
/// registered; the process presents none.
pub(super) async fn open(
    State(server): State<Arc<Server>>,
    Json(request): Json<OpenInstance>,
) -> Answer<LaunchedInstance> {
    // Goes on to its end, so that there is no instance that was enrolled and is not stored.
    to_the_end("instance", async move {
        let Json(opened) = open_on(&server, request, None).await?;
        Ok(opened)
    })
    .await
}

/// Opens an instance on a node; without one, on the node of the server's own machine.
pub(super) async fn open_on(
    server: &Server,
    request: OpenInstance,
    node: Option<NodeId>,
) -> Answer<LaunchedInstance> {
    let agent_id: AgentId = request.agent_id.parse().map_err(|_| {
        Problem::bad_request("agent_id", "agent_id is not the SPIFFE ID of an agent")
    })?;
    let Some(parent) = request.parent else {
        let _together = server.registering.read().await;
        if request.terms.outlive {
            let text = "nothing started the instance that it could outlive";
            return Err(Problem::bad_request("outlive_without_parent", text));
        }
        return open_of(
            server,
            agent_id,
            &request,
            (None, Subject::operator()),
            node,
        )
        .await;
    };
    let behalf = Behalf::of(server, parent).await?;
    let person = behalf.and_then(|behalf| behalf.person);
    let _held = match &person {
        Some(person) => Some(server.hold_person(person).await?),
        None => None,
    };
    let subject = person.map_or_else(Subject::operator, Subject::person);
    // Once, and before the turn: whoever waits for it to register would have a second one wait as well.
    let _together = server.registering.read().await;
    // INVARIANT: from the look at the parent to the row of the child, so that no child begins once its
    // parent has ended, and none is one too many.
    let _turn = server.spawning.of(parent).await;
    let terms = &request.terms;
    let parent = server.check_parent(parent, &agent_id, terms, node).await?;
    let opened = open_of(server, agent_id, &request, (Some(&parent), subject), node).await?;
    metrics::counter!("chancery_instances_spawned_total").increment(1);
    Ok(opened)
}

async fn open_of(
    server: &Server,
    agent_id: AgentId,
    request: &OpenInstance,
    (parent, subject): (Option<&InstanceRow>, Subject),
    node: Option<NodeId>,
) -> Answer<LaunchedInstance> {
    let now = server.now()?;
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
    check_attested(&agent.terms, &request.evidence)?;
    let until = spawning::until(&request.terms, now)?;
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
    if parent.is_some() || !request.terms.is_empty() {
        enrol_lineage(server, &row, request, (parent, subject), (node, until)).await?;
    }
    if let Some(node) = node {
        let noted = server.store.put_instance_node(instance_id, node).await;
        noted.map_err(stored)?;
    }
    server.store.put_instance(&row).await.map_err(stored)?;
    server.changed();
    Ok(Json(LaunchedInstance {
        instance_id,
        spiffe_id,
        until,
    }))
}

/// Where an instance comes from, what it is for and until when: enrolled before there is the instance.
async fn enrol_lineage(
    server: &Server,
    row: &InstanceRow,
    request: &OpenInstance,
    (parent, subject): (Option<&InstanceRow>, Subject),
    (node, until): (Option<NodeId>, Option<Timestamp>),
) -> Result<(), Problem> {
    let task = request.terms.task.as_ref();
    let task = task.map(spawning::disclosure).transpose()?;
    let event = InstanceOpen {
        agent: label(&row.agent_id)?,
        instance: label(&row.spiffe_id)?,
        node: label(&server.node_name(node)?)?,
        outlive: request.terms.outlive,
        parent: parent.map(|parent| label(&parent.spiffe_id)).transpose()?,
        task: task.as_ref().map(Disclosure::commitment),
        until,
        launch: request.evidence.launch(),
    };
    let log_index = server.enrol(event).await?;
    let task = task.map(serde_json::to_value).transpose();
    let task = task.map_err(|error| Problem::internal("task", &error))?;
    let lineage = LineageRow {
        instance_id: row.instance_id,
        parent: parent.map(|parent| parent.instance_id),
        outlive: request.terms.outlive,
        until,
        task: task.map(|task| (subject, task)),
        log_index,
    };
    server.store.put_lineage(&lineage).await.map_err(stored)
}

pub(super) async fn end(
    State(server): State<Arc<Server>>,
    Path(id): Path<InstanceId>,
    Json(request): Json<EndInstance>,
) -> Answer<Done> {
    label(&request.reason)?;
    to_the_end("instance", async move {
        let row = server.store.instance(id).await.map_err(stored)?;
        let instance = row.ok_or_else(|| unknown(id))?;
        check_running(&instance)?;
        let ended = server.end_with_descendants(instance, &request.reason);
        ended.await.map(|()| Done {})
    })
    .await
}

impl Server {
    /// The SPIFFE ID of a node; without one, of that on the server's own machine.
    pub(crate) fn node_name(&self, node: Option<NodeId>) -> Result<String, Problem> {
        match node {
            Some(node) => Ok(self.node_spiffe_id(node)?.to_string()),
            None => Ok(format!(
                "spiffe://{}/service/node",
                self.trust().trust_domain
            )),
        }
    }
}

/// The running instance of that id, whose time is not over.
pub(crate) async fn running(server: &Server, id: InstanceId) -> Result<PlacedInstance, Problem> {
    let mut found = server.store.placed(&[id]).await.map_err(stored)?;
    let placed = found.pop().ok_or_else(|| unknown(id))?;
    check_running(&placed.instance)?;
    check_time(&placed, server.now()?)?;
    Ok(placed)
}

/// One that was looked for, where it runs and its time is not over.
pub(super) fn placed_running(
    id: InstanceId,
    found: Option<&PlacedInstance>,
    now: Timestamp,
) -> Result<&PlacedInstance, Problem> {
    let placed = found.ok_or_else(|| unknown(id))?;
    check_running(&placed.instance)?;
    check_time(placed, now)?;
    Ok(placed)
}

pub(super) fn unknown(id: InstanceId) -> Problem {
    Problem::not_found("instance_unknown", format!("there is no instance {id}"))
}

fn check_time(placed: &PlacedInstance, now: Timestamp) -> Result<(), Problem> {
    match placed.until {
        Some(until) if until <= now => Err(Problem::conflict(
            "instance_over",
            format!(
                "the time of instance {} is over",
                placed.instance.instance_id
            ),
        )),
        _ => Ok(()),
    }
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

/// Refuses what was attested with less than the registration requires.
fn check_attested(terms: &RegistrationTerms, evidence: &Evidence) -> Result<(), Problem> {
    let met = terms.check_attested(evidence.level(), evidence.isolation());
    met.map_err(|error| Problem::forbidden(error.code(), error.to_string()))
}

/// What an instance is issued now: by the registration of its agent as it is, and refused where the agent
/// has none or the instance was attested with less than it requires. And what was attested.
pub(super) async fn terms(
    server: &Server,
    instance: &InstanceRow,
) -> Result<(RegistrationTerms, Evidence), Problem> {
    let terms = server.store.terms_of(&[instance.agent_id.as_str()]).await;
    let attested = evidence(instance)?;
    let terms = terms_by(&terms.map_err(stored)?, instance, &attested)?.clone();
    Ok((terms, attested))
}

/// The same, by what is registered of agents, for an instance of which that was attested.
pub(super) fn terms_by<'t>(
    terms: &'t BTreeMap<String, RegistrationTerms>,
    instance: &InstanceRow,
    attested: &Evidence,
) -> Result<&'t RegistrationTerms, Problem> {
    let terms = terms.get(&instance.agent_id).ok_or_else(|| {
        let text = format!("{} is not registered any more", instance.agent_id);
        Problem::forbidden("agent_unknown", text)
    })?;
    check_attested(terms, attested)?;
    Ok(terms)
}

/// Refuses an instance that was attested with less than the registration of its agent requires by now.
pub(crate) fn check_evidence(agent: &AgentRow, instance: &InstanceRow) -> Result<(), Problem> {
    check_attested(&agent.terms, &evidence(instance)?)
}

/// What the node attested of an instance.
pub(super) fn evidence(row: &InstanceRow) -> Result<Evidence, Problem> {
    Evidence::deserialize(&row.evidence).map_err(|error| Problem::internal("evidence", &error))
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
