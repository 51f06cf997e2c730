//! Chains, consents and roots: on whose behalf, and whether that was ever consented to.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{
    Assurance, Commitment, DelegationEnrol, DelegationRoot, Disclosure, Event, Label,
};
use chancery_delegation::{
    Consent, ConsentArtefact, ConsentError, Refusal, VerifiedChain, verify_chain, verify_consent,
};
use chancery_identity::trust::PersonCredential;
use chancery_session::{PRINCIPAL, principal_text};
use chancery_types::id::SessionId;
use chancery_types::{Digest, causes};

use super::case::{Case, Desk};
use super::consents;
use super::roll::Logged;
use crate::ObjectKind;
use crate::report::{Axis, NoteValue, Place};

/// The chains of a session, each by its digest, with what was found out about their roots.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    verified: BTreeMap<Digest, VerifiedChain>,
    consents: BTreeMap<Digest, Option<Consent>>,
    roots: BTreeSet<Digest>,
    expected: BTreeMap<Label, DelegationEnrol>,
}

/// What a chain object came to at one moment.
pub(crate) enum Presented {
    /// It verified, now or before.
    Verified(Box<VerifiedChain>),
    /// It was refused.
    Refused(Refusal),
    /// None was presented.
    Absent,
    /// It is not there, which is a finding already.
    Missing,
}

impl Chains {
    /// The chain whose text has that digest, verified at that time.
    pub(crate) fn present(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        digest: Digest,
        at: &Logged,
    ) -> Presented {
        let place = case.place(at);
        let found = &mut desk.found;
        let Some(text) = desk
            .objects
            .demand(digest, ObjectKind::Chain, found, &place)
        else {
            return Presented::Missing;
        };
        if text.is_empty() {
            return Presented::Absent;
        }
        // What is no text is refused like what is no chain.
        let text = std::str::from_utf8(text).unwrap_or_default();
        let links: Vec<&str> = text.split(',').collect();
        for link in &links {
            desk.objects.take(Digest::of(link), ObjectKind::Link);
        }
        match case.chains(at, |context| verify_chain(&links, context)) {
            Ok(chain) => {
                for link in chain.links() {
                    desk.objects
                        .demand(link.token_digest(), ObjectKind::Link, found, &place);
                }
                self.learn(case, &chain);
                self.check_root(case, desk, &chain, at);
                Presented::Verified(Box::new(chain))
            }
            Err(refusal) => Presented::Refused(refusal),
        }
    }

    /// A chain that verified at some moment.
    pub(crate) fn known(&self, digest: Digest) -> Option<&VerifiedChain> {
        self.verified.get(&digest)
    }

    fn learn(&mut self, case: &Case<'_>, chain: &VerifiedChain) {
        if self
            .verified
            .insert(chain.digest(), chain.clone())
            .is_some()
        {
            return;
        }
        let mut parent = None;
        for link in chain.links() {
            let delegation = Label::or_digest(link.jti());
            let enrol = DelegationEnrol {
                session: case.session,
                delegation: delegation.clone(),
                link: link.token_digest(),
                delegator: Label::or_digest(&link.grant().issuer),
                delegate: Label::or_digest(link.subject().as_str()),
                depth: link.depth(),
                expires: link.expires_at(),
                parent,
            };
            self.expected.entry(delegation.clone()).or_insert(enrol);
            parent = Some(delegation);
        }
    }

    /// The link that was enrolled is one of a chain that was presented, and says what that says.
    pub(crate) fn check_enrolled(&self, case: &Case<'_>, desk: &mut Desk<'_>) {
        let chains_are_gone = desk.objects.has_erased_of(ObjectKind::Chain);
        for logged in case.entries() {
            let Event::DelegationEnrol(enrol) = &logged.entry.event else {
                continue;
            };
            let expected = self.expected.get(&enrol.delegation);
            let same = expected == Some(enrol) || (expected.is_none() && chains_are_gone);
            let text = "differs from the link that was presented, or none was";
            let place = case.place(logged);
            desk.found
                .require(same, Axis::Integrity, &place, "delegation_differs", text);
        }
    }

    /// The person to whom the server's log commits is the one at the root, where that is disclosed.
    pub(crate) fn check_people(
        &self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        disclosures: &[Disclosure],
    ) {
        for chain in self.verified.values() {
            let Some((logged, root)) = enrolled_root(case, chain.root().jti()) else {
                continue;
            };
            let place = case.server.place(logged);
            let mut opened = disclosures.iter();
            let Some(person) = opened.find_map(|known| known.open(PRINCIPAL, &root.principal).ok())
            else {
                desk.found
                    .note(NoteValue::Unproven, format!("principal at {place}"));
                continue;
            };
            let principal = chain.principal();
            let same = person == principal.subject
                || principal_text(principal).is_ok_and(|text| person == text);
            let text = "commits to another person than the root names";
            desk.found
                .require(same, Axis::Authenticity, &place, "principal_differs", text);
        }
    }

