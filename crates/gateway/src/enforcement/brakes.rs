use chancery_api::gateway::{
    Brake, BrakeChanged, BrakeOrder, Brakes, OperatorSession, OperatorSessions, PermissionView,
    SeatView, SetBrake,
};
use chancery_audit::{BrakeMode, BrakeOn, BrakeRelease, BrakeSet, Event, Label};
use chancery_identity::SpiffeId;
use chancery_session::{Basis, Braked, Commons, EVERYWHERE, Open, Permission};
use chancery_types::id::SessionId;

use super::Enforcement;
use super::live::Live;

/// Most brakes at once, but for the one that stops everything.
const MOST: usize = 4_096;

impl Enforcement {
    /// Stops something: enrolled, and with that in force. A call that is decided later finds it.
    pub(crate) async fn set_brake(&self, order: SetBrake) -> Result<BrakeChanged, &'static str> {
        if !is_name(order.on, &order.name) {
            return Err("brake_name");
        }
        if !has_room(&self.log.commons(), order.on, &order.name) {
            return Err("too_many_brakes");
        }
        let set = BrakeSet {
            on: order.on,
            name: order.name,
            mode: order.mode,
        };
        let changed = self.change_brake(set.into()).await?;
        // Sessions that it kills are ended at once.
        self.revised.notify_one();
        Ok(changed)
    }

    /// Lets something go on again that was paused, or a session that was suspended.
    pub(crate) async fn release_brake(
        &self,
        order: BrakeOrder,
    ) -> Result<BrakeChanged, &'static str> {
        let known = self.log.commons().brake(order.on, &order.name);
        match known {
            None => return Err("brake_unknown"),
            Some(BrakeMode::Kill) => return Err("brake_kills"),
            Some(BrakeMode::Pause) => {}
        }
        let release = BrakeRelease {
            on: order.on,
            name: order.name,
        };
        self.change_brake(release.into()).await
    }

    async fn change_brake(&self, event: Event) -> Result<BrakeChanged, &'static str> {
        let enrolled = self.log.enrol_at(&self.clock, event).await;
        let (log_index, at) = enrolled.map_err(|error| {
            tracing::error!(%error, "a brake was not enrolled");
            "log_unavailable"
        })?;
        Ok(BrakeChanged { log_index, at })
    }

    /// The brakes in force.
    pub(crate) fn brakes(&self) -> Brakes {
        let commons = self.log.commons();
        let brakes = commons.brakes().map(|(on, name, mode)| Brake {
            on,
            name: name.clone(),
            mode,
        });
        Brakes {
            brakes: brakes.collect(),
            tainted_stores: commons.tainted().cloned().collect(),
        }
    }

    /// The open sessions, as the operator sees them.
    pub(crate) async fn operator_sessions(&self) -> OperatorSessions {
        let mut sessions = Vec::new();
        for (_, home) in self.sessions.all() {
            let mut live = home.lock().await;
            sessions.extend(self.operator_view(&mut live));
        }
        OperatorSessions { sessions }
    }

    /// One open session.
    pub(crate) async fn operator_session(
        &self,
        session: SessionId,
    ) -> Result<OperatorSession, &'static str> {
        let home = self.sessions.get(session).ok_or("session_unknown")?;
        let mut live = home.lock().await;
        self.operator_view(&mut live).ok_or("session_unknown")
    }

    fn operator_view(&self, live: &mut Live) -> Option<OperatorSession> {
        let person = self.person_of(live).unwrap_or_default();
        let open = live.open()?;
        let (now, opened) = (self.clock.latest(), open.opened());
        let permissions = open.permissions(now);
        Some(OperatorSession {
            session: open.id(),
            agent: opened.entry.agent.clone(),
            mission: opened.entry.mission,
            opened_at: opened.at,
            expires_at: opened.entry.expires,
            instances: open
                .trust(now)
                .map(|(instance, trust)| SeatView {
                    instance: instance.clone(),
                    trust,
                })
                .collect(),
            counts: open.counts().clone(),
            rows: open.rows(),
            resources: open.resources(),
            taint: open.taint().cloned().collect(),
            stopped_by: self.log.commons().stopping(&braked(open, &person)),
            observed: self.observed(open),
            questions: open.pending().count() as u64,
            permissions: permissions.into_iter().map(shown).collect(),
        })
    }

    /// Whether a brake ends the whole session.
    pub(crate) fn is_killed(&self, live: &mut Live) -> bool {
        let person = self.person_of(live).unwrap_or_default();
        let open = live.open();
        open.is_some_and(|open| self.log.commons().kills(open.id(), &person))
    }

    /// The person at the root of the session, by a pseudonymous id; none once they were erased.
    fn person_of(&self, live: &mut Live) -> Option<String> {
        let opened = live.open()?.opened().entry.chain;
        let reading = self.reading(live, opened)?;
        Some(reading.principal().subject.clone())
    }
}

/// Whether one more is taken. One that is known may be made harder, and everything can always be stopped.
fn has_room(commons: &Commons, on: BrakeOn, name: &Label) -> bool {
    on == BrakeOn::Everywhere
        || commons.brake(on, name).is_some()
        || commons.brakes().count() < MOST
}

fn braked<'a>(open: &'a Open, person: &'a str) -> Braked<'a> {
    let opened = &open.opened().entry;
    Braked {
        person,
        session: open.id(),
        agent: opened.agent.as_str(),
        instance: opened.instance.as_str(),
        call: None,
    }
}

fn shown(permission: Permission) -> PermissionView {
    let (basis, once) = match permission.basis {
        Basis::Decision(execution) => (execution.to_string(), true),
        Basis::Unenforced(execution) => (format!("{execution} (unenforced)"), true),
        Basis::Approval(approval) => (approval.to_string(), true),
        Basis::Standing(approval) => (approval.to_string(), false),
    };
    PermissionView {
        instance: permission.reach.instance,
        server: permission.reach.server,
        kind: permission.reach.kind,
        name: permission.reach.name,
        resource: permission.reach.resource,
        basis,
        once,
        expires_at: permission.expires,
    }
}

/// Whether a brake of that name could be on anything: one that is spelled wrong would stop nothing.
fn is_name(on: BrakeOn, name: &Label) -> bool {
    let text = name.as_str();
    match on {
        BrakeOn::Everywhere => text == EVERYWHERE,
        BrakeOn::Person => true,
        BrakeOn::Session => text.parse::<SessionId>().is_ok(),
        BrakeOn::Agent | BrakeOn::Instance => text.parse::<SpiffeId>().is_ok(),
        BrakeOn::Tool => text
            .split_once('/')
            .is_some_and(|(server, tool)| !server.is_empty() && !tool.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_further_brake_is_taken_those_that_are_known_and_everything_are() {
        let mut commons = Commons::default();
        let name = |number: usize| Label::or_digest(&format!("s/t{number}"));
        for number in 0..MOST {
            assert!(has_room(&commons, BrakeOn::Tool, &name(number)));
            let set = BrakeSet {
                on: BrakeOn::Tool,
                name: name(number),
                mode: BrakeMode::Pause,
            };
            commons.take(&set.into());
        }
        assert!(!has_room(&commons, BrakeOn::Tool, &name(MOST)));
        assert!(!has_room(&commons, BrakeOn::Agent, &name(0)));
        assert!(has_room(&commons, BrakeOn::Tool, &name(0)));
        let everywhere = Label::or_digest(EVERYWHERE);
        assert!(has_room(&commons, BrakeOn::Everywhere, &everywhere));
    }
}
