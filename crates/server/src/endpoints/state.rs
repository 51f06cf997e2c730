//! The state of the server, and the snapshots that gateways work from.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chancery_api::Problem;
use chancery_api::server::ServerStatus;
use chancery_api::signer::SignSnapshot;
use chancery_api::snapshot::{SignedSnapshot, Snapshot};
use chancery_types::to_canonical;

use super::{Answer, stored};
use crate::Server;

/// The authority epoch of a new deployment.
pub(super) const EPOCH: u64 = 1;

pub(super) async fn status(State(server): State<Arc<Server>>) -> Answer<ServerStatus> {
    let trust = server.trust();
    let instances = server.store.instances().await.map_err(stored)?;
    let running = instances.iter().filter(|instance| instance.running).count();
    Ok(Json(ServerStatus {
        trust_domain: trust.trust_domain.clone(),
        trust_version: trust.version,
        policy_digest: server.policy()?.digest(),
        epoch: EPOCH,
        log_origin: server.origin.to_string(),
        log_size: server.log_size(),
        agents: server.store.agents().await.map_err(stored)?.len() as u64,
        running_instances: running as u64,
    }))
}

/// A fresh snapshot. Its sequence is its time, which never goes back.
pub(super) async fn snapshot(State(server): State<Arc<Server>>) -> Answer<SignedSnapshot> {
    let now = server.now()?;
    let trust = server.trust();
    let snapshot = Snapshot {
        sequence: now.as_micros(),
        issued_at: now,
        trust_version: trust.version,
        trust_digest: trust.digest(),
        policy_digest: server.policy()?.digest(),
        epoch: EPOCH,
        revoked: Vec::new(),
    };
    let canonical = to_canonical(&snapshot).map_err(|e| Problem::internal("snapshot", &e))?;
    let canonical =
        String::from_utf8(canonical).map_err(|error| Problem::internal("snapshot", &error))?;
    let signed = server
        .signer
        .snapshot(&SignSnapshot {
            snapshot: canonical,
        })
        .await
        .map_err(|error| Problem::unavailable("signer", error.to_string()))?;
    Ok(Json(SignedSnapshot {
        snapshot,
        kid: signed.kid,
        signature: signed.signature,
    }))
}
