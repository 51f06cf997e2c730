use std::sync::Arc;
use std::time::Instant;

use chancery_audit::OutcomeStatus;
use chancery_session::{Event, ExecutionEnd};
use rustls::pki_types::CertificateDer;

use super::Enforcement;
use super::admission::refusal;
use crate::call::{Call, Visit};
use crate::enforcer::{
    Answer, ControlReply, ControlRequest, Enforcer, Outcome, Permit, Refusal, Seat, Status, Verdict,
};
use crate::listing::Listing;
use crate::peer::Peer;

impl Enforcer for Enforcement {
    fn identify(&self, chain: &[CertificateDer<'static>]) -> Result<Arc<str>, Refusal> {
        self.identify_peer(chain)
    }

    fn decide<'a>(&'a self, peer: &'a Peer, call: &'a Call) -> Answer<'a, Verdict> {
        Box::pin(async move {
            let begun = Instant::now();
            let verdict = self.decide_call(peer, call).await;
            let (decision, reason) = match &verdict {
                Verdict::Forward(permit) if permit.is_unenforced() => ("allow", "observed"),
                Verdict::Forward(_) => ("allow", ""),
                Verdict::Deny(refusal) => ("deny", refusal.reason),
                Verdict::Pending(_) => ("escalate", ""),
            };
            metrics::histogram!("chancery_decision_seconds", "decision" => decision)
                .record(begun.elapsed());
            metrics::counter!("chancery_decisions_total", "decision" => decision, "reason" => reason)
                .increment(1);
            verdict
        })
    }

    fn outcome<'a>(&'a self, permit: Permit, outcome: Outcome) -> Answer<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let status = status(outcome.status);
            metrics::counter!("chancery_outcomes_total", "status" => status.name()).increment(1);
            let home = self.sessions.get(permit.seat().session);
            let home = home.ok_or_else(|| refusal("session_unknown"))?;
            let mut live = home.lock().await;
            let end = ExecutionEnd {
                execution: permit.execution(),
                status,
                result: outcome.result_digest,
                bytes: outcome.result_bytes,
                micros: outcome.micros,
            };
            // An outcome is enrolled whatever the clock says: it happened.
            let turn = self.log.turn().await;
            let now = self.clock.latest();
            live.step(&self.log, turn, now, Event::Outcome(end))
                .await
                .map(|_| ())
                .map_err(|error| {
                    tracing::error!(execution = %permit.execution(), %error, "no outcome");
                    Refusal {
                        execution: Some(permit.execution()),
                        ..refusal("log_unavailable")
                    }
                })
        })
    }

    fn admit<'a>(&'a self, peer: &'a Peer, visit: &'a Visit) -> Answer<'a, Result<Seat, Refusal>> {
        Box::pin(self.admit_visit(peer, visit))
    }

    fn filter<'a>(
        &'a self,
        peer: &'a Peer,
        visit: &'a Visit,
        listing: &'a Listing,
    ) -> Answer<'a, Result<Vec<bool>, Refusal>> {
        Box::pin(self.filter_listing(peer, visit, listing))
    }

    fn control<'a>(&'a self, peer: &'a Peer, request: ControlRequest) -> Answer<'a, ControlReply> {
        Box::pin(self.serve_control(peer, request))
    }
}

const fn status(status: Status) -> OutcomeStatus {
    match status {
        Status::Completed => OutcomeStatus::Completed,
        Status::ToolError => OutcomeStatus::ToolError,
        Status::InputRequired => OutcomeStatus::InputRequired,
        Status::Failed { .. } => OutcomeStatus::Failed,
        Status::Cancelled => OutcomeStatus::Cancelled,
        Status::TimedOut => OutcomeStatus::TimedOut,
        Status::Gone => OutcomeStatus::Gone,
        Status::NotForwarded => OutcomeStatus::NotForwarded,
    }
}
