//! Who may obtain the SVIDs of other workloads. A change goes on to its end when its asker has gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chancery_api::server::{AllowBroker, BrokerChanged, Brokers, RemoveBroker};
use chancery_types::Digest;
use serde::Deserialize;

use super::{Answer, to_the_end};
use crate::Server;

/// What a node knows already.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    #[serde(default)]
    state: Option<Digest>,
    #[serde(default)]
    wait_seconds: u64,
}

pub(super) async fn list(
    State(server): State<Arc<Server>>,
    Query(known): Query<Known>,
) -> Answer<Brokers> {
    let brokers = server.brokers_after(known.state, known.wait_seconds);
    brokers.await.map(Json)
}

pub(super) async fn allow(
    State(server): State<Arc<Server>>,
    Json(request): Json<AllowBroker>,
) -> Answer<BrokerChanged> {
    to_the_end(
        "brokers",
        async move { server.allow_broker(request.rule).await },
    )
    .await
}

pub(super) async fn remove(
    State(server): State<Arc<Server>>,
    Json(request): Json<RemoveBroker>,
) -> Answer<BrokerChanged> {
    to_the_end("brokers", async move {
        server.remove_broker(request.broker).await
    })
    .await
}
