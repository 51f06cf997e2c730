use std::time::Duration;

use chancery_api::server::{
    AnswerApproval, Approval, ApprovalState, ApprovalSubject, OpenApproval, SumView,
};
use chancery_audit::CallFacts;
use chancery_crypto::{AwsLc, random_id};
use chancery_delegation::{Answer, ApprovalStatement, verify_approval};
use chancery_identity::trust::Role;
use chancery_journal::Subject;
use chancery_session::{Answered, ApprovalQuestion, Effect, Event, Sum};
use chancery_types::id::{ApprovalId, ExecutionId, PersonId, SessionId};
use chancery_types::{Digest, Timestamp, parse_strict, to_canonical};
use tokio::time::timeout;

use super::Enforcement;
use super::chains::KnownChain;
use super::in_force::{Freshness, InForce};
use super::live::{Asked, Live};
use super::material::Material;
use super::opening::code_of;
use super::sessions::Home;

/// How long a question waits for a person.
const LIFETIME_SECONDS: u64 = 600;

/// Most questions that wait in one session: people read them.
const MOST_WAITING: usize = 32;

/// How long a repeated call waits for the answer.
const WAIT_SECONDS: u64 = 20;

/// Longest wait for the server to take a question.
const POST: Duration = Duration::from_secs(3);

/// The step that a call serves, who asks about it, what the rules for sessions made of it, and the sums
/// that they set limits for.
type Asking = (Option<String>, Vec<String>, Option<CallFacts>, Vec<Sum>);

/// A question that waits for a person.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) approval: ApprovalId,
    pub(crate) asked: Asked,
    session: SessionId,
    displayed: Digest,
    policy: Digest,
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// A person answered; the answer is enrolled.
    Answered,
    /// Nobody has answered yet.
    Waits,
    /// The call is denied for that.
    Refused(&'static str),
}

impl Enforcement {
    /// What a person will see.
    pub(crate) fn subject(
        &self,
        live: &Live,
        chain: &KnownChain,
        material: &Material,
        (step, policies, facts, sums): Asking,
    ) -> ApprovalSubject {
        let counts = live.open().map(|open| open.counts().allowed);
        ApprovalSubject {
            instance: chain.chain.leaf_subject().to_string(),
            principal: chain.chain.principal().subject.clone(),
            server: material.server.clone(),
            tool: material.name.clone(),
            arguments: String::from_utf8_lossy(&material.canonical).into_owned(),
            mission_s256: chain.chain.mission().to_string(),
            step: step.unwrap_or_default(),
            policies,
            session_calls: counts.unwrap_or_default(),
            trust: facts.as_ref().map_or(0, |facts| facts.trust),
            grant_seconds: facts.as_ref().and_then(|facts| facts.grant_seconds),
            sums: sums.into_iter().map(view).collect(),
            taint: facts
                .into_iter()
                .flat_map(|facts| facts.taint)
                .map(|source| source.to_string())
                .collect(),
        }
    }

