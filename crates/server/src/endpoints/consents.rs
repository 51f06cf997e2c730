//! Standing consents: signed once by a person, used without one, counted by the signer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use chancery_api::Problem;
use chancery_api::server::{
    ConsentState, ConsentUse, IssuedRoot, StandingConsent, StandingConsents, SubmitConsent,
    UseConsent,
};
use chancery_audit::{ConsentStanding, Disclosure};
use chancery_crypto::AwsLc;
use chancery_delegation::{
    ChainReading, ConsentArtefact, Credential, PersonDraft, SignedStanding, StandingReason,
    StandingStatement, StandingUse,
};
use chancery_identity::trust::{PersonCredential, Role, TrustDocument};
use chancery_journal::Subject;
use chancery_store::{ConsentRow, Kept};
use chancery_types::id::{ConsentId, PersonId};
use chancery_types::{Digest, RevocationKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::instances::running;
use super::roots::{self, Consented, Wanted};
use super::{Answer, erased, label, stored};
use crate::Server;

/// How far the person's clock may stand from ours when a standing consent is handed in.
const MAX_SKEW_SECONDS: u64 = 300;

/// What is stored of a standing consent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    signed: SignedStanding,
    mission: String,
    /// What opens the principal's commitment in the log.
    principal: Disclosure,
    log_index: u64,
}

/// Takes a standing consent that the person's own credential signed; enrolled before it can be used.
pub(super) async fn submit(
    State(server): State<Arc<Server>>,
    Json(request): Json<SubmitConsent>,
) -> Answer<StandingConsent> {
    let person_id = request.signed.statement.person.to_string();
    let _held = server.hold_person(&person_id).await?;
    check(&server, &request)?;
    // One at a time, so that an id is taken once.
    let _turn = server.consents.lock().await;
    let statement = &request.signed.statement;
    let known = server.store.consent(statement.id).await.map_err(stored)?;
    if known.is_some() {
        return Err(Problem::conflict(
            "consent_exists",
            format!("a standing consent {} was handed in before", statement.id),
        ));
    }
    let internal = |error: chancery_types::CanonicalError| Problem::internal("consent", &error);
    let artefact = ConsentArtefact::from(request.signed.clone());
    let artefact = artefact.to_bytes().map_err(internal)?;
    let consent = Digest::of(artefact);
    let principal = roots::disclosed(&person(&server, statement, None)?, consent)?;
    let event = ConsentStanding {
        standing: statement.id,
        statement: statement.challenge().map_err(internal)?,
        consent,
        principal: principal.commitment(),
        mission: statement.mission,
        agent: label(statement.agent.as_str())?,
        max_uses: statement.max_uses,
        max_seconds: statement.max_seconds,
        expires: statement.expires_at,
    };
    let id = statement.id;
    let log_index = server.enrol(event).await?;
    let document = Document {
        signed: request.signed,
        mission: request.mission,
        principal,
        log_index,
    };
    let row = ConsentRow {
        consent: id,
        subject: Subject::person(document.signed.statement.person),
        document: serde_json::to_value(&document)
            .map_err(|error| Problem::internal("consent", &error))?,
        created_at: server.now()?,
    };
    server.store.put_consent(&row).await.map_err(stored)?;
    shown(&server, document).await.map(Json)
}

pub(super) async fn list(State(server): State<Arc<Server>>) -> Answer<StandingConsents> {
    let mut consents = Vec::new();
    for document in server.store.consents().await.map_err(stored)? {
        consents.push(shown(&server, read(document)?).await?);
    }
    Ok(Json(StandingConsents { consents }))
}

/// One, with the roots that rest on it.
pub(super) async fn show(
    State(server): State<Arc<Server>>,
    Path(id): Path<ConsentId>,
) -> Answer<StandingConsent> {
    let mut consent = shown(&server, find(&server, id).await?).await?;
    for (number, document) in server.store.roots_of_consent(id).await.map_err(stored)? {
        let issued: IssuedRoot =
            serde_json::from_value(document).map_err(|error| Problem::internal("root", &error))?;
        let reading = ChainReading::read(&[&issued.root])
            .map_err(|refusal| Problem::internal("root", &refusal))?;
        let Some(grant) = reading.grants().first() else {
            continue;
        };
        consent.roots.push(ConsentUse {
            number,
            jti: grant.jti.clone(),
            instance: grant.subject.to_string(),
            session: reading.sid().to_owned(),
            issued_at: grant.issued_at,
            expires_at: grant.expires_at,
            log_index: issued.log_index,
        });
    }
    Ok(Json(consent))
}

