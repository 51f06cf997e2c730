//! Questions that wait for a person, and their answers.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use chancery_api::Problem;
use chancery_api::server::{AnswerApproval, Approval, ApprovalState, ApprovalSubject};
use chancery_delegation::Verdict;
use chancery_types::id::ApprovalId;
use chancery_types::{CanonicalError, Digest, parse_strict_with_floats};
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
    /// How the arguments begin, and how many bytes follow.
    arguments: Shown,
    more: usize,
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
    asked: Asked,
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

/// What the signature covers, as a person is shown it: all of it.
struct Asked {
    tool: Shown,
    arguments: Shown,
    /// The members of the arguments, where they are an object.
    members: Vec<(Shown, Shown)>,
    policies: Shown,
    principal: Shown,
    instance: Shown,
    mission: Shown,
    step: Shown,
    calls: u64,
    sums: Vec<String>,
    trust: u64,
    taint: Shown,
    holds: String,
}

/// One answer as it can be signed.
struct Choice {
    verdict: &'static str,
    label: String,
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
    // The page shows the mission that the signature covers, or none.
    let root = root.filter(|root| root.mission.digest().to_string() == subject.mission_s256);
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
        asked: Asked::new(subject),
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
    let verdicts = [
        (Verdict::Approve, "approve", request.subject.approval()),
        (Verdict::Deny, "deny", "Refuse this".to_owned()),
    ];
    let choice = |(verdict, word, label)| {
        let statement = request.statement(verdict)?;
        Ok(Choice {
            verdict: word,
            label,
            challenge: statement.challenge()?,
            statement: String::from_utf8_lossy(&statement.to_bytes()?).into_owned(),
        })
    };
    verdicts.into_iter().map(choice).collect()
}

impl Page {
    /// Everything on the page that somebody else wrote.
    fn foreign(&self) -> impl Iterator<Item = &Shown> {
        let asked = &self.asked;
        let members = asked.members.iter().flat_map(|(name, value)| [name, value]);
        let texts = [
            &asked.tool,
            &asked.arguments,
            &asked.policies,
            &asked.step,
            &asked.taint,
        ];
        texts.into_iter().chain(members).chain(&self.goal)
    }

    fn is_marked(&self) -> bool {
        self.foreign().any(Shown::is_marked)
    }

    fn is_right_to_left(&self) -> bool {
        self.foreign().any(Shown::is_right_to_left)
    }
}

impl Asked {
    fn new(subject: &ApprovalSubject) -> Self {
        // Without `..`: a member that is not shown is none that people sign.
        let ApprovalSubject {
            instance,
            principal,
            server,
            tool,
            arguments,
            mission_s256,
            step,
            policies,
            session_calls,
            trust,
            taint,
            grant_seconds,
            sums,
        } = subject;
        let sums = sums.iter();
        Self {
            tool: Shown::new(&format!("{server}/{tool}")),
            arguments: Shown::new(arguments),
            members: members(arguments),
            policies: Shown::new(&policies.join(", ")),
            principal: Shown::new(principal),
            instance: Shown::new(instance),
            mission: Shown::new(mission_s256),
            step: Shown::new(step),
            calls: *session_calls,
            sums: sums
                .map(|sum| format!("{} {} of {}", sum.name, sum.total, sum.limit))
                .collect(),
            trust: *trust,
            taint: Shown::new(&taint.join(", ")),
            holds: match grant_seconds {
                None => "for this action, once".to_owned(),
                Some(seconds) => format!("for this tool and resource, {seconds} seconds"),
            },
        }
    }
}

fn line(approval: &Approval) -> Line {
    let (arguments, more) = Shown::beginning(&approval.request.subject.arguments);
    Line {
        id: approval.request.approval_id,
        tool: tool(approval),
        arguments,
        more,
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
    let Ok(Value::Object(members)) = parse_strict_with_floats(arguments.as_bytes()) else {
        return Vec::new();
    };
    let members = members.iter();
    members
        .map(|(name, value)| (Shown::new(name), Shown::new(&value.to_string())))
        .collect()
}
