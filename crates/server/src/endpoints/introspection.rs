//! Where authority stands: of one chain, and of one person. On the owner's socket alone, so that it
//! tells no stranger what exists.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{
    ApprovalState, Introspect, Introspection, IssuedRoot, PersonAuthority, PersonRoot,
};
use chancery_crypto::AwsLc;
use chancery_delegation::{ChainContext, ChainReading, Examination, TrustAnchor, examine_chain};
use chancery_identity::InstanceSpiffeId;
use chancery_types::RevocationKind;
use chancery_types::id::{PersonId, SessionId};
use chancery_types::limits::MAX_ROOT_SECONDS;

use super::{Answer, consents, stored};
use crate::Server;

pub(super) async fn introspect(
    State(server): State<Arc<Server>>,
    Json(request): Json<Introspect>,
) -> Answer<Introspection> {
    let links: Vec<_> = request.token.trim().split(',').collect();
    let examined = examine(&server, &links)?;
    let outside = match &examined.reading {
        Some(reading) => cause_outside(&server, reading).await?,
        None => None,
    };
    Ok(Json(Introspection::of(&examined).unless(outside)))
}

/// Looks at a chain as a gateway that it is for would.
fn examine(server: &Server, links: &[&str]) -> Result<Examination, Problem> {
    let trust = server.trust();
    let anchors: Vec<_> = (trust.delegation_authorities.iter())
        .map(TrustAnchor::from)
        .collect();
    let standing = server.standing();
    let audience = ChainReading::read(links).ok().and_then(|reading| {
        let narrowed = reading.grants().iter().rev();
        let mut narrowed = narrowed.filter_map(|grant| grant.audience.as_ref());
        narrowed.next().and_then(|names| names.first().cloned())
    });
    let context = ChainContext {
        now: server.now()?,
        audience: audience.as_deref().unwrap_or_default(),
        anchors: &anchors,
        epoch: standing.epoch,
        revoked: &standing.revoked,
        verifier: &AwsLc,
    };
    Ok(examine_chain(links, &context))
}

/// Why a chain that stands by itself is of no use any more.
async fn cause_outside(
    server: &Server,
    reading: &ChainReading,
) -> Result<Option<&'static str>, Problem> {
    if has_ended(server, reading.sid()).await? {
        return Ok(Some("session_ended"));
    }
    let leaf = reading.grants().last();
    let leaf = leaf.and_then(|leaf| leaf.subject.as_str().parse::<InstanceSpiffeId>().ok());
    let Some(leaf) =
        leaf.filter(|leaf| leaf.trust_domain().as_str() == server.trust().trust_domain)
    else {
        // Who is of another trust domain is attested there.
        return Ok(None);
    };
    let instance = server
        .store
        .instance(leaf.instance())
        .await
        .map_err(stored)?;
    let Some(instance) = instance.filter(|instance| instance.running) else {
        return Ok(Some("attestation_lapsed"));
    };
    let manifest = server.store.manifest(instance.manifest_digest).await;
    let policy = match manifest.map_err(stored)? {
        Some(envelope) => super::agents::policy_of(server, &envelope, server.now()?),
        None => None,
    };
    Ok(match policy {
        None => Some("attestation_lapsed"),
        Some(policy) if policy != server.policy()?.digest() => Some("policy_changed"),
        Some(_) => None,
    })
}

async fn has_ended(server: &Server, sid: &str) -> Result<bool, Problem> {
    let Ok(session) = sid.parse::<SessionId>() else {
        return Ok(false);
    };
    let record = server.store.record(session).await.map_err(stored)?;
    Ok(record.is_some())
}

/// Lists what would end with a person.
pub(super) async fn person(
    State(server): State<Arc<Server>>,
    Path(id): Path<PersonId>,
) -> Answer<PersonAuthority> {
    authority_of(&server, id).await.map(Json)
}

/// Everything by which a person is at work here.
pub(crate) async fn authority_of(
    server: &Server,
    id: PersonId,
) -> Result<PersonAuthority, Problem> {
    let (trust, now) = (server.trust(), server.now()?);
    let known = trust.person(id);
    let since = now.minus_seconds(MAX_ROOT_SECONDS);
    let mut roots = Vec::new();
    for document in server.store.roots_since(since).await.map_err(stored)? {
        let issued: IssuedRoot =
            serde_json::from_value(document).map_err(|error| Problem::internal("root", &error))?;
        let Some(root) = root_of(server, &issued.root, id).await? else {
            continue;
        };
        if root.expires_at > now {
            roots.push(root);
        }
    }
    let mut approvals = Vec::new();
    for approval in super::approvals::all(server).await? {
        let waits = approval.state == ApprovalState::Pending && approval.request.expires_at > now;
        if waits && approval.request.subject.principal == id.to_string() {
            approvals.push(approval.request.approval_id);
        }
    }
    let standing = server.standing();
    let credentials = known.map(|person| person.credentials.iter());
    let credentials = credentials.into_iter().flatten();
    Ok(PersonAuthority {
        person: id,
        enrolled: known.is_some(),
        revoked_at: standing
            .revoked
            .since(RevocationKind::Person, &id.to_string()),
        credentials: credentials.map(|one| one.credential_id.clone()).collect(),
        roots,
        consents: consents::of_person(server, id).await?,
        approvals,
    })
}

/// What is shown of a root, where it is the person's.
async fn root_of(
    server: &Server,
    root: &str,
    person: PersonId,
) -> Result<Option<PersonRoot>, Problem> {
    let examined = examine(server, &[root])?;
    let Some(reading) = &examined.reading else {
        return Ok(None);
    };
    let grant = reading.grants().first();
    let Some(grant) = grant.filter(|_| reading.principal().subject == person.to_string()) else {
        return Ok(None);
    };
    let standing = match examined.refusal {
        Some(refusal) => refusal.reason.code(),
        None if has_ended(server, reading.sid()).await? => "session_ended",
        None => "stands",
    };
    Ok(Some(PersonRoot {
        jti: grant.jti.clone(),
        instance: grant.subject.to_string(),
        session: reading.sid().to_owned(),
        mission: reading.mission(),
        expires_at: grant.expires_at,
        standing: standing.to_owned(),
    }))
}
