//! Relations to foreign trust domains. A change goes on to its end when its asker has gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use chancery_api::server::{
    AddFederation, FederationEnded, FederationView, Federations, ForeignBundles,
};
use chancery_api::signer::Done;
use chancery_identity::TrustDomain;

use super::{Answer, Known, to_the_end};
use crate::Server;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Federations> {
    server.federations().await.map(Json)
}

pub(super) async fn add(
    State(server): State<Arc<Server>>,
    Json(request): Json<AddFederation>,
) -> Answer<FederationView> {
    to_the_end("federation", async move { server.federate(request).await }).await
}

pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Path(domain): Path<TrustDomain>,
    Json(Done {}): Json<Done>,
) -> Answer<FederationEnded> {
    to_the_end(
        "federation",
        async move { server.end_federation(&domain).await },
    )
    .await
}

/// Fetches now; what was not taken is the refusal.
pub(super) async fn refresh(
    State(server): State<Arc<Server>>,
    Path(domain): Path<TrustDomain>,
    Json(Done {}): Json<Done>,
) -> Answer<FederationView> {
    to_the_end("federation", async move {
        server.fetch(&domain).await?;
        server.federation(&domain).await
    })
    .await
}

/// What a node hands to workloads, once it differs from what the node knows.
pub(super) async fn bundles(
    State(server): State<Arc<Server>>,
    Query(known): Query<Known>,
) -> Answer<ForeignBundles> {
    let bundles = server.foreign_bundles_after(known.state, known.wait_seconds);
    bundles.await.map(Json)
}
