//! Requests for a person's approval: opened by a gateway, answered by a person, relayed here.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use chancery_api::Problem;
use chancery_api::server::{AnswerApproval, Approval, ApprovalState, Approvals, OpenApproval};
use chancery_api::signer::Done;
use chancery_audit::{ApprovalAnswer, Verdict};
use chancery_crypto::AwsLc;
use chancery_delegation::{
    Answer as PersonAnswer, ApprovalError, ApprovalStatement, Credential, verify_approval,
};
use chancery_identity::trust::Role;
use chancery_journal::Subject;
use chancery_store::{AnswerRow, ApprovalRow, Kept};
use chancery_types::id::ApprovalId;
use chancery_types::{Digest, Timestamp, to_canonical};
use serde_json::Value;

use super::{Answer, Wait, erased, roots, stored};
use crate::{Server, passkeys};

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Approvals> {
    let approvals = all(&server).await?;
    Ok(Json(Approvals { approvals }))
}

/// Every request that was not erased, oldest first, as it was stored.
pub(crate) async fn all(server: &Server) -> Result<Vec<Approval>, Problem> {
    let documents = server.store.approvals().await.map_err(stored)?;
    documents.into_iter().map(read).collect()
}

pub(super) async fn show(
    State(server): State<Arc<Server>>,
    Path(id): Path<ApprovalId>,
    Query(wait): Query<Wait>,
) -> Answer<Approval> {
    let answered = server
        .wait_for(wait.wait_seconds, || async {
            let approval = load(&server, id).await?;
            Ok((approval.state != ApprovalState::Pending).then_some(approval))
        })
        .await?;
    match answered {
        Some(approval) => Ok(Json(approval)),
        None => load(&server, id).await.map(Json),
    }
}

pub(super) async fn open(
    State(server): State<Arc<Server>>,
    Json(request): Json<OpenApproval>,
) -> Answer<Done> {
    let approval = Approval {
        request,
        state: ApprovalState::Pending,
        statement: None,
        assertion: None,
    };
    let row = ApprovalRow {
        approval_id: approval.request.approval_id,
        subject: whose(&approval),
        opened_at: server.now()?,
        document: document(&approval)?,
    };
    if !server.store.put_approval(&row).await.map_err(stored)? {
        return Err(Problem::conflict(
            "approval_exists",
            "the request exists already",
        ));
    }
    server.changed();
    Ok(Json(Done {}))
}

pub(super) async fn answer(
    State(server): State<Arc<Server>>,
    Path(id): Path<ApprovalId>,
    Json(request): Json<AnswerApproval>,
) -> Answer<Done> {
    take(&server, id, request).await?;
    Ok(Json(Done {}))
}

