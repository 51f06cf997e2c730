//! The one decision function: gateways call it before they act, verifiers when they check.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{
    CallRecord, Charge, ClearValue, DelegationEnrol, Disclosure, Label, ObservedBy, Ruling,
    Unenforced,
};
use chancery_delegation::{
    Call, Consent, Mission, Progress, Restriction, Scope, Standing, Target, Unserved,
    VerifiedChain, VerifiedProof, authorise,
};
use chancery_policy::{Annotations, Cause, Decision, Outcome, Request, SessionFacts};
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};
use chancery_types::{Digest, to_jcs};
use serde_json::Value;

use crate::action::call_kind;
use crate::event::assurance;
use crate::facts::Facts;
use crate::judgement::Found;
use crate::limits::{self, MAX_DECISIONS};
use crate::opinion::{OPINION_ASK, Opinion, OpinionVerdict};
use crate::state::{Instance, Open, Reach};
use crate::translate::{Translated, session_facts, target};
use crate::{
    Braked, Commons, Judgement, PRINCIPAL, Reason, Rulebook, admission, chain_ask, observe,
    principal_text,
};

/// How a log names the question about what cannot be undone.
pub(crate) const IRREVERSIBLE: &str = "irreversible";

/// What the pinned catalog says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogFacts {
    /// The digest of the catalog.
    pub digest: Digest,
    /// What it says of the target; none where it does not have it.
    pub annotations: Option<Annotations>,
}

/// One call and all that its decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct CallInput<'a> {
    /// The execution, drawn at random.
    pub execution: ExecutionId,
    /// The time, the authorities' epoch and what was revoked.
    pub standing: Standing<'a>,
    /// The chain that came with the call.
    pub chain: &'a VerifiedChain,
    /// The proof that came with the call.
    pub proof: &'a VerifiedProof,
    /// The person's consent to the chain's root; without one it is asserted.
    pub consent: Option<&'a Consent>,
    /// The person at the root, as the session's commitment has it.
    pub principal: &'a Disclosure,
    /// The mission that the session was opened for.
    pub mission: &'a Mission,
    /// The call.
    pub call: Call<'a>,
    /// A model's opinion of the call, where one came with it.
    pub opinion: Option<&'a Opinion>,
    /// The policy in force.
    pub policy: &'a Rulebook,
    /// The catalog in force.
    pub catalog: CatalogFacts,
    /// What the sessions of the gateway share when it decides.
    pub commons: &'a Commons,
}

/// A denial and what determined it.
type Denied = (Reason, Vec<Label>);

