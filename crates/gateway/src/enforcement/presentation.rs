use chancery_api::gateway::{Presentation, SESSION_PROOF_TYP, SessionProof};
use chancery_audit::{Disclosure, SessionRefuse};
use chancery_crypto::AwsLc;
use chancery_delegation::{
    Consent, Mission, RuleReason, VerifiedChain, verify_chain, verify_manifest,
};
use chancery_identity::{VerifiedWit, verify_wit};
use chancery_session::{Member, MemberError, principal_text};
use chancery_types::id::SessionId;
use chancery_types::jws::Compact;
use chancery_types::{Digest, RevocationKind, Timestamp, base64url, parse_strict};
use serde_json::Value;

use super::Enforcement;
use super::catalog::Catalog;
use super::chains::{ChainFault, consent_to};
use super::dossier::MemberObjects;
use super::in_force::{Freshness, InForce};
use crate::peer::Peer;

/// How old a proof may be, and how far ahead of our clock.
const MAX_AGE_SECONDS: u64 = 60;
const MAX_AHEAD_SECONDS: u64 = 5;

/// A presentation whose every part was verified and belongs to the others and to the peer.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) session: SessionId,
    pub(crate) member: Member,
    pub(crate) chain: VerifiedChain,
    pub(crate) consent: Consent,
    pub(crate) mission: Mission,
    pub(crate) member_objects: MemberObjects,
    /// What evidence needs of it and is about the person.
    pub(crate) objects: Vec<Vec<u8>>,
    /// What evidence needs of it and is about nobody.
    pub(crate) open_objects: Vec<Vec<u8>>,
    /// What a refusal for another reason names.
    pub(crate) seen: Seen,
}

/// A refused presentation: why, and what of it could be read.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) seen: Box<Seen>,
}

/// What could be read of a presentation.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    session: Option<SessionId>,
    chain: Option<Digest>,
    manifest: Option<Digest>,
    link: Option<u64>,
    revoked: Option<RevocationKind>,
}

impl Seen {
    /// What is said of a call: not the session that it claims, which nobody verified.
    pub(crate) const fn of_call(chain: Digest, fault: ChainFault) -> Self {
        Self {
            session: None,
            chain: Some(chain),
            manifest: None,
            link: fault.link,
            revoked: fault.revoked,
        }
    }

    /// The entry that says so.
    pub(crate) fn refusal(&self, code: &str, instance: &str) -> SessionRefuse {
        SessionRefuse {
            reason: chancery_audit::Label::or_digest(code),
            session: self.session,
            instance: Some(chancery_audit::Label::or_digest(instance)),
            chain: self.chain,
            manifest: self.manifest,
            link: self.link,
            revoked: self.revoked,
        }
    }
}

impl Enforcement {
    /// Verifies a presentation whole. Every part is held against trust from outside of it, and all
    /// parts against each other.
    pub(crate) fn verify_presentation(
        &self,
        peer: &Peer,
        body: &[u8],
        in_force: &InForce,
        catalog: &Catalog,
        now: Timestamp,
    ) -> Result<Presented, Refused> {
        let mut seen = Seen::default();
        let verified = self.verify_parts(peer, body, in_force, catalog, now, &mut seen);
        verified.map_err(|fault| {
            seen.link = fault.link;
            seen.revoked = fault.revoked;
            Refused {
                code: fault.code,
                seen: Box::new(seen),
            }
        })
    }

