use std::sync::PoisonError;
use std::time::Duration;

use chancery_api::gateway::EndedSession;
use chancery_audit::{EndReason, Label, LeaveReason, OutcomeStatus};
use chancery_session::{Ending, Event, ExecutionEnd, Fault, Leaving, Session};
use chancery_types::Digest;
use chancery_types::id::{ApprovalId, ExecutionId, SessionId};

use super::Enforcement;
use super::evidence_index::evidence_index;
use super::live::{Live, StepError};
use super::opening::code_of;
use super::record::trust_record;
use super::sessions::Home;
use crate::enforcer::Seat;
use crate::peer::Peer;

/// How long running calls may take to end once their servers were told to.
const DRAIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// How long the answer to an end waits for the server to enrol the record.
const ENROLMENT: Duration = Duration::from_secs(2);

impl Enforcement {
    /// Lets an instance leave its session.
    pub(crate) async fn leave_session(&self, peer: &Peer, id: &str) -> Result<(), &'static str> {
        let (session, home) = self.seat_of(peer, id)?;
        let instance = Label::or_digest(peer.name());
        self.unseat(session, &home, instance, LeaveReason::Completed)
            .await
    }

    /// Takes an instance out of a session.
    pub(crate) async fn unseat(
        &self,
        session: SessionId,
        home: &Home,
        instance: Label,
        reason: LeaveReason,
    ) -> Result<(), &'static str> {
        let seat = {
            let live = home.lock().await;
            let seated = live.seated(instance.as_str()).ok_or("not_joined")?;
            Seat {
                session,
                instance: seated.id,
            }
        };
        // No call is taken from here on; those that run end with their children.
        self.sessions.unseat(instance.as_str(), session);
        self.upstreams.close_seat(seat).await;
        self.drain(home, Some(&instance)).await;
        let (left, questions) = self.enrol_leave(home, instance.clone(), reason).await;
        if left.is_err() {
            self.sessions.seat(instance, session);
        } else {
            self.withdraw_questions(questions).await;
        }
        left
    }

    /// Enrols that an instance leaves; gives back the questions that it leaves behind.
    async fn enrol_leave(
        &self,
        home: &Home,
        instance: Label,
        reason: LeaveReason,
    ) -> (Result<(), &'static str>, Vec<ApprovalId>) {
        let mut live = home.lock().await;
        let questions = questions(&live, Some(&instance));
        let (turn, now) = match self.turn().await {
            Ok(turn) => turn,
            Err(code) => return (Err(code), questions),
        };
        let leaving = Leaving { instance, reason };
        let left = live.step(&self.log, turn, now, Event::Leave(leaving)).await;
        let left = left.map(|_| ()).map_err(|error| code_of(&error));
        (left, questions)
    }

    /// Ends a session for the instance that holds its root.
    pub(crate) async fn end_session_for(
        &self,
        peer: &Peer,
        id: &str,
    ) -> Result<EndedSession, &'static str> {
        let session: SessionId = id.parse().map_err(|_| "session_unknown")?;
        let home = self.sessions.get(session).ok_or("session_unknown")?;
        {
            let live = home.lock().await;
            if live.seated(peer.name()).is_none() {
                return Err("session_unknown");
            }
            let root = live.memory.root.as_ref().ok_or("end_not_yours")?;
            if root.holder != *peer.name().as_ref() {
                return Err("end_not_yours");
            }
        }
        let log_index = self
            .end_session(session, &home, EndReason::Completed, None)
            .await?;
        let enrolled = async {
            while !self.records.is_enrolled(session) {
                tokio::time::sleep(POLL).await;
            }
        };
        let record = match tokio::time::timeout(ENROLMENT, enrolled).await {
            Ok(()) => self.records.digest(session),
            Err(_) => None,
        };
        Ok(EndedSession {
            session,
            log_index,
            record,
        })
    }

    /// Ends a session: once, whoever asks for it how often. No call is taken from the moment this
    /// starts; the children end; every permitted call has its outcome; then everybody leaves and
    /// the one end is enrolled.
    pub(crate) async fn end_session(
        &self,
        session: SessionId,
        home: &Home,
        reason: EndReason,
        cause: Option<Label>,
    ) -> Result<u64, &'static str> {
        let (reason, cause) = {
            let mut live = home.lock().await;
            live.open().ok_or("session_ended")?;
            if live.ending.is_some() {
                return Err("session_ending");
            }
            // Whatever else ends it, entries of it may be missing.
            let (reason, cause) = match live.is_interrupted() {
                true => (EndReason::Interrupted, None),
                false => (reason, cause),
            };
            live.ending = Some(reason);
            (reason, cause)
        };
        self.upstreams.close_session(session).await;
        self.drain(home, None).await;
        let (index, questions) = {
            let mut live = home.lock().await;
            let questions = questions(&live, None);
            let ended = self.enrol_end(&mut live, reason, cause).await;
            if ended.is_err() {
                live.ending = None;
            }
            (ended?, questions)
        };
        // A call that was permitted before and forwarded since has a child of its own.
        self.upstreams.close_session(session).await;
        self.withdraw_questions(questions).await;
        self.finish(home).await;
        Ok(index)
    }

    async fn enrol_end(
        &self,
        live: &mut Live,
        reason: EndReason,
        cause: Option<Label>,
    ) -> Result<u64, &'static str> {
        let names: Vec<_> = live.joined().cloned().collect();
        let index = evidence_index(live, &self.objects);
        let bytes = index.to_bytes().map_err(|_| "malformed")?;
        let evidence = Some(Digest::of(&bytes));
        self.objects
            .put(None, vec![bytes])
            .await
            .map_err(|_| "object_store")?;
        let (turn, now) = self.turn().await?;
        let ending = Ending {
            reason,
            cause,
            evidence,
        };
        live.step(&self.log, turn, now, Event::End(ending))
            .await
            .map_err(|error| code_of(&error))?;
        let session = live.session().id();
        for name in names {
            self.sessions.unseat(name.as_str(), session);
        }
        live.memory
            .end
            .as_ref()
            .map(|leaf| leaf.index)
            .ok_or("log_unavailable")
    }

    /// Waits until nothing runs any more; what then still runs ends with an unknown outcome.
    async fn drain(&self, home: &Home, instance: Option<&Label>) {
        let quiet = async {
            while !running(&*home.lock().await, instance).is_empty() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(DRAIN, quiet).await.is_ok() {
            return;
        }
        let mut live = home.lock().await;
        for execution in running(&live, instance) {
            self.end_unknown(&mut live, execution).await;
        }
    }

    /// Enrols that the end of an execution is not known. Never a guess about what happened.
    pub(crate) async fn end_unknown(&self, live: &mut Live, execution: ExecutionId) {
        let end = ExecutionEnd {
            execution,
            status: OutcomeStatus::Unknown,
            result: None,
            bytes: 0,
            micros: 0,
        };
        let turn = self.log.turn().await;
        let now = self.clock.latest();
        if let Err(error) = live.step(&self.log, turn, now, Event::Outcome(end)).await {
            tracing::error!(%execution, %error, "an unknown outcome was not enrolled");
        }
    }

    /// Enrols that a former run left an execution without an outcome, unless it did that before it broke
    /// off as well.
    pub(crate) async fn disclose_gap(&self, live: &mut Live, execution: ExecutionId) {
        let turn = self.log.turn().await;
        let now = self.clock.latest();
        match live.step(&self.log, turn, now, Event::Gap(execution)).await {
            Ok(_) | Err(StepError::Fault(Fault::GapContradicted)) => {}
            Err(error) => tracing::error!(%execution, %error, "a gap was not disclosed"),
        }
    }

    /// Makes the Trust Record of an ended session under a fresh checkpoint, and wakes whoever
    /// hands it to the server.
    pub(crate) async fn finish(&self, home: &Home) {
        // Evidence ends with an index that covers all of the session.
        self.enrol_index().await;
        let _naming = self.records.naming().await;
        let published = match self.log.journal().publish().await {
            Ok(published) => published,
            Err(error) => {
                tracing::error!(%error, "no checkpoint covers the end of a session yet");
                return;
            }
        };
        let live = home.lock().await;
        let session = live.session().id();
        if !matches!(live.session(), Session::Ended(_)) || self.records.knows(session) {
            return;
        }
        let (own, now) = (self.own.as_str(), self.clock.latest());
        let kept = trust_record(&live, own, &published, &self.record_key, now)
            .map_err(std::io::Error::other)
            .and_then(|record| self.records.keep(session, &record, &published.cosigned));
        match kept {
            Ok(()) => self.ended.notify_one(),
            Err(error) => tracing::error!(%session, %error, "the session has no Trust Record"),
        }
    }

    /// The session that an instance is in.
    fn seat_of(&self, peer: &Peer, id: &str) -> Result<(SessionId, Home), &'static str> {
        let session: SessionId = id.parse().map_err(|_| "session_unknown")?;
        if !self.sessions.is_in(peer.name(), session) {
            return Err("session_unknown");
        }
        let home = self.sessions.get(session).ok_or("session_unknown")?;
        Ok((session, home))
    }

    /// When the own SVID is over.
    pub(crate) fn svid_ends(&self) -> Option<chancery_types::Timestamp> {
        let svid = self.svid.read().unwrap_or_else(PoisonError::into_inner);
        svid.as_ref().map(|(_, own)| own.not_after)
    }
}

/// The questions that wait for a person and that the server has: of one instance or of all.
fn questions(live: &Live, instance: Option<&Label>) -> Vec<ApprovalId> {
    let Some(open) = live.open() else {
        return Vec::new();
    };
    let pending = open.pending();
    let of = pending.filter(|(_, one)| instance.is_none_or(|it| *it == one.instance));
    of.filter(|(id, _)| live.asked(*id).is_some_and(|asked| asked.posted))
        .map(|(id, _)| id)
        .collect()
}

/// The executions that run: of one instance or of all.
pub(crate) fn running(live: &Live, instance: Option<&Label>) -> Vec<ExecutionId> {
    let Some(open) = live.open() else {
        return Vec::new();
    };
    let names: Vec<_> = open
        .instances()
        .filter(|name| instance.is_none_or(|it| it == *name))
        .collect();
    names
        .into_iter()
        .flat_map(|name| open.running(name))
        .collect()
}
