//! Policy bundles: signed by a policy signer, checked whole, put in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::Enrolled;
use chancery_audit::PolicyPublish;
use chancery_crypto::AwsLc;
use chancery_identity::trust::PolicySignersError;
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

/// Most signatures of one bundle.
const MAX_APPROVALS: usize = 64;

/// Publishes a bundle that enough policy signers signed. Its version only rises; the same bundle again
/// changes nothing, unless further people signed it.
pub(super) async fn publish(
    State(server): State<Arc<Server>>,
    Json(request): Json<SignedBundle>,
) -> Answer<Enrolled> {
    let bundle = Rulebook::load(&request.to_files())
        .map_err(|error| Problem::bad_request("policy", error.to_string()))?;
    let digest = bundle.digest();
    if request.approvals.len() > MAX_APPROVALS {
        return Err(Problem::bad_request(
            "policy",
            format!("more than {MAX_APPROVALS} signatures"),
        ));
    }
    let _turn = server.publishing.lock().await;
    let trust = server.trust();
    let current = server.store.current_policy().await.map_err(stored)?;
    let same = current.as_ref().filter(|current| current.digest == digest);
    let mut signatures = request.signatures();
    signatures.extend(same.iter().flat_map(|same| same.bundle.signatures()));
    let known = &trust.policy_signers;
    let request = SignedBundle::gathered(request.files, &signatures, known, &AwsLc);
    let request = request.ok_or_else(|| refused(PolicySignersError::Nobody))?;
    let signers = request.signers(known, &AwsLc);
    let [signer, cosigners @ ..] = signers.as_slice() else {
        return Err(refused(PolicySignersError::Nobody));
    };
    trust
        .check_policy_signers(signers.iter().copied())
        .map_err(refused)?;
    if let Some(current) = &current {
        let known = current.bundle.signers(known, &AwsLc);
        if current.digest == digest && signers.iter().all(|one| known.contains(one)) {
            return Ok(Json(Enrolled {
                log_index: current.log_index,
            }));
        }
        if current.digest != digest && bundle.index().version() <= current.version {
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
    let others: Vec<Digest> = cosigners.iter().map(|key| key.thumbprint()).collect();
    let event = PolicyPublish {
        name: label(bundle.index().name())?,
        version: bundle.index().version(),
        policy: digest,
        signer: signer.thumbprint(),
        statement: Digest::of(SignedBundle::statement(digest)),
        previous: current.map(|row| row.digest),
        cosigners: (!others.is_empty()).then_some(others),
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

fn refused(error: PolicySignersError) -> Problem {
    Problem::forbidden(error.code(), error.to_string())
}
