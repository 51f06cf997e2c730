use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chancery_api::tls::TlsIdentity;
use chancery_audit::EndReason;
use chancery_session::Session;
use chancery_types::id::SessionId;
use chancery_types::{Digest, Timestamp, causes};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Enforcement;
use super::catalog::Catalog;
use super::ending::running;
use super::revoking::Touched;
use super::sessions::Home;
use super::svid::{OwnSvid, SvidError, x509_bundle};

/// How long a snapshot that says nothing new may stay away; one that does comes at once.
const SNAPSHOT_SECONDS: u64 = 2;
/// How soon the next one is asked for.
const BETWEEN_SNAPSHOTS: Duration = Duration::from_millis(100);
/// How long one question after authorities waits for its answer.
const WAIT_SECONDS: u64 = 30;
const CHECKPOINTS: Duration = Duration::from_secs(60);
const WATCH: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(2);

/// How long a session that ended without being shown its record is still known.
const FAREWELL_SECONDS: u64 = 600;

impl Enforcement {
    /// Makes ready to serve: an SVID, a first snapshot, the tools of every server. Waits for the
    /// server as long as it is away. Then takes up the sessions that a former run left.
    pub(crate) async fn prepare(&self) {
        while let Err(error) = self.renew_svid().await {
            said("no X.509-SVID yet: is the server running?", &error);
            sleep(RETRY).await;
        }
        while let Err(error) = self.refresh(0).await {
            said(
                "no snapshot yet: is the server running and a policy published?",
                &error,
            );
            sleep(RETRY).await;
        }
        while !self.pin_catalog().await {
            sleep(RETRY).await;
        }
        self.take_up().await;
    }

