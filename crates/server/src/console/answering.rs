//! Questions that wait for a person, and their answers.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chancery_api::Problem;
use chancery_api::server::{AnswerApproval, Approval, ApprovalState};
use chancery_delegation::{ApprovalStatement, Verdict};
use chancery_types::id::ApprovalId;
use chancery_types::{CanonicalError, Digest, parse_strict, to_canonical};
use serde_json::Value;

use super::Desk;
use super::guard::{Posted, Visitor};
use super::pages::{AsPage, Frame, Sent, page_of, time};
use super::shown::{Part, Shown};
use crate::endpoints::approvals;
use crate::endpoints::roots::SessionRoot;

/// Most questions of other times that are listed.
const MOST_ANSWERED: usize = 20;

#[derive(Template)]
#[template(path = "approvals.html")]
struct List {
    frame: Frame,
    waiting: Vec<Line>,
    others: Vec<Line>,
}

/// One question in a list.
struct Line {
    id: ApprovalId,
    tool: Shown,
    arguments: Shown,
    state: &'static str,
    until: String,
}

#[derive(Template)]
#[template(path = "approval.html")]
struct Page {
    frame: Frame,
    approval: Approval,
    path: String,
    token: Digest,
    state: &'static str,
    tool: Shown,
    arguments: Shown,
    /// The members of the arguments, where they are an object.
    members: Vec<(Shown, Shown)>,
    policies: Shown,
    step: Shown,
    until: String,
    is_own: bool,
    root: Option<SessionRoot>,
    goal: Option<Shown>,
    entries: Vec<Shown>,
    /// Other questions of the same session.
    others: Vec<Line>,
    /// What can be signed, where the question waits and this person may answer it.
    choices: Vec<Choice>,
    rp_id: String,
    credentials: String,
}

/// One answer as it can be signed.
struct Choice {
    verdict: &'static str,
    label: &'static str,
    statement: String,
    challenge: Digest,
}

pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
) -> Result<Response, AsPage> {
    visitor.must_approve()?;
    let now = desk.server.now()?;
    let mut all = approvals::all(&desk.server).await?;
    all.iter_mut().for_each(|one| approvals::lapse(one, now));
    let (waiting, others): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|one| one.state == ApprovalState::Pending);
    let page = List {
        frame: desk.frame(Some(&visitor)),
        waiting: waiting.into_iter().map(line).collect(),
        others: others
            .into_iter()
            .rev()
            .take(MOST_ANSWERED)
            .map(line)
            .collect(),
    };
    Ok(page_of(&page)?)
}

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, AsPage> {
    visitor.must_approve()?;
    let server = &desk.server;
    let approval = approvals::load(server, parsed(&id)?).await?;
    let request = &approval.request;
    let subject = &request.subject;
    let root = crate::endpoints::roots::of_session(server, &subject.principal, request.session_id);
    let root = root.await?;
    let mut all = approvals::all(server).await?;
    let now = server.now()?;
    all.retain(|one| {
        one.request.session_id == request.session_id
            && one.request.approval_id != request.approval_id
    });
    all.iter_mut().for_each(|one| approvals::lapse(one, now));
    let named = root
        .as_ref()
        .and_then(|root| root.mission.approver().person());
    let may_answer = approval.state == ApprovalState::Pending
        && named.is_none_or(|named| named == visitor.person.id);
    let choices = match may_answer {
        true => choices(&approval).map_err(|error| Problem::internal("statement", &error))?,
        false => Vec::new(),
    };
    let path = format!("/approvals/{}", request.approval_id);
    let entries = root.iter().flat_map(|root| &root.entries);
    let credentials = visitor.person.credentials.iter();
    let credentials = credentials.filter(|one| one.origin == desk.origin.as_str());
    let credentials: Vec<_> = credentials.map(|one| one.credential_id.as_str()).collect();
    let page = Page {
        frame: desk.frame(Some(&visitor)),
        token: visitor.form_token(&path),
        path,
        state: state(&approval),
        tool: tool(&approval),
        arguments: Shown::new(&subject.arguments),
        members: members(&subject.arguments),
        policies: Shown::new(&subject.policies.join(", ")),
        step: Shown::new(&subject.step),
        until: time(request.expires_at),
        is_own: subject.principal == visitor.person.id.to_string(),
        goal: root.as_ref().map(|root| Shown::new(root.mission.goal())),
        entries: entries
            .map(|entry| Shown::new(&entry.to_string()))
            .collect(),
        others: all.iter().map(line).collect(),
        choices,
        rp_id: desk.origin.rp_id().to_owned(),
        credentials: credentials.join(" "),
        root,
        approval,
    };
    Ok(page_of(&page)?)
}

/// Relays an answer: one that the signed-in person's own passkey signed.
pub(super) async fn answer(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
    posted: Posted<AnswerApproval>,
) -> Result<Json<Sent>, Problem> {
    let visitor = posted.visitor;
    visitor.must_approve()?;
    let signer = &posted.document.assertion.credential_id;
    let mut own = visitor.person.credentials.iter();
    if !own.any(|credential| credential.credential_id == *signer) {
        return Err(Problem::forbidden(
            "not_yours",
            "the passkey is not one of yours",
        ));
    }
    approvals::take(&desk.server, parsed(&id)?, posted.document).await?;
    Ok(Json(Sent { to: "/approvals" }))
}

fn parsed(id: &str) -> Result<ApprovalId, Problem> {
    id.parse()
        .map_err(|_| Problem::not_found("approval_unknown", "there is no such question"))
}

/// The two answers: everything but the verdict is the same.
fn choices(approval: &Approval) -> Result<Vec<Choice>, CanonicalError> {
    let request = &approval.request;
    let display = Digest::of(to_canonical(&request.subject)?);
    let verdicts = [
        (Verdict::Approve, "approve", "Approve exactly this, once"),
        (Verdict::Deny, "deny", "Refuse this"),
    ];
    let choice = |(verdict, word, label)| {
        let statement = ApprovalStatement {
            id: request.approval_id,
            verdict,
            action: request.action_digest,
            display,
            session: request.session_id,
            policy: request.policy_digest,
            expires_at: request.expires_at,
        };
        Ok(Choice {
            verdict: word,
            label,
            challenge: statement.challenge()?,
            statement: String::from_utf8_lossy(&statement.to_bytes()?).into_owned(),
        })
    };
    verdicts.into_iter().map(choice).collect()
}

fn line(approval: &Approval) -> Line {
    Line {
        id: approval.request.approval_id,
        tool: tool(approval),
        arguments: Shown::new(&approval.request.subject.arguments),
        state: state(approval),
        until: time(approval.request.expires_at),
    }
}

fn tool(approval: &Approval) -> Shown {
    let subject = &approval.request.subject;
    Shown::new(&format!("{}/{}", subject.server, subject.tool))
}

const fn state(approval: &Approval) -> &'static str {
    match approval.state {
        ApprovalState::Pending => "waits",
        ApprovalState::Approved => "approved",
        ApprovalState::Denied => "refused",
        ApprovalState::Expired => "expired",
        ApprovalState::Withdrawn => "withdrawn",
    }
}

fn members(arguments: &str) -> Vec<(Shown, Shown)> {
    let Ok(Value::Object(members)) = parse_strict(arguments.as_bytes()) else {
        return Vec::new();
    };
    let members = members.iter().map(|(name, value)| {
        let value = match value {
            Value::String(text) => Shown::new(text),
            other => Shown::new(&other.to_string()),
        };
        (Shown::new(name), value)
    });
    members.collect()
}
