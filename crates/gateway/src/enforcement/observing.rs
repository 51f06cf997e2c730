//! Observe mode: what is said of it, and the operator's act for one session.

use chancery_api::gateway::ObserveChanged;
use chancery_audit::{Event, ObserveEnd, ObserveSet};
use chancery_session::{Observe, Open};
use chancery_types::id::SessionId;

use super::Enforcement;
use super::in_force::InForce;

impl Enforcement {
    /// Has policy not enforced in one open session, or enforced again: enrolled, and with that in force. A
    /// call that is decided later finds it. The bundle in force must let sessions be observed; under another
    /// one the mark has lapsed.
    pub(crate) async fn observe_session(
        &self,
        session: SessionId,
        observed: bool,
    ) -> Result<ObserveChanged, &'static str> {
        let in_force = self.in_force().ok_or("snapshot_missing")?;
        let policy = in_force.policy.bundle.digest();
        if observed {
            let home = self.sessions.get(session).ok_or("session_unknown")?;
            home.lock().await.open().ok_or("session_unknown")?;
            let observe = in_force.policy.bundle.sessions().observe();
            if !observe.is_some_and(Observe::offers_sessions) {
                return Err("observe_not_offered");
            }
        }
        if self.log.commons().is_observed(session, policy) == observed {
            return Err(match observed {
                true => "observed_already",
                false => "observe_unknown",
            });
        }
        let event: Event = match observed {
            true => ObserveSet { session, policy }.into(),
            false => ObserveEnd { session }.into(),
        };
        let enrolled = self.log.enrol_at(&self.clock, event).await;
        let (log_index, at) = enrolled.map_err(|error| {
            tracing::error!(%error, "that a session is observed or enforced was not enrolled");
            "log_unavailable"
        })?;
        tracing::warn!(%session, unenforced = observed, "an operator changed whether policy is enforced");
        Ok(ObserveChanged { log_index, at })
    }

    /// What of policy is not enforced in a session now, for people.
    pub(crate) fn observed(&self, open: &Open) -> Option<String> {
        let in_force = self.in_force()?;
        let bundle = &in_force.policy.bundle;
        let observe = bundle.sessions().observe()?;
        let is_marked = self.log.commons().is_observed(open.id(), bundle.digest());
        if observe.offers_sessions() && is_marked {
            return Some("every call of this session".to_owned());
        }
        let tools: Vec<&str> = observe.tools().collect();
        match observe {
            Observe::Everything => Some(observe.to_string()),
            Observe::Parts { .. } => (!tools.is_empty()).then(|| tools.join(", ")),
        }
    }
}

/// Says aloud that policy is not enforced from here on, or that it is again.
pub(super) fn say(next: &InForce, before: Option<&InForce>) {
    let of = |one: &InForce| one.policy.bundle.sessions().observe().cloned();
    let (now, then) = (of(next), before.and_then(of));
    if let Some(observe) = &now
        && now != then
    {
        tracing::warn!(
            unenforced = %observe,
            version = next.policy.version(),
            "policy is observed, not enforced: what it denies passes"
        );
    } else if now.is_none() && then.is_some() {
        tracing::info!(version = next.policy.version(), "policy is enforced again");
    }
}