    /// A chain that verified at some moment, by its digest in base64url.
    pub(crate) fn by_cth(&self, cth: &str) -> Option<&VerifiedChain> {
        self.known(Digest::from_base64url(cth).ok()?)
    }

    /// The root is enrolled in the server's log as it is, before it was used; once for each root.
    fn check_root(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        chain: &VerifiedChain,
        at: &Logged,
    ) {
        let root = chain.root();
        if chain.sid() != case.session.to_string() || !self.roots.insert(root.token_digest()) {
            return;
        }
        let place = case.place(at);
        let enrolled = enrolled_root(case, root.jti());
        let Some((logged, enrolled)) = enrolled else {
            let text = format!("the server's log does not have the root {}", root.jti());
            desk.found
                .add(Axis::Authenticity, place, "root_not_enrolled", text);
            return;
        };
        let assurance = match chain.principal().standing {
            Some(_) => Assurance::Standing,
            None => Assurance::Consent,
        };
        let expected = enrolment(chain, case.session, assurance, enrolled.principal);
        let server = case.server.place(logged);
        let same = expected == *enrolled;
        let text = "differs from the root that was presented";
        desk.found
            .require(same, Axis::Authenticity, &server, "root_differs", text);
        let before = case.is_before(logged, at);
        let text = "the root was enrolled after it was used";
        desk.found
            .require(before, Axis::Completeness, &server, "root_late", text);
    }

    /// The person's consent to the chain's root, verified with a credential that the trust document
    /// gives to that person.
    pub(crate) fn consent(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        chain: &VerifiedChain,
        place: &Place,
    ) -> Option<Consent> {
        let root = chain.root().token_digest();
        if let Some(known) = self.consents.get(&root) {
            return known.clone();
        }
        let consent = verified_consent(case, desk, chain, place);
        if let Some(used) = consent.as_ref().and_then(Consent::standing) {
            consents::check_use(case, desk, chain, used);
        }
        self.consents.insert(root, consent.clone());
        consent
    }
}

/// What the server's log has to say of the root of a chain; the person stands behind a salt of its own.
pub(crate) fn enrolment(
    chain: &VerifiedChain,
    session: SessionId,
    assurance: Assurance,
    principal: Commitment,
) -> DelegationRoot {
    let (root, standing) = (chain.root(), chain.principal().standing);
    DelegationRoot {
        delegation: Label::or_digest(root.jti()),
        link: root.token_digest(),
        session,
        delegate: Label::or_digest(root.subject().as_str()),
        principal,
        mission: chain.mission(),
        assurance,
        consent: chain.principal().consent,
        epoch: chain.epoch(),
        expires: root.expires_at(),
        standing: standing.map(|used| used.consent),
        standing_use: standing.map(|used| used.number),
    }
}

/// The entry of a root in the server's log.
pub(crate) fn enrolled_root<'c>(
    case: &'c Case<'_>,
    jti: &str,
) -> Option<(&'c Logged, &'c DelegationRoot)> {
    case.server
        .entries
        .iter()
        .find_map(|logged| match &logged.entry.event {
            Event::DelegationRoot(root)
                if root.session == case.session && root.delegation == *jti =>
            {
                Some((logged, root))
            }
            _ => None,
        })
}

fn verified_consent(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    chain: &VerifiedChain,
    place: &Place,
) -> Option<Consent> {
    let digest = chain.principal().consent;
    let artefact = desk
        .objects
        .demand(digest, ObjectKind::Consent, &mut desk.found, place)?;
    let mut refuse = |reason, text: String| {
        desk.found
            .add(Axis::Authenticity, place.clone(), reason, text);
    };
    const REFUSED: &str = "consent_refused";
    let read = ConsentArtefact::parse(artefact).ok();
    let subject = &chain.principal().subject;
    let known = read.and_then(|read| {
        let credential_id = &read.assertion().credential_id;
        case.trust.principal_credential(credential_id, subject)
    });
    let Some((person, known)) = known else {
        let text = "the trust document gives the credential to no such principal";
        refuse(REFUSED, text.to_owned());
        return None;
    };
    match verify_consent(chain, artefact, &known.into(), case.verifier) {
        Ok(consent) => {
            note_credential(desk, known, &format!("consent of {}", person.id));
            Some(consent)
        }
        Err(error) => {
            let reason = match error {
                ConsentError::Uncovered(reason) => reason.code(),
                _ => REFUSED,
            };
            refuse(reason, causes(&error));
            None
        }
    }
}

/// Names what a person's signature rests on.
pub(crate) fn note_credential(desk: &mut Desk<'_>, known: &PersonCredential, about: &str) {
    if !known.hardware {
        desk.found.note(NoteValue::SoftwareOnly, about);
    }
    if known.stand_in {
        desk.found.note(NoteValue::StandIn, about);
    }
}
