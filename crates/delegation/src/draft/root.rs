use chancery_types::limits::MAX_CHAIN_BYTES;
use chancery_types::{Digest, Jwk, SignatureVerifier, Timestamp, parse_strict, to_canonical};
use serde_json::Value;

use super::{DraftError, Signer, Terms, link_signing_input, sign_link};
use crate::Reason;
use crate::rules::{ChainRules, RuleReason};
use crate::standing::{RootTerms, StandingReason, StandingStatement};
use crate::token::{Members, Principal, RootClaims, StandingUse};

/// A root to be made by the delegation authority.
#[derive(Debug, Clone)]
pub struct RootDraft {
    /// The authority's URL.
    pub issuer: String,
    /// What it grants.
    pub terms: Terms,
    /// The session.
    pub sid: String,
    /// The authority's epoch.
    pub epoch: u64,
    /// The person.
    pub person: PersonDraft,
    /// The digest of the mission document.
    pub mission: Digest,
}

/// The person at a root to be made, before the consent.
#[derive(Debug, Clone)]
pub struct PersonDraft {
    /// Who knows the person.
    pub issuer: String,
    /// The person, by a directed identifier.
    pub subject: String,
    /// How the person was authenticated.
    pub acr: String,
    /// When.
    pub authenticated_at: Timestamp,
    /// Which use of which standing consent the root is; none where the person consents to it itself.
    pub standing: Option<StandingUse>,
}

impl RootDraft {
    /// The challenge that the person's consent answers. It binds every claim but the consent's own
    /// digest.
    pub fn challenge(&self) -> Result<Digest, Reason> {
        let claims = self.claims(Digest::of(b"")).to_members();
        crate::consent_challenge(&claims).map_err(|_| Reason::Malformed)
    }

    /// Holds the root to the operator's rules, before anybody is asked for consent.
    pub fn check_rules(&self, rules: &ChainRules) -> Result<(), RuleReason> {
        rules.check_grant(&self.terms.to_grant(&self.issuer, 0))
    }

    /// Calls `with` with what a standing consent judges of the root.
    pub fn terms_for_consent<T>(&self, with: impl FnOnce(&RootTerms<'_>) -> T) -> T {
        let claims = self.claims(Digest::of(b""));
        with(&RootTerms {
            grant: &claims.grant,
            epoch: claims.epoch,
            principal: &claims.principal,
            mission: claims.mission,
        })
    }

    /// Holds the root to a standing consent that it is to rest on.
    pub fn check_standing(&self, standing: &StandingStatement) -> Result<(), StandingReason> {
        self.terms_for_consent(|root| standing.covers(root))
    }

    /// Makes the root. `consent` is the digest of the consent artefact, `key` the public half of
    /// what `sign` signs with. Fails with the reason a verifier would give.
    pub fn sign<E: std::error::Error + 'static>(
        &self,
        consent: Digest,
        key: &Jwk,
        verifier: &dyn SignatureVerifier,
        sign: Signer<'_, E>,
    ) -> Result<String, DraftError<E>> {
        self.terms.check(verifier)?;
        if self.terms.key == *key {
            return Err(Reason::Cycle.into());
        }
        let members = self.claims(consent).to_members();
        RootClaims::parse(Members::of(&members))?;
        let token = sign_link(&link_signing_input(key, members)?, key, verifier, sign)?;
        if token.len() > MAX_CHAIN_BYTES {
            return Err(Reason::TooLong.into());
        }
        Ok(token)
    }

    fn claims(&self, consent: Digest) -> RootClaims {
        RootClaims {
            grant: self.terms.to_grant(&self.issuer, 0),
            sid: self.sid.clone(),
            epoch: self.epoch,
            principal: Principal {
                issuer: self.person.issuer.clone(),
                subject: self.person.subject.clone(),
                acr: self.person.acr.clone(),
                authenticated_at: self.person.authenticated_at,
                consent,
                standing: self.person.standing,
            },
            mission: self.mission,
        }
    }
}

impl RootDraft {
    /// The canonical claims without `prn.apr`: what travels to the person and to the signer.
    pub fn to_claims(&self) -> Result<String, Reason> {
        let mut members = self.claims(Digest::of(b"")).to_members();
        if let Some(Value::Object(principal)) = members.get_mut("prn") {
            principal.remove("apr");
        }
        let canonical = to_canonical(&Value::Object(members)).map_err(|_| Reason::Malformed)?;
        String::from_utf8(canonical).map_err(|_| Reason::Malformed)
    }

    /// Reads what [`RootDraft::to_claims`] writes, and no other spelling of it.
    pub fn from_claims(claims: &[u8]) -> Result<Self, Reason> {
        let Ok(Value::Object(mut members)) = parse_strict(claims) else {
            return Err(Reason::Malformed);
        };
        let placeholder = Digest::of(b"").to_base64url();
        match members.get_mut("prn") {
            Some(Value::Object(principal)) if !principal.contains_key("apr") => {
                principal.insert("apr".to_owned(), placeholder.into());
            }
            _ => return Err(Reason::Malformed),
        }
        let RootClaims {
            grant,
            sid,
            epoch,
            principal,
            mission,
        } = RootClaims::parse(Members::of(&members))?;
        if grant.depth != 0 {
            return Err(Reason::BadDepth);
        }
        let draft = Self {
            issuer: grant.issuer,
            terms: Terms {
                subject: grant.subject,
                key: grant.key,
                audience: grant.audience,
                issued_at: grant.issued_at,
                not_before: grant.not_before,
                expires_at: grant.expires_at,
                jti: grant.jti,
                max_depth: grant.max_depth,
                entries: grant.entries,
                forbid: grant.forbid,
                ask: grant.ask,
            },
            sid,
            epoch,
            person: PersonDraft {
                issuer: principal.issuer,
                subject: principal.subject,
                acr: principal.acr,
                authenticated_at: principal.authenticated_at,
                standing: principal.standing,
            },
            mission,
        };
        if draft.to_claims()?.as_bytes() == claims {
            Ok(draft)
        } else {
            Err(Reason::Malformed)
        }
    }
}
