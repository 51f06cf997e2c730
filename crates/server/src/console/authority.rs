//! What a person's own authority is at work in, and how they take it back.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use chancery_api::Problem;
use chancery_api::server::{PersonAuthority, PersonRoot};
use chancery_delegation::Revocable;
use chancery_types::{Digest, RevocationKind};
use serde::Deserialize;

use super::Desk;
use super::guard::{Posted, Visitor};
use super::pages::{AsPage, Frame, Sent, page_of, time};
use super::shown::{Part, Shown};
use crate::endpoints::introspection::authority_of;
use crate::endpoints::revocations;

/// Why it was revoked, for the log as a commitment.
const REASON: &str = "by the person whose authority it is, at the console";

#[derive(Template)]
#[template(path = "authority.html")]
struct Page {
    frame: Frame,
    token: Digest,
    find: Shown,
    roots: Vec<Row>,
    hidden: usize,
    consents: Vec<String>,
}

/// One root of the person's.
struct Row {
    root: PersonRoot,
    until: String,
    stands: bool,
}

/// What is looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Find {
    #[serde(default)]
    find: String,
}

/// What is taken back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    what: Revocable,
}

pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Query(find): Query<Find>,
) -> Result<Response, AsPage> {
    let own = authority_of(&desk.server, visitor.person.id).await?;
    let all = own.roots.len();
    let found = own.roots.into_iter().filter(|root| {
        let mission = root.mission.to_string();
        let texts = [&root.instance, &root.session, &root.jti, &mission];
        texts.iter().any(|text| text.contains(find.find.trim()))
    });
    let roots: Vec<_> = found
        .map(|root| Row {
            until: time(root.expires_at),
            stands: root.standing == "stands",
            root,
        })
        .collect();
    let page = Page {
        token: visitor.form_token("/authority/revoke"),
        frame: desk.frame(Some(&visitor)),
        find: Shown::new(&find.find),
        hidden: all - roots.len(),
        roots,
        consents: own.consents.iter().map(ToString::to_string).collect(),
    };
    Ok(page_of(&page)?)
}

/// Takes back what rests on the person's own consent: a root, its session, its instance, or a standing
/// consent. Enrolled before this answers; gateways go by it from the next snapshot on.
pub(super) async fn revoke(
    State(desk): State<Arc<Desk>>,
    posted: Posted<Revoke>,
) -> Result<Json<Sent>, Problem> {
    let what = posted.document.what;
    let own = authority_of(&desk.server, posted.visitor.person.id).await?;
    if !is_of(&own, &what) {
        return Err(Problem::forbidden(
            "not_yours",
            "what you take back rests on your own consent",
        ));
    }
    let _done =
        revocations::revoke_fully(Arc::clone(&desk.server), what, REASON.to_owned()).await?;
    Ok(Json(Sent { to: "/authority" }))
}

fn is_of(own: &PersonAuthority, what: &Revocable) -> bool {
    let id = what.id();
    let mut roots = own.roots.iter();
    match what.kind() {
        RevocationKind::Token => roots.any(|root| root.jti == id),
        RevocationKind::Session => roots.any(|root| root.session == id),
        RevocationKind::Instance => roots.any(|root| root.instance == id),
        RevocationKind::Consent => own.consents.iter().any(|consent| consent.to_string() == id),
        _ => false,
    }
}
