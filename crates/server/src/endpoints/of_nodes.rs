//! What nodes on other hosts are answered: each of its own instances alone.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use chancery_api::server::{
    ChallengeTpm, EndInstance, IssueJwt, IssueWit, IssueX509, IssueX509s, IssuedRoot, IssuedX509,
    IssuedX509s, JoinNode, JoinedNode, LaunchedInstance, OpenInstance, RenewNode, Roster,
    RosterFilter, TpmChallenge,
};
use chancery_api::signer::{Done, SignedToken};
use chancery_api::{Problem, measured};
use chancery_identity::SpiffeId;
use chancery_types::id::{InstanceId, NodeId};

use super::{
    Answer, Wait, agents, federations, instances, issue, revocations, roots, roster, stored,
    to_the_end, trust,
};
use crate::Server;
use crate::nodes::{NodeConnection, NodeHome};

/// Every endpoint of the node listener: method and path. The first two answer whoever has what admits
/// a node, all others a node that is one.
pub const NODE_ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1/node/tpm"),
    ("POST", "/v1/node/join"),
    ("POST", "/v1/node/renew"),
    ("GET", "/v1/trust"),
    ("GET", "/v1/agents"),
    ("GET", "/v1/manifests/{digest}"),
    ("GET", "/v1/bundles"),
    ("GET", "/v1/withdrawn"),
    ("POST", "/v1/instances"),
    ("POST", "/v1/instances/{id}/end"),
    ("GET", "/v1/instances/{id}/root"),
    ("GET", "/v1/instances/{id}/descendants"),
    ("POST", "/v1/issue/x509"),
    ("POST", "/v1/issue/x509s"),
    ("POST", "/v1/issue/wit"),
    ("POST", "/v1/issue/jwt"),
];

/// Most bytes of a request.
const MAX_BODY_BYTES: usize = 256 << 10;

pub(crate) fn node_router(server: &Arc<Server>) -> Router {
    let nodes = Router::new()
        .route("/v1/node/renew", post(renew))
        .route("/v1/trust", get(trust::show))
        .route("/v1/agents", get(agents::list))
        .route("/v1/manifests/{digest}", get(agents::manifest))
        .route("/v1/bundles", get(federations::bundles))
        .route("/v1/withdrawn", get(revocations::withdrawn))
        .route("/v1/instances", post(open))
        .route("/v1/instances/{id}/end", post(end))
        .route("/v1/instances/{id}/root", get(root))
        .route("/v1/instances/{id}/descendants", get(descendants))
        .route("/v1/issue/x509", post(x509))
        .route("/v1/issue/x509s", post(x509s))
        .route("/v1/issue/wit", post(wit))
        .route("/v1/issue/jwt", post(jwt))
        .route_layer(from_fn_with_state(Arc::clone(server), authorise));
    let joining = Router::new()
        .route("/v1/node/tpm", post(challenge))
        .route("/v1/node/join", post(join));
    measured(nodes.merge(joining))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::clone(server))
}

