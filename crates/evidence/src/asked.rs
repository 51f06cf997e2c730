//! What policy was asked in a session, so that another one can be asked the same.

use std::collections::BTreeMap;
use std::rc::Rc;

use chancery_audit::{Event, Label, Ruling};
use chancery_identity::trust::VerifiedTrust;
use chancery_policy::Question;
use chancery_session::Rulebook;
use chancery_types::id::{ExecutionId, SessionId};
use chancery_types::{Digest, SignatureVerifier, Timestamp};

use crate::verify::examine;
use crate::{Files, Replay, Report, ReportOutcome};

/// What policy was asked in a session whose evidence holds.
#[derive(Debug)]
pub struct Recorded {
    /// The session.
    pub session: SessionId,
    /// How many decisions the session has.
    pub decisions: u64,
    /// Those that came out again from what was presented and in which policy was asked, in the order
    /// of the log. Others were denied before, or what was presented was erased.
    pub asked: Vec<Asked>,
    /// The bundles that decided, by their digests.
    pub bundles: BTreeMap<Digest, Rc<Rulebook>>,
}

/// One decision, and what policy was asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The execution.
    pub execution: ExecutionId,
    /// The index of the decision in the gateway's log.
    pub index: u64,
    /// What was decided, policy and everything else together.
    pub ruling: Ruling,
    /// Which check decided.
    pub reason: Label,
    /// Whether what policy said was not enforced.
    pub unenforced: bool,
    /// The bundle that decided.
    pub policy: Digest,
    /// What policy was asked.
    pub question: Question,
}

/// What policy was asked, from the bytes that were presented. Fails with the report where the evidence
/// does not hold: what is not verified says nothing about any policy.
pub fn asked(
    files: &Files,
    trust: &VerifiedTrust,
    verifier: &dyn SignatureVerifier,
    now: Timestamp,
) -> Result<Recorded, Box<Report>> {
    let (report, known) = examine(files, Some(trust), verifier, now);
    let holds = matches!(
        report.outcome,
        ReportOutcome::Verified | ReportOutcome::Unenforced | ReportOutcome::Erased
    );
    let Some(mut known) = known.filter(|_| holds) else {
        return Err(Box::new(report));
    };
    let (mut decisions, mut asked) = (0, Vec::new());
    for logged in known.case.entries() {
        let Event::Decision(decision) = &logged.entry.event else {
            continue;
        };
        decisions += 1;
        let index = logged.leaf.index;
        let rederived = known.followed.replays.get(&index) == Some(&Replay::Rederived);
        let question = known.followed.questions.remove(&index);
        if let Some(question) = question.filter(|_| rederived) {
            asked.push(Asked {
                execution: decision.execution,
                index,
                ruling: decision.outcome,
                reason: decision.reason.clone(),
                unenforced: decision.unenforced.is_some(),
                policy: decision.policy,
                question,
            });
        }
    }
    Ok(Recorded {
        session: known.case.session,
        decisions,
        asked,
        bundles: known.followed.policies.bundles,
    })
}
