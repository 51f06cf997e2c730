//! What people were asked and what they answered.

use std::collections::{BTreeMap, BTreeSet};

use chancery_audit::{ApprovalGrant, ApprovalRequest, Decision, Event as Enrolled, Label, Verdict};
use chancery_delegation::{ApprovalStatement, Assertion, verify_approval};
use chancery_identity::trust::Role;
use chancery_session::{Action, Answered, ApprovalQuestion, Event};
use chancery_types::id::{ApprovalId, ExecutionId};
use chancery_types::{Digest, Timestamp, causes, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

use super::chains::note_credential;
use super::follower::Follower;
use super::roll::Logged;
use crate::ObjectKind;
use crate::report::{Axis, Place};

/// What people were asked and what they answered so far.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Decided calls, by execution.
    decisions: BTreeMap<ExecutionId, Decision>,
    asked: BTreeMap<ApprovalId, (Digest, Timestamp)>,
    denied: BTreeSet<(Digest, Digest)>,
}

/// What a person was shown, as gateways write it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Display {
    instance: String,
    principal: String,
    server: String,
    tool: String,
    arguments: String,
    mission_s256: String,
    step: String,
    policies: Vec<String>,
    session_calls: u64,
    trust: u64,
    taint: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sums: Vec<Sum>,
}

/// A sum of the session as it was shown.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    name: String,
    total: u64,
    limit: u64,
}

fn shown(sum: chancery_session::Sum) -> Sum {
    Sum {
        name: sum.name.to_owned(),
        total: sum.total,
        limit: sum.limit,
    }
}

/// A person's answer, as the server relays it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedAnswer {
    statement: ApprovalStatement,
    assertion: Assertion,
}

impl Answers {
    pub(crate) fn decided(&mut self, decision: &Decision) {
        self.decisions.insert(decision.execution, decision.clone());
    }

    /// Whether a person said no to this very action under this policy.
    pub(crate) fn said_no(&self, decision: &Decision) -> bool {
        action_of(decision).is_some_and(|action| self.denied.contains(&(action, decision.policy)))
    }

    /// Whether a question about this action lapsed.
    pub(crate) fn lapsed(&self, decision: &Decision, at: Timestamp) -> bool {
        let action = action_of(decision);
        let mut asked = self.asked.values();
        asked.any(|(asked, expires)| Some(*asked) == action && at >= *expires)
    }
}

impl Follower<'_, '_> {
    /// A question: the session would ask it, and what was shown is what was wanted.
    pub(super) fn replay_request(&mut self, logged: &Logged, request: &ApprovalRequest) {
        self.answers
            .asked
            .insert(request.approval, (request.action, request.expires));
        let question = ApprovalQuestion {
            execution: request.execution,
            approval: request.approval,
            displayed: request.displayed,
            expires: request.expires,
            requester: request.requester,
        };
        self.compare_step(logged, Event::Ask(question), "request_differs");
        self.check_display(logged, request);
    }

    fn check_display(&mut self, logged: &Logged, request: &ApprovalRequest) {
        let place = self.case.place(logged);
        let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
        let shown = objects.demand(request.displayed, ObjectKind::Display, found, &place);
        let (Some(shown), false) = (shown, self.is_asked_of_erased(request)) else {
            return;
        };
        let expected = self.expected_display(request);
        let expected = expected.and_then(|display| to_canonical(&display).ok());
        let same = expected.is_some_and(|expected| expected == shown);
        let text = "what was shown to people is not the action that waits";
        let axis = Axis::Authenticity;
        self.desk
            .found
            .require(same, axis, &place, "display_differs", text);
    }

    /// Whether what was asked about was erased: then nobody can tell what was to be shown.
    fn is_asked_of_erased(&self, request: &ApprovalRequest) -> bool {
        let decision = self.answers.decisions.get(&request.execution);
        decision.is_some_and(|decision| {
            [decision.chain, decision.request.args_digest]
                .iter()
                .any(|digest| self.desk.objects.is_erased(*digest))
        })
    }

