//! The trust document in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chancery_api::Problem;
use chancery_api::server::{Enrolled, TrustText};

use super::Answer;
use crate::Server;

pub(super) async fn show(State(server): State<Arc<Server>>) -> Answer<TrustText> {
    let bytes = server
        .trust()
        .signed()
        .to_bytes()
        .map_err(|error| Problem::internal("trust", &error))?;
    let document = String::from_utf8(bytes).map_err(|error| Problem::internal("trust", &error))?;
    Ok(Json(TrustText { document }))
}

/// Installs a later version: signed by a threshold of the roots in force.
pub(super) async fn install(
    State(server): State<Arc<Server>>,
    Json(request): Json<TrustText>,
) -> Answer<Enrolled> {
    let log_index = server.install(&request.document).await?;
    Ok(Json(Enrolled { log_index }))
}