/// Judges a call in an open session; `asking` is told what policy is asked, if it is. Total, and without
/// effect on the session.
pub(crate) fn judge(
    open: &Open,
    input: &CallInput<'_>,
    asking: &mut dyn FnMut(&Request<'_>),
) -> Judgement {
    let mut judgement = draft(open.id(), input);
    judgement.revision = Some(open.revision);
    let arguments = Value::Object(input.call.args.clone());
    let cost = input.policy.cost_micros(&target(&input.call), &arguments);
    judgement.cost_micros = cost.unwrap_or_default();
    let instance = open.joined(input.chain.leaf_subject().as_str());
    let facts = instance
        .ok()
        .map(|instance| facts_of(open, instance, input));
    judgement.facts = facts.as_ref().map(Facts::to_record);
    let found = check_session(open, input)
        .and_then(|instance| {
            judgement.new_links = new_links(open, input.chain)?;
            Ok((instance, facts.as_ref().ok_or(Reason::NotJoined)?))
        })
        .map_err(|reason| (reason, Vec::new()))
        .and_then(|(instance, facts)| {
            check_brakes(open, instance, input)?;
            let cost = cost.map_err(|_| (Reason::CostUnknown, Vec::new()))?;
            check_call(
                open,
                (instance, facts),
                input,
                &judgement,
                (&arguments, cost),
                asking,
            )
        });
    judgement.found = found.unwrap_or_else(|(reason, by)| Found::denied(reason, by));
    judgement
}

fn facts_of(open: &Open, instance: &Instance, input: &CallInput<'_>) -> Facts {
    let (rules, now) = (input.policy.sessions(), input.standing.now);
    Facts::of(open, instance, rules, input.commons, &input.call, now)
}

/// A denial for a session that is not open.
pub(crate) fn closed(session: SessionId, reason: Reason, input: &CallInput<'_>) -> Judgement {
    let mut judgement = draft(session, input);
    judgement.found = Found::denied(reason, Vec::new());
    judgement
}

fn draft(session: SessionId, input: &CallInput<'_>) -> Judgement {
    let arguments = Value::Object(input.call.args.clone());
    let clear = input
        .policy
        .tool(&target(&input.call))
        .map(|tool| tool.clear_args(&arguments))
        .unwrap_or_default();
    Judgement {
        revision: None,
        session,
        at: input.standing.now,
        execution: input.execution,
        instance: Label::or_digest(input.chain.leaf_subject().as_str()),
        chain: input.chain.digest(),
        leaf: Label::or_digest(input.chain.leaf().jti()),
        proof: input.proof.digest(),
        request: CallRecord {
            server: Label::or_digest(input.call.server),
            kind: call_kind(&input.call),
            name: Label::or_digest(input.call.target.name()),
            // Arguments without a canonical form are denied; the digest then names nothing.
            args_digest: Digest::of(to_jcs(&arguments).unwrap_or_default()),
            clear: in_clear(clear),
        },
        policy: input.policy.digest(),
        step: input.proof.step().map(Label::or_digest),
        opinion: input.opinion.map(Opinion::digest),
        cost_micros: 0,
        facts: None,
        new_links: Vec::new(),
        found: Found::denied(Reason::NotOpen, Vec::new()),
    }
}

fn in_clear(values: BTreeMap<String, Value>) -> BTreeMap<Label, ClearValue> {
    values
        .into_iter()
        .filter_map(|(name, value)| {
            let value = match value {
                Value::Bool(value) => ClearValue::Bool(value),
                Value::Number(value) => ClearValue::Integer(value.as_i64()?),
                Value::String(value) => ClearValue::Text(value),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            };
            Some((Label::try_from(name).ok()?, value))
        })
        .collect()
}

/// Everything but the call: the session, who calls, and whether the chain belongs here.
fn check_session<'a>(open: &'a Open, input: &CallInput<'_>) -> Result<&'a Instance, Reason> {
    let now = input.standing.now;
    let require = |holds: bool, reason| if holds { Ok(()) } else { Err(reason) };
    require(now >= open.last_at, Reason::ClockSteppedBack)?;
    require(now < open.opened.entry.expires, Reason::SessionExpired)?;
    let instance = open
        .joined(input.chain.leaf_subject().as_str())
        .map_err(|_| Reason::NotJoined)?;
    require(
        input.chain.leaf_key().thumbprint() == instance.agent_key,
        Reason::HolderMismatch,
    )?;
    check_chain(open, input.chain, input.principal)?;
    admission::check_mission(input.mission, input.chain)?;
    input
        .chain
        .recheck(&input.standing)
        .map_err(|refusal| Reason::Chain(refusal.reason))?;
    let rules = input.policy.chains();
    rules
        .check_level(instance.level)
        .and_then(|()| {
            rules
                .check_chain(input.chain)
                .map_err(|breach| breach.reason)
        })
        .map_err(Reason::Rules)?;
    require(
        input
            .consent
            .is_none_or(|consent| consent.chain_root() == input.chain.root().hash()),
        Reason::WrongConsent,
    )?;
    let means = input.proof.execution();
    require(
        !open.executions.is_known(input.execution)
            && means.is_none_or(|meant| meant == input.execution),
        Reason::WrongExecution,
    )?;
    require(open.executions.len() < MAX_DECISIONS, Reason::TooManyCalls)?;
    Ok(instance)
}

/// Whether a person stopped this, whatever permits it.
fn check_brakes(open: &Open, instance: &Instance, input: &CallInput<'_>) -> Result<(), Denied> {
    let stopping = input.commons.stopping(&Braked {
        person: &input.chain.principal().subject,
        session: open.id(),
        agent: instance.agent.as_str(),
        instance: input.chain.leaf_subject().as_str(),
        call: Some((input.call.server, input.call.target.name())),
    });
    match stopping.is_empty() {
        true => Ok(()),
        false => Err((Reason::Paused, stopping)),
    }
}

/// Whether a chain is for this session, this mission and this person.
pub(crate) fn check_chain(
    open: &Open,
    chain: &VerifiedChain,
    principal: &Disclosure,
) -> Result<(), Reason> {
    let opened = &open.opened.entry;
    if chain.sid() != opened.session.to_string() {
        return Err(Reason::WrongSession);
    }
    if chain.mission() != opened.mission {
        return Err(Reason::WrongMission);
    }
    let person = principal.open(PRINCIPAL, &opened.principal);
    let named = principal_text(chain.principal());
    match (person, named) {
        (Ok(person), Ok(named)) if person == named => Ok(()),
        _ => Err(Reason::WrongPrincipal),
    }
}

/// The links that the session has not enrolled, root first.
pub(crate) fn new_links(
    open: &Open,
    chain: &VerifiedChain,
) -> Result<Vec<DelegationEnrol>, Reason> {
    let mut found = Vec::new();
    let mut parent = None;
    for link in chain.links() {
        let delegation = Label::or_digest(link.jti());
        let twice = found
            .iter()
            .any(|enrol: &DelegationEnrol| enrol.delegation == delegation);
        match open.links.get(&delegation) {
            Some(known) if known.token == link.token_digest() => {}
            None if !twice => found.push(DelegationEnrol {
                session: open.id(),
                delegation: delegation.clone(),
                link: link.token_digest(),
                delegator: Label::or_digest(&link.grant().issuer),
                delegate: Label::or_digest(link.subject().as_str()),
                depth: link.depth(),
                expires: link.expires_at(),
                parent,
            }),
            _ => return Err(Reason::AmbiguousDelegation),
        }
        parent = Some(delegation);
    }
    Ok(found)
}

/// The call: catalog, chain, policy, limits; what asks is looked at last.
fn check_call(
    open: &Open,
    (instance, facts): (&Instance, &Facts),
    input: &CallInput<'_>,
    judgement: &Judgement,
    (arguments, cost_micros): (&Value, u64),
    asking: &mut dyn FnMut(&Request<'_>),
) -> Result<Found, Denied> {
    let bare = |reason| (reason, Vec::new());
    let reached = reach_policy(open, facts, input, judgement, (arguments, cost_micros))?;
    let request = reached.request(instance, input, arguments);
    asking(&request);
    let decision = input.policy.decide(&request);
    let Reached {
        scope,
        resource,
        rows,
        approvals,
        grants,
        ..
    } = reached;
    let covered = scope
        .covered()
        .map_err(|reason| bare(Reason::Chain(reason)))?;
    let unenforced = observe::unenforced(open.id(), input, &decision);
    if decision.outcome == Outcome::Deny && unenforced.is_none() {
        return Err((denial(decision.cause), labels(decision.determining)));
    }
    limits::check(open, input.chain, &input.call, covered, cost_micros).map_err(bare)?;
    let rules = input.policy.sessions();
    limits::check_breadth(open, rules, resource).map_err(bare)?;
    let mut asked = asked(input, &scope).map_err(bare)?;
    let sums = (resource, rows, cost_micros);
    let exceeded = limits::exceeded(open, rules, sums, input.standing.now);
    asked.extend(exceeded.into_iter().map(str::to_owned));
    asked.extend(facts.asks());
    asked.extend(irreversible(input, &decision, unenforced.as_ref()));
    let unenforced = observe::beside(unenforced, &decision, &mut asked);
    let mut open_asks: BTreeSet<String> = asked.difference(&grants).cloned().collect();
    if decision.outcome == Outcome::Escalate && unenforced.is_none() {
        open_asks.extend(decision.determining.iter().cloned());
    }
    if !open_asks.is_empty() {
        return Ok(Found {
            ruling: Ruling::Escalate,
            reason: Reason::Ask,
            determining: labels(open_asks),
            approvals: Vec::new(),
            charges: Vec::new(),
            unenforced,
        });
    }
    let approved = decision.cause == Cause::Granted || !asked.is_empty();
    let allowed_by = match unenforced {
        None => decision.determining,
        Some(_) => Vec::new(),
    };
    let determining: BTreeSet<String> = allowed_by.into_iter().chain(asked).collect();
    Ok(Found {
        ruling: Ruling::Allow,
        reason: match (&unenforced, approved) {
            (Some(_), _) => Reason::Observed,
            (None, true) => Reason::Approved,
            (None, false) => Reason::Permit,
        },
        determining: labels(determining),
        approvals: if approved { approvals } else { Vec::new() },
        charges: covered
            .iter()
            .map(|coverage| Charge {
                delegation: Label::or_digest(&coverage.jti),
                entry: coverage.entry as u64,
            })
            .collect(),
        unenforced,
    })
}

/// A call that nothing denied before policy is asked.
struct Reached {
    annotations: Annotations,
    scope: Scope,
    resource: Digest,
    rows: u64,
    session: SessionFacts,
    approvals: Vec<ApprovalId>,
    grants: BTreeSet<String>,
    translated: Translated,
}

impl Reached {
    /// What policy is asked.
    fn request<'a>(
        &'a self,
        instance: &'a Instance,
        input: &'a CallInput<'_>,
        arguments: &'a Value,
    ) -> Request<'a> {
        Request {
            principal: self.translated.principal(input.chain, instance),
            target: target(&input.call),
            annotations: self.annotations,
            arguments,
            session: self.session,
            now: input.standing.now,
            grants: &self.grants,
        }
    }
}

