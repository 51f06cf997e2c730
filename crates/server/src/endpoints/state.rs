//! The state of the server, and the snapshots that gateways work from.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chancery_api::server::ServerStatus;
use chancery_api::snapshot::SignedSnapshot;
use serde::Deserialize;

use super::{Answer, stored};
use crate::Server;

/// Which snapshot the asker has, and how long it waits for another.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    wait_seconds: u64,
}

pub(super) async fn status(State(server): State<Arc<Server>>) -> Answer<ServerStatus> {
    let trust = server.trust();
    let instances = server.store.instances().await.map_err(stored)?;
    let running = instances.iter().filter(|instance| instance.running).count();
    Ok(Json(ServerStatus {
        trust_domain: trust.trust_domain.clone(),
        trust_version: trust.version,
        policy_digest: server.policy()?.digest(),
        epoch: server.standing().epoch,
        log_origin: server.origin.to_string(),
        log_size: server.log_size(),
        agents: server.store.agents().await.map_err(stored)?.len() as u64,
        running_instances: running as u64,
    }))
}

/// A snapshot: a fresh one, or, for who waits, the next that differs from the one it has.
pub(super) async fn snapshot(
    State(server): State<Arc<Server>>,
    Query(asked): Query<After>,
) -> Answer<SignedSnapshot> {
    let wait_seconds = if asked.after == 0 {
        0
    } else {
        asked.wait_seconds
    };
    server.snapshot(asked.after, wait_seconds).await.map(Json)
}
