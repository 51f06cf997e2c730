//! Roots of delegation chains: drafted here, consented to by a person, signed by the signer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use chancery_api::server::{DraftRoot, IssuedRoot, RootDraft as Draft, SubmitRoot};
use chancery_api::signer::SignRoot;
use chancery_api::{ClientError, Problem};
use chancery_attestation::Evidence;
use chancery_audit::{Assurance, DelegationRoot, Disclosure};
use chancery_crypto::{random_bytes, random_id};
use chancery_delegation::{
    ChainReading, ConsentArtefact, Entry, Mission, PersonDraft, Principal, RootDraft, Terms,
};
use chancery_identity::SpiffeId;
use chancery_identity::trust::{GatewayName, Role, TrustDocument};
use chancery_journal::Subject;
use chancery_session::{PRINCIPAL, principal_text};
use chancery_store::{InstanceRow, RootRow};
use chancery_types::id::{DelegationId, InstanceId, PersonId, SessionId};
use chancery_types::{Digest, Timestamp, base64url};

use super::instances::running;
use super::{Answer, Wait, label, random, stored};
use crate::Server;

/// Most seconds that a root lives, and how many where neither the asker nor a rule says.
const MAX_LIFETIME_SECONDS: u64 = 3_600;
const DEFAULT_LIFETIME_SECONDS: u64 = 1_800;

/// What a root is to say.
pub(super) struct Wanted {
    pub(super) person: PersonDraft,
    pub(super) mission: Digest,
    pub(super) entries: Vec<Entry>,
    /// The SPIFFE ID of the home gateway.
    pub(super) home: String,
    pub(super) issued_at: Timestamp,
    pub(super) lifetime_seconds: u64,
    pub(super) max_depth: u64,
}

/// What a root needs beside its draft.
pub(super) struct Consented {
    pub(super) claims: String,
    pub(super) consent: ConsentArtefact,
    pub(super) mission: String,
}

/// Drafts a root for an instance that has proven its agent key.
pub(super) async fn draft(
    State(server): State<Arc<Server>>,
    Json(request): Json<DraftRoot>,
) -> Answer<Draft> {
    let now = server.now()?;
    let instance = running(&server, request.instance_id).await?.instance;
    let rules = server.chain_rules()?;
    let lifetime = request.lifetime_seconds;
    let lifetime = lifetime.unwrap_or_else(|| rules.root().by_default(DEFAULT_LIFETIME_SECONDS));
    let mission = mission(&request.mission)?;
    let issued_at = Timestamp::from_seconds(now.as_seconds());
    let person = PersonDraft {
        issuer: authority(&server)?,
        subject: request.person_id.to_string(),
        acr: acr(&server, request.person_id)?.to_owned(),
        authenticated_at: issued_at,
        standing: None,
    };
    if (1..=MAX_LIFETIME_SECONDS).contains(&lifetime)
        && now.plus_seconds(lifetime) > mission.expires()
    {
        return Err(Problem::bad_request(
            "mission_expiry",
            format!(
                "the mission expires at {}; no root outlives it",
                mission.expires()
            ),
        )
        .with_remedy("delegate for fewer minutes, or write a mission that lasts longer"));
    }
    let _held = server.hold_person(&person.subject).await?;
    let entries = request.authorization_details.iter().enumerate();
    let entries = entries.map(|(place, entry)| {
        Entry::parse(entry).map_err(|reason| {
            Problem::bad_request(
                reason.code(),
                format!("authorization_details[{place}]: {reason}"),
            )
        })
    });
    let wanted = Wanted {
        person,
        mission: mission.digest(),
        entries: entries.collect::<Result<_, _>>()?,
        home: home(&server.trust(), request.gateway.as_deref())?,
        issued_at,
        lifetime_seconds: lifetime,
        max_depth: request.max_depth,
    };
    let draft = draft_of(&server, &instance, wanted)?;
    let claims = claims_of(&draft)?;
    server
        .store
        .put_mission(mission.digest(), &draft.person.subject, &request.mission)
        .await
        .map_err(stored)?;
    Ok(Json(Draft { claims }))
}

