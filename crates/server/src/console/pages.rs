//! What all pages share: how they are made, the style sheet, the script, and what is said where there is
//! no page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use chancery_api::Problem;
use chancery_types::id::PersonId;
use chancery_types::{Digest, Timestamp};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use super::Desk;
use super::guard::Visitor;
use super::shown::{Part, Shown};

const STYLE: &str = include_str!("../../assets/console.css");
const SCRIPT: &str = include_str!("../../assets/console.js");

/// Where the browser goes once something was done.
#[derive(Debug, Serialize)]
pub(super) struct Sent {
    pub(super) to: &'static str,
}

/// What stands around every page.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) trust_domain: String,
    pub(super) menu: Option<Menu>,
}

/// What a signed-in person can go to.
#[derive(Debug)]
pub(super) struct Menu {
    pub(super) person: PersonId,
    pub(super) is_approver: bool,
    pub(super) sign_out: Digest,
}

impl Desk {
    pub(super) fn frame(&self, visitor: Option<&Visitor>) -> Frame {
        Frame {
            trust_domain: self.server.trust().trust_domain.clone(),
            menu: visitor.map(|visitor| Menu {
                person: visitor.person.id,
                is_approver: visitor.is_approver(),
                sign_out: visitor.form_token("/sign-out"),
            }),
        }
    }
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    frame: Frame,
    problem: &'a Problem,
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage<'a> {
    frame: Frame,
    digest: Digest,
    files: Vec<(&'a str, Shown)>,
}

/// A page, escaped by its template.
pub(super) fn page_of(page: &impl Template) -> Result<Response, Problem> {
    let text = page.render();
    let text = text.map_err(|error| Problem::internal("page", &error))?;
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response())
}

/// A refusal as a page.
pub(super) struct AsPage(Problem);

impl From<Problem> for AsPage {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for AsPage {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let page = Refused {
            frame: Frame::default(),
            problem: &self.0,
        };
        match page_of(&page) {
            Ok(page) => (status, page).into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

/// A time as people read it: to the second.
pub(super) fn time(at: Timestamp) -> String {
    let text = Timestamp::from_seconds(at.as_seconds()).to_string();
    let text = text
        .trim_end_matches('Z')
        .split('.')
        .next()
        .unwrap_or_default()
        .replace('T', " ");
    format!("{text} UTC")
}

pub(super) async fn home(visitor: Visitor) -> Redirect {
    Redirect::to(match visitor.is_approver() {
        true => "/approvals",
        false => "/authority",
    })
}

pub(super) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

pub(super) async fn nothing() -> AsPage {
    AsPage(Problem::not_found("no_page", "there is no such page"))
}

/// The policy bundle in force, as it was published.
pub(super) async fn policy(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
) -> Result<Response, AsPage> {
    let digest = desk.server.policy()?.digest();
    let row = desk.server.store.policy(digest).await;
    let row = row.map_err(crate::endpoints::stored)?;
    let row = row.ok_or_else(|| Problem::not_found("policy_unknown", "no bundle is published"))?;
    let files = row.bundle.to_files();
    let page = PolicyPage {
        frame: desk.frame(Some(&visitor)),
        digest,
        files: (files.iter())
            .map(|(name, bytes)| (name.as_str(), Shown::new(&String::from_utf8_lossy(bytes))))
            .collect(),
    };
    Ok(page_of(&page)?)
}
