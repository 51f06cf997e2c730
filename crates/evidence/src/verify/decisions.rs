//! The replay of one decision: from the bytes that were presented, in the state before it.

use chancery_audit::{CallKind, Decision, Ruling};
use chancery_delegation::{Call, Reason, Target, VerifiedChain};
use chancery_identity::SpiffeId;
use chancery_policy::Annotations;
use chancery_session::{CallInput, CatalogFacts, Judgement, Opinion, Rulebook};
use chancery_types::{Digest, parse_strict_with_floats, to_jcs};
use serde::Serialize;
use serde_json::{Map, Value};

use super::chains::Presented;
use super::follower::Follower;
use super::proofs;
use super::reasons::{self, UNKNOWN_ARGUMENT};
use super::roll::Logged;
use crate::ObjectKind;
use crate::report::{Axis, NoteValue, Place};

/// What the replay of a decision came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// The same decision came out again.
    Rederived,
    /// It denies for a reason that lies outside of evidence; a denial gives nobody anything.
    Unproven,
    /// Another decision came out, or none could be made.
    Differs,
    /// What was presented was erased: nothing can be decided again.
    Erased,
}

/// What came out.
enum Derived {
    Judged(Box<Judgement>),
    /// Refused before it could be judged.
    Refused(&'static str),
    /// The arguments could not be read when they came, and were not kept.
    Unread,
    /// Something that was presented is not there, which is a finding already.
    Nothing,
}

impl Derived {
    /// Whether it denies for what was revoked before.
    fn is_withdrawn(&self) -> bool {
        let code = match self {
            Self::Judged(judgement) => judgement.reason().code(),
            Self::Refused(code) => *code,
            Self::Unread | Self::Nothing => return false,
        };
        [Reason::Revoked.code(), Reason::StaleEpoch.code()].contains(&code)
    }
}

/// What was presented with a call, read.
struct Material<'a> {
    arguments: Map<String, Value>,
    proof: Option<&'a str>,
    peer: SpiffeId,
}

