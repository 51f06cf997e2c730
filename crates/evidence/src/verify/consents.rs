//! Standing consents: enrolled before they were used, used no more often than they say, and no
//! number twice. That nothing rests on one that was revoked, every chain check holds.

use chancery_audit::{ConsentStanding, Event, Label};
use chancery_delegation::{ConsentArtefact, SignedStanding, StandingUse, VerifiedChain};

use super::case::{Case, Desk};
use super::chains::enrolled_root;
use super::roll::Logged;
use crate::ObjectKind;
use crate::report::Axis;

/// The use that a root is, held against the whole log of the server.
pub(super) fn check_use(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    chain: &VerifiedChain,
    used: StandingUse,
) {
    let Some((root, _)) = enrolled_root(case, chain.root().jti()) else {
        // A root that is not enrolled is a finding already.
        return;
    };
    let place = case.server.place(root);
    let axis = Axis::Authenticity;
    match enrolled(case, used, root) {
        None => {
            let text = "the server's log has no such standing consent before this root";
            desk.found
                .add(axis, place.clone(), "consent_not_enrolled", text);
        }
        Some((entry, signed)) => {
            let same = expected(desk, chain, signed).is_some_and(|expected| expected == *signed);
            let entry = case.server.place(entry);
            let text = "differs from the standing consent that the person signed";
            desk.found
                .require(same, axis, &entry, "consent_differs", text);
        }
    }
    let text = format!(
        "use {} of {} stands in the log more than once",
        used.number, used.consent
    );
    let once = !stands_twice(case, used, root);
    desk.found
        .require(once, axis, &place, "consent_used_twice", &text);
}

/// The entry of the standing consent, before the root's.
fn enrolled<'c>(
    case: &'c Case<'_>,
    used: StandingUse,
    root: &Logged,
) -> Option<(&'c Logged, &'c ConsentStanding)> {
    let entries = case.server.entries.iter();
    let mut before = entries.take_while(|logged| logged.leaf.index < root.leaf.index);
    before.find_map(|logged| match &logged.entry.event {
        Event::ConsentStanding(signed) if signed.standing == used.consent => Some((logged, signed)),
        _ => None,
    })
}

/// What the entry says where it says what the person signed. Who that is stands behind a salt of its
/// own.
fn expected(
    desk: &mut Desk<'_>,
    chain: &VerifiedChain,
    entry: &ConsentStanding,
) -> Option<ConsentStanding> {
    let consent = chain.principal().consent;
    let artefact = desk.objects.take(consent, ObjectKind::Consent)?;
    let ConsentArtefact::Standing(signed) = ConsentArtefact::parse(artefact).ok()? else {
        return None;
    };
    let SignedStanding { statement, .. } = *signed;
    Some(ConsentStanding {
        standing: statement.id,
        statement: statement.challenge().ok()?,
        consent,
        principal: entry.principal,
        mission: statement.mission,
        agent: Label::or_digest(statement.agent.as_str()),
        max_uses: statement.max_uses,
        max_seconds: statement.max_seconds,
        expires: statement.expires_at,
    })
}

/// Whether another root, of whatever session, has the same number.
fn stands_twice(case: &Case<'_>, used: StandingUse, root: &Logged) -> bool {
    let mut entries = case.server.entries.iter();
    entries.any(|logged| match &logged.entry.event {
        Event::DelegationRoot(body) => {
            logged.leaf.index != root.leaf.index
                && body.standing == Some(used.consent)
                && body.standing_use == Some(used.number)
        }
        _ => false,
    })
}
