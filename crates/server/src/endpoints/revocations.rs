//! Revocation. A change goes on to its end when its asker has gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chancery_api::Problem;
use chancery_api::server::{
    LiftRevocation, RaiseEpoch, RevocationDone, Revocations, Revoke, WithdrawnIdentities,
};
use chancery_delegation::Revocable;
use chancery_identity::InstanceSpiffeId;
use chancery_types::RevocationKind;

use super::{Answer, Known, stored, to_the_end};
use crate::Server;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Revocations> {
    server.revocations().await.map(Json)
}

pub(super) async fn revoke(
    State(server): State<Arc<Server>>,
    Json(request): Json<Revoke>,
) -> Answer<RevocationDone> {
    let what = request.what.clone();
    let Json(mut done) = revoke_fully(Arc::clone(&server), request.what, request.reason).await?;
    // What could not be looked up is revoked all the same, and nothing is said of it.
    done.unknown = server.knows(&what).await.is_ok_and(|known| !known);
    Ok(Json(done))
}

/// Revokes something, and ends it where it is an instance.
pub(crate) async fn revoke_fully(
    server: Arc<Server>,
    what: Revocable,
    reason: String,
) -> Answer<RevocationDone> {
    to_the_end("revocation", async move {
        let done = server.revoke(what.clone(), &reason).await;
        let since = server.standing().revoked.since(what.kind(), what.id());
        // Also where the tables did not take by whom and why.
        let ended = match what.kind() == RevocationKind::Instance && since.is_some() {
            true => end_instance(&server, &what).await,
            false => Ok(()),
        };
        done.and_then(|done| ended.map(|()| done))
    })
    .await
}

/// Which identities are revoked, once they differ from what a node knows.
pub(super) async fn withdrawn(
    State(server): State<Arc<Server>>,
    Query(known): Query<Known>,
) -> Answer<WithdrawnIdentities> {
    let next = server
        .wait_for(known.wait_seconds, || async {
            server.withdrawn_since(known.state)
        })
        .await?;
    match next {
        Some(next) => Ok(Json(next)),
        None => server.withdrawn_identities().map(Json),
    }
}

pub(super) async fn lift(
    State(server): State<Arc<Server>>,
    Json(request): Json<LiftRevocation>,
) -> Answer<RevocationDone> {
    to_the_end("revocation", async move {
        server.lift(request.signed, &request.reason).await
    })
    .await
}

pub(super) async fn raise_epoch(
    State(server): State<Arc<Server>>,
    Json(request): Json<RaiseEpoch>,
) -> Answer<RevocationDone> {
    to_the_end("revocation", async move {
        server.raise_epoch(&request.reason).await
    })
    .await
}

impl Server {
    /// Ends every instance that is revoked and runs still, as one does whose revocation was enrolled when
    /// the server was killed.
    pub(crate) async fn end_revoked(&self) -> Result<(), Problem> {
        for id in self.withdrawn_identities()?.instances {
            end_instance_of(self, &id).await?;
        }
        Ok(())
    }
}

/// An instance that is revoked is given nothing any more, for good: its revocation is dropped once
/// all that it held is over.
pub(crate) async fn end_instance(server: &Server, what: &Revocable) -> Result<(), Problem> {
    end_instance_of(server, what.id()).await
}

async fn end_instance_of(server: &Server, spiffe_id: &str) -> Result<(), Problem> {
    let Ok(instance) = spiffe_id.parse::<InstanceSpiffeId>() else {
        return Ok(());
    };
    let id = instance.instance();
    let row = server.store.instance(id).await.map_err(stored)?;
    match row.filter(|row| row.running && row.spiffe_id == spiffe_id) {
        Some(row) => server.end_with_descendants(row, "revoked").await,
        None => Ok(()),
    }
}