    /// Puts an escalated execution before people: stored, enrolled, then handed to the server.
    pub(crate) async fn ask(
        &self,
        live: &mut Live,
        execution: ExecutionId,
        subject: &ApprovalSubject,
    ) -> Result<Question, &'static str> {
        let now = self.clock.now().map_err(|_| "clock_stepped_back")?;
        let pending = live.open().into_iter().flat_map(|open| open.pending());
        if pending.filter(|(_, one)| now < one.expires).count() >= MOST_WAITING {
            return Err("too_many_questions");
        }
        // The very bytes that the server digests and the person signs for.
        let display = to_canonical(subject).map_err(|_| "malformed")?;
        let displayed = Digest::of(&display);
        let whose = live.whose().ok_or("erased")?;
        self.objects
            .put(Some(&whose), vec![display])
            .await
            .map_err(|_| "object_store")?;
        let approval = random_id().map_err(|_| "random_unavailable")?;
        let (turn, now) = self.turn().await?;
        let asked = ApprovalQuestion {
            execution,
            approval,
            displayed,
            expires: now.plus_seconds(LIFETIME_SECONDS),
            requester: None,
        };
        let effects = live.step(&self.log, turn, now, Event::Ask(asked)).await;
        let effects = effects.map_err(|error| code_of(&error))?;
        if !effects.contains(&Effect::Notify(approval)) {
            return Err("refused");
        }
        let action = live
            .asked(approval)
            .map(|asked| asked.action)
            .ok_or("refused")?;
        let question = self.question(live, action, now).ok_or("refused")?;
        if self.post(&question).await {
            live.posted(approval);
        }
        Ok(question)
    }

    /// The question that waits about an action.
    pub(crate) fn question(&self, live: &Live, action: Digest, now: Timestamp) -> Option<Question> {
        let open = live.open()?;
        let approval = open.pending_for(action, now)?;
        let (_, pending) = open.pending().find(|(id, _)| *id == approval)?;
        Some(Question {
            approval,
            asked: live.asked(approval)?,
            session: open.id(),
            displayed: pending.displayed,
            policy: pending.policy,
        })
    }

    /// Waits for a person's answer, verifies it and enrols what it grants. No grant is taken while
    /// revocations are not known.
    pub(crate) async fn settle(
        &self,
        home: &Home,
        question: &Question,
        in_force: &InForce,
    ) -> Settled {
        if !question.asked.posted {
            if !self.post(question).await {
                return Settled::Waits;
            }
            home.lock().await.posted(question.approval);
        }
        let wait = Duration::from_secs(WAIT_SECONDS + 1);
        let asked = self.server.approval(question.approval, WAIT_SECONDS);
        let approval = match timeout(wait, asked).await {
            Ok(Ok(approval)) => approval,
            Ok(Err(error)) => {
                tracing::warn!(approval = %question.approval, %error, "the server does not say");
                return Settled::Waits;
            }
            Err(_) => return Settled::Waits,
        };
        match approval.state {
            ApprovalState::Pending => Settled::Waits,
            ApprovalState::Expired => self.lapse(home, question).await,
            // The session says why.
            ApprovalState::Withdrawn => Settled::Answered,
            ApprovalState::Approved | ApprovalState::Denied => {
                self.take_answer(home, question, approval, in_force).await
            }
        }
    }

    async fn lapse(&self, home: &Home, question: &Question) -> Settled {
        let Ok(now) = self.clock.now() else {
            return Settled::Refused("clock_stepped_back");
        };
        // Our own clock says when the question is over; the server's word alone ends nothing.
        if now < question.asked.expires {
            return Settled::Waits;
        }
        home.lock().await.lapsed(question.asked.action, now);
        Settled::Refused("approval_expired")
    }

    async fn take_answer(
        &self,
        home: &Home,
        question: &Question,
        approval: Approval,
        in_force: &InForce,
    ) -> Settled {
        // Nobody is erased between what is kept of an answer and its entry.
        let _turn = self.erasures.turn.read().await;
        let mut live = home.lock().await;
        let Ok(now) = self.clock.now() else {
            return Settled::Refused("clock_stepped_back");
        };
        if now >= question.asked.expires {
            live.lapsed(question.asked.action, now);
            return Settled::Refused("approval_expired");
        }
        let current = self.in_force();
        let in_force = current.as_deref().unwrap_or(in_force);
        if in_force.freshness(now, self.grace_seconds) != Freshness::Fresh {
            return Settled::Waits;
        }
        let waits = live
            .open()
            .is_some_and(|open| open.pending().any(|(id, _)| id == question.approval));
        if !waits {
            return Settled::Answered;
        }
        let (answered, evidence) = match verify_answer(approval, in_force, now) {
            Ok(verified) => verified,
            Err(error) => {
                tracing::warn!(approval = %question.approval, error, "an answer was refused");
                return Settled::Refused("approval_invalid");
            }
        };
        let whose = Subject::person(answered.approver);
        let stored = self.objects.put(Some(&whose), vec![evidence]).await;
        if stored.is_err() {
            return Settled::Refused("object_store");
        }
        let denied = matches!(answered.answer, Answer::Denied(_));
        let Ok((turn, now)) = self.turn().await else {
            return Settled::Refused("clock_stepped_back");
        };
        // A snapshot that governs since the answer was verified stands before it in the log.
        if self
            .in_force()
            .is_some_and(|one| is_revoked(&one, answered.approver))
        {
            return Settled::Refused("approval_invalid");
        }
        match live
            .step(&self.log, turn, now, Event::Answer(Box::new(answered)))
            .await
        {
            Ok(_) if denied => Settled::Refused("approval_denied"),
            Ok(_) => Settled::Answered,
            Err(error) => {
                tracing::warn!(approval = %question.approval, %error, "an answer was refused");
                Settled::Refused("approval_invalid")
            }
        }
    }

    /// Hands a question to the server. False where the server is away; the next repetition of the
    /// call tries again.
    async fn post(&self, question: &Question) -> bool {
        let Some(subject) = self.displayed(question.displayed) else {
            return false;
        };
        let request = OpenApproval {
            approval_id: question.approval,
            session_id: question.session,
            execution_id: question.asked.execution,
            action_digest: question.asked.action,
            policy_digest: question.policy,
            expires_at: question.asked.expires,
            subject,
        };
        match timeout(POST, self.server.open_approval(&request)).await {
            Ok(Ok(_)) => true,
            Ok(Err(chancery_api::ClientError::Refused(problem)))
                if problem.reason == "approval_exists" =>
            {
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(approval = %question.approval, %error, "a question waits here");
                false
            }
            Err(_) => false,
        }
    }

    fn displayed(&self, digest: Digest) -> Option<ApprovalSubject> {
        let bytes = self.objects.get(None, digest)?;
        serde_json::from_value(parse_strict(&bytes).ok()?).ok()
    }
}