    /// Everything that goes on beside serving.
    pub(crate) fn spawn_tasks(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(self).poll_snapshots());
        tasks.spawn(Arc::clone(self).renew_svids());
        tasks.spawn(Arc::clone(self).watch_catalog());
        tasks.spawn(Arc::clone(self).watch_sessions());
        tasks.spawn(Arc::clone(self).enrol_periodically());
        tasks.spawn(Arc::clone(self).follow_erasures());
        tasks.spawn(Arc::clone(self).index_periodically());
        tasks.spawn(Arc::clone(self).follow_authorities());
        tasks
    }

    /// Calls that were allowed and have no outcome: each is disclosed as a gap, and then gets an outcome
    /// that says that nothing is known.
    /// Sessions that ended without a Trust Record get theirs.
    async fn take_up(&self) {
        for (session, home) in self.sessions.all() {
            let mut live = home.lock().await;
            let open = running(&live, None);
            if !open.is_empty() {
                tracing::warn!(%session, count = open.len(), "outcomes are unknown after a restart");
            }
            for execution in open {
                self.disclose_gap(&mut live, execution).await;
                self.end_unknown(&mut live, execution).await;
            }
            let ended = matches!(live.session(), Session::Ended(_));
            drop(live);
            if ended {
                self.finish(&home).await;
            }
        }
        self.finish_erasures().await;
    }

    async fn poll_snapshots(self: Arc<Self>) {
        let mut away = false;
        loop {
            let begun = tokio::time::Instant::now();
            let refreshed = self.refresh(SNAPSHOT_SECONDS).await;
            match (&refreshed, away) {
                (Err(error), false) => said("running sessions go on without the server", error),
                (Ok(()), true) => tracing::info!("snapshots are fresh again"),
                _ => {}
            }
            away = refreshed.is_err();
            if away {
                sleep(RETRY).await;
            } else {
                // A server that does not wait is not asked without end.
                tokio::time::sleep_until(begun + BETWEEN_SNAPSHOTS).await;
            }
        }
    }

    async fn renew_svids(self: Arc<Self>) {
        loop {
            sleep(WATCH).await;
            let due = {
                let svid = self.svid.read().unwrap_or_else(PoisonError::into_inner);
                svid.as_ref()
                    .is_none_or(|(_, own)| self.clock.latest() >= own.renew_at)
            };
            if due && let Err(error) = self.renew_svid().await {
                let ends = self.svid_ends().map(|ends| ends.to_string());
                tracing::warn!(%error, ends, "the own X.509-SVID is not renewed");
                sleep(RETRY).await;
            }
        }
    }

    /// Has an SVID below an authority that is not believed any more issued again at once.
    async fn follow_authorities(self: Arc<Self>) {
        let mut state = Digest::of("nothing is known yet");
        loop {
            let Ok(told) = self.server.foreign_bundles(state, WAIT_SECONDS).await else {
                sleep(RETRY).await;
                continue;
            };
            let below = {
                let svid = self.svid.read().unwrap_or_else(PoisonError::into_inner);
                svid.as_ref()
                    .is_some_and(|(_, own)| own.is_below(&told.tainted))
            };
            if below && let Err(error) = self.renew_svid().await {
                tracing::warn!(%error, "the own X.509-SVID is below an authority that is tainted");
                sleep(RETRY).await;
                continue;
            }
            state = told.state;
        }
    }

    async fn renew_svid(&self) -> Result<(), SvidError> {
        let bundle = x509_bundle(&self.trust.current(), &self.trust_domain)?;
        let now = self.clock.latest();
        let who = (&self.own, self.name.service());
        let own = OwnSvid::obtain(&self.server, who, &bundle, now).await?;
        metrics::gauge!("chancery_svid_expiry_timestamp_seconds")
            .set(Duration::from_secs(own.not_after.as_seconds()));
        let unusable = |_| SvidError::Unacceptable("not usable with TLS");
        let tls = match self.tls() {
            Some(tls) => {
                tls.replace(own.chain.clone(), &own.key, bundle)
                    .map_err(unusable)?;
                tls
            }
            None => TlsIdentity::new(own.chain.clone(), &own.key, bundle).map_err(unusable)?,
        };
        *self.svid.write().unwrap_or_else(PoisonError::into_inner) = Some((tls, own));
        Ok(())
    }

    async fn watch_catalog(self: Arc<Self>) {
        let mut changes = self.upstreams.changes();
        // What was announced before this subscription is looked at as well.
        changes.mark_changed();
        while changes.changed().await.is_ok() {
            let announced = *changes.borrow_and_update();
            while self.catalog.current(announced).is_none() && !self.pin_catalog().await {
                sleep(RETRY).await;
            }
        }
    }

    /// Lists the tools of all servers and pins them. False where a server does not say.
    async fn pin_catalog(&self) -> bool {
        let announced = *self.upstreams.changes().borrow();
        match Catalog::survey(&self.upstreams, &self.audiences, &self.trust_domain).await {
            Ok(catalog) => {
                tracing::info!(root = %catalog.root, "tools pinned");
                self.catalog.pin(announced, catalog);
                self.pinned.notify_waiters();
                true
            }
            Err(error) => {
                said("the tools are not known: nothing is decided", &error);
                false
            }
        }
    }

    async fn watch_sessions(self: Arc<Self>) {
        let mut tick = ticks(WATCH);
        let mut ending = JoinSet::new();
        // What never happened is shown as none.
        for verdict in ["deny", "escalate"] {
            metrics::counter!("chancery_unenforced_total", "verdict" => verdict).increment(0);
        }
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.revised.notified() => {}
            }
            while ending.try_join_next().is_some() {}
            let Ok(now) = self.clock.now() else {
                continue;
            };
            let all = self.sessions.all();
            metrics::gauge!("chancery_sessions").set(all.len() as f64);
            for (session, home) in all {
                let Some(due) = self.due(&home, now).await else {
                    continue;
                };
                match due {
                    Due::Forget => self.sessions.withdraw(session),
                    due => {
                        // One session's end waits for its servers; no other waits for it.
                        let gateway = Arc::clone(&self);
                        ending.spawn(async move { gateway.carry_out(session, &home, due).await });
                    }
                }
            }
        }
    }

    async fn carry_out(&self, session: SessionId, home: &Home, due: Due) {
        match due {
            Due::Revoked(touched) => self.end_touched(session, home, touched).await,
            Due::End(reason) => match self.end_session(session, home, reason, None).await {
                Ok(_) | Err("session_ending" | "session_ended") => {}
                Err(code) => tracing::error!(%session, code, "the session did not end"),
            },
            Due::Forget => {}
        }
    }

    async fn due(&self, home: &Home, now: Timestamp) -> Option<Due> {
        let mut live = home.lock().await;
        if let Session::Ended(ended) = live.session() {
            let over = now >= ended.at.plus_seconds(FAREWELL_SECONDS);
            let kept = self.records.knows(ended.entry.session);
            return (over && kept).then_some(Due::Forget);
        }
        let open = live.open()?;
        if live.ending.is_some() {
            return None;
        }
        let expires = open.opened().entry.expires;
        let abandoned = live
            .empty_since
            .is_some_and(|since| now >= since.plus_seconds(self.abandon_seconds));
        let in_force = self.in_force();
        let touched = in_force.and_then(|in_force| self.touched(&mut live, &in_force));
        if let Some(touched) = touched {
            Some(Due::Revoked(touched))
        } else if self.is_killed(&mut live) {
            Some(Due::End(EndReason::Killed))
        } else if live.is_interrupted() {
            Some(Due::End(EndReason::Interrupted))
        } else if now >= expires {
            Some(Due::End(EndReason::Expired))
        } else if abandoned {
            Some(Due::End(EndReason::Abandoned))
        } else {
            None
        }
    }

    async fn index_periodically(self: Arc<Self>) {
        let mut roots = ticks(Duration::from_secs(self.index_seconds));
        loop {
            roots.tick().await;
            self.enrol_index().await;
        }
    }

    async fn enrol_periodically(self: Arc<Self>) {
        self.enrol_records().await;
        let mut checkpoints = ticks(CHECKPOINTS);
        let mut retries = ticks(RETRY);
        loop {
            tokio::select! {
                () = self.ended.notified() => self.enrol_records().await,
                _ = retries.tick() => self.enrol_records().await,
                _ = checkpoints.tick() => self.enrol_checkpoint().await,
            }
        }
    }
}

/// What is to be done about a session.
enum Due {
    End(EndReason),
    Revoked(Touched),
    Forget,
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut tick = interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Logs an error with its causes.
pub(super) fn said(what: &str, error: &dyn std::error::Error) {
    tracing::warn!(error = causes(error), "{what}");
}
