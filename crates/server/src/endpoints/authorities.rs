//! The authorities of SVIDs and tokens. A change goes on to its end when its asker has gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chancery_api::authority::{
    AuthorityChanged, AuthorityList, CertifyAuthority, ChangeAuthority, PrepareAuthority,
};

use super::{Answer, to_the_end};
use crate::Server;

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<AuthorityList> {
    server.authorities().await.map(Json)
}

pub(super) async fn prepare(
    State(server): State<Arc<Server>>,
    Json(request): Json<PrepareAuthority>,
) -> Answer<AuthorityChanged> {
    to_the_end("authority", async move {
        server.prepare_authority(request).await
    })
    .await
}

pub(super) async fn certify(
    State(server): State<Arc<Server>>,
    Json(request): Json<CertifyAuthority>,
) -> Answer<AuthorityChanged> {
    to_the_end("authority", async move {
        server.certify_authority(request).await
    })
    .await
}

pub(super) async fn activate(
    State(server): State<Arc<Server>>,
    Json(request): Json<ChangeAuthority>,
) -> Answer<AuthorityChanged> {
    to_the_end("authority", async move {
        server.activate_authority(request).await
    })
    .await
}

pub(super) async fn taint(
    State(server): State<Arc<Server>>,
    Json(request): Json<ChangeAuthority>,
) -> Answer<AuthorityChanged> {
    to_the_end(
        "authority",
        async move { server.taint_authority(request).await },
    )
    .await
}

pub(super) async fn revoke(
    State(server): State<Arc<Server>>,
    Json(request): Json<ChangeAuthority>,
) -> Answer<AuthorityChanged> {
    to_the_end("authority", async move {
        server.revoke_authority(request).await
    })
    .await
}