fn view(sum: Sum) -> SumView {
    SumView {
        name: sum.name.to_owned(),
        total: sum.total,
        limit: sum.limit,
    }
}

fn is_revoked(in_force: &InForce, person: PersonId) -> bool {
    let revoked = &in_force.snapshot.revoked;
    revoked.has_person(&person.to_string())
}

/// Verifies a relayed answer: by a credential of an approver in the trust document. Whether it
/// answers the question is the session's to say.
fn verify_answer(
    approval: Approval,
    in_force: &InForce,
    now: Timestamp,
) -> Result<(Answered, Vec<u8>), &'static str> {
    let (Some(statement), Some(assertion)) = (approval.statement, approval.assertion) else {
        return Err("the answer has no statement");
    };
    let bytes = to_canonical(&statement).map_err(|_| "the statement has no canonical form")?;
    let parsed = ApprovalStatement::parse(&bytes).map_err(|_| "not an approval statement")?;
    let (person, credential) = in_force
        .trust
        .credential(&assertion.credential_id)
        .filter(|(person, _)| person.roles.contains(&Role::Approver))
        .ok_or("the trust document names no approver with this credential")?;
    if is_revoked(in_force, person.id) {
        return Err("the approver is revoked");
    }
    let key = credential.key.thumbprint();
    let answer = verify_approval(parsed, &assertion, &credential.into(), now, &AwsLc)
        .map_err(|_| "the assertion does not stand")?;
    let signed = to_canonical(&AnswerApproval {
        statement,
        assertion,
    })
    .map_err(|_| "the answer has no canonical form")?;
    let answered = Answered {
        answer,
        approver: person.id,
        approver_key: key,
        evidence: Digest::of(&signed),
    };
    Ok((answered, signed))
}
