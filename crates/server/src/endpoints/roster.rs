//! The roster: who is there and who was, for what, on whose behalf and until when.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use chancery_api::Problem;
use chancery_api::server::{InstanceState, Roster, RosterEntry, RosterFilter};
use chancery_audit::Disclosure;
use chancery_journal::Subject;
use chancery_store::{Acting, Kept, RosterQuery, RosterRow};
use chancery_types::id::InstanceId;

use super::instances::unknown;
use super::{Answer, stored};
use crate::Server;
use crate::spawning::Behalf;

const MAX_LIMIT: u64 = 10_000;

/// Most that an instance is told at a time: it may ask for the next page.
const MAX_DESCENDANTS: u64 = 2_000;

/// All instances that the operator asks for.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    Query(filter): Query<RosterFilter>,
) -> Answer<Roster> {
    let person = filter.on_behalf_of;
    let query = RosterQuery {
        acting: person.map(|person| Acting::For(Subject::person(person))),
        ..asked(&server, filter)?
    };
    roster(&server, query, |_| true).await.map(Json)
}

/// What one instance started, and what that started, and so on. Persons of whom that instance was never
/// told are left out, those of roots that its descendants were given themselves: nor does it find anything by
/// naming one.
pub(super) async fn descendants(
    State(server): State<Arc<Server>>,
    Path(id): Path<InstanceId>,
    Query(filter): Query<RosterFilter>,
) -> Answer<Roster> {
    let known = server.store.instance(id).await.map_err(stored)?;
    if known.is_none() {
        return Err(unknown(id));
    }
    let own = Behalf::of(&server, id).await?;
    let person = filter.on_behalf_of.map(|person| person.to_string());
    let query = RosterQuery {
        above: Some(id),
        ..asked(&server, filter)?
    };
    let acting = match (person, &own) {
        (None, _) => None,
        (Some(person), Some(own)) if own.person.as_ref() == Some(&person) => {
            Some(Acting::By(own.held_by))
        }
        _ => {
            return Ok(Json(Roster {
                instances: Vec::new(),
                next: None,
            }));
        }
    };
    let query = RosterQuery {
        acting,
        limit: query.limit.min(MAX_DESCENDANTS),
        ..query
    };
    let own = own.map(|own| own.held_by);
    let told = |behalf: &Behalf| Some(behalf.held_by) == own;
    roster(&server, query, told).await.map(Json)
}

/// What is looked for, but for on whose behalf.
fn asked(server: &Server, filter: RosterFilter) -> Result<RosterQuery, Problem> {
    let limit = filter.limit.unwrap_or(RosterFilter::DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let text = format!("limit is 1 to {MAX_LIMIT}");
        return Err(Problem::bad_request("limit", text));
    }
    let own = server.trust().trust_domain.clone();
    let agent = filter.agent.map(|agent| agent.of(&own)).transpose();
    let agent = agent.map_err(|error| Problem::bad_request("agent_id", error.to_string()))?;
    Ok(RosterQuery {
        agent: agent.map(|agent| agent.to_string()),
        parent: filter.parent,
        running: filter.state.map(|state| state == InstanceState::Running),
        since: filter.since,
        after: filter.after.map(|place| (place.since, place.instance)),
        limit,
        ..RosterQuery::default()
    })
}

async fn roster(
    server: &Server,
    query: RosterQuery,
    told: impl Fn(&Behalf) -> bool,
) -> Result<Roster, Problem> {
    let limit = query.limit;
    let query = RosterQuery {
        limit: limit.saturating_add(1),
        ..query
    };
    // Before the tables are asked: what is here no more then is there.
    let unwritten = server.svid_ends.unwritten();
    let mut rows = server.store.roster(&query).await.map_err(stored)?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    // A root is read once for all who act by it.
    let mut read = HashMap::new();
    let mut instances = Vec::with_capacity(rows.len());
    for mut row in rows {
        let noted = unwritten.get(&row.instance.instance_id).copied();
        row.svid_until = row.svid_until.max(noted);
        let behalf = match row.root.take() {
            None => None,
            Some((held_by, kept)) => Some(match read.get(&held_by) {
                Some(known) => Behalf::clone(known),
                None => {
                    let behalf = Behalf::read(held_by, kept)?;
                    read.insert(held_by, behalf.clone());
                    behalf
                }
            }),
        };
        instances.push(entry(row, behalf.filter(&told))?);
    }
    Ok(Roster {
        next: instances.last().filter(|_| more).map(RosterEntry::place),
        instances,
    })
}

fn entry(row: RosterRow, behalf: Option<Behalf>) -> Result<RosterEntry, Problem> {
    let (task, task_erased) = match row.task {
        None => (None, None),
        Some(Kept::Erased { entry }) => (None, Some(entry)),
        Some(Kept::Value(document)) => {
            let task: Disclosure = serde_json::from_value(document)
                .map_err(|error| Problem::internal("task", &error))?;
            (Some(task.value), None)
        }
    };
    let instance = row.instance;
    Ok(RosterEntry {
        instance_id: instance.instance_id,
        spiffe_id: instance.spiffe_id,
        agent_id: instance.agent_id,
        task,
        task_erased,
        parent: row.parent,
        outlive: row.outlive,
        node: row.node,
        since: instance.opened_at,
        authority_until: behalf.as_ref().and_then(|behalf| behalf.until),
        on_behalf_of: behalf.and_then(|behalf| behalf.person),
        until: row.until,
        svid_until: row.svid_until,
        state: match instance.running {
            true => InstanceState::Running,
            false => InstanceState::Ended,
        },
        ended_at: row.ended_at,
        end_reason: row.end_reason,
    })
}
