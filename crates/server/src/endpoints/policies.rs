//! Policy bundles: signed by a policy signer, checked whole, put in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::Enrolled;
use chancery_audit::PolicyPublish;
use chancery_crypto::AwsLc;
use chancery_policy::SignedBundle;
use chancery_session::Rulebook;
use chancery_store::PolicyRow;
use chancery_types::Digest;

use super::{Answer, label, stored};
use crate::Server;

pub(super) async fn show(
    State(server): State<Arc<Server>>,
    Path(digest): Path<Digest>,
) -> Answer<SignedBundle> {
    let row = server.store.policy(digest).await.map_err(stored)?;
    let row = row.ok_or_else(|| {
        Problem::not_found(
            "policy_unknown",
            format!("there is no policy bundle {digest}"),
        )
    })?;
    Ok(Json(row.bundle))
}

/// Publishes a bundle. Its version only rises; the same bundle again changes nothing.
pub(super) async fn publish(
    State(server): State<Arc<Server>>,
    Json(request): Json<SignedBundle>,
) -> Answer<Enrolled> {
    let bundle = Rulebook::load(&request.to_files())
        .map_err(|error| Problem::bad_request("policy", error.to_string()))?;
    let digest = bundle.digest();
    let _turn = server.publishing.lock().await;
    let current = server.store.current_policy().await.map_err(stored)?;
    if let Some(current) = &current {
        if current.digest == digest {
            return Ok(Json(Enrolled {
                log_index: current.log_index,
            }));
        }
        if bundle.index().version() <= current.version {
            return Err(Problem::conflict(
                "policy_version",
                format!(
                    "version {} is in force; a later bundle has a higher one",
                    current.version
                ),
            )
            .with_remedy("raise \"version\" in bundle.json"));
        }
    }
    let trust = server.trust();
    let signer = request
        .signer(&trust.policy_signers, &AwsLc)
        .ok_or_else(|| {
            Problem::forbidden(
                "policy_signer",
                "no policy signer of the trust document signed",
            )
        })?;
    let event = PolicyPublish {
        name: label(bundle.index().name())?,
        version: bundle.index().version(),
        policy: digest,
        signer: signer.thumbprint(),
        statement: Digest::of(SignedBundle::statement(digest)),
        previous: current.map(|row| row.digest),
    };
    let log_index = server.enrol(event).await?;
    let row = PolicyRow {
        digest,
        bundle: request,
        version: bundle.index().version(),
        log_index,
    };
    server.put_policy(&row, bundle).await?;
    Ok(Json(Enrolled { log_index }))
}
