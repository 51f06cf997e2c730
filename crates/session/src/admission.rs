//! Opening a session, and joining it.

use chancery_audit::{
    DelegationEnrol, Event as Entry, InstanceLink, Label, SessionJoin, SessionOpen,
};
use chancery_delegation::{Mission, VerifiedChain};
use chancery_identity::AttestationLevel;
use chancery_types::Timestamp;
use chancery_types::id::SessionId;

use crate::event::assurance;
use crate::judge;
use crate::state::Open;
use crate::{Fault, Joining, Member, Opening, PRINCIPAL, Reason, principal_text};

/// Opens a session with what belongs together.
pub(crate) fn open(
    session: SessionId,
    now: Timestamp,
    opening: &Opening,
) -> Result<(Open, SessionOpen), Fault> {
    let (chain, member) = (&opening.chain, &opening.member);
    if chain.sid() != session.to_string() {
        return Err(Fault::Unfit(Reason::WrongSession));
    }
    let mission = &opening.mission;
    check_mission(mission, chain).map_err(Fault::Unfit)?;
    let principal = opening.principal.commitment();
    let person = opening.principal.open(PRINCIPAL, &principal);
    match (person, principal_text(chain.principal())) {
        (Ok(person), Ok(named)) if person == named => {}
        _ => return Err(Fault::Unfit(Reason::WrongPrincipal)),
    }
    let consent = opening.consent.as_ref();
    if consent.is_some_and(|consent| consent.chain_root() != chain.root().hash()) {
        return Err(Fault::Unfit(Reason::WrongConsent));
    }
    if member.policy.is_some_and(|bound| bound != opening.policy) {
        return Err(Fault::PolicyMismatch);
    }
    if now >= chain.expires_at() || now >= member.expires {
        return Err(Fault::AlreadyOver);
    }
    check_holder(member, chain)?;
    let entry = SessionOpen {
        session,
        gateway: opening.gateway.clone(),
        agent: Label::or_digest(member.agent.as_str()),
        instance: Label::or_digest(member.instance.as_str()),
        manifest: member.manifest,
        chain: chain.digest(),
        root: Label::or_digest(chain.root().jti()),
        principal,
        operator: opening.operator,
        mission: chain.mission(),
        assurance: assurance(consent),
        policy: opening.policy,
        catalog: opening.catalog,
        trust: opening.trust,
        expires: opening
            .expires
            .min(mission.expires())
            .min(now.plus_seconds(mission.budget().seconds)),
        max_calls: least(opening.budgets.max_calls, mission.budget().calls),
        max_cost_micros: least(
            opening.budgets.max_cost_micros,
            mission.budget().cost_micros,
        ),
        approver: mission.approver().person(),
    };
    Ok((Open::new(now, entry.clone())?, entry))
}

/// The smaller of the gateway's own limit and the mission's.
fn least(own: Option<u64>, mission: u64) -> Option<u64> {
    Some(own.map_or(mission, |own| own.min(mission)))
}

/// Whether a chain is for this mission and no longer in force than it.
pub(crate) fn check_mission(mission: &Mission, chain: &VerifiedChain) -> Result<(), Reason> {
    if chain.mission() != mission.digest() {
        Err(Reason::WrongMission)
    } else if chain.root().expires_at() > mission.expires() {
        Err(Reason::MissionExpiry)
    } else {
        Ok(())
    }
}

/// The chain's leaf is this member's, by name and by key.
fn check_holder(member: &Member, chain: &VerifiedChain) -> Result<(), Fault> {
    if *chain.leaf_subject() == member.instance && chain.leaf_key().thumbprint() == member.agent_key
    {
        Ok(())
    } else {
        Err(Fault::Unfit(Reason::HolderMismatch))
    }
}

/// The entries by which an instance joins: the links not seen before, and the join.
pub(crate) fn join(open: &Open, now: Timestamp, joining: &Joining) -> Result<Vec<Entry>, Fault> {
    let (chain, member) = (&joining.chain, &joining.member);
    if now >= open.opened.entry.expires {
        return Err(Fault::Unfit(Reason::SessionExpired));
    }
    if now >= chain.expires_at() || now >= member.expires {
        return Err(Fault::AlreadyOver);
    }
    judge::check_chain(open, chain, &joining.principal).map_err(Fault::Unfit)?;
    check_holder(member, chain)?;
    if member
        .policy
        .is_some_and(|bound| bound != open.opened.entry.policy)
    {
        return Err(Fault::PolicyMismatch);
    }
    let mut entries = enrolments(judge::new_links(open, chain).map_err(Fault::Unfit)?);
    entries.push(
        SessionJoin {
            session: open.id(),
            instance: Label::or_digest(member.instance.as_str()),
            link: InstanceLink { seq: 0, prev: None },
            agent: Label::or_digest(member.agent.as_str()),
            manifest: member.manifest,
            chain: chain.digest(),
            leaf: Label::or_digest(chain.leaf().jti()),
            agent_key: member.agent_key,
            attestation_level: level(member.level),
            isolation: member.isolation,
            expires: member.expires,
            id: Some(member.id),
        }
        .into(),
    );
    Ok(entries)
}

fn level(level: AttestationLevel) -> Label {
    Label::or_digest(&level.to_string())
}

/// The links as entries.
pub(crate) fn enrolments(links: Vec<DelegationEnrol>) -> Vec<Entry> {
    links.into_iter().map(Entry::from).collect()
}
