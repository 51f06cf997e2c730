//! The server's endpoints, one file for each group.

mod agents;
pub(crate) mod approvals;
mod authorities;
mod brokers;
mod consents;
mod enrolments;
mod erasures;
mod federations;
mod instances;
pub(crate) mod introspection;
mod invitations;
mod issue;
mod nodes;
mod of_nodes;
mod policies;
pub(crate) mod revocations;
pub(crate) mod roots;
mod roster;
mod state;
mod trust;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Json, Router};
use chancery_api::Problem;
use chancery_types::Digest;
use serde::Deserialize;

pub use of_nodes::NODE_ROUTES;
pub(crate) use of_nodes::node_router;

use crate::Server;

/// Every endpoint: method and path. All of them need the owner's socket.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/status"),
    ("GET", "/v1/snapshot"),
    ("GET", "/v1/trust"),
    ("POST", "/v1/trust"),
    ("GET", "/v1/agents"),
    ("POST", "/v1/agents"),
    ("POST", "/v1/agents/judge"),
    ("POST", "/v1/agents/retire"),
    ("GET", "/v1/manifests/{digest}"),
    ("GET", "/v1/instances"),
    ("POST", "/v1/instances"),
    ("POST", "/v1/instances/{id}/end"),
    ("GET", "/v1/instances/{id}/evidence"),
    ("GET", "/v1/instances/{id}/root"),
    ("GET", "/v1/instances/{id}/descendants"),
    ("GET", "/v1/roster"),
    ("POST", "/v1/issue/x509"),
    ("POST", "/v1/issue/x509s"),
    ("POST", "/v1/issue/wit"),
    ("POST", "/v1/issue/jwt"),
    ("POST", "/v1/issue/wit-svid"),
    ("POST", "/v1/issue/service"),
    ("POST", "/v1/issue/access"),
    ("POST", "/v1/roots/draft"),
    ("POST", "/v1/roots"),
    ("GET", "/v1/consents"),
    ("POST", "/v1/consents"),
    ("GET", "/v1/consents/{id}"),
    ("POST", "/v1/consents/{id}/root"),
    ("GET", "/v1/approvals"),
    ("POST", "/v1/approvals"),
    ("GET", "/v1/approvals/{id}"),
    ("POST", "/v1/approvals/{id}/answer"),
    ("POST", "/v1/approvals/{id}/withdraw"),
    ("POST", "/v1/invitations"),
    ("POST", "/v1/introspect"),
    ("GET", "/v1/people/{id}"),
    ("GET", "/v1/people/{id}/kept"),
    ("POST", "/v1/people/{id}/erase"),
    ("GET", "/v1/erasures"),
    ("GET", "/v1/federations"),
    ("POST", "/v1/federations"),
    ("POST", "/v1/federations/{domain}/remove"),
    ("POST", "/v1/federations/{domain}/refresh"),
    ("GET", "/v1/bundles"),
    ("GET", "/v1/withdrawn"),
    ("GET", "/v1/nodes"),
    ("POST", "/v1/nodes/tokens"),
    ("POST", "/v1/nodes/authorities"),
    ("POST", "/v1/nodes/authorities/{fingerprint}/remove"),
    ("POST", "/v1/nodes/tpms"),
    ("POST", "/v1/nodes/tpms/{fingerprint}/remove"),
    ("POST", "/v1/nodes/{id}/evict"),
    ("GET", "/v1/brokers"),
    ("POST", "/v1/brokers"),
    ("POST", "/v1/brokers/remove"),
    ("GET", "/v1/revocations"),
    ("POST", "/v1/revocations"),
    ("POST", "/v1/revocations/lift"),
    ("POST", "/v1/epoch"),
    ("GET", "/v1/policies/{digest}"),
    ("POST", "/v1/policies"),
    ("POST", "/v1/checkpoints"),
    ("POST", "/v1/records"),
    ("GET", "/v1/authorities"),
    ("POST", "/v1/authorities/prepare"),
    ("POST", "/v1/authorities/certify"),
    ("POST", "/v1/authorities/activate"),
    ("POST", "/v1/authorities/taint"),
    ("POST", "/v1/authorities/revoke"),
];

pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/status", get(state::status))
        .route("/v1/snapshot", get(state::snapshot))
        .route("/v1/trust", get(trust::show).post(trust::install))
        .route("/v1/agents", get(agents::list).post(agents::register))
        .route("/v1/agents/judge", post(agents::judge))
        .route("/v1/agents/retire", post(agents::retire))
        .route("/v1/manifests/{digest}", get(agents::manifest))
        .route("/v1/instances", get(instances::list).post(instances::open))
        .route("/v1/instances/{id}/end", post(instances::end))
        .route("/v1/instances/{id}/evidence", get(instances::attested))
        .route("/v1/instances/{id}/root", get(roots::of_instance))
        .route("/v1/instances/{id}/descendants", get(roster::descendants))
        .route("/v1/roster", get(roster::list))
        .route("/v1/issue/x509", post(issue::x509))
        .route("/v1/issue/x509s", post(issue::x509s))
        .route("/v1/issue/wit", post(issue::wit))
        .route("/v1/issue/jwt", post(issue::jwt))
        .route("/v1/issue/wit-svid", post(issue::wit_svid))
        .route("/v1/issue/service", post(issue::service))
        .route("/v1/issue/access", post(issue::access))
        .route("/v1/roots/draft", post(roots::draft))
        .route("/v1/roots", post(roots::submit))
        .route("/v1/consents", get(consents::list).post(consents::submit))
        .route("/v1/consents/{id}", get(consents::show))
        .route("/v1/consents/{id}/root", post(consents::root))
        .route("/v1/approvals", get(approvals::list).post(approvals::open))
        .route("/v1/approvals/{id}", get(approvals::show))
        .route("/v1/approvals/{id}/answer", post(approvals::answer))
        .route("/v1/approvals/{id}/withdraw", post(approvals::withdraw))
        .route("/v1/invitations", post(invitations::invite))
        .route("/v1/introspect", post(introspection::introspect))
        .route("/v1/people/{id}", get(introspection::person))
        .route("/v1/people/{id}/kept", get(erasures::kept))
        .route("/v1/people/{id}/erase", post(erasures::erase))
        .route("/v1/erasures", get(erasures::list))
        .route(
            "/v1/federations",
            get(federations::list).post(federations::add),
        )
        .route("/v1/federations/{domain}/remove", post(federations::remove))
        .route(
            "/v1/federations/{domain}/refresh",
            post(federations::refresh),
        )
        .route("/v1/bundles", get(federations::bundles))
        .route("/v1/withdrawn", get(revocations::withdrawn))
        .route("/v1/nodes", get(nodes::list))
        .route("/v1/nodes/tokens", post(nodes::token))
        .route("/v1/nodes/authorities", post(nodes::admit))
        .route(
            "/v1/nodes/authorities/{fingerprint}/remove",
            post(nodes::remove),
        )
        .route("/v1/nodes/tpms", post(nodes::admit_tpm))
        .route(
            "/v1/nodes/tpms/{fingerprint}/remove",
            post(nodes::remove_tpm),
        )
        .route("/v1/nodes/{id}/evict", post(nodes::evict))
        .route("/v1/brokers", get(brokers::list).post(brokers::allow))
        .route("/v1/brokers/remove", post(brokers::remove))
        .route(
            "/v1/revocations",
            get(revocations::list).post(revocations::revoke),
        )
        .route("/v1/revocations/lift", post(revocations::lift))
        .route("/v1/epoch", post(revocations::raise_epoch))
        .route("/v1/policies/{digest}", get(policies::show))
        .route("/v1/policies", post(policies::publish))
        .route("/v1/checkpoints", post(enrolments::checkpoint))
        .route("/v1/records", post(enrolments::record))
        .route("/v1/authorities", get(authorities::list))
        .route("/v1/authorities/prepare", post(authorities::prepare))
        .route("/v1/authorities/certify", post(authorities::certify))
        .route("/v1/authorities/activate", post(authorities::activate))
        .route("/v1/authorities/taint", post(authorities::taint))
        .route("/v1/authorities/revoke", post(authorities::revoke))
        .with_state(server)
}

pub(crate) use agents::{check_expected, may_spawn};
pub(crate) use instances::{check_evidence, running};

type Answer<T> = Result<Json<T>, Problem>;

/// What a change comes to, which goes on to its end when its asker has gone; `what` tells where it broke.
async fn to_the_end<T: Send + 'static>(
    what: &'static str,
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Answer<T> {
    let ended = tokio::spawn(change).await;
    let done = ended.map_err(|error| Problem::internal(what, &error))?;
    done.map(Json)
}

/// What a node knows already, and how long it waits for something else.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    state: Digest,
    #[serde(default)]
    wait_seconds: u64,
}

/// How long a request may wait for what it asks for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wait {
    #[serde(default)]
    wait_seconds: u64,
}

pub(crate) fn stored(error: chancery_store::StoreError) -> Problem {
    Problem::internal("store", &error)
}

/// What was there, and was about a person who was erased.
fn erased(entry: u64) -> Problem {
    let text = format!("erased, with the person it was about, as entry {entry} of the log says");
    Problem::not_found("erased", text)
}

pub(crate) fn random(error: chancery_crypto::RandomError) -> Problem {
    Problem::internal("random", &error)
}

pub(crate) fn label(text: &str) -> Result<chancery_audit::Label, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request("name", "a name is too long or not printable"))
}
