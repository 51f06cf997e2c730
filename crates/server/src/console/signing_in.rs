use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use chancery_api::Problem;
use chancery_crypto::AwsLc;
use chancery_delegation::{Assertion, Credential, verify_assertion};
use chancery_types::Digest;
use chancery_types::id::PersonId;
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::Deserialize;

use super::Desk;
use super::challenges::Purpose;
use super::guard::{FromPage, Posted};
use super::pages::{AsPage, Frame, Sent, page_of};
use crate::endpoints::random;
use crate::passkeys;

#[derive(Template)]
#[template(path = "sign-in.html")]
struct Page<'a> {
    frame: Frame,
    rp_id: &'a str,
    challenge: Digest,
}

/// What signs in: a passkey's signature over the page's challenge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    challenge: Digest,
    assertion: Assertion,
}

/// Nothing: the form says everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignOut {}

pub(super) async fn page(State(desk): State<Arc<Desk>>) -> Result<Response, AsPage> {
    let page = Page {
        frame: desk.frame(None),
        rp_id: desk.origin.rp_id(),
        challenge: desk.challenge(Purpose::SignIn)?,
    };
    Ok(page_of(&page)?)
}

pub(super) async fn sign_in(
    State(desk): State<Arc<Desk>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    FromPage(request): FromPage<SignIn>,
) -> Result<Response, Problem> {
    let signed = signed_by(&desk, &request).await;
    let (person, credential_id) = signed.map_err(|failure| desk.count_failure(peer, failure))?;
    desk.server.check_person(&person.to_string())?;
    // Whoever signs in anew leaves no visit behind that a copy of the cookie could go on with.
    if let Some(earlier) = desk.cookie_of(&headers) {
        desk.visits.end(earlier);
    }
    let begun = desk.visits.begin(person, &credential_id, Instant::now());
    let secret = begun
        .map_err(random)?
        .ok_or_else(|| Problem::unavailable("too_many_visits", "too many people are signed in"))?;
    let cookie = desk.cookie(Some(&secret));
    Ok(([(SET_COOKIE, cookie)], Json(Sent { to: "/" })).into_response())
}

/// Whose passkey signed the challenge, which is used up; and which passkey.
async fn signed_by(desk: &Desk, request: &SignIn) -> Result<(PersonId, String), Problem> {
    let now = desk.server.now()?;
    desk.challenges
        .check(Purpose::SignIn, &request.challenge, now)?;
    let trust = desk.server.trust();
    let known = trust.credential(&request.assertion.credential_id);
    let (person, credential) = known.ok_or_else(|| {
        Problem::forbidden(
            "passkey_unknown",
            "the trust document names nobody with this passkey",
        )
    })?;
    let counter = desk.server.counter(&credential.credential_id).await?;
    // What a person signs in with is a passkey of this console, not one of another origin.
    let expected = Credential {
        rp_id: desk.origin.rp_id(),
        origin: desk.origin.as_str(),
        last_counter: Some(counter.last()),
        ..credential.into()
    };
    let verified = verify_assertion(&request.assertion, &request.challenge, &expected, &AwsLc);
    let verified = verified.map_err(passkeys::refused)?;
    desk.challenges
        .use_up(Purpose::SignIn, &request.challenge, now)?;
    counter.keep(verified.counter()).await?;
    Ok((person.id, credential.credential_id.clone()))
}

pub(super) async fn sign_out(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Posted { .. }: Posted<SignOut>,
) -> Response {
    if let Some(secret) = desk.cookie_of(&headers) {
        desk.visits.end(secret);
    }
    let cookie = desk.cookie(None);
    ([(SET_COOKIE, cookie)], Json(Sent { to: "/sign-in" })).into_response()
}
