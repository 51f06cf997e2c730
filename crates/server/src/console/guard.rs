//! Who may ask for what: every page but four takes a [`Visitor`] by value, everything that changes
//! something a [`Posted`] document, and only requests that hold make them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse as _, Redirect, Response};
use chancery_api::Problem;
use chancery_identity::trust::{Person, Role};
use chancery_types::{Digest, parse_strict};
use http::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Desk;
use super::visits::Visit;

/// Largest document that is posted: a statement with its signature.
const MAX_BODY_BYTES: usize = 32 << 10;

/// Somebody who is signed in, whom the trust document still names with the passkey that they signed in
/// with.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) person: Person,
    visit: Visit,
}

/// A document that a page of the console's own posted.
#[derive(Debug)]
pub(super) struct FromPage<T>(pub(super) T);

/// A document that a form of this visitor's own page posted.
#[derive(Debug)]
pub(super) struct Posted<T> {
    pub(super) visitor: Visitor,
    pub(super) document: T,
}

impl Visitor {
    /// The token of the forms that are sent to `path`.
    pub(super) fn form_token(&self, path: &str) -> Digest {
        self.visit.form_token(path)
    }

    pub(super) fn is_approver(&self) -> bool {
        self.person.roles.contains(&Role::Approver)
    }

    /// Refuses whoever does not answer for others.
    pub(super) fn must_approve(&self) -> Result<(), Problem> {
        match self.is_approver() {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "not_an_approver",
                "the trust document does not name you as an approver",
            )),
        }
    }

    fn find(desk: &Desk, headers: &HeaderMap) -> Result<Self, Problem> {
        let away = || {
            Problem::new(
                http::StatusCode::UNAUTHORIZED,
                "not_signed_in",
                "sign in first",
            )
        };
        let visit = desk
            .cookie_of(headers)
            .and_then(|secret| desk.visits.find(secret, Instant::now()));
        let visit = visit.ok_or_else(away)?;
        desk.server.check_person(&visit.person.to_string())?;
        let trust = desk.server.trust();
        let known = trust.credential(&visit.credential_id);
        let (person, _) = known
            .filter(|(person, _)| person.id == visit.person)
            .ok_or_else(away)?;
        Ok(Self {
            person: person.clone(),
            visit,
        })
    }
}

impl FromRequestParts<Arc<Desk>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Response> {
        Self::find(desk, &parts.headers).map_err(|problem| match parts.method {
            Method::GET => Redirect::to("/sign-in").into_response(),
            _ => problem.into_response(),
        })
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Desk>> for FromPage<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, Problem> {
        check_page(desk, request.headers())?;
        document(read(request).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Desk>> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, desk: &Arc<Desk>) -> Result<Self, Problem> {
        check_page(desk, request.headers())?;
        let visitor = Visitor::find(desk, request.headers())?;
        let token = visitor.form_token(request.uri().path());
        let mut members = read(request).await?;
        let shown = members.remove("token");
        let shown = shown.and_then(|shown| Digest::from_base64url(shown.as_str()?).ok());
        if !shown.is_some_and(|shown| shown.ct_eq(&token)) {
            return Err(Problem::forbidden(
                "form_token",
                "the form is not one of your own visit's; load the page again",
            ));
        }
        Ok(Self {
            visitor,
            document: document(members)?,
        })
    }
}

/// Refuses what another page sent. Browsers say where a request comes from, and no page can say otherwise.
fn check_page(desk: &Desk, headers: &HeaderMap) -> Result<(), Problem> {
    let mut said = headers.get_all(ORIGIN).iter();
    let own = said
        .next()
        .is_some_and(|origin| origin == desk.origin.as_str());
    let site = headers.get("sec-fetch-site");
    if !own || said.next().is_some() || site.is_some_and(|site| site != "same-origin") {
        return Err(Problem::forbidden(
            "foreign_page",
            format!("the request comes from no page of {}", desk.origin),
        ));
    }
    Ok(())
}

async fn read(request: Request) -> Result<Map<String, Value>, Problem> {
    let kind = request.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/json") {
        return Err(malformed("expected a document of application/json"));
    }
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES);
    let body = body.collect().await;
    let body = body.map_err(|_| malformed("the document is too large or broke off"))?;
    match parse_strict(&body.to_bytes()) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(malformed("the document is not a strict JSON object")),
    }
}

fn document<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(members.into()).map_err(|error| malformed(&error.to_string()))
}

fn malformed(message: &str) -> Problem {
    Problem::bad_request("malformed", message)
}

impl Desk {
    /// What the browser shows of its visit; nothing where it shows several.
    pub(super) fn cookie_of<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = self.cookie_name();
        let lines = headers.get_all(COOKIE).iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
        let mut own = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let one = own.next()?;
        own.next().is_none().then_some(one)
    }

    /// Of TLS, with the prefix by which no other host and no plain page sets it.
    pub(super) const fn cookie_name(&self) -> &'static str {
        match self.origin.is_secure() {
            true => "__Host-chancery",
            false => "chancery",
        }
    }

    /// The header that begins a visit in the browser, or ends it.
    pub(super) fn cookie(&self, secret: Option<&str>) -> String {
        let secure = if self.origin.is_secure() {
            "; Secure"
        } else {
            ""
        };
        let age = if secret.is_none() { "; Max-Age=0" } else { "" };
        let name = self.cookie_name();
        let secret = secret.unwrap_or_default();
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{age}")
    }
}
