use chancery_delegation::{Examination, LinkStanding};
use chancery_types::id::{ApprovalId, ConsentId, PersonId};
use chancery_types::{Digest, RevocationKind, Timestamp};
use serde::{Deserialize, Serialize};

/// Asks where a delegation chain stands (RFC 7662).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// The links, root first, joined by commas.
    pub token: String,
}

/// Where a delegation chain stands, in the shape of RFC 7662 with members of ours. Of a chain that
/// cannot be read nothing is said but why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// Whether the authority stands now.
    pub active: bool,
    /// Why it does not: the first reason found, root first.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Which link the cause is about, the root being 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<u64>,
    /// What of that link was revoked, where that is the cause.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked: Option<RevocationKind>,
    /// Who holds it: the leaf's subject.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sub: Option<String>,
    /// Who may accept it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub aud: Option<Vec<String>>,
    /// When it is over, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exp: Option<u64>,
    /// The session that it is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
    /// The digest of the mission.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mission: Option<Digest>,
    /// The links, root first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<LinkView>,
}

/// One link and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkView {
    /// Its `jti`.
    pub jti: String,
    /// Who delegates: the authority or a SPIFFE ID.
    pub delegator: String,
    /// Who holds it.
    pub delegate: String,
    /// The thumbprint of the holder's key.
    pub key: Digest,
    /// When it is over.
    pub expires_at: Timestamp,
    /// `stands`, `parent_gone`, or the reason why it does not stand.
    pub standing: String,
    /// What of it was revoked, where that is why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked: Option<RevocationKind>,
}

impl Introspection {
    /// What is over, and of which no more is said.
    pub fn inactive(cause: &str) -> Self {
        Self {
            active: false,
            cause: Some(cause.to_owned()),
            link: None,
            revoked: None,
            sub: None,
            aud: None,
            exp: None,
            session: None,
            mission: None,
            links: Vec::new(),
        }
    }

    /// What an examination says.
    pub fn of(examined: &Examination) -> Self {
        let refusal = examined.refusal;
        let reading = examined.reading.as_ref();
        let leaf = reading.and_then(|reading| reading.grants().last());
        let mut audiences = reading.into_iter().flat_map(|reading| {
            let grants = reading.grants().iter().rev();
            grants.filter_map(|grant| grant.audience.clone())
        });
        let links = reading.into_iter().flat_map(|reading| {
            let grants = reading.grants().iter();
            grants.zip(&examined.links).map(|(grant, standing)| {
                let (standing, revoked) = match standing {
                    LinkStanding::Stands => ("stands", None),
                    LinkStanding::ParentGone => ("parent_gone", None),
                    LinkStanding::Refused { reason, revoked } => (reason.code(), *revoked),
                };
                LinkView {
                    jti: grant.jti.clone(),
                    delegator: grant.issuer.clone(),
                    delegate: grant.subject.to_string(),
                    key: grant.key.thumbprint(),
                    expires_at: grant.expires_at,
                    standing: standing.to_owned(),
                    revoked,
                }
            })
        });
        Self {
            active: refusal.is_none(),
            cause: refusal.map(|refusal| refusal.reason.code().to_owned()),
            link: refusal.and_then(|refusal| refusal.link.map(|link| link as u64)),
            revoked: refusal.and_then(|refusal| refusal.revoked),
            sub: leaf.map(|leaf| leaf.subject.to_string()),
            aud: audiences.next(),
            exp: leaf.map(|leaf| leaf.expires_at.as_seconds()),
            session: reading.map(|reading| reading.sid().to_owned()),
            mission: reading.map(|reading| reading.mission()),
            links: links.collect(),
        }
    }

    /// The same chain, not active for a cause that lies outside of it; a cause that was found
    /// before stays.
    #[must_use]
    pub fn unless(mut self, cause: Option<&str>) -> Self {
        if let Some(cause) = cause.filter(|_| self.active) {
            self.active = false;
            self.cause = Some(cause.to_owned());
        }
        self
    }
}

/// Everything by which a person is at work here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonAuthority {
    /// The person.
    pub person: PersonId,
    /// Whether the trust document names the person.
    pub enrolled: bool,
    /// Since when the person is revoked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked_at: Option<Timestamp>,
    /// The ids of the person's credentials.
    pub credentials: Vec<String>,
    /// The roots that the person consented to and that are not over.
    pub roots: Vec<PersonRoot>,
    /// The standing consents that the person signed and that can be used.
    #[serde(default)]
    pub consents: Vec<ConsentId>,
    /// The requests for approval that wait in sessions of the person.
    pub approvals: Vec<ApprovalId>,
}

/// A root that a person consented to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonRoot {
    /// Its `jti`.
    pub jti: String,
    /// The instance that holds it.
    pub instance: String,
    /// The session that it is for.
    pub session: String,
    /// The digest of the mission.
    pub mission: Digest,
    /// When it is over.
    pub expires_at: Timestamp,
    /// Where it stands: `stands`, `session_ended`, or why it does not stand.
    pub standing: String,
}