    fn verify_parts(
        &self,
        peer: &Peer,
        body: &[u8],
        in_force: &InForce,
        catalog: &Catalog,
        now: Timestamp,
        seen: &mut Seen,
    ) -> Result<Presented, ChainFault> {
        const MALFORMED: &str = "malformed";
        let presentation: Presentation = parse_strict(body)
            .ok()
            .and_then(|value| serde_json::from_value(value).ok())
            .ok_or(MALFORMED)?;
        let links: Vec<_> = presentation.chain.iter().map(String::as_str).collect();
        seen.chain = Some(Digest::of(links.join(",")));
        let tls = self.tls().ok_or("certificate_invalid")?;
        let peer_id = self
            .peers
            .verify(peer.certificates(), &tls, now)
            .map_err(|_| "certificate_invalid")?;
        match in_force.freshness(now, self.grace_seconds) {
            Freshness::Fresh => {}
            Freshness::Stale => return Err(Freshness::STALE.into()),
            Freshness::Expired => return Err(Freshness::EXPIRED.into()),
        }
        let token = verify_wit(&presentation.wit, in_force.tokens(), now, &AwsLc)
            .map_err(|error| refused("wit_refused", &error))?;
        let chain = in_force
            .chains(self.own.as_str(), now, |context| {
                verify_chain(&links, context)
            })
            .map_err(ChainFault::from)?;
        let session: SessionId = chain.sid().parse().map_err(|_| "wrong_session")?;
        seen.session = Some(session);
        let is_holder = *chain.leaf_subject() == peer_id
            && *token.spiffe_id() == peer_id
            && token.agent_key() == chain.leaf_key();
        if !is_holder {
            return Err("holder_mismatch".into());
        }
        self.verify_session_proof(&presentation.proof, &token, &chain, peer, now)?;
        let artefact = presentation.consent.to_bytes().map_err(|_| MALFORMED)?;
        let consent = consent_to(&chain, &artefact, &in_force.trust)?;
        let envelope = base64url::decode(&presentation.manifest).map_err(|_| MALFORMED)?;
        let manifest = in_force
            .manifests(now, |context| verify_manifest(&envelope, context))
            .map_err(|error| refused("manifest_refused", &error))?;
        seen.manifest = Some(manifest.payload_digest());
        if manifest.policy_bundle() != Some(in_force.policy.bundle.digest()) {
            return Err("policy_mismatch".into());
        }
        if manifest.catalog_hash() != Some(catalog.root) {
            return Err("catalog_mismatch".into());
        }
        let member =
            Member::new(&token, &manifest, Some(catalog.root)).map_err(|error| match error {
                MemberError::NotAnInstance => "holder_mismatch",
                MemberError::WrongAgent | MemberError::WrongManifest => "manifest_mismatch",
                MemberError::WrongCatalog => "catalog_mismatch",
            })?;
        let rules = in_force.policy.bundle.chains();
        let level = token.claims().attestation_level;
        rules.check_level(level).map_err(RuleReason::code)?;
        rules.check_chain(&chain)?;
        let mission = mission_of(&presentation.mission, &chain)?;
        check_person(&presentation.principal, &chain)?;
        let member_objects = MemberObjects {
            manifest: Digest::of(&envelope),
            wit: token.digest(),
            manifest_id: manifest.manifest_id().to_owned(),
            code: manifest
                .container_image()
                .unwrap_or(manifest.payload_digest()),
        };
        let mut objects = vec![
            artefact,
            mission.as_bytes().to_vec(),
            links.join(",").into_bytes(),
        ];
        objects.extend(links.iter().map(|link| link.as_bytes().to_vec()));
        Ok(Presented {
            session,
            member,
            chain,
            consent,
            mission,
            member_objects,
            objects,
            open_objects: vec![envelope, presentation.wit.into_bytes()],
            seen: seen.clone(),
        })
    }

    /// That the one who presents holds the agent key, and means this gateway, this chain and now.
    fn verify_session_proof(
        &self,
        proof: &str,
        token: &VerifiedWit,
        chain: &VerifiedChain,
        peer: &Peer,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let jws = Compact::parse(proof).map_err(|_| "malformed")?;
        if jws.header.typ != SESSION_PROOF_TYP || jws.header.kid.is_some() {
            return Err("wrong_typ");
        }
        if !jws.verify(token.agent_key(), &AwsLc) {
            return Err("pop_bad_signature");
        }
        let claims: SessionProof =
            serde_json::from_value(Value::Object(jws.claims)).map_err(|_| "malformed")?;
        if claims.aud != self.own.as_str() || claims.cth != chain.digest().to_base64url() {
            return Err("pop_mismatch");
        }
        let made = Timestamp::from_seconds(claims.iat);
        if now > made.plus_seconds(MAX_AGE_SECONDS) || made > now.plus_seconds(MAX_AHEAD_SECONDS) {
            return Err("pop_stale");
        }
        if self.challenges.take(peer.name(), &claims.nonce, now) {
            Ok(())
        } else {
            Err("challenge_unknown")
        }
    }
}

/// The mission that the root names; no root outlives it.
fn mission_of(presented: &str, chain: &VerifiedChain) -> Result<Mission, ChainFault> {
    let bytes = base64url::decode(presented).map_err(|_| "malformed")?;
    if Digest::of(&bytes) != chain.mission() {
        return Err("mission_mismatch".into());
    }
    let mission = Mission::parse(bytes).map_err(|error| refused("mission_invalid", &error))?;
    if chain.root().expires_at() > mission.expires() {
        return Err("mission_expiry".into());
    }
    Ok(mission)
}

/// That the disclosure is of the person at the root: by the identifier alone, as the server's log
/// commits to it, or with its issuer, as sessions do.
fn check_person(disclosure: &Disclosure, chain: &VerifiedChain) -> Result<(), &'static str> {
    let whole = principal_text(chain.principal()).map_err(|_| "principal_mismatch")?;
    let same = disclosure.value == chain.principal().subject || disclosure.value == whole;
    if same && disclosure.name == chancery_session::PRINCIPAL {
        Ok(())
    } else {
        Err("principal_mismatch")
    }
}

fn refused(code: &'static str, error: &(dyn std::error::Error + 'static)) -> ChainFault {
    tracing::info!(code, error, "a presentation was refused");
    code.into()
}
