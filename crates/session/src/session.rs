//! The machine.

use chancery_audit::{
    Event as Entry, GapDisclose, Label, LeaveReason, Outcome, Ruling, SessionEnd, SessionLeave,
    SessionRefuse, SessionVisit,
};
use chancery_policy::{Question, Request};
use chancery_types::Timestamp;
use chancery_types::id::{ExecutionId, SessionId};

use crate::judge::{self, CallInput};
use crate::state::{Durable, Ended, Open};
use crate::{
    Effect, Ending, Event, ExecutionEnd, Fault, Judgement, Leaving, Permit, Reason, Refused,
    Visiting, admission, approval,
};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// It has an id and nothing else.
    Opening(SessionId),
    /// It is open.
    Open(Box<Open>),
    /// It has ended.
    Ended(Box<Ended>),
}

impl Session {
    /// A session to be opened.
    pub const fn new(session: SessionId) -> Self {
        Self::Opening(session)
    }

    /// The session.
    pub fn id(&self) -> SessionId {
        match self {
            Self::Opening(session) => *session,
            Self::Open(open) => open.id(),
            Self::Ended(ended) => ended.entry.session,
        }
    }

    /// The open session, if it is open.
    pub fn as_open(&self) -> Option<&Open> {
        match self {
            Self::Open(open) => Some(open),
            Self::Opening(_) | Self::Ended(_) => None,
        }
    }

    /// Judges a call: chain, and mission, and policy, and the session's limits. Total and without effect; the
    /// same state and input give the same judgement, live and in replay. That the proof was
    /// verified for this chain, this call and this peer, and that the peer's credential is in
    /// force, is the caller's to have done.
    pub fn judge(&self, input: &CallInput<'_>) -> Judgement {
        self.judge_with(input, &mut |_| {})
    }

    /// Judges, and says what policy was asked; none where the session is not open or something else denied the
    /// call before. For whoever asks another policy the same.
    pub fn judge_asked(&self, input: &CallInput<'_>) -> (Judgement, Option<Question>) {
        let mut question = None;
        let judgement = self.judge_with(input, &mut |request: &Request<'_>| {
            question = Some(Question::from(request));
        });
        (judgement, question)
    }

    fn judge_with(&self, input: &CallInput<'_>, asking: &mut dyn FnMut(&Request<'_>)) -> Judgement {
        match self {
            Self::Opening(session) => judge::closed(*session, Reason::NotOpen, input),
            Self::Open(open) => judge::judge(open, input, asking),
            Self::Ended(ended) => judge::closed(ended.entry.session, Reason::Ended, input),
        }
    }

    /// Takes one step at a time. Either it is taken whole, or the session comes back in the refusal
    /// as it was.
    pub fn step(self, now: Timestamp, event: Event) -> Result<(Self, Vec<Effect>), Refused> {
        match self {
            Self::Opening(session) => match event {
                Event::Open(opening) => match admission::open(session, now, &opening) {
                    Ok((open, entry)) => {
                        Ok((Self::Open(Box::new(open)), enrol(now, vec![entry.into()])))
                    }
                    Err(fault) => Err(Refused::new(self, fault)),
                },
                _ => Err(Refused::new(self, Fault::NotOpen)),
            },
            Self::Open(mut open) => match step(&mut open, now, event) {
                Ok((None, effects)) => Ok((Self::Open(open), effects)),
                Ok((Some(end), effects)) => {
                    let ended = Ended {
                        opened: open.opened,
                        entry: end,
                        at: now,
                    };
                    Ok((Self::Ended(Box::new(ended)), effects))
                }
                Err(fault) => Err(Refused::new(Self::Open(open), fault)),
            },
            Self::Ended(_) => Err(Refused::new(self, Fault::Ended)),
        }
    }
}

type Stepped = Result<(Option<SessionEnd>, Vec<Effect>), Fault>;

fn step(open: &mut Open, now: Timestamp, event: Event) -> Stepped {
    let entries = match event {
        Event::Open(_) => return Err(Fault::AlreadyOpen),
        Event::Join(joining) => admission::join(open, now, &joining)?,
        Event::Decide(judgement) => decide(open, now, &judgement)?,
        Event::Enrolled { instance, leaf } => {
            let decided = open.durable(&instance, leaf)?;
            return Ok((
                None,
                decided
                    .map(|it| answer_to(it, instance))
                    .into_iter()
                    .collect(),
            ));
        }
        Event::Outcome(end) => vec![outcome(open, end)?.into()],
        Event::Gap(execution) => vec![gap(open, execution)?.into()],
        Event::Ask(question) => {
            let entries = vec![approval::ask(open, &question)?.into()];
            open.apply_all(now, &entries)?;
            let mut effects = enrol(now, entries);
            effects.push(Effect::Notify(question.approval));
            return Ok((None, effects));
        }
        Event::Answer(answered) => vec![approval::answer(open, now, &answered)?.into()],
        Event::Visit(visiting) => vec![visit(open, *visiting)?.into()],
        Event::Leave(leaving) => {
            let entry = leave(open, &leaving)?;
            open.apply_all(now, &[entry.clone().into()])?;
            let mut effects = enrol(now, vec![entry.into()]);
            effects.push(Effect::Withdraw(leaving.instance));
            return Ok((None, effects));
        }
        Event::End(ending) => return end(open, now, ending),
    };
    open.apply_all(now, &entries)?;
    Ok((None, enrol(now, entries)))
}