impl<'a> Follower<'_, 'a> {
    /// Judges a decision again and compares.
    pub(super) fn replay_decision(&mut self, logged: &Logged, decision: &Decision) -> Replay {
        let place = self.case.place(logged);
        let derived = self.derive(logged, decision);
        let (replay, text) = match &derived {
            Derived::Nothing if self.desk.objects.has_erased() => {
                return self.decided_before(logged, decision);
            }
            Derived::Nothing => return Replay::Differs,
            Derived::Judged(judgement) if judgement.matches(decision) => {
                let known = judgement.new_links().is_empty() || decision.outcome == Ruling::Deny;
                let text = "rests on links that were not enrolled before";
                let axis = Axis::Completeness;
                self.desk
                    .found
                    .require(known, axis, &place, "link_not_enrolled", text);
                (Replay::Rederived, String::new())
            }
            Derived::Refused(code) if is_bare(decision) && decision.reason == *code => {
                (Replay::Rederived, String::new())
            }
            Derived::Unread if is_bare(decision) => (
                Replay::Unproven,
                format!("{}: the arguments were not kept", decision.reason),
            ),
            Derived::Judged(_) | Derived::Refused(_) | Derived::Unread => {
                match self.denied_by_gateway(decision, logged) {
                    Some(replay) => (replay, decision.reason.to_string()),
                    None => (Replay::Differs, difference(&derived, decision)),
                }
            }
        };
        match replay {
            Replay::Rederived => self.check_heard(logged, decision),
            // Nothing is decided again where something was erased.
            Replay::Erased => {}
            Replay::Unproven => {
                self.desk
                    .found
                    .note(NoteValue::Unproven, format!("denial at {place}: {text}"));
            }
            Replay::Differs => {
                let (axis, code) = match derived.is_withdrawn() && decision.outcome == Ruling::Allow
                {
                    true => (Axis::Revocation, "allowed_revoked"),
                    false => (Axis::Scope, "decision_differs"),
                };
                self.desk.found.add(axis, place, code, text);
            }
        }
        replay
    }

    /// What is allowed by what the gateway says that it knew is held to what it had to know.
    pub(super) fn check_heard(&mut self, logged: &Logged, decision: &Decision) {
        let chain = self.chains.known(decision.chain);
        if let Some(chain) = chain.filter(|_| decision.outcome == Ruling::Allow) {
            self.heard.check_chain(self.case, self.desk, chain, logged);
        }
    }

    /// A denial for one of the gateway's own reasons, which stand beside what is judged.
    fn denied_by_gateway(&self, decision: &Decision, logged: &Logged) -> Option<Replay> {
        let reason = decision.reason.as_str();
        if !is_bare(decision) {
            let external = decision.outcome == Ruling::Deny
                && decision.unenforced.is_none()
                && decision.charges.is_empty()
                && decision.approvals.is_empty();
            return (external && self.is_external(reason, logged)).then_some(Replay::Unproven);
        }
        if self.is_external(reason, logged) {
            return Some(Replay::Unproven);
        }
        let said_no = self.answers.said_no(decision);
        let lapsed = self.answers.lapsed(decision, logged.entry.at);
        match reason {
            reasons::APPROVAL_DENIED => said_no.then_some(Replay::Rederived),
            reasons::APPROVAL_EXPIRED => lapsed.then_some(Replay::Rederived),
            UNKNOWN_ARGUMENT => None,
            other if reasons::is_judged(other) => None,
            _ => Some(Replay::Unproven),
        }
    }

    /// Whether a refusal rests on what this evidence does not hold. What was revoked it holds, where
    /// the gateway's log says which snapshot governed.
    fn is_external(&self, reason: &str, logged: &Logged) -> bool {
        let of_revocation = [Reason::Revoked, Reason::StaleEpoch];
        let known = self.case.adopted.at(logged.leaf.index).is_some();
        proofs::is_external(reason)
            && !(known && of_revocation.iter().any(|one| one.code() == reason))
    }

    fn derive(&mut self, logged: &Logged, decision: &Decision) -> Derived {
        let place = self.case.place(logged);
        let material = self.material(decision, &place);
        let policy = self
            .policies
            .in_force(self.case, self.desk, decision.policy, logged);
        let presented = self
            .chains
            .present(self.case, self.desk, decision.chain, logged);
        let (Some(material), Some(policy)) = (material, policy) else {
            return Derived::Nothing;
        };
        let Some(material) = material else {
            return Derived::Unread;
        };
        let chain = match presented {
            Presented::Missing => return Derived::Nothing,
            Presented::Absent => return Derived::Refused(reasons::DELEGATION_MISSING),
            Presented::Verified(chain) => chain,
            // A gateway remembers chains: of one that is over by now, the session says so.
            Presented::Refused(refusal) => match self.chains.known(decision.chain) {
                Some(known) if !is_bare(decision) => Box::new(known.clone()),
                _ => return Derived::Refused(refusal.reason.code()),
            },
        };
        if *chain.leaf_subject() != material.peer {
            return Derived::Refused(Reason::HolderMismatch.code());
        }
        self.judge(logged, decision, &chain, &material, &policy, &place)
    }

    fn judge(
        &mut self,
        logged: &Logged,
        decision: &Decision,
        chain: &VerifiedChain,
        material: &Material<'_>,
        policy: &Rulebook,
        place: &Place,
    ) -> Derived {
        let at = logged.entry.at;
        let consent = self.chains.consent(self.case, self.desk, chain, place);
        let call = call(decision, &material.arguments);
        let (memory, to) = (&mut self.memory, (call, &material.peer));
        let proof = match proofs::verify(self.case, memory, material.proof, chain, to, at) {
            Ok(proof) => proof,
            Err(refusal) => return Derived::Refused(refusal.reason.code()),
        };
        if self.has_unknown_argument(decision, &material.arguments) {
            return Derived::Refused(UNKNOWN_ARGUMENT);
        }
        let opinion = match decision.opinion {
            None => None,
            Some(digest) => {
                let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
                match objects.demand(digest, ObjectKind::Opinion, found, place) {
                    Some(bytes) => Some(Opinion::read(bytes)),
                    None => return Derived::Nothing,
                }
            }
        };
        let (Some(principal), Some(mission)) = (&self.principal, &self.mission) else {
            return Derived::Nothing;
        };
        let mut catalog = self.catalog_facts(decision);
        if decision.reason == chancery_session::Reason::CatalogChanged.code() {
            // Which other catalog it was is not in evidence; that it was another one denies.
            catalog.digest = Digest::of(b"another catalog");
        }
        let input = CallInput {
            execution: decision.execution,
            standing: self.case.standing(logged),
            chain,
            proof: &proof,
            consent: consent.as_ref(),
            principal,
            mission,
            call,
            opinion: opinion.as_ref(),
            policy,
            catalog,
            commons: &self.commons,
        };
        let (judgement, question) = self.session.judge_asked(&input);
        let question = question.map(|question| (logged.leaf.index, question));
        self.questions.extend(question);
        Derived::Judged(Box::new(judgement))
    }

    /// Reads arguments, proof and peer. None where one is not there; the inner none is what has no
    /// arguments that could be judged.
    fn material(&mut self, decision: &Decision, place: &Place) -> Option<Option<Material<'a>>> {
        let (found, objects) = (&mut self.desk.found, &mut self.desk.objects);
        let digest = decision.request.args_digest;
        let arguments = objects.demand(digest, ObjectKind::Arguments, found, place);
        // No object stands for a proof that did not come.
        let absent = decision.proof == Digest::of(b"");
        let proof = match objects.take(decision.proof, ObjectKind::Proof) {
            Some(bytes) if !absent => Some(bytes),
            _ if absent => None,
            _ => {
                objects.demand(decision.proof, ObjectKind::Proof, found, place)?;
                None
            }
        };
        let Ok(peer) = decision.instance.as_str().parse() else {
            let text = "the instance is no SPIFFE ID";
            found.add(Axis::Identity, place.clone(), "instance_malformed", text);
            return None;
        };
        let arguments = object(arguments?);
        // What is no text is no proof, and refused as such.
        let proof = proof.map(|bytes| std::str::from_utf8(bytes).unwrap_or_default());
        Some(arguments.map(|arguments| Material {
            arguments,
            proof,
            peer,
        }))
    }

    fn has_unknown_argument(&self, decision: &Decision, arguments: &Map<String, Value>) -> bool {
        let request = &decision.request;
        let catalog = self
            .catalog
            .as_ref()
            .filter(|_| request.kind == CallKind::Tool);
        let tool = catalog
            .and_then(|catalog| catalog.tool(request.server.as_str(), request.name.as_str()));
        tool.is_some_and(|tool| arguments.keys().any(|name| !tool.admits(name)))
    }

    fn catalog_facts(&self, decision: &Decision) -> CatalogFacts {
        let request = &decision.request;
        let catalog = self.catalog.as_ref();
        let annotations = match request.kind {
            CallKind::Tool => catalog
                .and_then(|catalog| catalog.tool(request.server.as_str(), request.name.as_str()))
                .map(crate::catalog::PinnedTool::annotations),
            CallKind::Resource | CallKind::Prompt => Some(Annotations {
                read_only: true,
                destructive: false,
            }),
        };
        let opened = self.case.opened();
        let digest = opened.map_or(Digest::of(b""), |(_, open)| open.catalog);
        CatalogFacts {
            digest,
            annotations,
        }
    }
}

