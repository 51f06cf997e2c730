//! Observe mode: what policy says of a call is enrolled and not enforced.
//!
//! INVARIANT: nothing here is asked before policy was, and nothing but the verdict of policy is left
//! unenforced: what the session, the chain, the mission, the catalog, a brake, a limit or an opinion
//! denies or asks is denied or asked all the same.

use std::collections::BTreeSet;

use chancery_audit::{Label, ObservedBy, Ruling, Unenforced};
use chancery_delegation::access_token::EXCHANGE_SERVER;
use chancery_delegation::{Call, Target};
use chancery_policy::{Cause, Decision, Outcome};
use chancery_types::id::SessionId;

use crate::judge::{CallInput, denial, labels};
use crate::translate::target;
use crate::{Commons, Observe, Reason, Rulebook};

/// How a log names the question about a call that policy denies, where something else asks.
const UNENFORCED: &str = "unenforced";

/// What policy said, where it is not enforced; none where policy allows, where the call is not observed, and
/// where what policy said is no verdict: a call that it could not evaluate, or of a tool that the bundle does
/// not declare, so that no policy could ever allow it. An exchange for an access token is never observed.
pub(crate) fn unenforced(
    session: SessionId,
    input: &CallInput<'_>,
    decision: &Decision,
) -> Option<Unenforced> {
    let (outcome, reason) = match decision.outcome {
        Outcome::Allow => return None,
        Outcome::Deny => (Ruling::Deny, denial(decision.cause)),
        Outcome::Escalate => (Ruling::Escalate, Reason::Ask),
    };
    match decision.cause {
        Cause::Forbid | Cause::Ask | Cause::NoMatch => {}
        Cause::EvaluationError | Cause::Permit | Cause::Granted => return None,
    }
    Some(Unenforced {
        outcome,
        reason: Label::or_digest(reason.code()),
        determining: labels(decision.determining.iter().cloned()),
        by: observed(session, &input.call, input.policy, input.commons)?,
    })
}

/// Whether the call could be observed under some bundle with these declarations: what is signed for others acts
/// where nobody observes, and no policy could ever allow a tool that is not declared.
fn is_observable(policy: &Rulebook, call: &Call<'_>) -> bool {
    let is_tool = matches!(call.target, Target::Tool(_));
    call.server != EXCHANGE_SERVER && (!is_tool || policy.tool(&target(call)).is_some())
}

/// What has a call observed: a tool that the bundle names, the bundle as a whole, or the operator's mark on the
/// session. None where nothing does, and where nothing may.
pub(crate) fn observed(
    session: SessionId,
    call: &Call<'_>,
    policy: &Rulebook,
    commons: &Commons,
) -> Option<ObservedBy> {
    let observe = policy.sessions().observe()?;
    if !is_observable(policy, call) {
        return None;
    }
    let name = match call.target {
        Target::Tool(name) => Some(name),
        Target::Resource(_) | Target::Prompt(_) => None,
    };
    if name.is_some_and(|name| observe.names(call.server, name)) {
        return Some(ObservedBy::Tool);
    }
    match observe {
        Observe::Everything => Some(ObservedBy::Bundle),
        Observe::Parts { sessions: true, .. } => {
            let marked = commons.is_observed(session, policy.digest());
            marked.then_some(ObservedBy::Session)
        }
        Observe::Parts { .. } => None,
    }
}

/// What stays unenforced where something beside policy asks a person about the call: they are asked what
/// policy asks too, which is then enforced, and are told where policy denies.
pub(crate) fn beside(
    unenforced: Option<Unenforced>,
    decision: &Decision,
    asked: &mut BTreeSet<String>,
) -> Option<Unenforced> {
    let unenforced = unenforced?;
    if asked.is_empty() {
        return Some(unenforced);
    }
    if decision.outcome == Outcome::Escalate {
        return None;
    }
    asked.insert(format!("{UNENFORCED}:{}", unenforced.reason));
    Some(unenforced)
}