fn enrol(at: Timestamp, entries: Vec<Entry>) -> Vec<Effect> {
    entries
        .into_iter()
        .map(|event| Effect::Enrol {
            at,
            event: Box::new(event),
        })
        .collect()
}

fn decide(open: &Open, now: Timestamp, judgement: &Judgement) -> Result<Vec<Entry>, Fault> {
    if judgement.session != open.id() {
        return Err(Fault::Foreign);
    }
    if judgement.revision != Some(open.revision) || judgement.at != now {
        return Err(Fault::StaleJudgement);
    }
    // Who is not in the session has no chain of entries; the refusal is enrolled all the same.
    let Ok(instance) = open.joined(judgement.instance.as_str()) else {
        let refused = SessionRefuse {
            reason: Label::or_digest(judgement.reason().code()),
            session: Some(open.id()),
            instance: Some(judgement.instance.clone()),
            chain: Some(judgement.chain),
            manifest: None,
            link: None,
            revoked: None,
        };
        return Ok(vec![refused.into()]);
    };
    let mut entries = admission::enrolments(judgement.new_links.clone());
    entries.push(judgement.to_decision(instance.next_link()?).into());
    Ok(entries)
}

fn answer_to(decided: Durable, instance: Label) -> Effect {
    match decided.ruling {
        Ruling::Allow => Effect::Forward(Permit::new(decided.execution, instance)),
        Ruling::Deny => Effect::Refuse(decided.execution),
        Ruling::Escalate => Effect::Escalate(decided.execution),
    }
}

fn outcome(open: &Open, end: ExecutionEnd) -> Result<Outcome, Fault> {
    let (instance, decision) = open.executions.running(end.execution)?;
    Ok(Outcome {
        execution: end.execution,
        session: open.id(),
        instance: instance.clone(),
        link: open.joined(instance.as_str())?.next_link()?,
        decision,
        status: end.status,
        bytes: end.bytes,
        micros: end.micros,
        result: end.result,
    })
}

fn gap(open: &Open, execution: ExecutionId) -> Result<GapDisclose, Fault> {
    let (instance, decision) = open.executions.running(execution)?;
    Ok(GapDisclose {
        session: open.id(),
        instance: instance.clone(),
        execution,
        decision,
    })
}

fn visit(open: &Open, visiting: Visiting) -> Result<SessionVisit, Fault> {
    open.joined(visiting.instance.as_str())?;
    Ok(SessionVisit {
        session: open.id(),
        instance: visiting.instance,
        server: visiting.server,
        policy: visiting.policy,
        taint: visiting.taint,
        reads: visiting.reads,
    })
}

fn leave(open: &Open, leaving: &Leaving) -> Result<SessionLeave, Fault> {
    let instance = open.joined(leaving.instance.as_str())?;
    Ok(SessionLeave {
        session: open.id(),
        instance: leaving.instance.clone(),
        link: instance.next_link()?,
        reason: leaving.reason,
        entries: instance.entries_with_next(),
        counts: instance.counts().clone(),
    })
}

/// Everybody leaves, then the session ends.
fn end(open: &mut Open, now: Timestamp, ending: Ending) -> Stepped {
    let mut next = open.clone();
    let mut entries = Vec::new();
    let mut effects = Vec::new();
    for instance in open.instances() {
        let leaving = Leaving {
            instance: instance.clone(),
            reason: LeaveReason::SessionEnd,
        };
        let entry = leave(&next, &leaving)?.into();
        next.apply(now, &entry)?;
        entries.push(entry);
        effects.push(Effect::Withdraw(instance.clone()));
    }
    let end = SessionEnd {
        session: open.id(),
        reason: ending.reason,
        instances: next.instances.len() as u64,
        counts: next.counts.clone(),
        evidence: ending.evidence,
        cause: ending.cause,
    };
    next.check_end(now, &end)?;
    entries.push(end.clone().into());
    let mut all = enrol(now, entries);
    all.append(&mut effects);
    all.push(Effect::Close(open.id()));
    *open = next;
    Ok((Some(end), all))
}