fn call<'a>(decision: &'a Decision, args: &'a Map<String, Value>) -> Call<'a> {
    let name = decision.request.name.as_str();
    let target = match decision.request.kind {
        CallKind::Tool => Target::Tool(name),
        CallKind::Resource => Target::Resource(name),
        CallKind::Prompt => Target::Prompt(name),
    };
    Call {
        server: decision.request.server.as_str(),
        target,
        args,
    }
}

/// The arguments, where the bytes are their RFC 8785 form.
fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let value = parse_strict_with_floats(bytes).ok()?;
    let canonical = to_jcs(&value).is_ok_and(|again| again == bytes);
    match value {
        Value::Object(members) if canonical => Some(members),
        _ => None,
    }
}

/// Whether a decision is the denial of a call that was not judged: it uses and says nothing else.
fn is_bare(decision: &Decision) -> bool {
    decision.outcome == Ruling::Deny
        && decision.determining.is_empty()
        && decision.approvals.is_empty()
        && decision.charges.is_empty()
        && decision.cost_micros == 0
        && decision.step.is_none()
        && decision.opinion.is_none()
        && decision.facts.is_none()
        && decision.unenforced.is_none()
        && decision.request.clear.is_empty()
}

fn difference(derived: &Derived, decision: &Decision) -> String {
    let said = format!("says {} ({})", decision.outcome.name(), decision.reason);
    match derived {
        Derived::Refused(code) => format!("{said}; what was presented gives deny ({code})"),
        Derived::Judged(judged)
            if judged.ruling() == decision.outcome
                && decision.reason == *judged.reason().code() =>
        {
            format!("{said}, as what was presented gives, but not the rest of it")
        }
        Derived::Judged(judged) => format!(
            "{said}; what was presented gives {} ({})",
            judged.ruling().name(),
            judged.reason()
        ),
        Derived::Unread => format!("{said}; the arguments are no JSON object in RFC 8785 form"),
        Derived::Nothing => said,
    }
}
