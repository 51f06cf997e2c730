use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use chancery_api::Problem;
use chancery_api::server::RegisteredPasskey;
use chancery_crypto::{AwsLc, random_bytes};
use chancery_delegation::{Registration, verify_registration};
use chancery_types::{Digest, base64url};
use serde::Deserialize;

use super::Desk;
use super::challenges::Purpose;
use super::guard::FromPage;
use super::pages::{AsPage, Frame, Sent, page_of};
use crate::endpoints::random;
use crate::passkeys;

/// How long whoever invited is given to sign the trust document.
const PATIENCE_SECONDS: u64 = 30;

#[derive(Template)]
#[template(path = "enrol.html")]
struct Page<'a> {
    frame: Frame,
    rp_id: &'a str,
    challenge: Digest,
    /// What the authenticator keeps in the place of a name: random, so that it says nothing.
    user: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrol {
    code: String,
    challenge: Digest,
    registration: Registration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneTimeCode {
    code: String,
}

pub(super) async fn page(State(desk): State<Arc<Desk>>) -> Result<Response, AsPage> {
    let page = Page {
        frame: desk.frame(None),
        rp_id: desk.origin.rp_id(),
        challenge: desk.challenge(Purpose::Enrol)?,
        user: base64url::encode(random_bytes::<16>().map_err(random)?),
    };
    Ok(page_of(&page)?)
}

/// Whether somebody waits for a one-time code: asked before a passkey is made, which would otherwise stay in
/// the authenticator and be offered at the next sign-in.
pub(super) async fn code(
    State(desk): State<Arc<Desk>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    FromPage(request): FromPage<OneTimeCode>,
) -> Result<StatusCode, Problem> {
    let found = open(&desk, &request.code);
    found.map_err(|failure| desk.count_failure(peer, failure))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hands a passkey to whoever invited, and waits until the trust document names it.
pub(super) async fn enrol(
    State(desk): State<Arc<Desk>>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    FromPage(request): FromPage<Enrol>,
) -> Result<Json<Sent>, Problem> {
    let handed = hand_on(&desk, request).await;
    let credential_id = handed.map_err(|failure| desk.count_failure(peer, failure))?;
    let server = &desk.server;
    server.changed();
    let is_known = || server.trust().credential(&credential_id).is_some();
    let named = server.wait_for(PATIENCE_SECONDS, || async { Ok(is_known().then_some(())) });
    match named.await? {
        Some(()) => Ok(Json(Sent { to: "/sign-in" })),
        None => Err(Problem::unavailable(
            "invitation_unanswered",
            "whoever invited you did not put the passkey into the trust document",
        )),
    }
}

/// Hands a passkey to whoever waits for its one-time code: its id.
async fn hand_on(desk: &Desk, request: Enrol) -> Result<String, Problem> {
    let (server, now) = (&desk.server, desk.server.now()?);
    desk.challenges
        .check(Purpose::Enrol, &request.challenge, now)?;
    let code = open(desk, &request.code)?;
    let (rp_id, origin) = (desk.origin.rp_id(), desk.origin.as_str());
    let (challenge, registration) = (request.challenge, request.registration);
    let made = verify_registration(&registration, &challenge, rp_id, origin, &AwsLc);
    let made = made.map_err(passkeys::not_registered)?;
    if server.trust().credential(made.credential_id()).is_some() {
        return Err(Problem::conflict(
            "passkey_enrolled",
            "the trust document names this passkey already",
        ));
    }
    desk.challenges.use_up(Purpose::Enrol, &challenge, now)?;
    server
        .counter(made.credential_id())
        .await?
        .keep(made.counter())
        .await?;
    let registered = RegisteredPasskey {
        registration,
        challenge,
        rp_id: rp_id.to_owned(),
        origin: origin.to_owned(),
    };
    if !server.inviting.answer(code, registered) {
        return Err(unknown());
    }
    Ok(made.credential_id().to_owned())
}

/// The digest of a one-time code that somebody waits for.
fn open(desk: &Desk, code: &str) -> Result<Digest, Problem> {
    let code = Digest::of(code.trim().to_ascii_lowercase());
    let is_open = desk.server.inviting.is_open(code);
    is_open.then_some(code).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::forbidden("invitation_unknown", "nobody waits for this one-time code")
}