/// All that is looked at before policy: the mission's progress, the catalog, what the mission and the
/// chain forbid, what the chain covers.
fn reach_policy(
    open: &Open,
    facts: &Facts,
    input: &CallInput<'_>,
    judgement: &Judgement,
    (arguments, cost_micros): (&Value, u64),
) -> Result<Reached, Denied> {
    let bare = |reason| (reason, Vec::new());
    check_progress(open, input)?;
    let annotations = check_catalog(open, input).map_err(bare)?;
    to_jcs(arguments).map_err(|_| bare(Reason::BadArguments))?;
    let forbidden = input.mission.forbids(&input.call);
    if !forbidden.is_empty() {
        let names = forbidden
            .iter()
            .map(|place| format!("mission:forbid:{place}"));
        return Err((Reason::MissionForbid, labels(names)));
    }
    let scope = authorise(input.chain, &input.call);
    if !scope.forbidden().is_empty() {
        return Err((Reason::ChainForbid, labels(asks_of(scope.forbidden()))));
    }
    scope
        .covered()
        .map_err(|reason| bare(Reason::Chain(reason)))?;
    let action = judgement
        .action()
        .digest()
        .map_err(|_| bare(Reason::BadArguments))?;
    let resource = facts.resource().map_err(bare)?;
    let rows = facts.rows().map_err(bare)?;
    let reach = Reach::new(&judgement.instance, &judgement.request, resource);
    let (approvals, grants) = grants(open, (action, &reach, cost_micros), input);
    Ok(Reached {
        annotations,
        scope,
        resource,
        rows,
        session: session_facts(open, facts, input.standing.now),
        approvals,
        grants,
        translated: Translated::new(input.chain, assurance(input.consent)),
    })
}

