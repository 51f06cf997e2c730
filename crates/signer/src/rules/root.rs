//! Roots of delegation chains: only over the verified consent of a principal whom the trust
//! document names.

use std::sync::{Mutex, PoisonError};

use chancery_api::Problem;
use chancery_api::signer::{SignRoot, SignedToken};
use chancery_crypto::AwsLc;
use chancery_delegation::{
    ConsentArtefact, ConsentError, Credential, Mission, RootDraft, verify_assertion,
};
use chancery_identity::trust::{Role, VerifiedTrust};
use chancery_types::{Digest, Timestamp, base64url};

use super::snapshot::Held;
use super::standing::StandingRatchet;
use super::{MAX_LIFETIME_SECONDS, check_instance, check_key, check_now, revoked};
use crate::keys::StandingKeys;

pub(crate) fn sign(
    keys: &StandingKeys,
    trust: &VerifiedTrust,
    request: &SignRoot,
    (held, consents): (&Held, &Mutex<StandingRatchet>),
    now: Timestamp,
) -> Result<SignedToken, Problem> {
    let draft = RootDraft::from_claims(request.claims.as_bytes())
        .map_err(|reason| Problem::bad_request(reason.code(), "claims are not those of a root"))?;
    check_now(draft.terms.issued_at, now)?;
    let authority = trust
        .delegation_authorities
        .iter()
        .find(|known| known.key == *keys.delegation.public())
        .ok_or_else(|| {
            Problem::forbidden(
                "authority",
                "the trust document does not name this authority",
            )
        })?;
    if draft.issuer != authority.issuer || draft.person.issuer != authority.issuer {
        return Err(Problem::forbidden(
            "issuer",
            "iss and prn.iss must be this authority's",
        ));
    }
    let lifetime = draft.terms.expires_at.micros_since(draft.terms.issued_at) / 1_000_000;
    if lifetime > MAX_LIFETIME_SECONDS {
        return Err(Problem::forbidden(
            "lifetime",
            "a root lives an hour at most",
        ));
    }
    if draft.terms.subject.trust_domain().as_str() != trust.trust_domain {
        return Err(Problem::forbidden(
            "sub",
            "a root is signed for own instances only",
        ));
    }
    check_revoked(held, &draft)?;
    check_mission(&draft, &request.mission)?;
    let consent = consent(trust, &draft, request)?;
    if let (ConsentArtefact::Standing(signed), Some(used)) =
        (&request.consent, draft.person.standing)
    {
        // The last thing before the signature: what fails after it costs a number, never gives one.
        let mut consents = consents.lock().unwrap_or_else(PoisonError::into_inner);
        consents.take(&signed.statement, used.number)?;
    }
    draft
        .sign(consent, keys.delegation.public(), &AwsLc, &|input| {
            keys.delegation.sign(input)
        })
        .map(|token| SignedToken { token })
        .map_err(|error| Problem::bad_request("root", error.to_string()))
}

/// Refuses a root that every gateway would refuse: of an earlier epoch, or with something revoked in
/// it.
fn check_revoked(held: &Held, draft: &RootDraft) -> Result<(), Problem> {
    if draft.epoch < held.epoch {
        return Err(Problem::forbidden(
            "stale_epoch",
            format!("epoch {} is over", draft.epoch),
        ));
    }
    check_instance(held, &draft.terms.subject)?;
    check_key(held, &draft.terms.key)?;
    let set = &held.revoked;
    let of_root = [
        (set.has_token(&draft.terms.jti), "token"),
        (set.has_session(&draft.sid), "session"),
        (set.has_mission(&draft.mission), "mission"),
        (set.has_person(&draft.person.subject), "person"),
        (
            (draft.person.standing).is_some_and(|used| set.has_consent(used.consent)),
            "standing consent",
        ),
    ];
    match of_root.iter().find(|(holds, _)| *holds) {
        None => Ok(()),
        Some((_, kind)) => Err(revoked(&format!("the {kind} of the root is revoked"))),
    }
}

/// That the claims name this mission, and that the root does not outlive it.
fn check_mission(draft: &RootDraft, mission: &str) -> Result<(), Problem> {
    let bytes = base64url::decode(mission)
        .map_err(|_| Problem::bad_request("mission", "mission is not base64url"))?;
    if Digest::of(&bytes) != draft.mission {
        return Err(Problem::forbidden(
            "mission_mismatch",
            "mission_s256 is not the mission's digest",
        ));
    }
    let mission = Mission::parse(bytes)
        .map_err(|error| Problem::forbidden("mission_invalid", format!("the mission, {error}")))?;
    if draft.terms.expires_at > mission.expires() {
        return Err(Problem::forbidden(
            "mission_expiry",
            "a root does not outlive its mission",
        ));
    }
    Ok(())
}

/// Verifies the consent and returns the digest of its artefact.
fn consent(
    trust: &VerifiedTrust,
    draft: &RootDraft,
    request: &SignRoot,
) -> Result<Digest, Problem> {
    let refused = |message: &str| Problem::forbidden("consent", message.to_owned());
    let (person, credential) = trust
        .credential(&request.consent.assertion().credential_id)
        .ok_or_else(|| refused("the trust document does not name the credential"))?;
    if person.id.to_string() != draft.person.subject {
        return Err(refused("the credential is not the principal's"));
    }
    if !person.roles.contains(&Role::Principal) {
        return Err(refused("the person is no principal"));
    }
    let credential = Credential::from(credential);
    match (&request.consent, draft.person.standing) {
        (ConsentArtefact::Root(assertion), None) => {
            let challenge = draft
                .challenge()
                .map_err(|_| refused("the claims have no challenge"))?;
            verify_assertion(assertion, &challenge, &credential, &AwsLc)
                .map_err(|error| refused(&error.to_string()))?;
        }
        (ConsentArtefact::Standing(signed), Some(_)) => {
            draft
                .terms_for_consent(|root| signed.verify_for(root, &credential, &AwsLc))
                .map_err(|error| match error {
                    ConsentError::Uncovered(reason) => {
                        Problem::forbidden(reason.code(), reason.said())
                    }
                    other => refused(&said(&other)),
                })?;
        }
        (ConsentArtefact::Root(_), Some(_)) | (ConsentArtefact::Standing(_), None) => {
            return Err(refused(&ConsentError::Kind.to_string()));
        }
    }
    let artefact = request
        .consent
        .to_bytes()
        .map_err(|_| refused("the assertion has no canonical form"))?;
    Ok(Digest::of(artefact))
}

/// An error with what it came from.
fn said(error: &ConsentError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