/// Those of a person that can be used.
pub(super) async fn of_person(
    server: &Server,
    person: PersonId,
) -> Result<Vec<ConsentId>, Problem> {
    let mut found = Vec::new();
    for document in server.store.consents().await.map_err(stored)? {
        let document = read(document)?;
        if document.signed.statement.person == person {
            let known = shown(server, document).await?;
            if known.state == ConsentState::Stands {
                found.push(known.statement.id);
            }
        }
    }
    Ok(found)
}

/// Makes a root that rests on a standing consent, for an instance of the agent that it names. Goes on
/// to its end when its asker has gone: a number that is taken is enrolled with its root.
pub(super) async fn root(
    State(server): State<Arc<Server>>,
    Path(id): Path<ConsentId>,
    Json(request): Json<UseConsent>,
) -> Answer<IssuedRoot> {
    let made = tokio::spawn(async move { make(&server, id, request).await });
    let made = made
        .await
        .map_err(|error| Problem::internal("consent", &error))?;
    made.map(Json)
}

async fn make(server: &Server, id: ConsentId, request: UseConsent) -> Result<IssuedRoot, Problem> {
    let Document {
        signed, mission, ..
    } = find(server, id).await?;
    let statement = &signed.statement;
    server.check_consent(id)?;
    let _held = server.hold_person(&statement.person.to_string()).await?;
    let instance = running(server, request.instance_id).await?.instance;
    let _turn = server.consents.lock().await;
    let now = server.now()?;
    let number = count(server, id).await?.saturating_add(1);
    let lifetime = server
        .chain_rules()?
        .root()
        .by_default(statement.max_seconds);
    let left = statement.expires_at.micros_since(now) / 1_000_000;
    if left == 0 {
        return Err(uncovered(StandingReason::Expired));
    }
    let entries = statement
        .read_entries()
        .map_err(|error| Problem::internal("consent", &error))?;
    let used = StandingUse {
        consent: id,
        number,
    };
    let wanted = Wanted {
        person: person(server, statement, Some(used))?,
        mission: statement.mission,
        entries,
        home: statement.gateway.clone(),
        issued_at: Timestamp::from_seconds(now.as_seconds()),
        lifetime_seconds: lifetime.min(statement.max_seconds).min(left),
        max_depth: statement.max_depth,
    };
    let draft = roots::draft_of(server, &instance, wanted)?;
    draft.check_standing(statement).map_err(uncovered)?;
    let consented = Consented {
        claims: roots::claims_of(&draft)?,
        consent: ConsentArtefact::from(signed),
        mission,
    };
    roots::issue(server, &instance, &draft, consented).await
}

fn uncovered(reason: StandingReason) -> Problem {
    Problem::forbidden(reason.code(), reason.said())
        .with_remedy("chancery consent list says which stand; a person signs another one with chancery consent new")
}

/// Whether a standing consent is one that could be used now.
fn check(server: &Server, request: &SubmitConsent) -> Result<(), Problem> {
    let now = server.now()?;
    let statement = &request.signed.statement;
    let bad = |message: &str| Problem::bad_request("consent", message.to_owned());
    let mission = roots::mission(&request.mission)?;
    if mission.digest() != statement.mission {
        return Err(Problem::bad_request(
            "mission_mismatch",
            "the mission is not the one that the statement names",
        ));
    }
    let skew = statement
        .signed_at
        .micros_since(now)
        .max(now.micros_since(statement.signed_at));
    if skew > MAX_SKEW_SECONDS * 1_000_000 {
        return Err(bad("the statement was not signed now").with_remedy("sign a new one"));
    }
    if statement.expires_at <= now || statement.expires_at > mission.expires() {
        return Err(Problem::bad_request(
            "consent_expired",
            format!(
                "a standing consent ends in the future, and not after its mission ({})",
                mission.expires()
            ),
        ));
    }
    if statement.issuer != roots::authority(server)? {
        return Err(bad("the statement names another authority"));
    }
    if statement.epoch != server.standing().epoch {
        return Err(bad("the statement names another epoch").with_remedy("sign a new one"));
    }
    let trust = server.trust();
    if trust.gateway(&statement.gateway).is_none() {
        let text = format!("the trust document admits no gateway {}", statement.gateway);
        return Err(Problem::forbidden("gateway", text));
    }
    server.check_consent(statement.id)?;
    server.check_person(&statement.person.to_string())?;
    server.check_mission(&statement.mission)?;
    server.check_instance(statement.agent.as_str())?;
    let refused = |message: String| Problem::forbidden("consent", message);
    let known = credential_of(&trust, &request.signed)
        .ok_or_else(|| refused("the credential is not one of the principal's".to_owned()))?;
    let credential = Credential {
        credential_id: &known.credential_id,
        key: &known.key,
        rp_id: &known.rp_id,
        origin: &known.origin,
        last_counter: None,
    };
    request
        .signed
        .verify(&credential, &AwsLc)
        .map(drop)
        .map_err(|error| match std::error::Error::source(&error) {
            Some(source) => refused(format!("{error}: {source}")),
            None => refused(error.to_string()),
        })
}