/// The authority that makes roots: the issuer of each.
pub(super) fn authority(server: &Server) -> Result<String, Problem> {
    let trust = server.trust();
    let authority = trust.delegation_authorities.first().ok_or_else(|| {
        Problem::unavailable(
            "authority",
            "the trust document names no delegation authority",
        )
    })?;
    Ok(authority.issuer.clone())
}

/// How a principal is authenticated.
pub(super) fn acr(server: &Server, person: PersonId) -> Result<&'static str, Problem> {
    let trust = server.trust();
    let person = trust
        .person(person)
        .filter(|person| person.roles.contains(&Role::Principal))
        .ok_or_else(|| {
            Problem::forbidden("person", "the trust document names no such principal")
                .with_remedy("chancery trust enrol")
        })?;
    let hardware = person
        .credentials
        .iter()
        .all(|credential| credential.hardware);
    Ok(if hardware { "phr" } else { "software-only" })
}

/// A root for an instance, of this epoch, within the operator's rules, with nothing revoked in it.
pub(super) fn draft_of(
    server: &Server,
    instance: &InstanceRow,
    wanted: Wanted,
) -> Result<RootDraft, Problem> {
    let key = instance.agent_key.ok_or_else(|| {
        Problem::conflict(
            "no_agent_key",
            "the instance has not proven an agent key yet",
        )
    })?;
    if !(1..=MAX_LIFETIME_SECONDS).contains(&wanted.lifetime_seconds) {
        return Err(Problem::bad_request(
            "lifetime",
            "a root lives an hour at most",
        ));
    }
    server.check_instance(&instance.spiffe_id)?;
    server.check_key(&key)?;
    server.check_person(&wanted.person.subject)?;
    server.check_mission(&wanted.mission)?;
    let subject: SpiffeId = instance
        .spiffe_id
        .parse()
        .map_err(|error| Problem::internal("spiffe_id", &error))?;
    let jti: DelegationId = random_id().map_err(random)?;
    let session: SessionId = random_id().map_err(random)?;
    let draft = RootDraft {
        issuer: wanted.person.issuer.clone(),
        terms: Terms {
            subject,
            key,
            audience: Some(vec![wanted.home]),
            issued_at: wanted.issued_at,
            not_before: wanted.issued_at,
            expires_at: wanted.issued_at.plus_seconds(wanted.lifetime_seconds),
            jti: jti.to_string(),
            max_depth: wanted.max_depth,
            entries: wanted.entries,
            forbid: Vec::new(),
            ask: Vec::new(),
        },
        sid: session.to_string(),
        epoch: server.standing().epoch,
        person: wanted.person,
        mission: wanted.mission,
    };
    check_rules(server, &draft, instance)?;
    Ok(draft)
}

/// The claims of a draft, which a verifier would take.
pub(super) fn claims_of(draft: &RootDraft) -> Result<String, Problem> {
    draft.to_claims().map_err(|reason| {
        Problem::bad_request(
            reason.code(),
            format!("the root would be refused: {reason}"),
        )
    })
}

