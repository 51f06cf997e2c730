//! Erasure. It goes on to its end when its asker has gone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{ErasePerson, Erasures, KeptOfPerson, KeptValues, PersonErased};
use chancery_types::id::PersonId;

use super::{Answer, introspection, stored};
use crate::Server;
use crate::erasure::subject_of;

/// The standing of a root by which nobody is stopped.
const STANDS: &str = "stands";

/// What is kept of a person.
pub(super) async fn kept(
    State(server): State<Arc<Server>>,
    Path(id): Path<PersonId>,
) -> Answer<KeptOfPerson> {
    let kept = server.store.kept_of(&subject_of(id)).await;
    let kept = kept.map_err(stored)?.into_iter();
    let kept = kept.filter(|kept| kept.values > 0).map(|kept| KeptValues {
        what: in_words(kept.table).to_owned(),
        values: kept.values,
    });
    Ok(Json(KeptOfPerson {
        person: id,
        kept: kept.collect(),
        at_work: at_work(&server, id).await?,
        erased: server.erasure_of(id).await?,
    }))
}

/// Everybody who was erased.
pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<Erasures> {
    Ok(Json(Erasures {
        log: server.origin.to_string(),
        erasures: server.erasures().await?,
    }))
}

/// Erases a person, once nothing of theirs is at work any more.
pub(super) async fn erase(
    State(server): State<Arc<Server>>,
    Path(id): Path<PersonId>,
    Json(request): Json<ErasePerson>,
) -> Answer<PersonErased> {
    let erased = tokio::spawn(async move {
        let _turn = server.erasing.write().await;
        if let Some(erased) = server.finish_erasure(id).await? {
            return Ok(erased);
        }
        if let Some(before) = server.erasure_of(id).await? {
            return Ok(PersonErased {
                before: true,
                ..before
            });
        }
        let known = server.trust().person(id).is_some();
        if !known && server.store.keys().key_of(&subject_of(id)).is_none() {
            let text =
                format!("{id}: the trust document names no such person, nothing is kept of them");
            return Err(
                Problem::not_found("person_unknown", text).with_remedy("chancery trust show")
            );
        }
        let at_work = at_work(&server, id).await?;
        if !at_work.is_empty() {
            let text = format!("{id} is still at work by: {}", at_work.join(", "));
            return Err(Problem::conflict("person_at_work", text)
                .with_remedy("chancery trust depart PERSON --reason TEXT ends all of it"));
        }
        server.erase(id, &request.reason).await
    });
    let erased = erased
        .await
        .map_err(|error| Problem::internal("erasure", &error))?;
    erased.map(|erased| {
        Json(PersonErased {
            scope: Vec::new(),
            ..erased
        })
    })
}

/// By what a person is still at work: roots and standing consents that stand, questions that wait.
async fn at_work(server: &Server, id: PersonId) -> Result<Vec<String>, Problem> {
    let authority = introspection::authority_of(server, id).await?;
    let roots = authority.roots.iter();
    let roots = roots.filter(|root| root.standing == STANDS);
    let mut at_work: Vec<String> = roots
        .map(|root| format!("root {} (session {})", root.jti, root.session))
        .collect();
    let consents = authority.consents.iter();
    at_work.extend(consents.map(|consent| format!("standing consent {consent}")));
    let approvals = authority.approvals.iter();
    at_work.extend(approvals.map(|approval| format!("approval {approval}, which waits")));
    Ok(at_work)
}

fn in_words(table: &'static str) -> &'static str {
    match table {
        "roots" => "roots with mission, consent and what discloses the person",
        "consents" => "standing consents",
        "approvals" => "questions to people, with arguments",
        "answers" => "signed answers to questions",
        "revocations" => "reasons of revocations",
        "missions" => "missions that were drafted for",
        "lineages" => "tasks of instances that were started on their behalf",
        other => other,
    }
}