/// What asks for a person beside policy: links of the chain, the mission about a step that the call
/// does not serve, an opinion. An opinion against the call denies it.
///
/// INVARIANT: an opinion only adds a question or a denial here; nothing else reads it.
fn asked(input: &CallInput<'_>, scope: &Scope) -> Result<BTreeSet<String>, Reason> {
    let mut asked = asks_of(scope.asked());
    let unserved = input.mission.served(input.proof.step(), &input.call);
    asked.extend(unserved.err().map(Unserved::label));
    match input.opinion.map(Opinion::verdict) {
        Some(OpinionVerdict::Deny) => return Err(Reason::Opinion),
        Some(OpinionVerdict::Escalate) => {
            asked.insert(OPINION_ASK.to_owned());
        }
        Some(OpinionVerdict::Allow) | None => {}
    }
    Ok(asked)
}

/// What cannot be undone asks, unless a permit that the operator named for it determines the decision.
/// Of a tool that the operator left out where others are listed, the pinned catalog says it; of one that
/// policy does not allow and that is observed without being named, always.
fn irreversible(
    input: &CallInput<'_>,
    decision: &Decision,
    unenforced: Option<&Unenforced>,
) -> Option<String> {
    let Target::Tool(name) = input.call.target else {
        return None;
    };
    let rules = input.policy.sessions();
    let Some(rules) = rules.tool(input.call.server, name) else {
        let destructive = input.catalog.annotations.is_none_or(|it| it.destructive);
        let unnamed = unenforced.is_some_and(|it| it.by != ObservedBy::Tool);
        let asks = destructive && (unnamed || !rules.tools().is_empty());
        return asks.then(|| IRREVERSIBLE.to_owned());
    };
    let unless = rules.irreversible()?;
    let named = decision.cause == Cause::Permit
        && decision.determining.iter().any(|one| unless.contains(one));
    (!named).then(|| IRREVERSIBLE.to_owned())
}