/// Takes a person's consent. The signer verifies it before it signs; the entry is in the log before
/// anyone receives the root.
pub(super) async fn submit(
    State(server): State<Arc<Server>>,
    Json(request): Json<SubmitRoot>,
) -> Answer<IssuedRoot> {
    let draft = RootDraft::from_claims(request.claims.as_bytes())
        .map_err(|reason| Problem::bad_request(reason.code(), "claims are not those of a root"))?;
    let subject = draft.terms.subject.as_str();
    let instance_id = subject
        .parse::<chancery_identity::InstanceSpiffeId>()
        .map_err(|_| Problem::bad_request("sub", "sub is not an instance"))?
        .instance();
    let instance = running(&server, instance_id).await?.instance;
    if instance.agent_key != Some(draft.terms.key) {
        return Err(Problem::forbidden(
            "agent_key",
            "the claims name another key",
        ));
    }
    server.check_instance(subject)?;
    server.check_key(&draft.terms.key)?;
    // Whoever is erased meanwhile has this root standing, or it is refused.
    let _held = server.hold_person(&draft.person.subject).await?;
    server.check_mission(&draft.mission)?;
    let standing = server.standing();
    if standing.epoch != draft.epoch {
        return Err(
            Problem::conflict("stale_epoch", "the root was drafted in an earlier epoch")
                .with_remedy("draft it again"),
        );
    }
    if standing.revoked.has_session(&draft.sid) || standing.revoked.has_token(&draft.terms.jti) {
        return Err(Problem::forbidden("revoked", "the draft was revoked"));
    }
    // What was drafted under other rules is not signed under these.
    check_rules(&server, &draft, &instance)?;
    let mission = server
        .store
        .mission(draft.mission, &draft.person.subject)
        .await
        .map_err(stored)?
        .ok_or_else(|| Problem::bad_request("mission", "the mission was not drafted here"))?;
    let consented = Consented {
        claims: request.claims,
        consent: request.consent.into(),
        mission,
    };
    issue(&server, &instance, &draft, consented).await.map(Json)
}

/// Has a root signed, enrols it, and keeps it for its holder.
pub(super) async fn issue(
    server: &Server,
    instance: &InstanceRow,
    draft: &RootDraft,
    consented: Consented,
) -> Result<IssuedRoot, Problem> {
    let now = server.now()?;
    let session: SessionId = draft
        .sid
        .parse()
        .map_err(|_| Problem::bad_request("sid", "sid is not a session id"))?;
    let manifest = server
        .store
        .manifest(instance.manifest_digest)
        .await
        .map_err(stored)?;
    let manifest =
        manifest.ok_or_else(|| Problem::not_found("manifest_unknown", "no such manifest"))?;
    let Consented {
        claims,
        consent,
        mission,
    } = consented;
    let request = SignRoot {
        claims,
        consent: consent.clone(),
        mission: mission.clone(),
    };
    let signed = server.signer.root(&request).await.map_err(signer)?;
    let artefact = consent
        .to_bytes()
        .map_err(|error| Problem::internal("consent", &error))?;
    let artefact = Digest::of(artefact);
    let principal = disclosed(&draft.person, artefact)?;
    let standing = draft.person.standing;
    let event = DelegationRoot {
        delegation: label(&draft.terms.jti)?,
        link: Digest::of(&signed.token),
        session,
        delegate: label(draft.terms.subject.as_str())?,
        principal: principal.commitment(),
        mission: draft.mission,
        assurance: match standing {
            Some(_) => Assurance::Standing,
            None => Assurance::Consent,
        },
        consent: artefact,
        epoch: draft.epoch,
        expires: draft.terms.expires_at,
        standing: standing.map(|used| used.consent),
        standing_use: standing.map(|used| used.number),
    };
    let log_index = server.enrol(event).await?;
    let issued = IssuedRoot {
        root: signed.token,
        consent,
        mission,
        manifest: base64url::encode(manifest),
        principal,
        log_index,
    };
    let document =
        serde_json::to_value(&issued).map_err(|error| Problem::internal("root", &error))?;
    let row = RootRow {
        jti: draft.terms.jti.clone(),
        subject: Subject::person(&draft.person.subject),
        instance_id: instance.instance_id,
        document,
        created_at: now,
        standing: standing.map(|used| (used.consent, used.number)),
    };
    server.store.put_root(&row).await.map_err(stored)?;
    server.changed();
    Ok(issued)
}

/// A person behind a salt, for the log.
pub(super) fn disclosed(person: &PersonDraft, consent: Digest) -> Result<Disclosure, Problem> {
    let person = Principal {
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        acr: person.acr.clone(),
        authenticated_at: person.authenticated_at,
        consent,
        standing: person.standing,
    };
    Ok(Disclosure {
        name: label(PRINCIPAL)?,
        salt: random_bytes().map_err(random)?,
        value: principal_text(&person).map_err(|error| Problem::internal("principal", &error))?,
    })
}

