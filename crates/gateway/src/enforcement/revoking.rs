//! What was revoked ends what rests on it: whole sessions, or seats in them.

use std::sync::Arc;

use chancery_audit::{EndReason, Label, LeaveReason};
use chancery_delegation::{ChainReading, Refusal};
use chancery_types::Digest;
use chancery_types::id::{ApprovalId, SessionId};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use super::Enforcement;
use super::in_force::InForce;
use super::live::Live;
use super::sessions::Home;

/// Longest wait for the server to withdraw a question.
const WITHDRAWAL: Duration = Duration::from_secs(3);

/// What a revocation does to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Its root is gone; the cause as the end names it.
    Whole(Label),
    /// Something below the root is gone: these instances leave.
    Seats(Vec<Label>),
}

impl Enforcement {
    /// What is revoked of a session, as far as anything is.
    pub(crate) fn touched(&self, live: &mut Live, in_force: &InForce) -> Option<Touched> {
        let opened = live.open()?.opened().entry.chain;
        if let Some(cause) = self.withdrawn(live, opened, in_force).and_then(of_root) {
            return Some(Touched::Whole(cause));
        }
        let seated: Vec<_> = live
            .joined()
            .filter_map(|name| Some((name.clone(), live.seated(name.as_str())?.chain)))
            .collect();
        let mut leaving = Vec::new();
        for (name, chain) in seated {
            let Some(refusal) = self.withdrawn(live, chain, in_force) else {
                continue;
            };
            match of_root(refusal) {
                Some(cause) => return Some(Touched::Whole(cause)),
                None => leaving.push(name),
            }
        }
        (!leaving.is_empty()).then_some(Touched::Seats(leaving))
    }

    /// The first link of a chain that is gone.
    fn withdrawn(&self, live: &mut Live, chain: Digest, in_force: &InForce) -> Option<Refusal> {
        let snapshot = &in_force.snapshot;
        let reading = self.reading(live, chain)?;
        reading.withdrawn(snapshot.epoch, &snapshot.revoked)
    }

    /// A chain that was verified when the session took it.
    pub(super) fn reading(&self, live: &mut Live, chain: Digest) -> Option<Arc<ChainReading>> {
        if let Some(known) = live.memory.readings.get(&chain) {
            return Some(Arc::clone(known));
        }
        let text = String::from_utf8(self.objects.get(live.whose().as_ref(), chain)?).ok()?;
        let links: Vec<_> = text.split(',').collect();
        let reading = Arc::new(ChainReading::read(&links).ok()?);
        live.memory.readings.insert(chain, Arc::clone(&reading));
        Some(reading)
    }

    /// Ends what a revocation touched of a session.
    pub(crate) async fn end_touched(&self, session: SessionId, home: &Home, touched: Touched) {
        match touched {
            Touched::Whole(cause) => {
                tracing::warn!(%session, %cause, "the session's authority is revoked");
                let ended = self
                    .end_session(session, home, EndReason::Revoked, Some(cause))
                    .await;
                match ended {
                    // Who ends it already goes on to its end.
                    Ok(_) | Err("session_ending" | "session_ended") => {}
                    Err(code) => tracing::error!(%session, code, "the session did not end"),
                }
            }
            Touched::Seats(instances) => {
                for instance in instances {
                    tracing::warn!(%session, %instance, "the instance's authority is revoked");
                    let reason = LeaveReason::Revoked;
                    if let Err(code) = self.unseat(session, home, instance, reason).await {
                        tracing::error!(%session, code, "an instance did not leave");
                    }
                }
            }
        }
    }

    /// Withdraws questions that nobody needs an answer to any more.
    pub(crate) async fn withdraw_questions(&self, questions: Vec<ApprovalId>) {
        let mut tasks = JoinSet::new();
        for approval in questions {
            let server = self.server.clone();
            tasks.spawn(async move {
                match timeout(WITHDRAWAL, server.withdraw_approval(approval)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%approval, %error, "a question was not withdrawn");
                    }
                    Err(_) => tracing::warn!(%approval, "a question was not withdrawn in time"),
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// What of the root is gone, where the root it is.
fn of_root(refusal: Refusal) -> Option<Label> {
    (refusal.link == Some(0)).then(|| Label::or_digest(refusal.cause()))
}