    fn expected_display(&mut self, request: &ApprovalRequest) -> Option<Display> {
        let decision = self.answers.decisions.get(&request.execution)?;
        let facts = decision.facts.as_ref()?;
        let open = self.session.as_open()?;
        let chain = self.chains.known(decision.chain)?;
        let arguments = self
            .desk
            .objects
            .take(decision.request.args_digest, ObjectKind::Arguments)?;
        Some(Display {
            instance: decision.instance.to_string(),
            principal: chain.principal().subject.clone(),
            server: decision.request.server.to_string(),
            tool: decision.request.name.to_string(),
            arguments: String::from_utf8_lossy(arguments).into_owned(),
            mission_s256: chain.mission().to_string(),
            step: decision
                .step
                .as_ref()
                .map(Label::to_string)
                .unwrap_or_default(),
            policies: request.asks.iter().map(Label::to_string).collect(),
            session_calls: open.counts().allowed,
            trust: facts.trust,
            taint: facts.taint.iter().map(Label::to_string).collect(),
            grant_seconds: facts.grant_seconds,
            sums: match self.policies.bundles.get(&decision.policy) {
                Some(policy) => open
                    .sums(policy.sessions())
                    .into_iter()
                    .map(shown)
                    .collect(),
                None => Vec::new(),
            },
        })
    }

    /// An answer: signed by an approver whom the trust document names, over what was asked, and the
    /// session would take it.
    pub(super) fn replay_grant(&mut self, logged: &Logged, grant: &ApprovalGrant) {
        if grant.verdict == Verdict::Deny
            && let Some(pending) = self.session.as_open().and_then(|open| {
                open.pending()
                    .find(|(id, _)| *id == grant.approval)
                    .map(|(_, pending)| pending)
            })
        {
            self.answers.denied.insert((pending.action, pending.policy));
        }
        let place = self.case.place(logged);
        self.check_relayed(grant, logged, &place);
        match self.verify_answer(logged, grant, &place) {
            Ok(Some(answered)) => {
                self.compare_step(logged, Event::Answer(Box::new(answered)), "grant_differs");
            }
            Ok(None) => {}
            Err(text) => {
                self.desk
                    .found
                    .add(Axis::Authenticity, place, "approval_refused", text);
            }
        }
    }

    fn verify_answer(
        &mut self,
        logged: &Logged,
        grant: &ApprovalGrant,
        place: &Place,
    ) -> Result<Option<Answered>, String> {
        let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
        let Some(bytes) = objects.demand(grant.answer, ObjectKind::Approval, found, place) else {
            // Where the answer was erased, the log still says whose it was.
            if grant.verdict == Verdict::Approve {
                let id = grant.approver.to_string();
                self.heard.check_approver(self.case, self.desk, &id, logged);
            }
            return Ok(None);
        };
        let value = parse_strict(bytes).map_err(|error| causes(&error))?;
        let signed: SignedAnswer = serde_json::from_value(value).map_err(|error| causes(&error))?;
        if !to_canonical(&signed).is_ok_and(|again| again == bytes) {
            return Err("the answer is not in canonical form".to_owned());
        }
        let known = self.case.trust.credential(&signed.assertion.credential_id);
        let (person, known) = known
            .filter(|(person, _)| person.roles.contains(&Role::Approver))
            .ok_or("the trust document names no approver with this credential")?;
        let (at, verifier) = (logged.entry.at, self.case.verifier);
        let answer = verify_approval(
            signed.statement,
            &signed.assertion,
            &known.into(),
            at,
            verifier,
        )
        .map_err(|error| causes(&error))?;
        note_credential(
            self.desk,
            known,
            &format!("approval {} by {}", grant.approval, person.id),
        );
        if grant.verdict == Verdict::Approve {
            let id = person.id.to_string();
            self.heard.check_approver(self.case, self.desk, &id, logged);
        }
        Ok(Some(Answered {
            answer,
            approver: person.id,
            approver_key: known.key.thumbprint(),
            evidence: grant.answer,
        }))
    }

    /// The server enrolled the answer before it relayed it.
    fn check_relayed(&mut self, grant: &ApprovalGrant, logged: &Logged, place: &Place) {
        let relayed = self
            .case
            .server
            .entries
            .iter()
            .any(|known| match &known.entry.event {
                Enrolled::ApprovalAnswer(answer) => {
                    answer.approval == grant.approval
                        && answer.session == grant.session
                        && answer.action == grant.action
                        && answer.verdict == grant.verdict
                        && answer.approver == grant.approver
                        && answer.answer == grant.answer
                        && self.case.is_before(known, logged)
                }
                _ => false,
            });
        let text = "the server's log does not have this answer before";
        self.desk.found.require(
            relayed,
            Axis::Completeness,
            place,
            "answer_not_enrolled",
            text,
        );
    }
}

fn action_of(decision: &Decision) -> Option<Digest> {
    Action {
        session: decision.session,
        instance: decision.instance.clone(),
        server: decision.request.server.clone(),
        kind: decision.request.kind,
        name: decision.request.name.clone(),
        args_digest: decision.request.args_digest,
    }
    .digest()
    .ok()
}