/// What the signer's refusal is to those who ask here.
pub(super) fn signer(error: ClientError) -> Problem {
    match error {
        ClientError::Refused(problem) => problem,
        other => Problem::unavailable("signer", other.to_string()),
    }
}

pub(super) async fn of_instance(
    State(server): State<Arc<Server>>,
    Path(id): Path<InstanceId>,
    Query(wait): Query<Wait>,
) -> Answer<Option<IssuedRoot>> {
    let found = server
        .wait_for(wait.wait_seconds, || async {
            let document = server.store.root_of(id).await.map_err(stored)?;
            document
                .map(serde_json::from_value)
                .transpose()
                .map_err(|error| Problem::internal("root", &error))
        })
        .await?;
    Ok(Json(found))
}

/// The SPIFFE ID of a session's home gateway, which the trust document must admit.
fn home(trust: &TrustDocument, name: Option<&str>) -> Result<String, Problem> {
    let name: GatewayName = match name {
        Some(name) => name
            .parse()
            .map_err(|error| Problem::bad_request("gateway", format!("{name}: {error}")))?,
        None => GatewayName::default(),
    };
    let home = name.spiffe_id(&trust.trust_domain);
    if trust.gateway(&home).is_none() {
        let text = format!("the trust document admits no gateway {home}");
        return Err(Problem::forbidden("gateway", text));
    }
    Ok(home)
}

/// Holds a root and its holder to the operator's rules for chains.
fn check_rules(server: &Server, draft: &RootDraft, instance: &InstanceRow) -> Result<(), Problem> {
    let rules = server.chain_rules()?;
    let evidence: Evidence = serde_json::from_value(instance.evidence.clone())
        .map_err(|error| Problem::internal("evidence", &error))?;
    draft
        .check_rules(&rules)
        .and_then(|()| rules.check_level(evidence.level()))
        .map_err(|reason| {
            Problem::forbidden(reason.code(), "the operator's rules refuse this root")
                .with_remedy("look at delegation.json of the policy bundle; ask its owner")
        })
}

/// What a person consented to for one session.
#[derive(Debug)]
pub(crate) struct SessionRoot {
    /// The mission.
    pub(crate) mission: Mission,
    /// What the root covers, in JSON.
    pub(crate) entries: Vec<serde_json::Value>,
    /// Who holds it.
    pub(crate) holder: String,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// The person's root of that session: the newest, and none where it was erased or made elsewhere.
pub(crate) async fn of_session(
    server: &Server,
    principal: &str,
    session: SessionId,
) -> Result<Option<SessionRoot>, Problem> {
    let mut newest: Option<SessionRoot> = None;
    let documents = server.store.roots_of(&Subject::person(principal)).await;
    for document in documents.map_err(stored)? {
        let issued: IssuedRoot =
            serde_json::from_value(document).map_err(|error| Problem::internal("root", &error))?;
        let reading = ChainReading::read(&[&issued.root])
            .map_err(|refusal| Problem::internal("root", &refusal))?;
        let Some(grant) = reading.grants().first() else {
            continue;
        };
        let is_newer = |known: &SessionRoot| known.expires_at < grant.expires_at;
        if reading.sid() == session.to_string() && newest.as_ref().is_none_or(is_newer) {
            newest = Some(SessionRoot {
                mission: mission(&issued.mission)?,
                entries: grant.entries.iter().map(Entry::to_json).collect(),
                holder: grant.subject.to_string(),
                expires_at: grant.expires_at,
            });
        }
    }
    Ok(newest)
}

pub(super) fn mission(text: &str) -> Result<Mission, Problem> {
    let bytes = base64url::decode(text)
        .map_err(|_| Problem::bad_request("mission", "mission is not base64url"))?;
    Mission::parse(bytes).map_err(|error| {
        Problem::bad_request("mission_invalid", format!("the mission, {error}"))
            .with_remedy("chancery mission check FILE")
    })
}
