//! The operator's socket: HTTP/1.1 and JSON, for processes of the gateway's own user. It needs no server, so
//! that a person can stop what runs whatever else is down.

use std::future::{Future, IntoFuture as _};
use std::io;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use chancery_api::gateway::{
    BrakeChanged, BrakeOrder, Brakes, ObserveChanged, OperatorSession, OperatorSessions, SetBrake,
};
use chancery_api::{OwnerListener, Problem, measured};
use http::StatusCode;

use crate::enforcement::Enforcement;

/// Serves the operator until `shutdown`.
pub(crate) async fn serve(
    listener: OwnerListener,
    enforcement: Arc<Enforcement>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/sessions", get(sessions))
        .route("/v1/sessions/{session}", get(session))
        .route("/v1/sessions/{session}/observe", post(observe))
        .route("/v1/sessions/{session}/enforce", post(enforce))
        .route("/v1/brakes", get(brakes).post(set_brake))
        .route("/v1/brakes/release", post(release_brake));
    let router = measured(router)
        .fallback(async || Problem::not_found("no_such_route", "there is no such route"))
        .with_state(enforcement);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .into_future()
        .await
}

async fn sessions(State(enforcement): State<Arc<Enforcement>>) -> Json<OperatorSessions> {
    Json(enforcement.operator_sessions().await)
}

async fn session(
    State(enforcement): State<Arc<Enforcement>>,
    Path(session): Path<String>,
) -> Result<Json<OperatorSession>, Problem> {
    let session = session.parse().map_err(|_| problem("session_unknown"))?;
    let view = enforcement.operator_session(session).await;
    view.map(Json).map_err(problem)
}

async fn observe(
    State(enforcement): State<Arc<Enforcement>>,
    Path(session): Path<String>,
) -> Result<Json<ObserveChanged>, Problem> {
    change_observed(enforcement, &session, true).await
}

async fn enforce(
    State(enforcement): State<Arc<Enforcement>>,
    Path(session): Path<String>,
) -> Result<Json<ObserveChanged>, Problem> {
    change_observed(enforcement, &session, false).await
}

async fn change_observed(
    enforcement: Arc<Enforcement>,
    session: &str,
    observed: bool,
) -> Result<Json<ObserveChanged>, Problem> {
    let session = session.parse().map_err(|_| problem("session_unknown"))?;
    // Goes on to its end when its asker has gone.
    let changing =
        tokio::spawn(async move { enforcement.observe_session(session, observed).await });
    let changed = changing
        .await
        .map_err(|error| Problem::internal("observe", &error))?;
    changed.map(Json).map_err(problem)
}

async fn brakes(State(enforcement): State<Arc<Enforcement>>) -> Json<Brakes> {
    Json(enforcement.brakes())
}

async fn set_brake(
    State(enforcement): State<Arc<Enforcement>>,
    request: Result<Json<SetBrake>, JsonRejection>,
) -> Result<Json<BrakeChanged>, Problem> {
    let Json(request) = request.map_err(|error| {
        Problem::bad_request("bad_brake", error.body_text())
            .with_remedy("send {on, name, mode} as application/json")
    })?;
    // Goes on to its end when its asker has gone.
    let setting = tokio::spawn(async move { enforcement.set_brake(request).await });
    let changed = setting
        .await
        .map_err(|error| Problem::internal("brake", &error))?;
    changed.map(Json).map_err(problem)
}

async fn release_brake(
    State(enforcement): State<Arc<Enforcement>>,
    request: Result<Json<BrakeOrder>, JsonRejection>,
) -> Result<Json<BrakeChanged>, Problem> {
    let Json(request) = request.map_err(|error| {
        Problem::bad_request("bad_brake", error.body_text())
            .with_remedy("send {on, name} as application/json")
    })?;
    let changed = enforcement.release_brake(request).await;
    changed.map(Json).map_err(problem)
}

fn problem(code: &'static str) -> Problem {
    match code {
        "session_unknown" => Problem::not_found(code, "no open session of that id is here")
            .with_remedy("GET /v1/sessions lists those that are open"),
        "observe_not_offered" => Problem::new(
            StatusCode::CONFLICT,
            code,
            "the policy bundle in force lets no session be observed",
        )
        .with_remedy(
            "publish a bundle whose session.json has \"observe\": {\"named_sessions\": true}",
        ),
        "observed_already" => {
            Problem::new(StatusCode::CONFLICT, code, "the session is observed already")
        }
        "observe_unknown" => {
            Problem::not_found(code, "no operator has this session observed")
                .with_remedy("GET /v1/sessions shows which are")
        }
        "snapshot_missing" => Problem::unavailable(code, "the gateway has no policy yet"),
        "brake_unknown" => Problem::not_found(code, "there is no such brake")
            .with_remedy("GET /v1/brakes lists those in force"),
        "brake_kills" => Problem::new(
            StatusCode::CONFLICT,
            code,
            "what was killed is not released",
        ),
        "brake_name" => Problem::bad_request(code, "no brake of that kind has such a name")
            .with_remedy("name a session id, the SPIFFE ID of an agent or instance, server/tool, or `everywhere`"),
        "too_many_brakes" => Problem::new(
            StatusCode::CONFLICT,
            code,
            "so many brakes are in force that no further one is taken",
        )
        .with_remedy("release some, or pause everywhere"),
        _ => Problem::unavailable(code, "the log takes no entries"),
    }
}