/// Whether the mission has come to one of its stop conditions.
fn check_progress(open: &Open, input: &CallInput<'_>) -> Result<(), Denied> {
    let counts = open.counts();
    let progress = Progress {
        calls: counts.allowed,
        cost_micros: counts.cost_micros,
        micros: input.standing.now.micros_since(open.opened.at),
        denials_in_a_row: open.denials_in_a_row,
        escalations: counts.escalated,
    };
    match input.mission.stopped(&progress) {
        None => Ok(()),
        Some(place) => {
            let name = format!("mission:stop:{place}");
            Err((Reason::MissionStopped, labels([name])))
        }
    }
}

fn check_catalog(open: &Open, input: &CallInput<'_>) -> Result<Annotations, Reason> {
    if input.catalog.digest != open.opened.entry.catalog {
        return Err(Reason::CatalogChanged);
    }
    input.catalog.annotations.ok_or(Reason::NotInCatalog)
}

/// The approvals that hold for this action now, and whose asks they answer. Who was revoked has
/// approved nothing that is not used yet. What stands for a tool and a resource answers the policy's
/// asks alone: sums, taint, the mission and what a chain asks for are looked at call by call.
fn grants(
    open: &Open,
    action: (Digest, &Reach, u64),
    input: &CallInput<'_>,
) -> (Vec<ApprovalId>, BTreeSet<String>) {
    let mut approvals = Vec::new();
    let mut granted = BTreeSet::new();
    let (policy, now) = (input.policy.digest(), input.standing.now);
    let revoked = input.standing.revoked;
    let holding = open.approvals.holding(action, policy, now);
    for (id, grant) in holding.filter(|(_, one)| !revoked.has_person(&one.approver.to_string())) {
        approvals.push(id);
        let exact = grant.is_for(action.0);
        let asks = grant.asks.iter().map(Label::to_string);
        granted.extend(asks.filter(|ask| match exact {
            true => grant.answers(ask, open.totals()),
            false => input.policy.is_ask(ask),
        }));
    }
    (approvals, granted)
}

fn asks_of(restrictions: &[Restriction]) -> BTreeSet<String> {
    restrictions.iter().map(chain_ask).collect()
}

pub(crate) fn labels(names: impl IntoIterator<Item = String>) -> Vec<Label> {
    names
        .into_iter()
        .map(|name| Label::or_digest(&name))
        .collect()
}

pub(crate) const fn denial(cause: Cause) -> Reason {
    match cause {
        Cause::Forbid => Reason::PolicyForbid,
        Cause::NoMatch => Reason::PolicyNoMatch,
        Cause::EvaluationError
        // These two do not deny; read as an error, they still deny.
        | Cause::Ask
        | Cause::Permit
        | Cause::Granted => Reason::PolicyError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_deny_is_no_permission_when_it_denies() {
        for cause in [Cause::Ask, Cause::Permit, Cause::Granted] {
            assert_eq!(denial(cause), Reason::PolicyError);
        }
        let clear = BTreeMap::from([
            ("a".to_owned(), Value::from(1.5)),
            ("b".to_owned(), Value::Null),
            ("c\n".to_owned(), Value::from(1)),
        ]);
        assert!(in_clear(clear).is_empty());
    }
}
