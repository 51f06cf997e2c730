//! What others hand in for the log: a gateway's checkpoints and Trust Records.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chancery_api::Problem;
use chancery_api::server::{EnrolCheckpoint, EnrolRecord, Enrolled};
use chancery_audit::{CheckpointEnrol, RecordEnrol};
use chancery_crypto::AwsLc;
use chancery_evidence::log::log_keys;
use chancery_evidence::trust_record::VerifiedTrustRecord;
use chancery_tlog::{Note, TreeHash, VerifiedCheckpoint, verify_checkpoint_exact};
use chancery_types::{Digest, base64url};

use super::{Answer, label, stored};
use crate::Server;

/// Enrols a checkpoint of a gateway's log, once it is shown that the log only grew since the last
/// one: a gateway cannot show two histories.
pub(super) async fn checkpoint(
    State(server): State<Arc<Server>>,
    Json(request): Json<EnrolCheckpoint>,
) -> Answer<Enrolled> {
    let refused =
        |reason: &str, error: &dyn std::error::Error| Problem::forbidden(reason, error.to_string());
    let trust = server.trust();
    let origin = request.note.lines().next().unwrap_or_default();
    let known = trust
        .gateway_of_origin(origin)
        .ok_or_else(|| Problem::forbidden("origin", "the trust document names no such log"))?;
    let keys = log_keys(known).map_err(|error| refused("origin", &error))?;
    // What is enrolled is what the log signed, whoever cosigned it.
    let note = Note::parse(request.note.as_bytes())
        .and_then(|note| note.of_log_alone())
        .map_err(|error| refused("checkpoint", &error))?
        .to_string();
    let next = verify_checkpoint_exact(note.as_bytes(), &keys, &AwsLc)
        .map_err(|error| refused("checkpoint", &error))?;
    let place = format!("checkpoint {origin}");
    if let Some(last) = server.store.meta(&place).await.map_err(stored)? {
        let last = verify_checkpoint_exact(last.as_bytes(), &keys, &AwsLc)
            .map_err(|error| Problem::internal("checkpoint", &error))?;
        check_growth(&last, &next, &request)?;
    }
    let event = CheckpointEnrol {
        log: label(origin)?,
        size: next.size(),
        root: next.root().digest(),
        checkpoint: Digest::of(&note),
    };
    let log_index = server.enrol(event).await?;
    server.store.set_meta(&place, &note).await.map_err(stored)?;
    Ok(Json(Enrolled { log_index }))
}

fn check_growth(
    last: &VerifiedCheckpoint,
    next: &VerifiedCheckpoint,
    request: &EnrolCheckpoint,
) -> Result<(), Problem> {
    if request.old_size != last.size() {
        return Err(Problem::conflict("old_size", last.size().to_string()));
    }
    let proof = request
        .consistency
        .iter()
        .map(|hash| base64url::decode_array(hash).map(TreeHash::from_bytes))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::bad_request("consistency", error.to_string()))?;
    next.verify_consistency(last, &proof).map_err(|error| {
        tracing::error!(
            old = last.size(),
            new = next.size(),
            "a gateway's log forked"
        );
        Problem::forbidden("fork", format!("the log is not a continuation: {error}"))
    })
}

/// Enrols a Trust Record that a record signer of the trust document signed; one for each session.
pub(super) async fn record(
    State(server): State<Arc<Server>>,
    Json(request): Json<EnrolRecord>,
) -> Answer<Enrolled> {
    let trust = server.trust();
    let record =
        VerifiedTrustRecord::verify(request.record.as_bytes(), &trust.record_signers, &AwsLc)
            .map_err(|error| Problem::forbidden("record", error.to_string()))?;
    let evidence = record
        .references
        .iter()
        .find(|reference| reference.rel == "evidence-index")
        .ok_or_else(|| Problem::bad_request("record", "no reference to the evidence index"))?;
    if evidence.id != request.session_id.to_string() {
        return Err(Problem::bad_request(
            "session",
            "the record is of another session",
        ));
    }
    if server
        .store
        .record(request.session_id)
        .await
        .map_err(stored)?
        .is_some()
    {
        return Err(Problem::conflict(
            "record_exists",
            "the session has a Trust Record",
        ));
    }
    let signer = Digest::from_base64url(&record.cnf.jwk.kid)
        .map_err(|error| Problem::bad_request("record", error.to_string()))?;
    let event = RecordEnrol {
        session: request.session_id,
        record: record.digest(),
        signer,
        evidence: evidence.digest,
    };
    let log_index = server.enrol(event).await?;
    server
        .store
        .put_record(request.session_id, &request.record, log_index)
        .await
        .map_err(stored)?;
    Ok(Json(Enrolled { log_index }))
}
