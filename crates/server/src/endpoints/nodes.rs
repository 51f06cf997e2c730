//! Nodes on other hosts, as the operator sees them. A change goes on to its end when its asker has
//! gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::server::{
    AdmitNodeAuthority, AdmitNodeTpm, EvictNode, NewNodeToken, NodeAuthorityView, NodeEvicted,
    NodeToken, NodeTpmView, Nodes,
};
use chancery_api::signer::Done;
use chancery_types::Digest;
use chancery_types::id::NodeId;

use super::{Answer, to_the_end};
use crate::Server;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Nodes> {
    server.nodes().await.map(Json)
}

pub(super) async fn token(
    State(server): State<Arc<Server>>,
    Json(request): Json<NewNodeToken>,
) -> Answer<NodeToken> {
    server
        .new_node_token(request.lifetime_seconds)
        .await
        .map(Json)
}

pub(super) async fn admit(
    State(server): State<Arc<Server>>,
    Json(request): Json<AdmitNodeAuthority>,
) -> Answer<NodeAuthorityView> {
    server.admit_node_authority(&request).await.map(Json)
}

pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Path(fingerprint): Path<Digest>,
    Json(Done {}): Json<Done>,
) -> Answer<Done> {
    server.remove_node_authority(fingerprint).await?;
    Ok(Json(Done {}))
}

pub(super) async fn admit_tpm(
    State(server): State<Arc<Server>>,
    Json(request): Json<AdmitNodeTpm>,
) -> Answer<NodeTpmView> {
    let admitting = async move { server.admit_node_tpm(&request).await };
    to_the_end("node", admitting).await
}

pub(super) async fn remove_tpm(
    State(server): State<Arc<Server>>,
    Path(tpm): Path<Digest>,
    Json(Done {}): Json<Done>,
) -> Answer<Done> {
    let removing = async move { server.remove_node_tpm(tpm).await.map(|()| Done {}) };
    to_the_end("node", removing).await
}

pub(super) async fn evict(
    State(server): State<Arc<Server>>,
    Path(id): Path<NodeId>,
    Json(request): Json<EvictNode>,
) -> Answer<NodeEvicted> {
    let evicting = async move { server.evict_node(id, &request.reason).await };
    to_the_end("node", evicting).await
}