/// Lets through what a node asks on a connection with its own SVID, as long as it is one. Nothing leaves
/// once it was put out, whenever it was asked for.
async fn authorise(
    State(server): State<Arc<Server>>,
    Extension(connection): Extension<Arc<NodeConnection>>,
    mut request: Request,
    next: Next,
) -> Response {
    let node = match server.node_at(&connection).await {
        Ok(node) => node,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(node);
    let answer = tokio::select! {
        biased;
        () = server.nodes.evicted(node) => None,
        answer = next.run(request) => Some(answer),
    };
    match server.nodes.check(node) {
        Ok(()) => answer.unwrap_or_else(|| Problem::conflict("node", "again").into_response()),
        Err(problem) => problem.into_response(),
    }
}

/// Refuses what is about an instance that is not on the node, whether there is one or not.
async fn own(server: &Server, node: NodeId, id: InstanceId) -> Result<(), Problem> {
    let on = server.store.node_of(id).await.map_err(stored)?;
    own_on(node, id, on)
}

/// The same, where it is known on which node the instance is.
pub(super) fn own_on(node: NodeId, id: InstanceId, on: Option<NodeId>) -> Result<(), Problem> {
    match on {
        Some(on) if on == node => Ok(()),
        _ => Err(Problem::forbidden(
            "other_node",
            format!("instance {id} is not on this node"),
        )),
    }
}

/// Refuses an issuance through a broker: brokers are served by the server's own node alone, and what
/// another host's node says of one nobody has attested.
pub(super) fn no_broker(broker: Option<&SpiffeId>) -> Result<(), Problem> {
    match broker {
        None => Ok(()),
        Some(broker) => Err(Problem::forbidden(
            "node_broker",
            format!("{broker} is no broker on this node: other hosts have none"),
        )),
    }
}

async fn challenge(
    State(server): State<Arc<Server>>,
    Extension(connection): Extension<Arc<NodeConnection>>,
    Json(request): Json<ChallengeTpm>,
) -> Answer<TpmChallenge> {
    server.challenge_tpm(&connection, &request).await.map(Json)
}

async fn join(
    State(server): State<Arc<Server>>,
    Extension(connection): Extension<Arc<NodeConnection>>,
    Extension(home): Extension<NodeHome>,
    Json(request): Json<JoinNode>,
) -> Answer<JoinedNode> {
    // Whoever breaks off has used up what it was admitted by.
    let joining = async move { server.join_node(&connection, &home, request).await };
    to_the_end("node", joining).await
}

async fn renew(
    State(server): State<Arc<Server>>,
    Extension(connection): Extension<Arc<NodeConnection>>,
    Extension(home): Extension<NodeHome>,
    Extension(node): Extension<NodeId>,
    Json(request): Json<RenewNode>,
) -> Answer<JoinedNode> {
    server.nodes.issue(node)?;
    let renewed = server.renew_node(node, &connection, &home, &request);
    renewed.await.map(Json)
}

async fn open(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    Json(request): Json<OpenInstance>,
) -> Answer<LaunchedInstance> {
    // Goes on to its end, so that whoever puts the node out finds the instance.
    let opening = async move {
        let _opening = server.nodes.open(node).await?;
        server.nodes.issue(node)?;
        let _one = server.nodes.counted().await;
        server.check_recent_on(node).await?;
        let opened = instances::open_on(&server, request, Some(node)).await;
        opened.map(|Json(launched)| launched)
    };
    to_the_end("instance", opening).await
}

async fn end(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    Path(id): Path<InstanceId>,
    body: Json<EndInstance>,
) -> Answer<Done> {
    own(&server, node, id).await?;
    instances::end(State(server), Path(id), body).await
}

async fn root(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    Path(id): Path<InstanceId>,
    wait: Query<Wait>,
) -> Answer<Option<IssuedRoot>> {
    own(&server, node, id).await?;
    roots::of_instance(State(server), Path(id), wait).await
}

async fn descendants(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    Path(id): Path<InstanceId>,
    filter: Query<RosterFilter>,
) -> Answer<Roster> {
    own(&server, node, id).await?;
    roster::descendants(State(server), Path(id), filter).await
}

async fn x509(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    body: Json<IssueX509>,
) -> Answer<IssuedX509> {
    own(&server, node, body.instance_id).await?;
    no_broker(body.broker.as_ref())?;
    server.nodes.issue(node)?;
    issue::x509(State(server), body).await
}

/// Several at once; what is not the node's own is refused alone, and each counts before one is looked for.
async fn x509s(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    Json(request): Json<IssueX509s>,
) -> Answer<IssuedX509s> {
    issue::several(&request)?;
    let counted = request
        .requests
        .iter()
        .map(|_| server.nodes.issue(node).err());
    let refusals = counted.collect();
    issue::issue_several(&server, request, refusals, Some(node))
        .await
        .map(Json)
}

async fn wit(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    body: Json<IssueWit>,
) -> Answer<SignedToken> {
    own(&server, node, body.instance_id).await?;
    server.nodes.issue(node)?;
    issue::wit(State(server), body).await
}

async fn jwt(
    State(server): State<Arc<Server>>,
    Extension(node): Extension<NodeId>,
    body: Json<IssueJwt>,
) -> Answer<SignedToken> {
    own(&server, node, body.instance_id).await?;
    no_broker(body.broker.as_ref())?;
    server.nodes.issue(node)?;
    issue::jwt(State(server), body).await
}
