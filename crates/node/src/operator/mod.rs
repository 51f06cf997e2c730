//! The operator's socket: HTTP/1.1 and JSON, for processes of the node's own user.

mod launch;
mod problem;

use std::future::{Future, IntoFuture as _};
use std::io;
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::routing::{delete, get};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use chancery_api::server::{Roster, RosterFilter};
use chancery_api::{OwnerListener, Problem, measured};
use chancery_types::id::LaunchId;

use crate::process::{Process, ProcessError};
use crate::{IssuerError, Launches};

pub use launch::{LaunchList, LaunchView, RegisterLaunch, RegisteredLaunch};

/// Every endpoint of the operator's socket: method and path. All of them need the node's own user.
pub const OPERATOR_ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/launches"),
    ("POST", "/v1/launches"),
    ("DELETE", "/v1/launches/{id}"),
    ("GET", "/v1/descendants"),
];

/// Who connected.
#[derive(Debug, Clone)]
struct Operator(Arc<Result<Process, ProcessError>>);

impl Connected<IncomingStream<'_, OwnerListener>> for Operator {
    fn connect_info(stream: IncomingStream<'_, OwnerListener>) -> Self {
        Self(Arc::new(Process::of_peer(stream.io())))
    }
}

/// Serves the operator until `shutdown`.
pub(crate) async fn serve(
    listener: OwnerListener,
    launches: Arc<Launches>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/launches", get(list).post(register))
        .route("/v1/launches/{id}", delete(withdraw))
        .route("/v1/descendants", get(descendants));
    let router = measured(router)
        .fallback(async || Problem::not_found("no_such_route", "there is no such route"))
        .with_state(launches);
    axum::serve(
        listener,
        router.into_make_service_with_connect_info::<Operator>(),
    )
    .with_graceful_shutdown(shutdown)
    .into_future()
    .await
}

async fn list(State(launches): State<Arc<Launches>>) -> Json<LaunchList> {
    let launches = launches.list();
    Json(LaunchList {
        launches: launches
            .iter()
            .map(|launch| LaunchView::of(launch))
            .collect(),
    })
}

async fn register(
    State(launches): State<Arc<Launches>>,
    ConnectInfo(Operator(caller)): ConnectInfo<Operator>,
    request: Result<Json<RegisterLaunch>, JsonRejection>,
) -> Result<Json<RegisteredLaunch>, Problem> {
    let Json(request) = request.map_err(|error| {
        Problem::bad_request("bad_launch", error.body_text())
            .with_remedy("send {agent_id, init_pid?, isolated} as application/json")
    })?;
    let caller = match &*caller {
        Ok(caller) => caller.clone(),
        Err(error) => return Err(Problem::forbidden("caller_unknown", error.to_string())),
    };
    // Goes on to its end when its asker has gone: what was opened meanwhile is noted, and then ended.
    let registering = async move { launches.register(caller, request.into()).await };
    let launch = tokio::spawn(registering).await;
    let launch = launch.map_err(|error| Problem::internal("launch", &error))?;
    let launch = launch.map_err(|error| problem::of(&error))?;
    Ok(Json(RegisteredLaunch {
        launch_id: launch.id(),
        instance_id: launch.instance().instance(),
        spiffe_id: launch.instance().clone(),
    }))
}

/// What the caller's own instances started, and what that started, and so on. Who asks is who the kernel
/// names: there is no way to ask for another's.
async fn descendants(
    State(launches): State<Arc<Launches>>,
    ConnectInfo(Operator(caller)): ConnectInfo<Operator>,
    filter: Result<Query<RosterFilter>, QueryRejection>,
) -> Result<Json<Roster>, Problem> {
    let Query(filter) =
        filter.map_err(|error| Problem::bad_request("bad_roster_filter", error.body_text()))?;
    let caller = match &*caller {
        Ok(caller) => caller,
        Err(error) => return Err(Problem::forbidden("caller_unknown", error.to_string())),
    };
    let own = launches.of_caller(caller);
    if own.is_empty() {
        let text = "the caller is no instance, and has started none";
        return Err(Problem::forbidden("not_launched", text)
            .with_remedy("ask the server: chancery roster, outside of `chancery run`"));
    }
    let mut all = Vec::with_capacity(own.len());
    // One at a time on a node, however many of its instances ask.
    let _turn = launches.roster_turn().await;
    for launch in own {
        let roster = launches
            .issuer()
            .descendants(launch.instance(), &filter)
            .await;
        let roster = roster.map_err(|error| match error {
            IssuerError::Refused { reason } => Problem::forbidden(&reason, "refused by the server"),
            IssuerError::Unavailable(error) => {
                Problem::unavailable("issuer_unavailable", error.to_string())
                    .with_remedy("see that the server runs, then ask again")
            }
        })?;
        all.push(roster);
    }
    let limit = filter.limit.unwrap_or(RosterFilter::DEFAULT_LIMIT);
    Ok(Json(Roster::merged(all, limit)))
}

async fn withdraw(
    State(launches): State<Arc<Launches>>,
    Path(id): Path<String>,
) -> Result<Json<LaunchView>, Problem> {
    let id: Option<LaunchId> = id.parse().ok();
    match id.and_then(|id| launches.withdraw(id)) {
        Some(launch) => Ok(Json(LaunchView::of(&launch))),
        None => Err(
            Problem::not_found("no_such_launch", "no launch of that id runs here")
                .with_remedy("GET /v1/launches lists those that run"),
        ),
    }
}