/// Takes a person's answer. It is verified here so that a wrong one is told at once, and by the counter
/// that the server keeps; the gateway verifies it again and believes nobody.
pub(crate) async fn take(
    server: &Server,
    id: ApprovalId,
    request: AnswerApproval,
) -> Result<(), Problem> {
    let now = server.now()?;
    let mut approval = load(server, id).await?;
    if approval.state == ApprovalState::Withdrawn {
        return Err(Problem::conflict(
            "approval_withdrawn",
            "the request was withdrawn: its session or its instance has gone",
        ));
    }
    if approval.state != ApprovalState::Pending {
        return Err(Problem::conflict(
            "approval_answered",
            "the request was answered already",
        ));
    }
    if approval.request.expires_at <= now {
        return Err(Problem::conflict(
            "approval_expired",
            "the request has expired",
        ));
    }
    let refused = |message: &str| Problem::forbidden("approval", message.to_owned());
    let bytes = to_canonical(&request.statement).map_err(|_| refused("not a statement"))?;
    let statement = ApprovalStatement::parse(&bytes).map_err(|e| refused(&e.to_string()))?;
    let display = approval.request.subject.digest();
    let display = display.map_err(|error| Problem::internal("display", &error))?;
    let same = statement.id == id
        && statement.action == approval.request.action_digest
        && statement.display == display
        && statement.session == approval.request.session_id
        && statement.policy == approval.request.policy_digest
        && statement.expires_at <= approval.request.expires_at;
    if !same {
        return Err(Problem::forbidden(
            "approval_mismatch",
            "the statement is about something else",
        ));
    }
    let trust = server.trust();
    let (person, credential) = trust
        .credential(&request.assertion.credential_id)
        .filter(|(person, _)| person.roles.contains(&Role::Approver))
        .ok_or_else(|| refused("the trust document names no approver with this credential"))?;
    let principal = &approval.request.subject.principal;
    let root = roots::of_session(server, principal, approval.request.session_id).await?;
    let named = root.and_then(|root| root.mission.approver().person());
    if named.is_some_and(|named| named != person.id) {
        return Err(Problem::forbidden(
            "approval_other_person",
            "the mission names another person as its approver",
        ));
    }
    let _held = server.hold_person(&person.id.to_string()).await?;
    let expires = statement.expires_at;
    let counter = server.counter(&credential.credential_id).await?;
    let known = Credential {
        last_counter: Some(counter.last()),
        ..credential.into()
    };
    let answer = verify_approval(statement, &request.assertion, &known, now, &AwsLc);
    let answer = answer.map_err(|error| match error {
        ApprovalError::Assertion(error) => passkeys::refused(error),
        ApprovalError::Expired => Problem::forbidden("approval_expired", error.to_string()),
        error => refused(&error.to_string()),
    })?;
    counter.keep(answer.assertion().counter()).await?;
    let (state, verdict) = match answer {
        PersonAnswer::Approved(_) => (ApprovalState::Approved, Verdict::Approve),
        PersonAnswer::Denied(_) => (ApprovalState::Denied, Verdict::Deny),
    };
    let signed = to_canonical(&request).map_err(|error| Problem::internal("answer", &error))?;
    let event = ApprovalAnswer {
        approval: id,
        session: approval.request.session_id,
        action: approval.request.action_digest,
        displayed: display,
        policy: approval.request.policy_digest,
        verdict,
        approver: person.id,
        answer: Digest::of(signed),
        expires,
    };
    server.enrol(event).await?;
    approval.state = state;
    let signed = serde_json::to_value(&request);
    let signed = signed.map_err(|error| Problem::internal("answer", &error))?;
    let row = AnswerRow {
        subject: whose(&approval),
        document: document(&approval)?,
        answer: Some((Subject::person(person.id), signed)),
    };
    let stored_now = server.store.answer_approval(id, &row).await;
    let stored_now = stored_now.map_err(stored)?;
    if !stored_now {
        return Err(Problem::conflict(
            "approval_answered",
            "the request was answered already",
        ));
    }
    server.changed();
    Ok(())
}

/// The gateway needs no answer any more. What was answered or withdrawn before stays as it is.
pub(super) async fn withdraw(
    State(server): State<Arc<Server>>,
    Path(id): Path<ApprovalId>,
    Json(Done {}): Json<Done>,
) -> Answer<Done> {
    let mut approval = load(&server, id).await?;
    if approval.state == ApprovalState::Pending {
        approval.state = ApprovalState::Withdrawn;
        let row = AnswerRow {
            subject: whose(&approval),
            document: document(&approval)?,
            answer: None,
        };
        let kept = server.store.answer_approval(id, &row).await;
        kept.map_err(stored)?;
        server.changed();
    }
    Ok(Json(Done {}))
}

pub(crate) async fn load(server: &Server, id: ApprovalId) -> Result<Approval, Problem> {
    let found = server.store.approval(id).await.map_err(stored)?;
    let found = found.ok_or_else(|| {
        Problem::not_found("approval_unknown", format!("there is no request {id}"))
    })?;
    let found = match found {
        Kept::Value(found) => found,
        Kept::Erased { entry } => return Err(erased(entry)),
    };
    let mut approval = read(found)?;
    lapse(&mut approval, server.now()?);
    Ok(approval)
}

/// A question that nobody answered in time has expired, whatever was stored.
pub(crate) fn lapse(approval: &mut Approval, now: Timestamp) {
    if approval.state == ApprovalState::Pending && approval.request.expires_at <= now {
        approval.state = ApprovalState::Expired;
    }
}

/// The person on whose behalf the action is wanted.
fn whose(approval: &Approval) -> Subject {
    Subject::person(&approval.request.subject.principal)
}

fn read(document: Value) -> Result<Approval, Problem> {
    serde_json::from_value(document).map_err(|error| Problem::internal("approval", &error))
}

fn document(approval: &Approval) -> Result<Value, Problem> {
    serde_json::to_value(approval).map_err(|error| Problem::internal("approval", &error))
}