/// The credential that signed, where the trust document gives it to the statement's principal.
fn credential_of<'t>(
    trust: &'t TrustDocument,
    signed: &SignedStanding,
) -> Option<&'t PersonCredential> {
    let found = trust.credential(&signed.assertion.credential_id);
    let own = found.filter(|(person, _)| {
        person.id == signed.statement.person && person.roles.contains(&Role::Principal)
    });
    own.map(|(_, credential)| credential)
}

/// The person at the roots, as authenticated when they signed.
fn person(
    server: &Server,
    statement: &StandingStatement,
    standing: Option<StandingUse>,
) -> Result<PersonDraft, Problem> {
    Ok(PersonDraft {
        issuer: statement.issuer.clone(),
        subject: statement.person.to_string(),
        acr: roots::acr(server, statement.person)?.to_owned(),
        authenticated_at: Timestamp::from_seconds(statement.signed_at.as_seconds()),
        standing,
    })
}

async fn find(server: &Server, id: ConsentId) -> Result<Document, Problem> {
    let kept = server.store.consent(id).await.map_err(stored)?;
    let unknown = || {
        let text = format!("there is no standing consent {id}");
        Problem::not_found("consent_unknown", text).with_remedy("chancery consent list")
    };
    match kept.ok_or_else(unknown)? {
        Kept::Value(document) => read(document),
        Kept::Erased { entry } => Err(erased(entry)),
    }
}

fn read(document: serde_json::Value) -> Result<Document, Problem> {
    serde_json::from_value(document).map_err(|error| Problem::internal("consent", &error))
}

async fn count(server: &Server, id: ConsentId) -> Result<u64, Problem> {
    let count = server.signer.consent(id).await.map_err(roots::signer)?;
    Ok(count.uses)
}

async fn shown(server: &Server, document: Document) -> Result<StandingConsent, Problem> {
    let statement = document.signed.statement.clone();
    let uses = count(server, statement.id).await?;
    let state = state(server, &document.signed, uses, server.now()?);
    let artefact = ConsentArtefact::from(document.signed).to_bytes();
    let artefact = artefact.map_err(|error| Problem::internal("consent", &error))?;
    Ok(StandingConsent {
        statement,
        consent: Digest::of(artefact),
        state,
        uses,
        roots: Vec::new(),
        log_index: document.log_index,
    })
}

fn state(server: &Server, signed: &SignedStanding, uses: u64, now: Timestamp) -> ConsentState {
    let statement = &signed.statement;
    let standing = server.standing();
    let revoked = |kind, id: &str| standing.revoked.since(kind, id).is_some();
    let gone = [
        (RevocationKind::Consent, statement.id.to_string()),
        (RevocationKind::Person, statement.person.to_string()),
        (RevocationKind::Mission, statement.mission.to_string()),
        (RevocationKind::Agent, statement.agent.to_string()),
    ];
    if gone.iter().any(|(kind, id)| revoked(*kind, id)) {
        ConsentState::Revoked
    } else if credential_of(&server.trust(), signed).is_none() {
        ConsentState::Departed
    } else if statement.epoch != standing.epoch {
        ConsentState::StaleEpoch
    } else if statement.expires_at <= now {
        ConsentState::Expired
    } else if uses >= statement.max_uses {
        ConsentState::UsedUp
    } else {
        ConsentState::Stands
    }
}
