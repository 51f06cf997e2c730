use chancery_types::id::ConsentId;
use chancery_types::{Digest, Timestamp};
use serde_json::{Map, Value};

use super::{Grant, Members};
use crate::Reason;

/// The claims of a root: what the authority grants to the first holder on a person's behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootClaims {
    /// What a link has too.
    pub grant: Grant,
    /// `sid`: the session that this authority is for.
    pub sid: String,
    /// `ep`: the authority's epoch when it signed.
    pub epoch: u64,
    /// `prn`: the person at the root.
    pub principal: Principal,
    /// `mission_s256`: the digest of the mission document's exact bytes.
    pub mission: Digest,
}

/// The person on whose behalf a chain acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `iss`: who knows the person.
    pub issuer: String,
    /// `sub`: the person, by a directed identifier.
    pub subject: String,
    /// `acr`: how the person was authenticated.
    pub acr: String,
    /// `auth_time`: when.
    pub authenticated_at: Timestamp,
    /// `apr`: the digest of the consent artefact.
    pub consent: Digest,
    /// `standing`: which use of a standing consent the root is; absent where the person consented to
    /// this very root.
    pub standing: Option<StandingUse>,
}

/// Which use of which standing consent a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingUse {
    /// `consent`: the standing consent.
    pub consent: ConsentId,
    /// `use`: which use of it, from 1 on.
    pub number: u64,
}

/// The claims of a link: what one holder grants to the next, never more than it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkClaims {
    /// What a root has too.
    pub grant: Grant,
    /// `par_hash`: the digest of the parent's signing input.
    pub parent: Digest,
}

/// What only the root says; a link inherits it through `par_hash`.
const INHERITED: [&str; 4] = ["sid", "ep", "prn", "mission_s256"];

impl RootClaims {
    pub(crate) fn parse(mut members: Members<'_>) -> Result<Self, Reason> {
        let mut principal = members.object("prn")?;
        let claims = Self {
            grant: Grant::take(&mut members)?,
            sid: members.id("sid")?,
            epoch: members.integer("ep")?,
            principal: Principal {
                issuer: principal.text("iss")?,
                subject: principal.text("sub")?,
                acr: principal.text("acr")?,
                authenticated_at: principal.time("auth_time")?,
                consent: principal.digest("apr")?,
                standing: match principal.has("standing") {
                    true => Some(StandingUse::take(principal.object("standing")?)?),
                    false => None,
                },
            },
            mission: members.digest("mission_s256")?,
        };
        principal.finish()?;
        members.finish()?;
        if claims.grant.audience.is_none() {
            return Err(Reason::Malformed);
        }
        Ok(claims)
    }

    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        self.grant.put(&mut members);
        let mut principal = Map::from_iter([
            ("iss".to_owned(), self.principal.issuer.as_str().into()),
            ("sub".to_owned(), self.principal.subject.as_str().into()),
            ("acr".to_owned(), self.principal.acr.as_str().into()),
            (
                "auth_time".to_owned(),
                self.principal.authenticated_at.as_seconds().into(),
            ),
            (
                "apr".to_owned(),
                self.principal.consent.to_base64url().into(),
            ),
        ]);
        if let Some(used) = self.principal.standing {
            let used = Map::from_iter([
                ("consent".to_owned(), used.consent.to_string().into()),
                ("use".to_owned(), used.number.into()),
            ]);
            principal.insert("standing".to_owned(), Value::Object(used));
        }
        members.insert("prn".to_owned(), Value::Object(principal));
        members.insert("sid".to_owned(), self.sid.as_str().into());
        members.insert("ep".to_owned(), self.epoch.into());
        members.insert(
            "mission_s256".to_owned(),
            self.mission.to_base64url().into(),
        );
        members
    }
}

impl StandingUse {
    fn take(mut members: Members<'_>) -> Result<Self, Reason> {
        let used = Self {
            consent: members
                .borrowed("consent")?
                .parse()
                .map_err(|_| Reason::Malformed)?,
            number: members.integer("use")?,
        };
        members.finish()?;
        if used.number == 0 {
            return Err(Reason::Malformed);
        }
        Ok(used)
    }
}

impl LinkClaims {
    pub(crate) fn parse(mut members: Members<'_>) -> Result<Self, Reason> {
        if INHERITED.into_iter().any(|name| members.has(name)) {
            return Err(Reason::InheritedClaimRestated);
        }
        let claims = Self {
            grant: Grant::take(&mut members)?,
            parent: members.digest("par_hash")?,
        };
        members.finish()?;
        Ok(claims)
    }

    pub(crate) fn to_members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        self.grant.put(&mut members);
        members.insert("par_hash".to_owned(), self.parent.to_base64url().into());
        members
    }
}
