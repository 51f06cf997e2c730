//! Invitations: whoever signs the trust document waits for a person's registration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chancery_api::server::{Invite, Invited};

use super::Answer;
use crate::Server;

pub(super) async fn invite(
    State(server): State<Arc<Server>>,
    Json(request): Json<Invite>,
) -> Answer<Invited> {
    server.invite(request).await.map(Json)
}
